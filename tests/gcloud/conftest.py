from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gcloud.deployment import Deployment, Outcome
from tests.gcloud.environment import google
from tests.gcloud.sdk import installed, warm_gcloud
from tests.gcloud.store import Snapshot


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if installed() is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no Google Cloud SDK with its own Python on this machine"))


@dataclass(frozen=True)
class Past:
    """A run of deploy.sh, and what the project held after it."""

    outcome: Outcome
    project: Snapshot


@pytest.fixture(scope="session")
def google_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The stand-in with one project, and the real gcloud; tests take `empty` or `deployed`, which set it up."""
    folder = tmp_path_factory.mktemp("google")
    with google(folder) as started, warm_gcloud(folder, started.environment) as tools:
        yield Deployment(started.cloud, started.environment, tools, folder)


@pytest.fixture(scope="session")
def new_project(google_cloud: Deployment) -> Snapshot:
    return google_cloud.cloud.store.snapshot()


@pytest.fixture(scope="session")
def images_built(google_cloud: Deployment, new_project: Snapshot) -> Snapshot:
    """After `prepare`, and the first build on Cloud Build."""
    google_cloud.cloud.store.restore(new_project)
    outcome = google_cloud.run("prepare")
    assert outcome.code == 0, outcome
    google_cloud.build_images("v1")
    return google_cloud.cloud.store.snapshot()


@pytest.fixture(scope="session")
def first_up(google_cloud: Deployment, images_built: Snapshot) -> Past:
    """The one long `up` that most tests start from."""
    google_cloud.cloud.store.restore(images_built)
    outcome = google_cloud.run("up")
    assert outcome.code == 0, outcome
    return Past(outcome, google_cloud.cloud.store.snapshot())


@pytest.fixture(scope="session")
def canary(google_cloud: Deployment, first_up: Past) -> Past:
    """Version v2 on trial, with a tenth of the calls."""
    google_cloud.cloud.store.restore(first_up.project)
    google_cloud.build_images("v2")
    outcome = google_cloud.run("canary 10", version="v2")
    assert outcome.code == 0, outcome
    return Past(outcome, google_cloud.cloud.store.snapshot())


@pytest.fixture(scope="session")
def promoted(google_cloud: Deployment, canary: Past) -> Past:
    """Version v2 with all calls, and the Jobs at v2."""
    google_cloud.cloud.store.restore(canary.project)
    outcome = google_cloud.run("promote", version="v2")
    assert outcome.code == 0, outcome
    return Past(outcome, google_cloud.cloud.store.snapshot())


@pytest.fixture
def empty(google_cloud: Deployment, new_project: Snapshot) -> Deployment:
    """A new project with billing, for this test alone."""
    google_cloud.cloud.store.restore(new_project)
    google_cloud.forget()
    return google_cloud


@pytest.fixture
def prepared(google_cloud: Deployment, images_built: Snapshot) -> Deployment:
    """A project that is ready for its first `up`, for this test alone."""
    google_cloud.cloud.store.restore(images_built)
    google_cloud.forget()
    return google_cloud


@pytest.fixture
def deployed(google_cloud: Deployment, first_up: Past) -> Deployment:
    """The project as the first `up` left it, for this test alone."""
    google_cloud.cloud.store.restore(first_up.project)
    google_cloud.forget()
    return google_cloud
