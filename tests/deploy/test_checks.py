"""What is found out before anything is changed, in one sentence each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy import checks
from deploy.live import Live
from tests.deploy.projects import promoted, target, with_settings


def info(*regions: str, value: int, dimensions: bool = True) -> dict[str, Any]:
    if dimensions:
        return {"dimensions": {"region": regions[0]}, "details": {"value": str(value)}, "applicableLocations": regions}
    return {"details": {"value": str(value)}, "applicableLocations": list(regions)}


@pytest.mark.parametrize(
    ("infos", "said"),
    [
        ([info("asia-southeast1", value=3)], None),
        ([info("asia-southeast1", "us-central1", value=3, dimensions=False)], None),
        ([info("us-central1", value=3)], "offers no L4 in asia-southeast1: choose --gpu-region from us-central1"),
        ([], "offers no L4 in asia-southeast1: choose --gpu-region from none"),
        ([info("asia-southeast1", value=0)], "may use 0 L4 in asia-southeast1 and MAX_GPU_EXECUTIONS is 2"),
        ([info("asia-southeast1", value=1)], "may use 1 L4"),
        (
            [info("asia-southeast1", value=0), info("asia-southeast1", "us-central1", value=3, dimensions=False)],
            "may use 0 L4",
        ),
    ],
)
def test_gpu_is_offered_and_granted(infos: list[dict[str, Any]], said: str | None) -> None:
    found = list(checks.gpu(target(), {"dimensionsInfos": infos}))
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_quota_is_compared_with_the_setting() -> None:
    infos = {"dimensionsInfos": [info("asia-southeast1", value=3)]}
    assert not list(checks.gpu(target(settings={"MAX_GPU_EXECUTIONS": "3"}), infos))
    assert list(checks.gpu(target(settings={"MAX_GPU_EXECUTIONS": "4"}), infos))


def test_bucket_in_another_region_is_named() -> None:
    live = Live({"buckets": ({"name": "hub-stg-nca-uploads", "location": "US-CENTRAL1"},)})
    assert list(checks.places(target(), live)) == [
        "the bucket hub-stg-nca-uploads is in us-central1 and --region is asia-northeast1: use its region."
    ]


def test_bucket_in_its_region_is_fine() -> None:
    live = Live({"buckets": ({"name": "hub-stg-nca-uploads", "location": "ASIA-NORTHEAST1"},)})
    assert not list(checks.places(target(), live))


OURS = {"email": target().account("nca-ingest")}


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({}, None),
        ({"accounts": (OURS,)}, "asia-northeast1 has nothing"),
        ({"topics": ({"name": "projects/p/topics/alerts"},)}, "asia-northeast1 has nothing"),
        ({"accounts": ({"email": "somebody@example.com"},)}, None),
        # Half of a first `up`, and half of a `destroy`: both go on.
        ({"accounts": (OURS,), "repositories": ({"name": "nca-fanout"},)}, None),
        ({"accounts": (OURS,), "queues": ({"name": "projects/p/locations/l/queues/webhooks"},)}, None),
        ({"accounts": (OURS,), "services": ({"metadata": {"name": "on-upload"}},)}, None),
    ],
)
def test_wrong_region_is_not_taken_for_an_empty_project(lists: dict[str, Any], said: str | None) -> None:
    found = list(checks.regions(target(), Live(lists)))
    assert len(found) == (said is not None), found
    assert said is None or said in found[0]


def test_forgotten_gpu_region_is_named_by_the_functions_that_run() -> None:
    live = with_settings(promoted(target()), {"v2": {"GPU_REGION": "asia-southeast1"}})
    assert not list(checks.regions(target(), live))
    assert list(checks.regions(target(gpu_region="asia-northeast1"), live)) == [
        "the functions start the GPU Job in asia-southeast1, and --gpu-region is asia-northeast1: use asia-southeast1."
    ]


def test_prod_is_not_deployed_over_stg() -> None:
    live = Live({"topics": ({"name": "projects/p/topics/alerts", "labels": {"app": "nca-fanout", "env": "stg"}},)})
    assert "labelled env=stg, and --env is prod" in next(checks.environments(target("prod"), live))
    assert not list(checks.environments(target("stg"), live))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"projectId": "p", "lifecycleState": "ACTIVE"}, None),
        ({"projectId": "p", "lifecycleState": "DELETE_REQUESTED"}, "being deleted"),
        ({"projectId": "p", "labels": {"env": "prod"}}, "labelled env=prod, and --env is stg"),
        ({"projectId": "p", "labels": {"env": "stg"}}, None),
    ],
)
def test_project_is_the_one_that_is_meant(found: dict[str, Any], said: str | None) -> None:
    faults = list(checks.project(found, "stg"))
    assert len(faults) == (said is not None)
    assert said is None or said in faults[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, None),
        ({"MAX_GPU_EXECUTIONS": "3"}, None),
        ({"MAX_GPU_EXECUTION": "3"}, "no such setting: MAX_GPU_EXECUTION"),
        ({"MAX_GPU_EXECUTIONS": "many"}, "MAX_GPU_EXECUTIONS: "),
        ({"API_KEYS": "[]"}, "API_KEYS is a secret"),
        ({"LEASE_SECONDS": "90"}, "LEASE_SECONDS < ACK_DEADLINE_SECONDS"),
        ({"GPU_FILE_TYPES": "MP4"}, "not a file type"),
    ],
)
def test_settings_are_tried_before_functions_are(settings: dict[str, str], said: str | None) -> None:
    faults = list(checks.values(target(settings=settings)))
    assert bool(faults) == (said is not None), faults
    assert said is None or said in faults[0]


def test_secrets_files_are_tried_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "API_KEYS").write_text('[{"name": "OPERATOR!", "key": "s3cret"}]\n')
    (tmp_path / "WEBHOOK_SECRET").write_text("whsec_s3cret!\n")
    (tmp_path / "N8N_URL").write_text("https://example.com")
    faults = list(checks.values(target(secrets_dir=tmp_path)))
    assert any("no such secret: N8N_URL" in fault for fault in faults)
    assert any(fault.startswith("API_KEYS") for fault in faults)
    (tmp_path / "API_KEYS").unlink()
    faults += checks.values(target(secrets_dir=tmp_path))
    assert any("WEBHOOK_SECRET must be" in fault for fault in faults)
    assert "s3cret" not in " ".join(faults)


def test_missing_permissions_come_with_the_roles_to_ask_for() -> None:
    (said,) = checks.permissions(["run.services.create", "pubsub.topics.create"])
    assert "run.services.create, pubsub.topics.create" in said
    assert "roles/pubsub.admin, roles/run.admin" in said


def test_images_that_were_not_built_are_named_with_their_version() -> None:
    live = Live(digests={"gpu-worker": "sha256:1"})
    (said,) = checks.images(target(), live)
    assert "cpu-worker:v2" in said
    assert "gpu-worker" not in said


class Gcloud:
    """Answers one question."""

    def __init__(self, answer: dict[str, str]) -> None:
        self._answer = answer

    def read(self, *arguments: str) -> Any:
        return self._answer


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ({"Google Cloud SDK": "528.0.0", "alpha": "1", "beta": "1"}, []),
        ({"Google Cloud SDK": "611.0.0", "alpha": "1", "beta": "1"}, []),
        ({"Google Cloud SDK": "400.1.2", "alpha": "1", "beta": "1"}, ["gcloud 400 is too old"]),
        ({"Google Cloud SDK": "528.0.0", "beta": "1"}, ["alpha commands are missing"]),
    ],
)
def test_gcloud_is_new_enough(version: dict[str, str], said: list[str]) -> None:
    found = list(checks.gcloud_version(Gcloud(version)))  # type: ignore[arg-type]
    assert len(found) == len(said)
    assert all(words in sentence for words, sentence in zip(said, found, strict=True))
