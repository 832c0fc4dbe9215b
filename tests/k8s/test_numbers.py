"""Names and numbers that the manifests repeat are those of resources.toml and of the settings."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deploy.environment import max_source_bytes
from deploy.manifests import SERVICE_ACCOUNT, SETTINGS, Environment
from shared.backlog import query
from shared.resources import declared
from shared.settings import Settings
from tests.deploy.projects import target
from tests.k8s.rendering import ENVIRONMENTS, Document, container, one, pod, rendered

RESOURCES = declared()
JOB = RESOURCES.jobs["gpu"]
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}


def gibibytes(quantity: str) -> float:
    number = re.fullmatch(r"(\d+)Gi", quantity)
    assert number, quantity
    return float(number[1])


def environment_of(documents: list[Document]) -> dict[str, Any]:
    return {each["name"]: each["value"] for each in container(documents)["env"]}


def test_a_pod_is_as_large_as_an_execution_of_the_gpu_job() -> None:
    limits = container(rendered())["resources"]["limits"]
    assert (limits["cpu"], limits["memory"], limits["nvidia.com/gpu"]) == (str(JOB.cpu), JOB.memory, "1")
    assert pod(rendered())["nodeSelector"] == {"cloud.google.com/gke-accelerator": JOB.gpu}


def test_a_pod_runs_the_same_worker_without_end() -> None:
    assert container(rendered())["command"] == [*JOB.command[:3], "serve"]


def test_names_are_the_declared_ones() -> None:
    documents = rendered()
    gke = RESOURCES.gke
    assert one(documents, "Namespace")["metadata"]["name"] == gke.namespace
    assert one(documents, "Deployment")["metadata"]["name"] == gke.deployment
    assert (
        one(documents, "ServiceAccount")["metadata"]["name"] == pod(documents)["serviceAccountName"] == SERVICE_ACCOUNT
    )
    account = one(documents, "ServiceAccount")["metadata"]["annotations"]["iam.gke.io/gcp-service-account"]
    assert account.partition("@")[0] == gke.account
    assert gke.account in RESOURCES.accounts
    assert one(documents, "ConfigMap")["metadata"]["name"].startswith(f"{SETTINGS}-")


def test_pods_may_pull_what_they_are_scaled_by() -> None:
    (trigger,) = [each for each in one(rendered(), "ScaledObject")["spec"]["triggers"] if each["type"] == "prometheus"]
    lanes = DEFAULTS["gke_high_subscription"], DEFAULTS["gke_subscription"]
    assert set(RESOURCES.accounts[RESOURCES.gke.account].subscriptions) == set(lanes)
    assert trigger["metadata"]["query"] == query(*lanes)


def test_trigger_asks_with_the_authentication_that_is_there() -> None:
    documents = rendered()
    (trigger,) = [each for each in one(documents, "ScaledObject")["spec"]["triggers"] if "authenticationRef" in each]
    assert trigger["authenticationRef"]["name"] == one(documents, "TriggerAuthentication")["metadata"]["name"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_more_pods_than_declared(environment: Environment) -> None:
    assert one(rendered(environment), "ScaledObject")["spec"]["maxReplicaCount"] <= RESOURCES.gke.max_replicas


def test_busy_cpus_are_the_second_trigger() -> None:
    (trigger,) = [each for each in one(rendered(), "ScaledObject")["spec"]["triggers"] if each["type"] == "cpu"]
    assert (trigger["metricType"], trigger["metadata"]) == ("Utilization", {"value": "70"})


def test_the_largest_sources_fit_the_scratch_volume_and_that_the_pods_disk() -> None:
    (volume,) = pod(rendered())["volumes"]
    scratch = gibibytes(volume["emptyDir"]["sizeLimit"])
    disk = gibibytes(container(rendered())["resources"]["limits"]["ephemeral-storage"])
    files = RESOURCES.jobs["gpu"].files_at_once
    assert files * max_source_bytes(target()) / 2**30 * 1.25 <= scratch < disk


def test_heartbeat_and_home_lie_where_the_pod_may_write() -> None:
    (mount,) = container(rendered())["volumeMounts"]
    given = environment_of(rendered())
    assert given["HEARTBEAT_FILE"].startswith(f"{mount['mountPath']}/")
    # Which is emptied when a container begins, and so holds nothing else.
    assert given["SCRATCH_FOLDER"].startswith(f"{mount['mountPath']}/")
    assert not given["HEARTBEAT_FILE"].startswith(f"{given['SCRATCH_FOLDER']}/")
    assert given["HOME"] == mount["mountPath"]


def test_times_of_a_pod_make_valid_settings() -> None:
    given = environment_of(rendered())
    assert float(given["TERMINATION_GRACE_SECONDS"]) > DEFAULTS["task_timeout_seconds"]
    assert (given["REQUIRE_GPU"], given["DEVICE"]) == ("true", "cuda")
