"""A release: on trial beside what runs, then for all calls, and back."""

from __future__ import annotations

import pytest

from shared.resources import declared
from tests.gcloud.conftest import Past
from tests.gcloud.deployment import Deployment

FUNCTIONS = [name.replace("_", "-") for name in declared().functions]


@pytest.fixture
def on_trial(google_cloud: Deployment, canary: Past) -> Deployment:
    google_cloud.cloud.store.restore(canary.project)
    google_cloud.forget()
    return google_cloud


@pytest.fixture
def released(google_cloud: Deployment, promoted: Past) -> Deployment:
    google_cloud.cloud.store.restore(promoted.project)
    google_cloud.forget()
    return google_cloud


def shares(deployment: Deployment) -> dict[str, int]:
    """Version → percent of the calls, which must be the same for every function."""
    first, *others = [_shares(deployment, service) for service in FUNCTIONS]
    assert all(other == first for other in others), (first, others)
    return first


def _shares(deployment: Deployment, service: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for target in deployment.at(f"run/{deployment.region}/services/{service}")["status"]["traffic"]:
        labels = deployment.at(f"run/{deployment.region}/revisions/{target['revisionName']}")["metadata"]["labels"]
        found[labels["version"]] = found.get(labels["version"], 0) + target.get("percent", 0)
    return {version: percent for version, percent in found.items() if percent}


def job_images(deployment: Deployment) -> dict[str, str]:
    found = {}
    for job in declared().jobs.values():
        where = deployment.gpu_region if job.gpu else deployment.region
        task = deployment.at(f"run/{where}/jobs/{job.name}")["spec"]["template"]["spec"]["template"]["spec"]
        found[job.image] = task["containers"][0]["image"].rpartition("@")[2]
    return found


def built_images(deployment: Deployment, version: str) -> dict[str, str]:
    images = declared().images
    place = f"artifactregistry/{deployment.region}/repositories/{images.repository}/packages"
    return {
        name: str(deployment.at(f"{place}/{name}/tags/{version}")["version"]).rpartition("/")[2]
        for name in images.names
    }


def test_the_first_up_serves_its_version(deployed: Deployment) -> None:
    assert shares(deployed) == {"v1": 100}
    assert job_images(deployed) == built_images(deployed, "v1")


def test_a_canary_gets_its_share_and_jobs_stay(on_trial: Deployment) -> None:
    assert shares(on_trial) == {"v1": 90, "v2": 10}
    assert job_images(on_trial) == built_images(on_trial, "v1")


def test_no_call_reaches_a_canary_before_its_share_is_given(canary: Past) -> None:
    """`run deploy` must not move traffic by itself."""
    deploys = [call for call in canary.outcome.calls if call.startswith("run deploy")]
    assert len(deploys) == len(FUNCTIONS)
    assert all("--no-traffic" in call for call in deploys)


def test_another_share_is_given_without_a_new_revision(on_trial: Deployment) -> None:
    before = on_trial.names(f"run/{on_trial.region}/revisions")
    outcome = on_trial.run("canary 50", version="v2")
    assert outcome.code == 0, outcome
    assert on_trial.names(f"run/{on_trial.region}/revisions") == before
    assert shares(on_trial) == {"v1": 50, "v2": 50}


def test_up_is_refused_while_a_canary_runs(on_trial: Deployment) -> None:
    outcome = on_trial.run("up", version="v2")
    assert (outcome.code, outcome.changes) == (1, ())
    assert outcome.out.count("✗") == 1
    assert "a canary of version v2 is running" in outcome.out


def test_rollback_ends_a_trial(on_trial: Deployment) -> None:
    outcome = on_trial.run("rollback", version="v2")
    assert outcome.code == 0, outcome
    assert shares(on_trial) == {"v1": 100}
    assert job_images(on_trial) == built_images(on_trial, "v1")


def test_promotion_gives_all_calls_and_the_jobs_to_the_new_version(released: Deployment) -> None:
    assert shares(released) == {"v2": 100}
    assert job_images(released) == built_images(released, "v2")


def test_cleanup_takes_what_is_left_over_and_rollback_still_knows_the_way(released: Deployment) -> None:
    store = released.cloud.store
    key = released.key("pubsub/topics/gpu-tasks")
    stray = released.member("nca-deliver")
    store.policies[key]["bindings"].append({"role": "roles/pubsub.admin", "members": [stray]})
    outcome = released.run("cleanup", version="v2")
    assert outcome.code == 0, outcome
    assert stray not in store.members(key, "roles/pubsub.admin")
    assert shares(released) == {"v2": 100}
    back = released.run("rollback", version="v2")
    assert back.code == 0, back
    assert shares(released) == {"v1": 100}
    assert job_images(released) == built_images(released, "v1")
