"""gcloud's words, in which it says why it failed, and the one sentence that becomes of them."""

from __future__ import annotations

import pytest

from deploy.faults import CannotDeploy, NotSettledYet
from deploy.gcloud import executable, failure
from shared.errors import JobError, NotFound

NO_ACCOUNT = """ERROR: (gcloud.projects.describe) You do not currently have an active account selected.
Please run:

  $ gcloud auth login

to obtain new credentials."""
DISABLED = (
    "ERROR: (gcloud.tasks.queues.list) PERMISSION_DENIED: Cloud Tasks API has not been used in project 1 before or it "
    "is disabled. Enable it by visiting https://console.developers.google.com/apis/api/cloudtasks.googleapis.com/overview"
)


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        (NO_ACCOUNT, CannotDeploy, "gcloud is not logged in: run `gcloud auth login`."),
        (DISABLED, NotSettledYet, "x: the API cloudtasks.googleapis.com is not enabled in this project, or not known"),
        (
            "ERROR: (gcloud.run.deploy) PERMISSION_DENIED: Permission 'run.services.create' denied on resource",
            CannotDeploy,
            "x: the permission run.services.create is missing.",
        ),
        (
            "ERROR: (gcloud.storage.buckets.list) HTTPError 403: me@example.com does not have "
            "storage.buckets.list access to the Google Cloud project.",
            CannotDeploy,
            "x: the permission storage.buckets.list is missing.",
        ),
        (
            "ERROR: (gcloud.pubsub.topics.create) [me] does not have permission to access projects instance [p]",
            CannotDeploy,
            "x: permission denied; ask an owner",
        ),
        ("ERROR: (gcloud.run.deploy) Quota exceeded for NvidiaL4GpuAlloc", CannotDeploy, "x: a quota is used up"),
        ("ERROR: (gcloud.x) RESOURCE_EXHAUSTED: no", CannotDeploy, "x: a quota is used up"),
        ("ERROR: (gcloud.x) NOT_FOUND: Resource not found (resource=y).", NotFound, "x: NOT_FOUND: Resource not found"),
        ("ERROR: (gcloud.x) Cannot find service [ingest]", NotFound, "Cannot find service"),
        (
            "ERROR: Policy modification failed. There were concurrent policy changes. Please retry.",
            NotSettledYet,
            "concurrent policy changes",
        ),
        ("ERROR: (gcloud.x) INVALID_ARGUMENT: Service account a@b.c does not exist.", NotSettledYet, "does not exist"),
        (
            "ERROR: (gcloud.eventarc.triggers.create) FAILED_PRECONDITION: Invalid resource state for \"\": "
            "Permission denied while using the Eventarc Service Agent.",
            NotSettledYet,
            "Eventarc Service Agent",
        ),
        (
            "ERROR: (gcloud.run.deploy) Permission denied on secret: projects/1/secrets/s/versions/1 for Revision "
            "service account a@b.c. The service account used must be granted the 'Secret Manager Secret Accessor' role",
            NotSettledYet,
            "Secret Accessor",
        ),
        (
            "ERROR: (gcloud.run.deploy) PERMISSION_DENIED: Permission 'iam.serviceaccounts.actAs' denied on service "
            "account a@b.iam.gserviceaccount.com (or it may not exist).",
            NotSettledYet,
            "or it may not exist",
        ),
        (
            "ERROR: (gcloud.alpha.run.jobs.deploy) Google Cloud Run Service Agent "
            "service-1@serverless-robot-prod.iam.gserviceaccount.com must have permission to read the image, x.",
            NotSettledYet,
            "must have permission to read the image",
        ),
        (
            "ERROR: (gcloud.run.deploy) FAILED_PRECONDITION: due to quota restrictions, Cloud Build cannot run builds "
            "in this region. Please contact support.",
            CannotDeploy,
            "x: Cloud Build runs nothing of this project in this region",
        ),
        (
            "ERROR: (gcloud.builds.submit) FAILED_PRECONDITION: no concurrent builds quota available to create builds",
            CannotDeploy,
            "x: Cloud Build runs nothing of this project in this region",
        ),
        (
            "ERROR: (gcloud.alpha.monitoring.policies.create) ABORTED: Too many concurrent edits to the project "
            "configuration. Please try again.",
            NotSettledYet,
            "concurrent edits",
        ),
        ("", CannotDeploy, "x: it failed and said nothing"),
        ("WARNING: old\nsomething odd", CannotDeploy, "x: something odd"),
    ],
)  # fmt: skip
def test_failure_becomes_one_sentence(said: str, kind: type[JobError], sentence: str) -> None:
    error = failure("x", said)
    assert type(error) is kind
    assert sentence in error.message
    assert "\n" not in error.message


def test_a_tool_that_is_missing_is_named_with_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotDeploy, match=r"gcloud is not installed: https://"):
        executable("gcloud")


def test_an_api_that_is_off_is_named() -> None:
    said = "ERROR: (gcloud.x) API [run.googleapis.com] not enabled on project [1]. Would you like to enable and retry?"
    assert failure("x", said).message.startswith("x: the API run.googleapis.com is not enabled in this project")
