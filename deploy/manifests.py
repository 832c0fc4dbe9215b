"""The kustomization that puts one release's values into k8s/overlays/ENV, and what else GKE needs to know of it.

Written to `folder(environment)` and applied from there: `kubectl apply -k build/k8s/ENV`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from shared.backlog import query
from shared.errors import InvalidRequest
from shared.resources import declared
from shared.settings import Settings

Environment = Literal["stg", "prod"]

#: Scales from 0 also when the backlog cannot be read (2.19), checks its own objects' numbers (2.20).
#: https://github.com/kedacore/keda/pull/7244
KEDA_VERSION: Final = "2.20.2"
#: Applied with `--server-side`: its definitions are too long for an annotation. It makes KEDA_NAMESPACE.
KEDA_MANIFEST: Final = f"https://github.com/kedacore/keda/releases/download/v{KEDA_VERSION}/keda-{KEDA_VERSION}.yaml"
KEDA_NAMESPACE: Final = "keda"
KEDA_SERVICE_ACCOUNT: Final = "keda-operator"

_GKE: Final = declared().gke
#: The pods' Kubernetes service account.
SERVICE_ACCOUNT: Final = _GKE.deployment
#: The ConfigMap that the pods' environment comes from.
SETTINGS: Final = f"{_GKE.deployment}-settings"
#: The pods' lanes, by the settings that name them.
_LANES: Final = {
    name.upper(): str(Settings.model_fields[name].default) for name in ("gke_high_subscription", "gke_subscription")
}
#: Set by the Deployment itself, beside what they must agree with.
FIXED_SETTINGS: Final = frozenset(
    {"HEARTBEAT_FILE", "SCRATCH_FOLDER", "TERMINATION_GRACE_SECONDS", "REQUIRE_GPU", "DEVICE", "HOME"}
)

_IMAGE: Final = re.compile(r"(?P<name>[a-z0-9.-]+(?:/[a-z0-9._-]+)+)@(?P<digest>sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Release:
    """What one roll-out of the pods consists of."""

    environment: Environment
    project: str
    #: By digest: what runs is what was tested.
    image: str
    #: The pods' environment. No secrets: it becomes a ConfigMap, and the worker needs none.
    settings: Mapping[str, str]
    #: None for the overlay's.
    max_replicas: int | None = None


def folder(environment: Environment) -> Path:
    """Where the kustomization belongs, relative to the repository's root."""
    return Path("build", "k8s", environment)


def kustomization(release: Release) -> str:
    """The text of kustomization.yaml (JSON, which is YAML). Raises InvalidRequest for what must not be rolled out."""
    image = _IMAGE.fullmatch(release.image)
    if image is None:
        raise InvalidRequest(f"the image is not named by its digest: {release.image}")
    steps_up = folder(release.environment).parts
    account = f"{_GKE.account}@{release.project}.iam.gserviceaccount.com"
    prometheus = f"https://monitoring.googleapis.com/v1/projects/{release.project}/location/global/prometheus"
    lanes = [release.settings.get(name, default) for name, default in _LANES.items()]
    scaling = [
        _replace("/spec/triggers/0/metadata/serverAddress", prometheus),
        _replace("/spec/triggers/0/metadata/query", query(*lanes)),
    ]
    if release.max_replicas is not None:
        if release.max_replicas < 1:
            raise InvalidRequest("max_replicas must be at least 1")
        scaling.append(_replace("/spec/maxReplicaCount", release.max_replicas))
    contents = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["/".join([".."] * len(steps_up)) + f"/k8s/overlays/{release.environment}"],
        "images": [{"name": declared().jobs["gpu"].image, "newName": image["name"], "digest": image["digest"]}],
        # Its name ends in a hash of what it holds, so that changed settings roll the pods.
        "configMapGenerator": [
            {"name": SETTINGS, "namespace": _GKE.namespace, "literals": _literals(release.settings)}
        ],
        "generatorOptions": {"labels": {"app": "nca-fanout", "env": release.environment}},
        "patches": [
            _patch("ServiceAccount", SERVICE_ACCOUNT, [_replace(_ACCOUNT_ANNOTATION, account)]),
            _patch("ScaledObject", _GKE.deployment, scaling),
        ],
    }
    return json.dumps(contents, indent=2) + "\n"


def identity_member(project: str) -> str:
    """Who gets roles/iam.workloadIdentityUser on the declared account: the pods."""
    return f"serviceAccount:{project}.svc.id.goog[{_GKE.namespace}/{SERVICE_ACCOUNT}]"


def keda_member(project: str, project_number: str) -> str:
    """Who gets roles/monitoring.viewer on the project: KEDA's operator itself, without an account of Google's.

    With `podIdentity: gcp` KEDA asks under the identity of its operator, never under that of the pods it scales.
    https://cloud.google.com/kubernetes-engine/docs/tutorials/scale-to-zero-using-keda
    """
    pool = f"projects/{project_number}/locations/global/workloadIdentityPools/{project}.svc.id.goog"
    return f"principal://iam.googleapis.com/{pool}/subject/ns/{KEDA_NAMESPACE}/sa/{KEDA_SERVICE_ACCOUNT}"


#: `/` is `~1` in a JSON pointer (RFC 6901).
_ACCOUNT_ANNOTATION: Final = "/metadata/annotations/iam.gke.io~1gcp-service-account"


def _replace(path: str, value: object) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def _patch(kind: str, name: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"target": {"kind": kind, "name": name}, "patch": json.dumps(operations)}


def _literals(settings: Mapping[str, str]) -> list[str]:
    if taken := sorted(FIXED_SETTINGS & settings.keys()):
        raise InvalidRequest(f"the Deployment sets these itself: {', '.join(taken)}")
    # kustomize takes quotes off both ends of a literal, and would so change the value.
    if quoted := sorted(name for name, value in settings.items() if value != value.strip("\"'")):
        raise InvalidRequest(f"a setting may not begin or end with a quote: {', '.join(quoted)}")
    return [f"{name}={value}" for name, value in sorted(settings.items())]
