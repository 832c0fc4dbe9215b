"""`deliver`: a try that a fault on this side keeps from being made; the queue brings it again, a hundred times."""

from __future__ import annotations

import json

import pytest

from shared.errors import JobError, Misconfigured, RateLimited, RecordUnreadable, Unavailable
from tests.fakes.services import FakeServices
from tests.functions.serving import change, event, serving, submitted


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Unavailable("down"), 503),
        (Misconfigured("no role"), 500),
        # Faults of one job, which would slow the whole queue down.
        (RecordUnreadable("of another revision"), 409),
        (RateLimited("written a moment ago"), 409),
    ],
    ids=lambda value: getattr(value, "code", ""),
)
@pytest.mark.parametrize(
    ("brought_before", "told"),
    [(None, "webhook.postponed"), ("x", "webhook.postponed"), ("98", "webhook.postponed"), ("99", "webhook.given_up")],
)
def test_the_queue_brings_it_again_and_its_last_time_is_told_as_the_end(
    everything: FakeServices,
    caplog: pytest.LogCaptureFixture,
    fault: JobError,
    status: int,
    brought_before: str | None,
    told: str,
) -> None:
    job = submitted(everything, webhook_url="https://hooks.example.com/done")
    change(everything, job.job_id, "leased", "succeeded")
    everything.faults.fail_next("objects.read jobs/", fault)
    caplog.clear()
    headers = {"X-CloudTasks-TaskRetryCount": brought_before} if brought_before else {}
    with serving("deliver", everything) as deliver:
        assert deliver.post("/", json=event("webhook_task.json"), headers=headers).status_code == status
    assert [(line.event, line.code) for line in caplog.records if hasattr(line, "event")] == [(told, fault.code)]


def test_a_record_of_another_revision_is_one(everything: FakeServices) -> None:
    job = submitted(everything, webhook_url="https://hooks.example.com/done")
    name = f"jobs/{job.job_id}.json"
    record = {**json.loads(everything.objects.data("state", name)), "operations": [{"name": "one to come"}]}
    everything.objects.put("state", name, json.dumps(record).encode())
    with serving("deliver", everything) as deliver:
        assert deliver.post("/", json=event("webhook_task.json")).status_code == 409
