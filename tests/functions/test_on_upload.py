"""`on_upload`: finalize events in, one job or one record of a refusal out."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.errors import Unavailable
from shared.fetch import FetchPolicy, GuardedClient
from shared.job import Job, State, job_id_for
from shared.tickets import Ticket
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import MP3, MP4, TEXT, WAV, event, record, serving

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
CONTENT = {
    "storage_finalized.json": MP4,
    "storage_finalized_wav.json": WAV,
    "storage_finalized_mp3.json": MP3,
    "storage_finalized_text.json": TEXT,
    "storage_finalized_empty.json": b"",
    "storage_finalized_metadata.json": MP4,
}


@pytest.fixture
def on_upload(everything: FakeServices) -> Iterator[FlaskClient]:
    with serving("on_upload", everything) as client:
        yield client


def arrived(everything: FakeServices, file: str, **data: Any) -> Any:
    """An event of tests/events whose object is there, in the generation that the event names."""
    made = event(file)
    made["data"] |= data
    assert int(made["data"]["size"]) == len(CONTENT[file])
    generation = everything.objects.put(made["data"]["bucket"], made["data"]["name"], CONTENT[file])
    made["data"]["generation"] = str(generation)
    return made


def post(client: FlaskClient, made: Any) -> int:
    return client.post("/", data=json.dumps(made), headers=STRUCTURED).status_code


def job_of(everything: FakeServices, made: Any) -> Job:
    data = made["data"]
    return record(everything, job_id_for(f"{data['bucket']}/{data['name']}#{data['generation']}"))


def jobs(everything: FakeServices) -> list[str]:
    return everything.objects.names("state", "jobs/")


@pytest.mark.parametrize(
    ("name", "kind", "destination", "operations"),
    [
        ("storage_finalized.json", "mp4", "gpu-tasks", ["probe", "transcribe", "thumbnails"]),
        ("storage_finalized_wav.json", "wav", "gpu-tasks", ["probe", "transcribe"]),
        ("storage_finalized_mp3.json", "mp3", "cpu-tasks", ["probe", "transcribe"]),
    ],
)
def test_upload_becomes_a_job_with_its_kinds_default_operations(
    on_upload: FlaskClient, everything: FakeServices, name: str, kind: str, destination: str, operations: list[str]
) -> None:
    made = arrived(everything, name)
    assert post(on_upload, made) == 200
    job = job_of(everything, made)
    assert (job.state, job.file.file_type, job.destination) == (State.QUEUED, kind, destination)
    assert [operation.name for operation in job.operations] == operations
    assert (job.caller, job.explicit, job.traceparent) == ("upload", False, made["traceparent"])
    sent = [message.topic for message in everything.topics.published] + [queue for queue, _ in everything.queues.queued]
    assert sent == [destination]


def test_binary_mode_is_the_same_job(on_upload: FlaskClient, everything: FakeServices) -> None:
    made = arrived(everything, "storage_finalized.json")
    headers = {f"ce-{name}": made[name] for name in ("specversion", "id", "type", "source", "subject", "time")}
    answer = on_upload.post("/", json=made["data"], headers=headers)
    assert answer.status_code == 200
    assert post(on_upload, made) == 200
    assert len(jobs(everything)) == 1


def test_same_event_twice_makes_one_job(on_upload: FlaskClient, everything: FakeServices) -> None:
    made = arrived(everything, "storage_finalized.json")
    assert [post(on_upload, made), post(on_upload, made)] == [200, 200]
    assert len(jobs(everything)) == 1
    # Still queued, so its message is sent again: whoever was first may have died before sending it.
    assert len({message.data for message in everything.topics.on("gpu-tasks")}) == 1


def test_overwritten_object_is_another_job(on_upload: FlaskClient, everything: FakeServices) -> None:
    for _ in range(2):
        assert post(on_upload, arrived(everything, "storage_finalized.json")) == 200
    assert len(jobs(everything)) == 2


@pytest.mark.parametrize(
    ("name", "code", "found"),
    [
        ("storage_finalized_text.json", "unsupported_media", "plain text"),
        ("storage_finalized_empty.json", "unsupported_media", "empty"),
    ],
)
def test_refused_upload_leaves_a_record_and_is_acknowledged(
    on_upload: FlaskClient, everything: FakeServices, name: str, code: str, found: str
) -> None:
    made = arrived(everything, name)
    assert post(on_upload, made) == 200
    job = job_of(everything, made)
    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.code == code
    assert found in job.failure.message
    assert everything.topics.published == []
    assert everything.queues.queued == []
    assert everything.objects.names("state", "open/") == []


@pytest.mark.parametrize("name", ["storage_finalized_folder.json", "storage_finalized_foreign_bucket.json"])
def test_folders_and_other_buckets_are_no_uploads(on_upload: FlaskClient, everything: FakeServices, name: str) -> None:
    made = event(name)
    everything.objects.put(made["data"]["bucket"], made["data"]["name"], MP4)
    assert post(on_upload, made) == 200
    assert everything.objects.names("state") == []


def test_object_that_is_gone_by_now_leaves_a_record(on_upload: FlaskClient, everything: FakeServices) -> None:
    made = event("storage_finalized.json")
    assert post(on_upload, made) == 200
    job = job_of(everything, made)
    assert job.failure is not None
    assert (job.state, job.failure.code) == (State.FAILED, "source_missing")


def test_metadata_names_operations_webhook_id_and_labels(on_upload: FlaskClient, everything: FakeServices) -> None:
    made = arrived(everything, "storage_finalized_metadata.json")
    assert post(on_upload, made) == 200
    job = job_of(everything, made)
    assert [operation.name for operation in job.operations] == ["probe", "thumbnails"]
    assert (job.webhook_url, job.id, job.labels) == ("https://hooks.example.com/done", "order-17", {"team": "press"})
    assert (job.explicit, job.destination) == (True, "cpu-tasks")


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"operations": "dance"}, "operations.0"),
        ({"operations": '[{"name": "thumbnails", "count": 0}]'}, "operations.0.count"),
        ({"operations": '[{"name": "probe"'}, "not JSON"),
        ({"operations": "[" * 8000}, "not JSON"),
        ({"labels": "[" * 8000}, "not JSON"),
        ({"labels": '{"a": 1}'}, "labels.a"),
        ({"labels": "{a: b}"}, "not JSON"),
        ({"webhook_url": "ftp://hooks.example.com"}, "webhook_url"),
        ({"webhook_url": "http://10.0.0.7/hook"}, "not public"),
        ({"id": "x" * 201}, "id"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_metadata_that_is_wrong_is_told_in_the_record(
    on_upload: FlaskClient, everything: FakeServices, metadata: dict[str, str], named: str
) -> None:
    made = arrived(everything, "storage_finalized.json", metadata=metadata)
    assert post(on_upload, made) == 200
    job = job_of(everything, made)
    assert job.failure is not None
    assert job.state is State.FAILED
    assert job.failure.code in ("invalid_request", "source_refused")
    assert named in job.failure.message


@pytest.mark.parametrize("caller", ["shop", "operator", "nobody", ""])
@pytest.mark.parametrize("name", ["talks/keynote.mp4", f"tickets/{'0' * 32}/keynote.mp4"])
def test_metadata_that_names_a_caller_without_the_ticket_uses_nobodys_allowance_up(
    on_upload: FlaskClient, everything: FakeServices, name: str, caller: str
) -> None:
    """Whoever may write to the bucket may write that, and a seal from another ticket, too."""
    other = Ticket.new("uploads").held_by(everything.settings.api_keys[0])
    made = arrived(everything, "storage_finalized.json", name=name, metadata={**other, "caller": caller})
    assert post(on_upload, made) == 200
    (stored,) = jobs(everything)
    assert json.loads(everything.objects.data("state", stored))["caller"] == "upload"
    assert everything.store.count_open("shop", limit=9) == 0


@pytest.mark.parametrize("broken", ["objects.head", "objects.write jobs/", "topics.publish", "objects.write open/"])
def test_service_that_is_down_brings_the_event_again(
    on_upload: FlaskClient, everything: FakeServices, broken: str
) -> None:
    made = arrived(everything, "storage_finalized.json")
    everything.faults.fail_next(broken, Unavailable("down"))
    assert post(on_upload, made) == 500
    assert post(on_upload, made) == 200
    assert len(jobs(everything)) == 1
    assert everything.topics.on("gpu-tasks") != []


@pytest.mark.parametrize(
    "data",
    [{}, {"bucket": "uploads"}, {"bucket": "uploads", "name": "a.mp4", "generation": "x"}, [], "text", None, 7],
)
def test_event_that_is_no_storage_objects_is_acknowledged_and_dropped(
    on_upload: FlaskClient, everything: FakeServices, data: Any, caplog: pytest.LogCaptureFixture
) -> None:
    made = copy.deepcopy(event("storage_finalized.json"))
    made["data"] = data
    assert post(on_upload, made) == 200
    assert [line.event for line in caplog.records if hasattr(line, "event")] == ["upload.malformed"]
    assert everything.objects.names("state") == []


def test_ticket_in_another_generation_is_a_job_of_its_own(on_upload: FlaskClient, everything: FakeServices) -> None:
    """Whoever can write to the bucket cannot take over a job that somebody else was told of."""
    name = f"tickets/{'a' * 32}/talk.mp4"
    first = arrived(everything, "storage_finalized.json", name=name)
    assert post(on_upload, first) == 200
    announced = record(everything, job_id_for(f"uploads/tickets/{'a' * 32}"))
    assert announced.source.generation == int(first["data"]["generation"])
    second = arrived(everything, "storage_finalized.json", name=name)
    assert [post(on_upload, second), post(on_upload, first)] == [200, 200]
    assert len(jobs(everything)) == 2
    assert job_of(everything, second).source.generation == int(second["data"]["generation"])


@pytest.mark.parametrize("trace", ["junk", "00-" + "a" * 2000, ""])
def test_trace_that_is_none_goes_no_further(on_upload: FlaskClient, everything: FakeServices, trace: str) -> None:
    """A Pub/Sub attribute ends at 1024 bytes: a long one would make every publish of the job fail."""
    made = arrived(everything, "storage_finalized.json", metadata={"traceparent": trace})
    made["traceparent"] = trace
    assert post(on_upload, made) == 200
    assert job_of(everything, made).traceparent is None


def test_webhook_to_loopback_is_refused_outside_the_local_cloud() -> None:
    everything = fake_services(http=GuardedClient(FetchPolicy()))
    made = arrived(everything, "storage_finalized.json", metadata={"webhook_url": "http://127.0.0.1:8080/hook"})
    with serving("on_upload", everything) as client:
        assert post(client, made) == 200
    failure = job_of(everything, made).failure
    assert failure is not None
    assert failure.code == "source_refused"
