"""Every alert has its section in docs/runbooks.md, complete, and no section is of an alert that is gone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from deploy.manifests import KEDA_NAMESPACE, KEDA_SERVICE_ACCOUNT
from monitoring import rules
from shared.resources import declared
from tests.monitoring.logged import events
from tests.wiring.tree import ROOT

FILE = ROOT / "docs" / "runbooks.md"
TEXT = FILE.read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
NAMES = [rule.name for rule in rules.rules()]
RESOURCES = declared()


def test_sections_are_the_alerts_in_their_order() -> None:
    assert list(SECTIONS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_section_says_what_it_means_where_to_look_what_to_do_and_whom_to_wake(name: str) -> None:
    assert re.findall(r"^\*\*(\w[\w ]*):\*\*", SECTIONS[name], re.MULTILINE) == ["Means", "Look", "Do", "Wake somebody"]
    for part in re.split(r"^\*\*\w[\w ]*:\*\*", SECTIONS[name], flags=re.MULTILINE)[1:]:
        assert part.strip()


@pytest.mark.parametrize("name", NAMES)
def test_other_alerts_are_called_by_their_names(name: str) -> None:
    mentioned = re.findall(r"\*\*([A-Z][a-z]+(?:[A-Z][a-z]+)+)\*\*", SECTIONS[name])
    assert set(mentioned) <= set(NAMES)


def test_events_are_those_that_the_code_logs() -> None:
    single = re.findall(r'jsonPayload\.event="([\w.]+)"', TEXT)
    several = re.findall(r'"([\w.]+)"', " ".join(re.findall(r"jsonPayload\.event=\(([^)]*)\)", TEXT)))
    assert len({*single, *several}) > 20
    assert {*single, *several} <= set(events())


def test_gclouds_own_linter_knows_every_command() -> None:
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed")
    command = ["gcloud", "meta", "lint-gcloud-commands", f"--commands-text-file={FILE}"]
    linted = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert len(linted) > 25
    assert {each["command_string"]: each["error_message"] for each in linted if not each["success"]} == {}


def test_whose_right_lets_keda_see_the_backlog() -> None:
    """deploy.manifests.keda_member: KEDA asks as its operator, not as the pods it scales."""
    assert f"`{KEDA_NAMESPACE}/{KEDA_SERVICE_ACCOUNT}`" in SECTIONS["GpuIdle"]


def test_resources_are_declared_ones() -> None:
    services = {name.replace("_", "-") for name in RESOURCES.functions}
    assert set(re.findall(r'service_name="([\w-]+)"', TEXT)) <= services
    assert set(re.findall(r"--job=([\w-]+)", TEXT)) <= {job.name for job in RESOURCES.jobs.values()}
    assert set(re.findall(r"gcloud tasks queues \w+ ([\w-]+)", TEXT)) <= set(RESOURCES.queues)
    assert set(re.findall(r"gcloud pubsub subscriptions \w+ ([\w-]+)", TEXT)) <= set(RESOURCES.subscriptions)
    assert set(re.findall(r"gcloud pubsub topics [\w-]+ ([\w-]+)", TEXT)) <= set(RESOURCES.topics.names)
    assert set(re.findall(r"scheduler jobs (?:run|resume) ([\w-]+)", TEXT)) <= set(RESOURCES.scheduler)
    assert set(re.findall(r"secrets versions \w+ ([\w-]+)", TEXT)) <= {each.name for each in RESOURCES.secrets.values()}
    assert set(re.findall(r"kubectl -n ([\w-]+)", TEXT)) == {RESOURCES.gke.namespace}
    buckets = {bucket.suffix for bucket in RESOURCES.buckets.values()}
    assert set(re.findall(r"gs://\$PROJECT-([\w-]+)", TEXT)) <= buckets
