from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.job import WORKER_LOST, Failure, Job, Progress, Source, State, WebhookTry, job_id_for, request_hash
from shared.machines import Machine, Place
from shared.operations import Probe, Thumbnails
from tests.unit.samples import NO_LUCK, NOON, OUTCOME, job, job_in

LATER = NOON + timedelta(minutes=1)

#: Each way a record may change: where it leads, and from which states the record lets it (workers fence besides).
CHANGES: dict[str, tuple[Callable[[Job], Job], State, set[State]]] = {
    "leased": (lambda job: job.leased("worker/2", LATER), State.RUNNING, {State.QUEUED, State.RUNNING}),
    "renewed": (lambda job: job.renewed(None), State.RUNNING, {State.QUEUED, State.RUNNING}),
    "succeeded": (lambda job: job.succeeded(OUTCOME, (), LATER), State.SUCCEEDED, {State.RUNNING}),
    "failed": (lambda job: job.failed(NO_LUCK, LATER), State.FAILED, {State.RUNNING}),
    "retried": (
        lambda job: job.retried(NO_LUCK, LATER),
        State.QUEUED,
        {State.RUNNING, State.FAILED, State.DEAD_LETTERED, State.CANCELLED},
    ),
    "handed back": (
        lambda job: job.handed_back(LATER),
        State.QUEUED,
        {State.RUNNING, State.FAILED, State.DEAD_LETTERED, State.CANCELLED},
    ),
    "dead-lettered": (
        lambda job: job.dead_lettered(NO_LUCK, LATER),
        State.DEAD_LETTERED,
        {State.QUEUED, State.RUNNING},
    ),
    "cancelled": (lambda job: job.cancelled(LATER), State.CANCELLED, {State.QUEUED, State.RUNNING}),
    "redriven": (
        lambda job: job.redriven(LATER),
        State.QUEUED,
        {State.RUNNING, State.FAILED, State.DEAD_LETTERED, State.CANCELLED},
    ),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", CHANGES)
def test_a_record_changes_in_the_ways_there_are_and_no_other(name: str, state: State) -> None:
    change, end, allowed = CHANGES[name]
    before = job_in(state)
    if state in allowed:
        assert change(before).state is end
    else:
        with pytest.raises(ValueError, match=f"cannot go from {state} to {end}"):
            change(before)


def test_only_queued_and_running_are_not_terminal() -> None:
    assert {state for state in State if not state.is_terminal} == {State.QUEUED, State.RUNNING}


def test_a_lease_counts_when_it_is_taken_so_that_a_crash_counts() -> None:
    first = job().leased("a", NOON)
    second = first.leased("b", LATER)
    assert (first.attempt, first.attempts_counted) == (1, 1)
    assert (second.attempt, second.attempts_counted, second.owner, second.started_at) == (2, 2, "b", LATER)
    assert second.renewed(Progress(stage="decode", percent=3)).leased("c", LATER).progress is None


def test_a_hand_back_does_not_count_and_its_attempt_number_is_not_used_again() -> None:
    back = job().leased("a", NOON).handed_back(LATER)
    assert (back.attempt, back.attempts_counted, back.owner, back.queued_at) == (1, 0, None, LATER)
    assert back.leased("b", LATER).attempt == 2


def test_a_retry_counts() -> None:
    again = job().leased("a", NOON).retried(NO_LUCK, LATER)
    assert (again.attempts_counted, again.failure, again.owner, again.queued_at) == (1, NO_LUCK, None, LATER)


def test_a_redrive_starts_afresh_under_the_next_submission_and_the_next_attempt_number() -> None:
    dead = job().leased("a", NOON).retried(NO_LUCK, NOON).leased("b", NOON).dead_lettered(NO_LUCK, NOON)
    noted = dead.with_webhook_try(WebhookTry(number=1, at=NOON, status=500)).resent()
    fresh = noted.redriven(LATER)
    assert (fresh.submission, fresh.attempts_counted, fresh.times_resent, fresh.attempt) == (2, 0, 0, 2)
    assert (fresh.failure, fresh.outcome, fresh.finished_at, fresh.started_at, fresh.webhook_tries) == (
        *(None,) * 4,
        (),
    )
    assert fresh.leased("c", LATER).attempt == 3
    assert (fresh.job_id, fresh.created_at) == (dead.job_id, dead.created_at)


def test_every_attempt_that_is_over_stays_in_the_record_with_its_end() -> None:
    place = Place(machine=Machine.GPU_JOB)
    tried = job().leased("a", NOON, place).retried(NO_LUCK, LATER).leased("b", LATER).handed_back(LATER)
    lost = tried.leased("c", LATER).leased("d", LATER + timedelta(minutes=9), last_beat=LATER + timedelta(minutes=1))
    done = lost.succeeded(OUTCOME, (), LATER + timedelta(minutes=10))
    told = [(past.number, past.worker, past.became, past.failure) for past in done.attempts]
    assert told == [
        (1, "a", State.QUEUED, NO_LUCK),
        (2, "b", State.QUEUED, None),
        (3, "c", State.RUNNING, WORKER_LOST),
        (4, "d", State.SUCCEEDED, None),
    ]
    first, _, third, _ = done.attempts
    assert (first.machine, first.started_at, first.ended_at) == (Machine.GPU_JOB, NOON, LATER)
    assert third.ended_at == LATER + timedelta(minutes=1)


def test_a_record_keeps_the_last_attempts_of_many() -> None:
    many = job()
    for _ in range(40):
        many = many.leased("a", NOON).handed_back(LATER)
    assert [past.number for past in many.attempts] == list(range(11, 41))


def test_a_redrive_keeps_how_the_submission_before_it_ended() -> None:
    dead = job().leased("a", NOON).dead_lettered(NO_LUCK, NOON).with_webhook_try(WebhookTry(number=1, at=NOON))
    twice = dead.redriven(LATER).cancelled(LATER).redriven(LATER)
    first, second = twice.submissions
    assert (first.number, first.state, first.failure, first.attempts_counted) == (1, State.DEAD_LETTERED, NO_LUCK, 1)
    assert (first.finished_at, first.redriven_at, len(first.webhook_tries)) == (NOON, LATER, 1)
    assert (second.number, second.state, second.failure, second.attempts_counted) == (2, State.CANCELLED, None, 0)
    assert [(past.submission, past.number) for past in twice.attempts] == [(1, 1)]


@pytest.mark.parametrize("state", State)
def test_a_job_is_in_its_state_since_it_came_there(state: State) -> None:
    assert job_in(state).state_since == NOON


def test_success_clears_the_failure_of_an_earlier_attempt_and_keeps_each_warning_once() -> None:
    tried = job(warnings=("odd name",)).leased("a", NOON).retried(NO_LUCK, NOON).leased("b", NOON)
    done = tried.succeeded(OUTCOME, ("odd name", "no audio"), LATER)
    assert (done.failure, done.owner, done.finished_at, done.warnings) == (
        None,
        None,
        LATER,
        ("odd name", "no audio"),
    )
    assert done.progress == Progress(stage="done", percent=100, eta_seconds=0)


@pytest.mark.parametrize("failure", [None, NO_LUCK])
def test_the_reason_for_giving_up_names_the_last_fault_and_the_number_of_attempts(failure: Failure | None) -> None:
    why = job(attempts_counted=5, failure=failure).exhausted()
    assert why.code == (failure.code if failure else "worker_lost")
    assert "5 attempts" in why.message
    assert (failure.message if failure else "died") in why.message


def test_the_reason_for_giving_up_is_that_of_the_last_attempt_and_of_none_before() -> None:
    failed_once = job().leased("a", NOON).retried(NO_LUCK, LATER)
    lost = failed_once.leased("b", LATER).leased("c", LATER)
    assert lost.exhausted().code == "worker_lost"
    assert failed_once.leased("b", LATER).handed_back(LATER).exhausted().code == "handed_back"
    assert failed_once.exhausted().code == NO_LUCK.code
    anew = failed_once.leased("b", LATER).failed(NO_LUCK, LATER).redriven(LATER)
    assert anew.exhausted().code == "worker_lost"


def test_a_cancelled_job_does_not_say_that_it_failed() -> None:
    cancelled = job().leased("a", NOON).retried(NO_LUCK, LATER).cancelled(LATER)
    assert cancelled.failure is None
    assert cancelled.attempts[-1].failure == NO_LUCK


def test_a_webhook_try_is_noted_once() -> None:
    first = WebhookTry(number=1, at=NOON, status=500)
    noted = job().with_webhook_try(first).with_webhook_try(WebhookTry(number=1, at=LATER, status=200))
    assert noted.webhook_tries == (first,)
    second = WebhookTry(number=2, at=LATER, status=200)
    assert noted.with_webhook_try(second).webhook_tries == (first, second)


@pytest.mark.parametrize("state", State)
def test_a_record_survives_its_own_json(state: State) -> None:
    before = job_in(state)
    assert Job.model_validate_json(before.model_dump_json()) == before


def test_what_a_newer_revision_wrote_into_a_record_survives_an_older_ones_changes() -> None:
    newer = job_in(State.QUEUED).model_dump(mode="json") | {"since_next_year": {"a": [1]}}
    newer["file"]["codec"] = "av2"
    changed = Job.model_validate(newer).leased("w", NOON)
    written = Job.model_validate_json(changed.model_dump_json()).model_dump(mode="json")
    assert written["since_next_year"] == {"a": [1]}
    assert written["file"]["codec"] == "av2"


def test_a_record_holds_only_the_parameters_that_were_asked_for() -> None:
    """So that a new parameter keeps no older revision from reading the jobs that do not use it."""
    before = job(operations=(Probe(), Thumbnails(width=320), Thumbnails(seconds=(1.5,))))
    written = before.model_dump(mode="json")["operations"]
    assert written == [
        {"name": "probe"},
        {"name": "thumbnails", "width": 320},
        {"name": "thumbnails", "seconds": [1.5]},
    ]
    assert Job.model_validate_json(before.model_dump_json()) == before


def test_the_same_key_is_the_same_job() -> None:
    assert job_id_for("a") == job_id_for("a") != job_id_for("b")
    assert len(job_id_for("a")) == 32


def test_a_request_is_the_same_whatever_the_order_of_its_keys() -> None:
    assert request_hash({"a": 1, "b": {"c": 2, "d": 3}}) == request_hash({"b": {"d": 3, "c": 2}, "a": 1})
    assert request_hash({"a": 1}) != request_hash({"a": 2})


@pytest.mark.parametrize(
    ("uri", "where"),
    [("gs://bucket/a/b.mp4", ("bucket", "a/b.mp4")), ("https://example.com/a.mp4", None)],
)
def test_a_source_is_an_object_or_a_url(uri: str, where: tuple[str, str] | None) -> None:
    assert Source(uri=uri).bucket_and_name == where
