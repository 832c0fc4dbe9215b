"""Every rendered document against the schema of its kind, strictly: Kubernetes' own, and KEDA's definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest

from deploy.manifests import Environment
from tests.k8s.rendering import ENVIRONMENTS, Document, container, one, pod, rendered
from tests.k8s.schemas import KEDA, keda_schemas, strict

#: The oldest and the newest that a GKE channel may give the cluster.
VERSIONS = ("1.33", "1.37")

needs_keda = pytest.mark.skipif(not KEDA.is_dir(), reason="KEDA's definitions lie in ../shared, which is absent")


def is_kedas(document: Document) -> bool:
    return str(document["apiVersion"]).startswith("keda.sh/")


def check_built_in(documents: list[Document], version: str) -> int:
    """How many were looked at; raises ValidationError."""
    looked_at = [document for document in documents if not is_kedas(document)]
    for document in looked_at:
        kubernetes_validate.validate(document, version, strict=True)
    return len(looked_at)


def keda_faults(documents: list[Document]) -> list[str]:
    schemas = keda_schemas()
    return [
        f"{document['kind']}: {fault.json_path}: {fault.message}"
        for document in documents
        if is_kedas(document)
        for fault in schemas[document["apiVersion"], document["kind"]].iter_errors(document)
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_built_in_kinds_are_valid(environment: Environment, version: str) -> None:
    documents = rendered(environment)
    assert check_built_in(documents, version) == len(documents) - 2


@needs_keda
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_kedas_kinds_are_valid(environment: Environment) -> None:
    assert sorted(document["kind"] for document in rendered(environment) if is_kedas(document)) == [
        "ScaledObject",
        "TriggerAuthentication",
    ]
    assert keda_faults(rendered(environment)) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda documents: container(documents).update(imagePullPolice="Always"),
        lambda documents: container(documents)["livenessProbe"].update(periodSeconds="30s"),
        lambda documents: pod(documents).update(terminationGracePeriodSeconds="long"),
        lambda documents: one(documents, "PodDisruptionBudget")["spec"].update(maxUnavailabel=1),
        lambda documents: one(documents, "NetworkPolicy")["spec"]["egress"][0].update(port=53),
        lambda documents: one(documents, "Deployment")["spec"].pop("selector"),
    ],
)
def test_a_fault_in_a_built_in_kind_is_seen(spoil: Callable[[list[Document]], Any]) -> None:
    documents = rendered()
    spoil(documents)
    with pytest.raises(kubernetes_validate.ValidationError):
        check_built_in(documents, VERSIONS[-1])


@needs_keda
@pytest.mark.parametrize(
    ("kind", "spoil", "said"),
    [
        ("ScaledObject", lambda spec: spec.update(minReplicas=0), "minReplicas"),
        ("ScaledObject", lambda spec: spec.update(cooldownPeriod="5m"), "integer"),
        ("ScaledObject", lambda spec: spec["triggers"][0]["metadata"].update(threshold=2), "string"),
        ("ScaledObject", lambda spec: spec["triggers"][0].pop("type"), "required"),
        ("ScaledObject", lambda spec: spec["fallback"].update(behavior="guess"), "guess"),
        ("ScaledObject", lambda spec: spec["advanced"].update(hpaConfig={}), "hpaConfig"),
        ("ScaledObject", lambda spec: spec.pop("scaleTargetRef"), "scaleTargetRef"),
        ("TriggerAuthentication", lambda spec: spec["podIdentity"].update(provider="google"), "google"),
        ("TriggerAuthentication", lambda spec: spec["podIdentity"].update(owner="keda"), "owner"),
    ],
)
def test_a_fault_in_kedas_kinds_is_seen(kind: str, spoil: Callable[[Document], Any], said: str) -> None:
    documents = rendered()
    spoil(one(documents, kind)["spec"])
    (fault,) = keda_faults(documents)
    assert said in fault


def test_strictness_stops_where_the_definition_says_so() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert strict(inner)["additionalProperties"] is False
    assert strict({"properties": {"b": inner}})["properties"]["b"]["additionalProperties"] is False
    assert "additionalProperties" not in strict({**inner, "x-kubernetes-preserve-unknown-fields": True})
    assert strict({"type": "object", "additionalProperties": inner})["additionalProperties"] == strict(inner)
