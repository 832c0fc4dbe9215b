"""The manifests as `deploy.sh gke up` would apply them, built by the real kustomize."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.manifests import Environment, Release, folder, kustomization
from tests.wiring.tree import ROOT

Document = dict[str, Any]

PROJECT = "media-hub-stg"
IMAGE = f"asia-northeast1-docker.pkg.dev/{PROJECT}/nca-fanout/gpu-worker@sha256:{'5c' * 32}"
SETTINGS = {"PROJECT": PROJECT, "GPU_FILE_TYPES": "mp4,mov,wav", "WORKER_CONCURRENCY": "1", "ENABLE_GKE_ROUTE": "true"}
ENVIRONMENTS: tuple[Environment, ...] = ("stg", "prod")
RELEASE = Release("stg", PROJECT, IMAGE, SETTINGS)


def kustomize(directory: Path) -> list[Document]:
    """The documents that `kubectl apply -k` would send."""
    kubectl = Path(sys.executable).with_name("kubectl")
    built = subprocess.run(
        [str(kubectl), "kustomize", str(directory)], capture_output=True, text=True, timeout=60, check=False
    )
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""
    return list(yaml.safe_load_all(built.stdout))


def render(release: Release = RELEASE) -> list[Document]:
    """In a copy of the tree, so that nothing is written into build/."""
    with tempfile.TemporaryDirectory() as root:
        shutil.copytree(ROOT / "k8s", Path(root, "k8s"))
        place = root / folder(release.environment)
        place.mkdir(parents=True)
        (place / "kustomization.yaml").write_text(kustomization(release))
        return kustomize(place)


@cache
def _rendered(environment: Environment) -> list[Document]:
    return render(replace(RELEASE, environment=environment))


def rendered(environment: Environment = "stg") -> list[Document]:
    """A copy of one's own, to read or to spoil."""
    return deepcopy(_rendered(environment))


def one(documents: list[Document], kind: str) -> Document:
    """The only document of its kind."""
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def pod(documents: list[Document]) -> Document:
    """The Deployment's pod, without its metadata."""
    spec: Document = one(documents, "Deployment")["spec"]["template"]["spec"]
    return spec


def container(documents: list[Document]) -> Document:
    (found,) = pod(documents)["containers"]
    result: Document = found
    return result
