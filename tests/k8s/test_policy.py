"""The rules of policy.py hold for what is rendered, and each of them can fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deploy.manifests import Environment
from tests.k8s.policy import RULES, Rule
from tests.k8s.rendering import ENVIRONMENTS, Document, container, one, pod, rendered

Spoil = Callable[[list[Document]], Any]


def named(name: str) -> Rule:
    (found,) = [rule for rule in RULES if rule.__name__ == name]
    return found


def context(documents: list[Document]) -> Document:
    found: Document = container(documents)["securityContext"]
    return found


def spec(documents: list[Document], kind: str) -> Document:
    found: Document = one(documents, kind)["spec"]
    return found


def scale_down(documents: list[Document]) -> Document:
    found: Document = spec(documents, "ScaledObject")["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    return found["scaleDown"]


def remove(documents: list[Document], kind: str) -> None:
    documents.remove(one(documents, kind))


def add(documents: list[Document], kind: str) -> None:
    documents.append({"kind": kind, "metadata": {"name": "x", "namespace": "nca-fanout"}})


SPOILS: list[tuple[str, Spoil]] = [
    ("image_is_named_by_digest", lambda d: container(d).update(image="r.pkg.dev/p/nca-fanout/gpu-worker:latest")),
    ("image_is_named_by_digest", lambda d: container(d).update(image="r.pkg.dev/p/nca-fanout/gpu-worker")),
    ("pod_is_not_root", lambda d: pod(d)["securityContext"].pop("runAsNonRoot")),
    ("pod_is_not_root", lambda d: pod(d)["securityContext"].update(runAsUser=0)),
    ("pod_is_not_root", lambda d: pod(d).pop("securityContext")),
    ("pod_is_not_root", lambda d: context(d).update(runAsUser=0)),
    ("container_cannot_rise", lambda d: context(d).pop("allowPrivilegeEscalation")),
    ("container_cannot_rise", lambda d: context(d).update(privileged=True)),
    ("container_cannot_rise", lambda d: context(d).pop("capabilities")),
    ("container_cannot_rise", lambda d: context(d)["capabilities"].update(add=["SYS_PTRACE"])),
    ("system_calls_are_filtered", lambda d: pod(d)["securityContext"].pop("seccompProfile")),
    ("system_calls_are_filtered", lambda d: context(d).update(seccompProfile={"type": "Unconfined"})),
    ("root_file_system_is_read_only", lambda d: context(d).update(readOnlyRootFilesystem=False)),
    ("nothing_of_the_node_is_shared", lambda d: pod(d).update(hostNetwork=True)),
    ("nothing_of_the_node_is_shared", lambda d: pod(d)["volumes"].append({"name": "n", "hostPath": {"path": "/"}})),
    ("nothing_of_the_node_is_shared", lambda d: pod(d)["volumes"][0].update(emptyDir={})),
    ("nothing_of_the_node_is_shared", lambda d: container(d).update(ports=[{"containerPort": 80}])),
    ("resources_are_limited_to_what_is_asked_for", lambda d: container(d)["resources"]["limits"].pop("memory")),
    ("resources_are_limited_to_what_is_asked_for", lambda d: container(d)["resources"]["limits"].update(cpu="16")),
    ("hung_pod_is_noticed_and_soon_replaced", lambda d: container(d).pop("livenessProbe")),
    ("hung_pod_is_noticed_and_soon_replaced", lambda d: container(d).pop("startupProbe")),
    (
        "hung_pod_is_noticed_and_soon_replaced",
        lambda d: container(d)["livenessProbe"].pop("terminationGracePeriodSeconds"),
    ),
    ("busy_pod_may_finish_its_task", lambda d: pod(d).update(terminationGracePeriodSeconds=900)),
    ("busy_pod_may_finish_its_task", lambda d: pod(d).update(terminationGracePeriodSeconds=1800)),
    (
        "busy_pod_may_finish_its_task",
        lambda d: spec(d, "Deployment")["template"]["metadata"].pop("annotations"),
    ),
    ("drains_go_one_by_one_and_are_never_blocked", lambda d: remove(d, "PodDisruptionBudget")),
    (
        "drains_go_one_by_one_and_are_never_blocked",
        lambda d: spec(d, "PodDisruptionBudget")["selector"].update(matchLabels={"app.kubernetes.io/name": "other"}),
    ),
    ("drains_go_one_by_one_and_are_never_blocked", lambda d: spec(d, "PodDisruptionBudget").update(maxUnavailable=0)),
    ("number_of_pods_has_one_owner", lambda d: spec(d, "Deployment").update(replicas=1)),
    ("number_of_pods_has_one_owner", lambda d: spec(d, "ScaledObject")["scaleTargetRef"].update(name="other")),
    ("number_of_pods_has_one_owner", lambda d: spec(d, "ScaledObject").update(minReplicaCount=1)),
    ("number_of_pods_has_one_owner", lambda d: spec(d, "ScaledObject").pop("fallback")),
    ("old_number_takes_no_pod_away", lambda d: scale_down(d).update(stabilizationWindowSeconds=60)),
    ("old_number_takes_no_pod_away", lambda d: spec(d, "ScaledObject").update(cooldownPeriod=30)),
    ("pod_holds_no_credentials", lambda d: pod(d).pop("automountServiceAccountToken")),
    ("pod_holds_no_credentials", lambda d: one(d, "ServiceAccount").pop("automountServiceAccountToken")),
    ("pod_holds_no_credentials", lambda d: pod(d).pop("serviceAccountName")),
    ("pod_holds_no_credentials", lambda d: add(d, "Secret")),
    ("pod_holds_no_credentials", lambda d: one(d, "ConfigMap")["data"].update(WEBHOOK_SECRET="whsec_x")),
    ("namespace_refuses_worse_pods", lambda d: one(d, "Namespace")["metadata"].pop("labels")),
    ("namespace_refuses_worse_pods", lambda d: one(d, "ServiceAccount")["metadata"].update(namespace="default")),
    ("network_is_closed_but_for_names_metadata_and_https", lambda d: remove(d, "NetworkPolicy")),
    (
        "network_is_closed_but_for_names_metadata_and_https",
        lambda d: spec(d, "NetworkPolicy").update(podSelector={"matchLabels": {"a": "b"}}),
    ),
    ("network_is_closed_but_for_names_metadata_and_https", lambda d: spec(d, "NetworkPolicy").update(ingress=[{}])),
    ("network_is_closed_but_for_names_metadata_and_https", lambda d: spec(d, "NetworkPolicy")["egress"].append({})),
    (
        "network_is_closed_but_for_names_metadata_and_https",
        lambda d: spec(d, "NetworkPolicy")["egress"][-1]["to"][0]["ipBlock"].pop("except"),
    ),
    ("network_is_closed_but_for_names_metadata_and_https", lambda d: add(d, "Service")),
    ("settings_are_known", lambda d: one(d, "ConfigMap")["data"].update(WORKER_CONCURENCY="2")),
    ("settings_are_known", lambda d: container(d)["env"].append({"name": "DEVISE", "value": "cuda"})),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_rendered_manifests_keep_the_rule(environment: Environment, rule: Rule) -> None:
    assert list(rule(rendered(environment))) == []


@pytest.mark.parametrize(("name", "spoil"), SPOILS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(SPOILS)])
def test_a_spoilt_manifest_breaks_the_rule(name: str, spoil: Spoil) -> None:
    documents = rendered()
    spoil(documents)
    assert list(named(name)(documents)) != []


def test_every_rule_is_shown_to_fail() -> None:
    assert {name for name, _ in SPOILS} == {rule.__name__ for rule in RULES}
