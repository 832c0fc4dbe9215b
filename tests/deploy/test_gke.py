"""The cluster: pods before work is sent to them, and no work before they go."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from deploy import destroy, gke
from deploy.command import Command
from deploy.faults import CannotDeploy
from deploy.live import Live
from deploy.manifests import FIXED_SETTINGS
from deploy.situation import gpu_file_types, situation
from tests.deploy.projects import promoted, subscription, target

IMAGE = f"asia-northeast1-docker.pkg.dev/hub-stg/nca-fanout/gpu-worker@sha256:{'0' * 64}"
CLUSTER = {"name": "nca-auto-gpu"}


def up(live: Live | None = None, max_replicas: int | None = None) -> list[Command]:
    plan = gke.up(target(), live or Live(), image=IMAGE, max_replicas=max_replicas)
    return [command for phase in plan for command in phase.commands]


def first(commands: list[Command], words: str) -> int:
    return next(n for n, each in enumerate(commands) if words in each.title)


def environment(commands: list[Command]) -> dict[str, str]:
    found: dict[str, str] = json.loads(commands[first(commands, "run deploy ingest")].files[0].text)
    return found


def test_functions_hear_of_the_cluster_when_pods_can_come() -> None:
    commands = up()
    order = ["clusters create-auto", "get-credentials", "apply --server-side", "wait deployment", "apply --kustomize",
             "wait scaledobject", "clusters update", "run deploy ingest"]  # fmt: skip
    found = [first(commands, words) for words in order]
    assert found == sorted(found)
    assert environment(commands)["ENABLE_GKE_ROUTE"] == "true"


def test_functions_hear_of_the_end_before_pods_go() -> None:
    plan = gke.down(target(), Live({"clusters": (CLUSTER,)}))
    commands = [command for phase in plan for command in phase.commands]
    order = ["run deploy ingest", "delete namespace", "run jobs execute", "clusters delete"]
    found = [first(commands, words) for words in order]
    assert found == sorted(found)
    assert environment(commands)["ENABLE_GKE_ROUTE"] == "false"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_there_is_a_way_back_from_both(direction: str) -> None:
    live = promoted(target())
    live = replace(live, lists={**live.lists, "clusters": (CLUSTER,)})
    plan = gke.up(target(), live, image=IMAGE, max_replicas=None) if direction == "up" else gke.down(target(), live)
    commands = [command for phase in plan for command in phase.commands]
    kept = [n for n, each in enumerate(commands) if "update-tags=previous=" in str(each.arguments)]
    assert len(kept) == len(target().resources.functions)
    assert max(kept) < first(commands, "run deploy ingest")


def test_taking_the_pods_away_needs_no_file_of_the_machine_that_made_them() -> None:
    plan = gke.down(target(), Live({"clusters": (CLUSTER,)}))
    (away,) = [command for phase in plan if phase.title == "Pods" for command in phase.commands]
    assert not [word for word in away.arguments if "build" in word]


def test_new_subscriptions_are_known_to_no_pod() -> None:
    before = Live({"subscriptions": (subscription("gpu-gke-work", filter='attributes.fileType = "mp4"'),)})
    assert not gke.pulls(before, situation(target(), before))
    fitting = target().resources.subscriptions["gpu-gke-work"].filter_for(gpu_file_types(target()))
    after = Live({"subscriptions": (subscription("gpu-gke-work", filter=fitting),)})
    assert gke.pulls(after, situation(target(), after))


def test_what_is_left_for_the_pods_goes_to_the_gpu_job() -> None:
    plan = gke.down(target(), Live({"clusters": (CLUSTER,)}))
    drains = [each for phase in plan for each in phase.commands if "jobs execute" in each.title]
    assert [str(each.arguments).count("GPU_SUBSCRIPTION=gpu-gke-work") for each in drains] == [1, 1]
    assert "--update-env-vars=GPU_SUBSCRIPTION=gpu-gke-work-high" in drains[1].arguments


def test_functions_pinned_by_a_promotion_hear_of_it_too() -> None:
    moves = [each for each in up(promoted(target())) if "--to-latest" in each.arguments]
    assert len(moves) == len(target().resources.functions)


@pytest.mark.parametrize(("labels", "takes_work"), [({"route": "on"}, True), ({"route": "off"}, False), (None, False)])
def test_later_deployments_go_by_the_clusters_label(labels: dict[str, str] | None, takes_work: bool) -> None:
    live = Live({"clusters": ({**CLUSTER, "resourceLabels": labels},)})
    assert situation(target(), live).gke_route is takes_work


def test_a_cluster_that_is_there_is_not_made_again() -> None:
    assert not [each for each in up(Live({"clusters": (CLUSTER,)})) if "create-auto" in each.title]


def test_more_pods_are_one_option_away() -> None:
    (apply,) = [each for each in up(max_replicas=8) if "apply --kustomize" in each.title]
    assert "/spec/maxReplicaCount" in apply.files[0].text
    settings = json.loads(apply.files[0].text)["configMapGenerator"][0]["literals"]
    assert "GKE_SUBSCRIPTION=gpu-gke-work" in settings
    assert not [each for each in settings if each.partition("=")[0] in FIXED_SETTINGS]


def test_cluster_keeps_its_other_labels() -> None:
    """`clusters update --update-labels` sets these and drops all others."""
    (update,) = [
        each
        for each in up(Live({"clusters": ({**CLUSTER, "resourceLabels": {"team": "media"}},)}))
        if "clusters update" in each.title
    ]
    assert "--update-labels=team=media,env=stg,app=nca-fanout,route=on" in update.arguments


def test_kubectl_never_speaks_to_whatever_cluster_is_the_current_one() -> None:
    commands = [each for each in up() if each.tool == "kubectl"]
    assert commands
    assert all("--context=gke_hub-stg_asia-northeast1_nca-auto-gpu" in each.arguments for each in commands)


def test_pods_get_their_account_keda_only_the_metrics_and_nodes_their_role_and_the_images() -> None:
    bound = {each.title for each in up() if "add-iam-policy-binding" in each.title}
    assert len(bound) == 4
    assert any("gke-gpu-sa@hub-stg" in title and "workloadIdentityUser" in title for title in bound)
    assert any("monitoring.viewer" in title for title in bound)
    nodes = [each for each in up() if any("-compute@developer.gserviceaccount.com" in str(a) for a in each.arguments)]
    assert {each.arguments[0] for each in nodes} == {"projects", "artifacts"}
    assert "--role=roles/container.defaultNodeServiceAccount" in str(nodes)
    assert "--role=roles/artifactregistry.reader" in str(nodes)


def test_destroy_does_not_leave_a_cluster_behind() -> None:
    with pytest.raises(CannotDeploy, match="`gke down` first"):
        destroy.destroy(target(), Live({"clusters": (CLUSTER,)}), buckets=False)
