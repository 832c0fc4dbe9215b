"""What the other tests lean on: gcloud reaches nothing but the stand-in, which refuses what the real APIs refuse."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.gcloud.deployment import Deployment
from tests.gcloud.store import ApiError, Store


def gcloud(deployment: Deployment, *arguments: str, program: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program or deployment.tools / "gcloud", *arguments, f"--project={deployment.cloud.project}", "--format=json"],
        env=deployment.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_warm_gcloud_says_what_the_installed_one_says(empty: Deployment) -> None:
    call = ("projects", "get-iam-policy", empty.cloud.project)
    warm, cold = gcloud(empty, *call), gcloud(empty, *call, program="gcloud")
    assert json.loads(warm.stdout)["bindings"][0]["role"] == "roles/owner"
    assert (warm.returncode, warm.stdout) == (cold.returncode, cold.stdout)


def test_an_api_is_refused_until_it_is_enabled(empty: Deployment) -> None:
    before = empty.cloud.store.snapshot()
    refused = gcloud(empty, "pubsub", "topics", "list")
    assert refused.returncode == 1
    assert "pubsub.googleapis.com has not been used in project" in refused.stderr
    gcloud(empty, "services", "enable", "pubsub.googleapis.com")
    assert gcloud(empty, "pubsub", "topics", "list").returncode == 0
    empty.cloud.store.restore(before)


def test_a_host_that_is_no_google_api_is_not_reached(empty: Deployment) -> None:
    answer = subprocess.run(
        ["curl", "--silent", "--show-error", "https://example.com/"],
        env=empty.environment, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert answer.returncode != 0
    assert not answer.stdout


def test_a_policy_that_another_hand_has_changed_is_not_overwritten() -> None:
    store = Store()
    read = dict(store.policy("x/y"))
    store.set_policy("x/y", {**read, "bindings": [{"role": "roles/a", "members": ["user:a"]}]})
    with pytest.raises(ApiError, match="has changed"):
        store.set_policy("x/y", {**read, "bindings": []})


@pytest.mark.parametrize(
    ("collection", "found"),
    [("x/projects/p/locations/-/things", 2), ("x/projects/p/locations/r1/things", 1), ("x/projects/p/things", 0)],
)
def test_a_listing_holds_direct_children_of_every_place_it_names(collection: str, found: int) -> None:
    names = ("x/projects/p/locations/r1/things/a", "x/projects/p/locations/r2/things/b", "x/projects/p/other/c")
    assert len(Store({name: {"name": name} for name in names}).list(collection)) == found
