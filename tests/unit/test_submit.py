from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import IdempotencyMismatch, InvalidRequest, SourceMissing, Unavailable, UnsupportedMedia
from shared.events import JobMessage, job_message
from shared.job import Failure, State, job_id_for, request_hash
from shared.operations import Probe, Thumbnails, Transcribe
from shared.routing import Destination
from shared.store import index_key
from shared.submit import DEFAULT_PROFILE, JobRequest, Submitted, refuse, repeated, send, submit
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.world import MP4, PNG, request
from tests.unit.samples import NOON, job

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def threaded() -> Iterator[FakeServices]:
    """Whose side-by-side writes are side by side."""
    with ThreadPoolExecutor(16) as pool:
        yield fake_services(side_by_side=pool)


def names(services: FakeServices, prefix: str) -> list[str]:
    return services.objects.names("state", prefix)


class TestSubmit:
    def test_marker_record_and_index_are_written_and_the_message_is_published(self, services: FakeServices) -> None:
        submitted = submit(request(services, traceparent=TRACE), services)
        job = submitted.job
        assert submitted.is_new
        assert names(services, "") == [f"index/{index_key(job)}", f"jobs/{job.job_id}.json", f"open/shop/{job.job_id}"]
        (message,) = services.topics.published
        assert message.topic == "gpu-tasks"
        assert json.loads(message.data) == {"job_id": job.job_id, "submission": 1}
        assert message.attributes == {
            "jobId": job.job_id,
            "submission": "1",
            "fileType": "mp4",
            "priority": "normal",
            "idempotencyKey": job.key_hash,
            "traceparent": TRACE,
        }

    def test_the_record_holds_what_was_asked_and_why_it_goes_where_it_goes(self, services: FakeServices) -> None:
        asked = request(services, id="order-7", labels={"shop": "north"})
        submit(asked, services)
        seen = services.store.get(job_id_for(asked.idempotency_key))
        assert seen is not None
        job = seen.job
        assert (job.caller, job.id, job.labels, job.source) == ("shop", "order-7", {"shop": "north"}, asked.source)
        assert (job.destination, job.reason) == (Destination.GPU, "gpu: transcribe on mp4")
        assert (job.state, job.submission, job.attempt, job.created_at) == (State.QUEUED, 1, 0, services.now())
        assert (job.explicit, job.request_hash) == (True, request_hash(dict(asked.sent)))

    def test_a_record_is_never_there_without_its_marker_once_it_is_published(self, threaded: FakeServices) -> None:
        submit(request(threaded), threaded)
        calls = threaded.faults.calls
        published = calls.index("topics.publish gpu-tasks")
        for prefix in ("objects.write open/", "objects.write jobs/"):
            assert next(at for at, call in enumerate(calls) if call.startswith(prefix)) < published

    def test_light_work_becomes_a_task_that_calls_dispatch(self, services: FakeServices) -> None:
        job = submit(request(services, file=PNG), services).job
        (task,) = services.queues.on("cpu-tasks")
        assert (task.name, task.url) == (f"{job.job_id}-1", "https://dispatch.test/task")
        assert job_message(task.body) == JobMessage(job_id=job.job_id, submission=1)
        assert json.loads(task.body)["idempotency_key"] == job.key_hash
        assert task.deadline_seconds == 1800
        assert services.topics.published == []

    @pytest.mark.parametrize(("file", "operations"), [(MP4, DEFAULT_PROFILE["video"]), (PNG, DEFAULT_PROFILE["image"])])
    def test_a_file_without_named_operations_gets_its_kinds_profile(
        self, services: FakeServices, file: Any, operations: tuple[Any, ...]
    ) -> None:
        job = submit(request(services, file=file, operations=None), services).job
        assert (job.operations, job.explicit) == (operations, False)

    def test_what_is_not_media_is_refused_before_anything_is_written(self, services: FakeServices) -> None:
        text = MP4.model_copy(update={"kind": "other", "file_type": "text", "found": "a text"})
        with pytest.raises(UnsupportedMedia):
            submit(request(services, file=text), services)
        assert names(services, "") == []

    def test_a_wish_for_gke_where_there_is_none_is_refused(self, services: FakeServices) -> None:
        with pytest.raises(InvalidRequest):
            submit(request(services, wish="gke"), services)

    def test_busy_slots_send_the_job_to_gke_where_that_is_allowed(self) -> None:
        services = fake_services(enable_gke_route=True)
        assert submit(request(services), services).job.destination is Destination.GPU
        services.slots.take("a")
        services.slots.take("b")
        busy = fake_services(objects=services.objects, enable_gke_route=True)
        job = submit(request(busy, idempotency_key="other"), busy).job
        assert (job.destination, job.reason) == (
            Destination.GKE,
            "gpu: transcribe on mp4; all 2 GPU slots are taken, so GKE takes it",
        )
        assert [message.topic for message in busy.topics.published] == ["gpu-tasks-gke"]

    def test_a_long_backlog_sends_the_job_to_gke_where_that_is_allowed(self) -> None:
        services = fake_services(enable_gke_route=True)
        services.backlog.number = 100
        assert submit(request(services), services).job.destination is Destination.GKE

    def test_neither_slots_nor_backlog_are_asked_for_where_gke_is_not_allowed(self, services: FakeServices) -> None:
        services.backlog.number = 100
        job = submit(request(services), services).job
        assert (job.destination, job.reason) == (Destination.GPU, "gpu: transcribe on mp4")
        assert not [call for call in services.faults.calls if "slots/" in call]


class TestRepetition:
    def test_the_same_key_answers_the_first_job_and_publishes_again_while_it_waits(
        self, services: FakeServices
    ) -> None:
        first = submit(request(services), services)
        services.clock.advance(30)
        second = submit(request(services), services)
        assert second == Submitted(first.job, is_new=False)
        assert len(services.topics.published) == 2
        assert len(names(services, "jobs/")) == len(names(services, "index/")) == 1

    def test_a_task_is_not_doubled(self, services: FakeServices) -> None:
        for _ in range(3):
            submit(request(services, file=PNG), services)
            services.clock.advance(30)
        assert len(services.queues.on("cpu-tasks")) == 1

    def test_the_same_key_with_another_request_is_refused_and_changes_nothing(self, services: FakeServices) -> None:
        first = submit(request(services), services)
        services.clock.advance(30)
        other = replace(request(services), sent={"source": "another"})
        with pytest.raises(IdempotencyMismatch):
            submit(other, services)
        with pytest.raises(IdempotencyMismatch):
            repeated(other.idempotency_key, [other.sent], services)
        assert len(services.topics.published) == 1
        seen = services.store.get(first.job.job_id)
        assert seen is not None
        assert seen.job == first.job

    def test_ten_at_once_make_one_job(self, threaded: FakeServices) -> None:
        asked = request(threaded)
        with ThreadPoolExecutor(10) as clients:
            answers = list(clients.map(lambda _: submit(asked, threaded), range(10)))
        assert len({answer.job.job_id for answer in answers}) == 1
        assert sum(answer.is_new for answer in answers) == 1
        assert len(names(threaded, "jobs/")) == len(names(threaded, "index/")) == len(names(threaded, "open/")) == 1

    def test_a_repetition_is_known_before_its_source_is_looked_at(self, services: FakeServices) -> None:
        asked = request(services)
        assert repeated(asked.idempotency_key, [asked.sent], services) is None
        first = submit(asked, services)
        assert repeated(asked.idempotency_key, [asked.sent], services) == Submitted(first.job, is_new=False)

    def test_a_repetition_while_the_job_runs_publishes_nothing(self, services: FakeServices) -> None:
        asked = request(services)
        job = submit(asked, services).job
        services.clock.advance(5)
        services.store.update(job.job_id, lambda seen: seen.job.leased("worker", NOON))
        again = repeated(asked.idempotency_key, [asked.sent], services)
        assert again is not None
        assert again.job.state is State.RUNNING
        assert len(services.topics.published) == 1

    def test_a_repetition_after_the_end_makes_sure_of_the_webhook(self, services: FakeServices) -> None:
        asked = request(services)
        job = submit(asked, services).job
        services.clock.advance(5)
        services.store.update(job.job_id, lambda seen: seen.job.cancelled(NOON))
        again = submit(asked, services)
        assert (again.job.state, again.is_new) == (State.CANCELLED, False)
        assert [task.name for task in services.queues.on("webhooks")] == [f"{job.job_id}-1-1"]
        assert names(services, "open/") == []
        assert len(services.topics.published) == 1

    def test_a_create_whose_answer_was_lost_still_publishes(self, services: FakeServices) -> None:
        services.objects.lose_next_answer("jobs/")
        submit(request(services), services)
        assert len(services.topics.published) == 1

    @pytest.mark.parametrize(
        "written", list(itertools.chain.from_iterable(itertools.combinations(["open/", "jobs/"], n) for n in range(3)))
    )
    @pytest.mark.parametrize("again", [submit, lambda asked, services: repeated_or_new(asked, services)])
    def test_whichever_writes_a_cut_off_client_left_behind_its_next_call_makes_the_job_whole(
        self, services: FakeServices, written: tuple[str, ...], again: Any
    ) -> None:
        asked = request(services)
        for prefix in ("open/", "jobs/"):
            happens = prefix in written
            services.faults.fail_next(f"objects.write {prefix}", Unavailable("down"), happens=happens)
        with pytest.raises(Unavailable):
            submit(asked, services)
        services.faults.revive()
        assert services.topics.published == []
        services.clock.advance(5)
        job = again(asked, services).job
        assert names(services, "") == [f"index/{index_key(job)}", f"jobs/{job.job_id}.json", f"open/shop/{job.job_id}"]
        assert len(services.topics.published) == 1

    def test_a_write_beside_the_record_that_fails_is_told(self, threaded: FakeServices) -> None:
        for prefix in ("open/", "index/"):
            threaded.faults.fail_next(f"objects.write {prefix}", Unavailable("down"))
            with pytest.raises(Unavailable):
                submit(request(threaded), threaded)


def repeated_or_new(asked: JobRequest, services: FakeServices) -> Submitted:
    """As `ingest` does."""
    return repeated(asked.idempotency_key, [asked.sent], services) or submit(asked, services)


class TestRefusal:
    WHY = SourceMissing("the upload was deleted")

    def test_a_refused_upload_leaves_a_record_that_says_why(self, services: FakeServices) -> None:
        asked = request(services)
        job = refuse(asked, self.WHY, services).job
        seen = services.store.get(job.job_id)
        assert seen is not None
        assert (seen.job.state, seen.job.destination, seen.job.finished_at) == (State.FAILED, None, services.now())
        assert seen.job.failure == Failure(code="source_missing", message="the upload was deleted")
        assert names(services, "index/") == [f"index/{index_key(job)}"]
        assert names(services, "open/") == []

    def test_its_webhook_is_queued_and_nothing_is_sent(self, services: FakeServices) -> None:
        job = refuse(request(services), self.WHY, services).job
        assert [task.name for task in services.queues.on("webhooks")] == [f"{job.job_id}-1-1"]
        assert services.topics.published == []

    def test_the_same_event_again_makes_no_second_record(self, services: FakeServices) -> None:
        first = refuse(request(services), self.WHY, services)
        services.clock.advance(30)
        assert refuse(request(services), self.WHY, services) == Submitted(first.job, is_new=False)
        assert len(services.queues.on("webhooks")) == 1

    def test_a_refused_job_is_never_sent(self, services: FakeServices) -> None:
        with pytest.raises(ValueError, match="never sent"):
            send(refuse(request(services), self.WHY, services).job, services)


def test_each_kind_of_media_has_a_profile() -> None:
    assert {kind: [operation.name for operation in profile] for kind, profile in DEFAULT_PROFILE.items()} == {
        "video": ["probe", "transcribe", "thumbnails"],
        "audio": ["probe", "transcribe"],
        "image": ["probe", "thumbnails"],
    }
    assert (Probe(), Transcribe(), Thumbnails()) == DEFAULT_PROFILE["video"]


def test_a_task_sent_twice_is_told(services: FakeServices) -> None:
    cpu = job(destination=Destination.CPU)
    assert send(cpu, services) is True
    assert send(cpu, services) is False
    assert send(cpu, services, task_suffix="-resent-1") is True


def test_submitting_logs_where_and_why(services: FakeServices, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        submit(request(services), services)
    (line,) = [line for line in caplog.records if line.name == "shared.journal"]
    assert (line.event, line.destination, line.getMessage()) == (
        "job.submitted",
        "gpu-tasks",
        "job submitted: gpu: transcribe on mp4",
    )


def test_a_task_is_made_out_to_an_audience_that_its_target_accepts(services: FakeServices) -> None:
    submit(request(services, webhook_url="https://hooks.example/x", operations=(Probe(),)), services)
    _, task = services.queues.queued[-1]
    assert task.audience in services.settings.audiences
