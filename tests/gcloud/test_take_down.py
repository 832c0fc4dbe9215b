"""`gke up|down` and `destroy`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from shared.resources import declared
from tests.gcloud.deployment import Deployment

#: kubectl as far as deploy.sh goes: what it is asked is kept.
_KUBECTL = """#!/bin/bash
printf '%s\\n' "$*" >> {calls}
"""
GKE = declared().gke


@pytest.fixture
def kubectl(deployed: Deployment) -> Iterator[list[str]]:
    """Its calls, read when the list is asked for."""
    program, calls = deployed.tools / "kubectl", deployed.folder / "kubectl-calls"
    program.write_text(_KUBECTL.format(calls=calls))
    program.chmod(0o755)
    calls.unlink(missing_ok=True)

    class Calls(list[str]):
        def __iter__(self) -> Iterator[str]:
            return iter(calls.read_text().splitlines() if calls.exists() else [])

    yield Calls()
    program.unlink()


def test_gke_up_makes_the_cluster_its_pods_and_tells_the_functions(deployed: Deployment, kubectl: list[str]) -> None:
    outcome = deployed.run("gke up", "--max-replicas=8")
    assert outcome.code == 0, outcome
    cluster = deployed.at(f"container/{deployed.region}/clusters/{GKE.cluster}")
    assert cluster["autopilot"]["enabled"] is True
    assert cluster["resourceLabels"] == {"env": "stg", "app": "nca-fanout", "route": "on"}
    context = f"--context=gke_{deployed.cloud.project}_{deployed.region}_{GKE.cluster}"
    calls = list(kubectl)
    assert calls
    assert all(context in call for call in calls)
    assert [call for call in calls if "apply" in call and "k8s/stg" in call]
    pods = deployed.account(GKE.account)
    members = deployed.cloud.store.members(
        deployed.key(f"iam/serviceAccounts/{pods}"), "roles/iam.workloadIdentityUser"
    )
    assert members == {f"serviceAccount:{deployed.cloud.project}.svc.id.goog[{GKE.namespace}/gpu-runner]"}
    nodes = f"serviceAccount:{deployed.cloud.number}-compute@developer.gserviceaccount.com"
    for key, role in (
        (f"cloudresourcemanager/projects/{deployed.cloud.project}", "roles/container.defaultNodeServiceAccount"),
        (deployed.key(f"artifactregistry/{deployed.region}/repositories/nca-fanout"), "roles/artifactregistry.reader"),
    ):
        assert nodes in deployed.cloud.store.members(key, role)
    for function in ("ingest", "on-upload", "dispatch"):
        service = deployed.at(f"run/{deployed.region}/services/{function}")
        (container,) = service["spec"]["template"]["spec"]["containers"]
        assert {"name": "ENABLE_GKE_ROUTE", "value": "true"} in container["env"]

    again = deployed.run("up")
    assert (again.code, again.changes) == (0, ()), again

    down = deployed.run("gke down")
    assert down.code == 0, down
    assert not deployed.names(f"container/{deployed.region}/clusters")
    assert [call for call in kubectl if call.startswith("delete")]
    service = deployed.at(f"run/{deployed.region}/services/ingest")
    (container,) = service["spec"]["template"]["spec"]["containers"]
    assert {"name": "ENABLE_GKE_ROUTE", "value": "false"} in container["env"]


def test_destroy_asks_first(deployed: Deployment) -> None:
    outcome = deployed.run("destroy")
    assert (outcome.code, outcome.changes) == (1, ())
    assert "Type the project's name" in outcome.out


def test_destroy_takes_everything_but_data_and_buckets_when_told(deployed: Deployment) -> None:
    resources = declared()
    outcome = deployed.run("destroy", "--yes")
    assert outcome.code == 0, outcome
    buckets = {f"storage/b/{deployed.bucket(name)}" for name in resources.buckets}
    assert buckets <= deployed.cloud.store.resources.keys()
    left = {
        collection: found
        for collection in (
            "pubsub/topics",
            "pubsub/subscriptions",
            "secretmanager/secrets",
            "logging/metrics",
            "monitoring/alertPolicies",
            "monitoring/notificationChannels",
            "monitoring/dashboards",
            f"run/{deployed.region}/services",
            f"run/{deployed.region}/jobs",
            f"run/{deployed.gpu_region}/jobs",
            f"cloudscheduler/{deployed.region}/jobs",
            f"eventarc/{deployed.region}/triggers",
        )
        if (found := deployed.names(collection))
    }
    assert not left
    accounts = {name for name in deployed.names("iam/serviceAccounts") if not name.startswith("service-")}
    assert not accounts
    project = deployed.cloud.store.policies[f"cloudresourcemanager/projects/{deployed.cloud.project}"]
    assert "deleted:" not in json.dumps(project)

    told = deployed.run("destroy", "--yes", "--buckets")
    assert told.code == 0, told
    assert not buckets & deployed.cloud.store.resources.keys()
