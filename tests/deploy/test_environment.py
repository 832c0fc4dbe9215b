"""The settings that a deployment gives: every required one, nothing unknown, and such as each part accepts."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from deploy.environment import max_source_bytes, of_function, of_job, of_pod
from deploy.functions import labels
from deploy.live import Live
from deploy.manifests import FIXED_SETTINGS
from deploy.situation import Situation
from deploy.source import uploaded
from shared.resources import declared
from shared.settings import CLOUD_TRACE, Settings, parse
from tests.deploy.projects import target
from tests.wiring.tree import ROOT

NOW = Situation(gke_route=True, subscriptions={"gpu-work": "gpu-work-abcdef"})
KNOWN = {name.upper() for name in Settings.model_fields}
#: The framework's own, not settings of ours.
FRAMEWORK = {"WORKERS", "THREADS", "CLOUD_RUN_TIMEOUT_SECONDS"}
SECRETS = {
    "API_KEYS": json.dumps([{"name": "operator", "key": "k"}]),
    "WEBHOOK_SECRET": "whsec_c2VjcmV0",
    "ALERT_TOKEN": "t",
}


@pytest.mark.parametrize("name", declared().functions)
def test_functions_environment_parses_where_the_function_runs(name: str) -> None:
    given = of_function(target(), NOW, name)
    assert set(given) - KNOWN == FRAMEWORK
    settings = parse({**given, **SECRETS, "K_SERVICE": target().service(name)})
    assert settings.enable_gke_route
    assert settings.tasks_account == settings.invoker_accounts[0] == "nca-invoker@hub-stg.iam.gserviceaccount.com"


@pytest.mark.parametrize("name", declared().jobs)
def test_jobs_environment_parses_and_knows_its_own_deadline(name: str) -> None:
    job = declared().jobs[name]
    given = of_job(target(), NOW, name)
    assert set(given) <= KNOWN
    settings = parse(given)
    assert settings.task_timeout_seconds == job.task_timeout
    assert settings.require_gpu is (job.gpu is not None)
    assert settings.gpu_subscription == "gpu-work-abcdef"


def test_pods_environment_leaves_to_the_deployment_what_it_fixes() -> None:
    given = of_pod(target(), NOW)
    assert set(given) <= KNOWN - FIXED_SETTINGS
    assert parse(given).gke_subscription == "gpu-gke-work"


def test_spans_go_to_cloud_trace_unless_a_deployment_says_otherwise() -> None:
    for given in (of_function(target(), NOW, "ingest"), of_job(target(), NOW, "gpu"), of_pod(target(), NOW)):
        assert parse({**given, **SECRETS}).traces == CLOUD_TRACE
    assert parse({**of_job(target(settings={"TRACES": ""}), NOW, "gpu"), **SECRETS}).traces is None


def test_every_required_setting_is_given() -> None:
    required = {name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
    assert required <= set(of_pod(target(), NOW))


def test_names_are_those_of_the_code_that_finds_them_by_default() -> None:
    """A worker without the settings would look for these."""
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    given = parse(of_job(target(), Situation(), "gpu"))
    for name in ("gpu_job", "cpu_job", "gpu_subscription", "gke_subscription", "ack_deadline_seconds"):
        assert getattr(given, name) == defaults[name]


def test_tokens_are_made_out_to_the_functions_that_check_them() -> None:
    audiences = parse(of_job(target(), NOW, "cpu")).audiences
    called = declared().accounts["nca-invoker"].calls
    assert audiences == tuple(target().url(function) for function in called)
    assert all(re.fullmatch(r"https://[a-z-]+-\d+\.asia-northeast1\.run\.app", url) for url in audiences)


def test_the_sources_of_all_files_at_once_fit_into_memory_beside_the_model() -> None:
    assert max_source_bytes(target()) == 8 * 2**30
    gpu = declared().jobs["gpu"]
    given = parse(of_job(target(), NOW, "gpu"))
    assert given.worker_concurrency == gpu.files_at_once > 1
    assert (
        given.max_source_bytes * given.worker_concurrency
        <= 32 * 2**30 / 2
        == int(gpu.memory.removesuffix("Gi")) * 2**30 / 2
    )
    assert parse({**of_pod(target(), NOW), **SECRETS}).worker_concurrency == gpu.files_at_once


def test_a_changed_setting_reaches_everybody() -> None:
    changed = target(settings={"GPU_FILE_TYPES": "mkv,mp4", "MAX_GPU_EXECUTIONS": "4"})
    for given in (of_function(changed, NOW, "ingest"), of_job(changed, NOW, "gpu"), of_pod(changed, NOW)):
        assert parse({**given, **SECRETS}).gpu_file_types == ("mkv", "mp4")
        assert given["MAX_GPU_EXECUTIONS"] == "4"


@pytest.mark.parametrize(
    "change",
    [
        {"source": "another"},
        {"settings": {"MAX_GPU_EXECUTIONS": "4"}},
        {"region": "europe-west1"},
    ],
)
def test_a_revision_is_told_apart_by_whatever_makes_it(change: dict[str, object]) -> None:
    before = labels(target(), Live(), NOW, "ingest")["config"]
    assert labels(target(), Live(), NOW, "ingest")["config"] == before
    assert labels(replace(target(), **change), Live(), NOW, "ingest")["config"] != before  # type: ignore[arg-type]


def test_digest_is_of_what_a_build_is_given() -> None:
    """`.gcloudignore` and the digest must mean the same files."""
    files = {file.as_posix() for file in uploaded(ROOT)}
    assert {"main.py", "requirements.txt", "functions/ingest.py", "shared/resources.toml"} <= files
    assert not [name for name in files if name.startswith("shared/media/") or "__pycache__" in name]
    lines = (ROOT / ".gcloudignore").read_text().splitlines()
    let_through = {line.removeprefix("!/").rstrip("/") for line in lines if line.startswith("!")}
    assert let_through == {name.partition("/")[0] for name in files}
    assert "/shared/media/" in lines
