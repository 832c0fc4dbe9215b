"""deploy/manifests.py: what the generated kustomization changes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy import manifests
from deploy.manifests import FIXED_SETTINGS, folder, identity_member, keda_member, kustomization
from shared.backlog import query
from shared.errors import InvalidRequest
from shared.resources import declared
from tests.k8s.rendering import (
    ENVIRONMENTS,
    IMAGE,
    PROJECT,
    RELEASE,
    SETTINGS,
    container,
    kustomize,
    one,
    render,
    rendered,
)
from tests.wiring.tree import ROOT


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_release_values_reach_every_place(environment: manifests.Environment) -> None:
    documents = rendered(environment)
    assert container(documents)["image"] == IMAGE
    account = one(documents, "ServiceAccount")["metadata"]["annotations"]["iam.gke.io/gcp-service-account"]
    assert account == f"gke-gpu-sa@{PROJECT}.iam.gserviceaccount.com"
    trigger = one(documents, "ScaledObject")["spec"]["triggers"][0]
    assert f"/projects/{PROJECT}/location/global/prometheus" in trigger["metadata"]["serverAddress"]
    assert one(documents, "ConfigMap")["data"] == SETTINGS


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_placeholder_is_left(environment: manifests.Environment) -> None:
    overlay = kustomize(ROOT / "k8s" / "overlays" / environment)
    assert "PROJECT" in str(overlay)
    assert "PROJECT." not in str(rendered(environment))
    assert "/PROJECT/" not in str(rendered(environment))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_everything_is_labelled_by_environment_and_app_pods_included(environment: manifests.Environment) -> None:
    documents = rendered(environment)
    template = one(documents, "Deployment")["spec"]["template"]
    for metadata in [document["metadata"] for document in documents] + [template["metadata"]]:
        assert metadata["labels"].items() >= {"app": "nca-fanout", "env": environment}.items()


def test_labels_that_change_are_not_what_pods_are_selected_by() -> None:
    """A Deployment's selector cannot be changed."""
    documents = rendered("prod")
    selectors = [one(documents, kind)["spec"]["selector"] for kind in ("Deployment", "PodDisruptionBudget")]
    assert selectors == [{"matchLabels": {"app.kubernetes.io/name": "gpu-runner"}}] * 2


def test_pods_read_the_settings_by_the_hashed_name_and_changed_settings_make_another() -> None:
    def name(**changes: str) -> str:
        documents = render(replace(RELEASE, settings={**SETTINGS, **changes}))
        (source,) = container(documents)["envFrom"]
        found: str = source["configMapRef"]["name"]
        assert found == one(documents, "ConfigMap")["metadata"]["name"]
        return found

    assert name() == name()
    assert name() != name(WORKER_CONCURRENCY="2")


def test_awkward_values_arrive_unchanged() -> None:
    awkward = {"A": 'x="1", y', "B": "a,b=c", "C": "- [x]: {y}", "D": "$(HOME) ${HOME}", "E": "", "F": "007"}
    assert one(render(replace(RELEASE, settings=awkward)), "ConfigMap")["data"] == awkward


@pytest.mark.parametrize(("environment", "number"), [("stg", 2), ("prod", declared().gke.max_replicas)])
def test_overlay_gives_the_number_of_pods(environment: manifests.Environment, number: int) -> None:
    assert one(rendered(environment), "ScaledObject")["spec"]["maxReplicaCount"] == number


@pytest.mark.parametrize("more", ["", "-4f1a2b"])
def test_pods_are_scaled_by_what_they_pull(more: str) -> None:
    """Other file types are another filter, and that is another subscription."""
    lanes = {"GKE_HIGH_SUBSCRIPTION": f"gpu-gke-work-high{more}", "GKE_SUBSCRIPTION": f"gpu-gke-work{more}"}
    documents = render(replace(RELEASE, settings={**SETTINGS, **lanes}))
    asked = one(documents, "ScaledObject")["spec"]["triggers"][0]["metadata"]["query"]
    assert asked == query(*lanes.values())
    assert f'{{subscription_id=~"gpu-gke-work-high{more}|gpu-gke-work{more}"}}' in asked
    assert one(documents, "ConfigMap")["data"].items() >= lanes.items()


def test_number_of_pods_may_be_raised() -> None:
    documents = render(replace(RELEASE, max_replicas=8))
    assert one(documents, "ScaledObject")["spec"]["maxReplicaCount"] == 8


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": "asia-northeast1-docker.pkg.dev/p/nca-fanout/gpu-worker:latest"}, "digest"),
        ({"image": "asia-northeast1-docker.pkg.dev/p/nca-fanout/gpu-worker"}, "digest"),
        ({"image": IMAGE[:-1]}, "digest"),
        ({"image": "gpu-worker@sha256:" + "0" * 64}, "digest"),
        ({"max_replicas": 0}, "max_replicas"),
        *[({"settings": {name: "x"}}, name) for name in sorted(FIXED_SETTINGS)],
        ({"settings": {"MODEL": '"quoted"'}}, "MODEL"),
        ({"settings": {"MODEL": "it's'"}}, "MODEL"),
    ],
)
def test_what_must_not_be_rolled_out_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        kustomization(replace(RELEASE, **changes))


def test_fixed_settings_are_those_the_deployment_sets() -> None:
    assert {each["name"] for each in container(rendered())["env"]} == FIXED_SETTINGS


def test_identities_name_the_namespace_and_account_that_are_applied() -> None:
    documents = rendered()
    account = one(documents, "ServiceAccount")["metadata"]
    assert identity_member("p1") == f"serviceAccount:p1.svc.id.goog[{account['namespace']}/{account['name']}]"
    assert keda_member("p1", "42") == (
        "principal://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/p1.svc.id.goog"
        "/subject/ns/keda/sa/keda-operator"
    )


def test_keda_is_pinned_to_a_release() -> None:
    assert manifests.KEDA_MANIFEST.endswith(f"/v{manifests.KEDA_VERSION}/keda-{manifests.KEDA_VERSION}.yaml")
    assert tuple(map(int, manifests.KEDA_VERSION.split("."))) >= (2, 20, 0)


def test_generated_file_stands_where_git_does_not_look() -> None:
    assert folder("prod").parts[0] == "build"
    assert "build/" in (ROOT / ".gitignore").read_text().split()
