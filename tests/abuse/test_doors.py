"""Every HTTP door against JSON that no client of ours sends: a clear answer, safe names, harmless log lines."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from shared.errors import Unavailable
from shared.fetch import FetchPolicy, GuardedClient, Peek, PostResult
from shared.log import JsonFormatter
from tests.abuse.json_bombs import BODIES, pushed, spoilt
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import SHOP, change, event, serving, submitted

#: What may be written where, and how names of tasks look.
OBJECT: Final = re.compile(
    r"(jobs|open|index|slots/gpu|alerts|storms|dead-letters/\d{4}-\d\d-\d\d)/[A-Za-z0-9][A-Za-z0-9/_.-]*"
)
TASK: Final = re.compile(r"[0-9a-z-]{1,100}")
#: Cloud Logging refuses an entry of 256 KiB; an attribute's value ends at 1024 bytes.
LINE_BYTES: Final = 64 * 1024
ATTRIBUTE_BYTES: Final = 1024
ANSWER_BYTES: Final = 64 * 1024
UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: The framework parses an event before any code of ours, and answers these with 500: IAM lets Eventarc alone in.
FRAMEWORKS_OWN: Final = ("deep", "open lists", "open objects")
#: Of the ways to spoil one value, so many are taken each time; the next value gets the following ones.
THINNING: Final = 4
TOKEN: Final = {"Authorization": "Bearer secret-alert-token"}


class NoNetwork(GuardedClient):
    """Checks URLs and asks none."""

    def peek(self, url: str, *, limit_bytes: int, timeout_seconds: float) -> Peek:
        raise Unavailable("no network here")

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float) -> PostResult:
        return PostResult(200)


@cache
def no_network() -> NoNetwork:
    return NoNetwork(FetchPolicy())


@dataclass(frozen=True)
class Door:
    function: str
    path: str
    headers: dict[str, str]
    #: Good JSON that comes in here; None where nothing is read.
    good: Any
    #: Inside a push's data.
    is_pushed: bool = False
    #: Of the job that good JSON names: a task waits for the end of one that is not over.
    steps: tuple[str, ...] = ()

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        yield from BODIES.items()
        for name, body in spoilt(self.good, every=THINNING):
            yield name, pushed(body) if self.is_pushed else body


def cloud_event() -> dict[str, str]:
    envelope = {key: value for key, value in event("storage_finalized.json").items() if key != "data"}
    return {f"ce-{key}": str(value) for key, value in envelope.items()}


JOB_BODY: Final = {
    "source": "gs://uploads/talks/keynote.mp4",
    "operations": ["probe", {"name": "thumbnails", "count": 3}],
    "webhook_url": "https://hooks.example.com/in",
    "id": "mine",
    "labels": {"team": "a"},
}
UPLOAD_BODY: Final = {**JOB_BODY, "filename": "talk.mp4", "content_type": "video/mp4"}
UPLOAD_BODY.pop("source")
WHOLE_EVENT: Final = {"Content-Type": "application/cloudevents+json"}

DOORS: Final = {
    "create": Door("ingest", "/v1/jobs", SHOP, JOB_BODY),
    "upload": Door("ingest", "/v1/uploads", SHOP, UPLOAD_BODY),
    "event": Door("on_upload", "/", cloud_event(), event("storage_finalized_metadata.json")["data"]),
    "bell": Door("dispatch", "/bell", {}, event("pubsub_push_bell.json")),
    "data of a bell": Door("dispatch", "/bell", {}, {"job_id": "0" * 32, "submission": 1}, is_pushed=True),
    "task": Door("dispatch", "/task", {}, event("cpu_task.json"), steps=("leased", "succeeded")),
    "sweep": Door("dispatch", "/sweep", {}, event("scheduler_sweep.json")),
    "webhook": Door("deliver", "/", {}, event("webhook_task.json")),
    "letter": Door("dead_letter", "/", {}, event("dead_letter_push.json")),
    "data of a letter": Door(
        "dead_letter", "/", {}, {"job_id": "0" * 32, "submission": 1, "code": "x", "reason": "y"}, is_pushed=True
    ),
    "alert": Door("alert_relay", "/", {}, event("hub_alert_push.json")),
    "incident": Door("alert_relay", "/", TOKEN, event("monitoring_incident_open.json")),
    "group": Door("alert_relay", "/", TOKEN, event("alertmanager_v4.json")),
}


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


def test_no_body_breaks_a_door(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    found = []
    for name, body in door.bodies():
        if door.function == "on_upload" and name.endswith(FRAMEWORKS_OWN):
            continue
        everything = stage(door)
        caplog.clear()
        with serving(door.function, everything) as client:
            answer = client.post(door.path, data=body, headers={"Content-Type": "application/json", **door.headers})
        found += [f"{name}: {each}" for each in (*wrong(answer), *harm(everything), *mess(caplog.records))]
    assert not found, "\n".join(found[:40])


def stage(door: Door) -> FakeServices:
    everything = fake_services(http=no_network())
    job = submitted(everything, webhook_url="https://hooks.example.com/in")
    change(everything, job.job_id, *door.steps)
    return everything


def wrong(answer: TestResponse) -> Iterator[str]:
    if answer.status_code >= 500:
        yield f"answered {answer.status_code}: {answer.text[:200]}"
    if len(answer.data) > ANSWER_BYTES:
        yield f"answered with {len(answer.data)} bytes"
    yield from (f"header {key}: {value!r}" for key, value in answer.headers if UNPRINTABLE.search(key + value))


def harm(everything: FakeServices) -> Iterator[str]:
    """Names that something was written or queued under."""
    for write in everything.objects.writes:
        is_safe = OBJECT.fullmatch(write.name) and ".." not in write.name and len(write.name) <= 200
        if write.bucket == everything.settings.state_bucket and not is_safe:
            yield f"object {write.name[:100]!r}"
    yield from (f"task {task.name!r}" for _, task in everything.queues.queued if not TASK.fullmatch(task.name))
    for message in everything.topics.published:
        for key, value in message.attributes.items():
            if len(key.encode()) > 256 or len(value.encode()) > ATTRIBUTE_BYTES:
                yield f"attribute {key}: {value[:100]!r}"


def mess(records: list[logging.LogRecord]) -> Iterator[str]:
    """Log lines that break out of their line, or that nobody would keep."""
    for record in records:
        line = JsonFormatter("p").format(record)
        json.loads(line)
        if UNPRINTABLE.search(line):
            yield f"log line {line[:300]!r}"
        if len(line.encode()) > LINE_BYTES:
            yield f"log line of {len(line.encode())} bytes: {line[:200]}"
