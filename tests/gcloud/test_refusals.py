"""What is wrong is said in one sentence, before anything is changed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.gcloud.deployment import Deployment, Outcome
from tests.gcloud.project import set_gpu_quota
from tests.gcloud.store import ApiError


def assert_refused(outcome: Outcome, sentence: str) -> None:
    assert outcome.code == 1, outcome
    assert not outcome.changes, outcome
    lines = [line for line in outcome.out.splitlines() if line.strip()]
    assert len(lines) == 1, outcome
    assert sentence in lines[0]
    assert "Traceback" not in outcome.out


def _permission(deployment: Deployment) -> None:
    deployment.cloud.denied = {"run.services.create"}


def _bucket_elsewhere(deployment: Deployment) -> None:
    deployment.cloud.store.get(f"storage/b/{deployment.bucket('uploads')}")["location"] = "US-EAST1"


def _no_gpu_quota(deployment: Deployment) -> None:
    set_gpu_quota(deployment.cloud, 0)


def _no_billing(deployment: Deployment) -> None:
    deployment.at("cloudbilling/billingInfo")["billingEnabled"] = False


def _no_image(deployment: Deployment) -> None:
    deployment.cloud.store.delete(
        deployment.key(f"artifactregistry/{deployment.region}/repositories/nca-fanout/packages/gpu-worker/tags/v1")
    )


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (_permission, "you lack run.services.create on the project: ask an owner for roles/run.admin"),
        (_bucket_elsewhere, "the bucket nca-test-stg-nca-uploads is in us-east1 and --region is asia-northeast1"),
        (_no_gpu_quota, "nca-test-stg may use 0 L4 in us-central1"),
        (_no_billing, "the project nca-test-stg has no billing account"),
        (_no_image, "not in nca-test-stg's registry: gpu-worker:v1"),
    ],
)
def test_up_is_refused(prepared: Deployment, fault: Callable[[Deployment], None], sentence: str) -> None:
    try:
        fault(prepared)
        assert_refused(prepared.run("up"), sentence)
    finally:
        prepared.cloud.denied.clear()


def test_a_region_without_the_gpu_is_refused_with_those_that_have_it(prepared: Deployment) -> None:
    outcome = prepared.run("up", "--gpu-region=asia-northeast1")
    assert_refused(outcome, "Cloud Run offers no L4 in asia-northeast1: choose --gpu-region from asia-southeast1")


def test_a_project_that_may_not_be_read_is_refused(empty: Deployment) -> None:
    with empty.cloud.fault("GET cloudresourcemanager/projects/*", ApiError(403, "The caller does not have permission")):
        assert_refused(empty.run("up"), "permission denied")


def test_an_environment_that_is_not_the_projects_is_refused(prepared: Deployment) -> None:
    assert_refused(prepared.run("up", "--env=prod", "--force"), "is labelled env=stg, and --env is prod")


def test_a_machine_without_gcloud_is_told_where_to_get_it(empty: Deployment, tmp_path: Path) -> None:
    for name in ("bash", "dirname", "python3", "git", "env"):
        (tmp_path / name).symlink_to(next(found for folder in os.environ["PATH"].split(":")
                                          if (found := Path(folder, name)).exists()))  # fmt: skip
    outcome = empty.run("up", PATH=str(tmp_path))
    assert_refused(outcome, "gcloud is not installed: https://cloud.google.com/sdk/docs/install")


def test_a_setting_that_is_none_is_refused(prepared: Deployment) -> None:
    assert_refused(prepared.run("up", "--set=GPU_FILE_TYPE=mp4"), "no such setting: GPU_FILE_TYPE")


def test_a_right_that_is_missing_halfway_stops_with_one_sentence(prepared: Deployment) -> None:
    """What no check could know: the command that meets it says so."""
    denied = ApiError(403, "Permission 'pubsub.topics.create' denied on resource (or it may not exist).")
    with prepared.cloud.fault("PUT pubsub/projects/*/topics/alerts", denied):
        outcome = prepared.run("up")
    assert outcome.code == 1
    assert re.search(
        r"✗ pubsub topics create .*alerts: the permission pubsub\.topics\.create is missing\.$", outcome.out, re.M
    )
    assert "Traceback" not in outcome.out
