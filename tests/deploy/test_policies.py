"""Alert policies made of Prometheus rules: as gcloud's own `policies migrate` translates them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import alerting
from deploy.apply import lanes
from deploy.live import Live
from deploy.policies import policies
from monitoring import log_metrics, rules
from tests.deploy.projects import target

#: Prints what gcloud makes of a rule file, by gcloud's own code.
TRANSLATE = """
import json, sys
sys.path[:0] = [f"{sys.argv[1]}/lib", f"{sys.argv[1]}/lib/third_party"]
from googlecloudsdk.api_lib.util import apis
from googlecloudsdk.command_lib.monitoring import util
from apitools.base.py import encoding
messages = apis.GetMessagesModule("monitoring", "v3")
found = util.PrometheusMessageFromString(sys.stdin.read(), messages, ["channel"])
print(json.dumps([encoding.MessageToDict(each) for each in found]))
"""


def sdk() -> tuple[Path, Path] | None:
    """gcloud's folder, and the Python that it brings."""
    program = shutil.which("gcloud")
    root = Path(program).resolve().parent.parent if program else None
    found = next((root / "platform").glob("bundledpythonunix/bin/python3"), None) if root else None
    return (root, found) if root and found else None


@pytest.mark.skipif(sdk() is None, reason="no gcloud with its own Python on this machine")
@pytest.mark.parametrize("file", rules.FILES, ids=lambda file: file.stem)
def test_translation_is_gclouds_own_with_severity_and_labels_added(file: Path, tmp_path: Path) -> None:
    found = sdk()
    assert found
    text = rules.deployable(file.read_text(), env="stg", repository=target().repository)
    done = subprocess.run(
        [found[1], "-c", TRANSLATE, found[0]],
        input=text,
        env={"PATH": os.environ["PATH"], "CLOUDSDK_CONFIG": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    theirs = {each["displayName"]: each for each in json.loads(done.stdout)}
    ours = {each.name: dict(each.body) for each in policies(target()) if each.by_mail is (file == rules.RELAY_DOWN)}
    assert set(ours) == set(theirs)
    for name, policy in ours.items():
        assert policy.pop("severity") in ("CRITICAL", "WARNING")
        (condition,) = policy["conditions"]
        assert condition["conditionPrometheusQueryLanguage"].pop("disableMetricValidation")
        theirs[name].pop("notificationChannels")
        assert policy == theirs[name]


def test_variables_of_prometheus_become_those_of_cloud_monitoring() -> None:
    (backlog,) = [each for each in policies(target()) if each.name.endswith("/GpuBacklog")]
    documentation = backlog.body["documentation"]
    assert "${metric_or_resource.label.subscription_id}" in documentation["subject"] + documentation["content"]
    assert not [each for each in policies(target()) if "{{" in each.text({})]


def test_every_policy_links_to_its_runbook() -> None:
    for policy in policies(target()):
        assert "https://example.com/nca-fanout/blob/main/docs/runbooks.md#" in policy.body["documentation"]["content"]


def deployed(**labels: str) -> Live:
    """Every policy and channel as deployed, with these user labels instead."""
    channels = (
        {"name": "channels/1", "type": "pubsub", "labels": {"topic": "projects/hub-stg/topics/alerts"}},
        {"name": "channels/2", "type": "email", "labels": {"email_address": "ops@example.com"}},
    )
    made = tuple(
        {
            "name": f"alertPolicies/{number}",
            "displayName": each.name,
            "userLabels": {**target().labels, "config": each.config, **labels},
            "notificationChannels": ["channels/2" if each.by_mail else "channels/1"],
        }
        for number, each in enumerate(policies(target()))
    )
    return Live({"policies": made, "channels": channels})


def test_policies_that_are_as_wanted_are_left_alone() -> None:
    assert alerting.alert_policies(target(), deployed()) == []


def test_changed_rule_changes_its_policy_in_place() -> None:
    commands = alerting.alert_policies(target(), deployed(config="older"))
    assert commands
    assert all(command.arguments[3] == "update" for command in commands)
    assert all("--set-notification-channels" in str(command.arguments) for command in commands)


def test_policy_of_a_rule_that_is_gone_is_found_and_others_are_none_of_ours() -> None:
    gone: dict[str, Any] = {"name": "alertPolicies/99", "displayName": "gpu/Gone", "userLabels": {"app": "nca-fanout"}}
    foreign = {"name": "alertPolicies/98", "displayName": "gpu/Gone"}
    live = deployed()
    live = replace(live, lists={**live.lists, "policies": (*live.lists["policies"], gone, foreign)})
    assert alerting.stray_policies(target(), live) == ["alertPolicies/99"]


def test_whoever_was_mailed_still_is_without_the_option() -> None:
    live = deployed()
    ours = {"userLabels": target().labels}
    live = replace(live, lists={**live.lists, "channels": tuple({**each, **ours} for each in live.lists["channels"])})
    assert alerting.alert_policies(replace(target(), alert_email=None), live) == []


def test_text_labels_come_back_without_their_type() -> None:
    """STRING is the enum's zero: proto3 JSON leaves it out."""
    there = []
    for name in alerting.metric_names():
        metric = yaml.safe_load((log_metrics.FOLDER / f"{name}.yaml").read_text())
        for label in metric["metricDescriptor"].get("labels", ()):
            label.pop("valueType")
        there.append({"name": name, **metric})
    assert any(each["metricDescriptor"].get("labels") for each in there)
    assert alerting.metrics(target(), Live({"metrics": tuple(there)})) == []
    there[0]["metricDescriptor"]["labels"] = [{"key": "another"}]
    assert len(alerting.metrics(target(), Live({"metrics": tuple(there)}))) == 1


def test_channels_and_policies_are_edited_one_after_the_other() -> None:
    commands = [*alerting.channels(target(), Live()), *alerting.alert_policies(target(), Live())]
    commands += alerting.alert_policies(target(), deployed(config="older"))
    assert len(lanes(commands)) == 1


def test_log_metric_is_updated_when_a_field_of_its_file_differs() -> None:
    name = alerting.metric_names()[0]
    file = Path(rules.__file__).parent / "log-metrics" / f"{name}.yaml"
    there = {"name": name, **yaml.safe_load(file.read_text()), "createTime": "2026-01-01T00:00:00Z"}
    titles = [each.title for each in alerting.metrics(target(), Live({"metrics": (there,)}))]
    assert not [title for title in titles if title.endswith(f" {name}")]
    titles = [each.title for each in alerting.metrics(target(), Live({"metrics": ({**there, "filter": "x"},)}))]
    assert f"logging metrics update {name}" in titles
