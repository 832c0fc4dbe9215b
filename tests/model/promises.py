"""The promises of DESIGN section 3, as they can be seen from outside: in each step, and when all is at rest."""

from __future__ import annotations

from shared.job import TRANSITIONS, Job, State
from shared.store import index_key
from shared.submit import Submitted
from tests.model.actors import ARTIFACT
from tests.model.cloud import JOB_ID, Cloud

LEASE_SECONDS = 45.0
MAX_ATTEMPTS = 2


class Broken(AssertionError):
    """A promise was not kept; `promise` is its number."""

    def __init__(self, promise: int, what: str) -> None:
        super().__init__(f"promise {promise}: {what}")
        self.promise = promise


def _hold(is_so: bool, promise: int, what: str) -> None:
    if not is_so:
        raise Broken(promise, what)


def check_step(who: str, before: Cloud, after: Cloud) -> None:
    """`who` made one call, which changed the world from `before` to `after`."""
    old, new = before.job, after.job
    if old is None:
        fresh = new is None or (new.state is State.QUEUED and new.submission == 1 and new.attempt == 0)
        _hold(fresh, 2, "a job did not begin as a fresh one")
    elif new is None:
        raise Broken(6, "the record is gone")
    elif new != old:
        _check_identity(old, new)
        _check_states(old, new)
        _hold(after.is_open or new.submission == old.submission, 6, "redriven, and no marker for the sweep")
        _check_ownership(who, old, new, is_live=before.record_age < LEASE_SECONDS)
        _check_count(old, new)
        if new.outcome is not None and new.state is State.SUCCEEDED:
            _check_whole(new, after)
    if old is not None and old.outcome is not None:
        _hold(before.results.items() <= after.results.items(), 3, "artifacts changed after the commit")
    if before.is_open and not after.is_open:
        _hold(new is None or new.state.is_terminal, 6, f"{who} took away the marker of a job that is not over")
    for name in after.webhooks - before.webhooks:
        _check_webhook(name, new)
    for submission in after.letters[len(before.letters) :]:
        is_used_up = new is not None and (new.submission > submission or new.attempts_counted >= MAX_ATTEMPTS)
        _hold(is_used_up, 6, f"{who} gave a job up that has attempts left")


def _check_identity(old: Job, new: Job) -> None:
    same = ("job_id", "key_hash", "request_hash", "caller", "source", "created_at")
    changed = [name for name in same if getattr(old, name) != getattr(new, name)]
    _hold(not changed, 2, f"another job took this one's place: {changed}")


def _check_states(old: Job, new: Job) -> None:
    if new.submission != old.submission:
        is_redrive = old.state.is_terminal and new.state is State.QUEUED and new.submission == old.submission + 1
        _hold(is_redrive, 1, f"{old.state} became {new.state} of submission {new.submission}")
    else:
        is_legal = new.state is old.state or (not old.state.is_terminal and new.state in TRANSITIONS[old.state])
        _hold(is_legal, 1, f"{old.state} became {new.state} in one submission")


def _check_ownership(who: str, old: Job, new: Job, *, is_live: bool) -> None:
    """Only who holds the lease ends an attempt; others may take over what is expired, and anybody may cancel."""
    if old.state is not State.RUNNING or new.state is State.CANCELLED:
        return
    is_takeover = new.attempt > old.attempt or new.state is State.DEAD_LETTERED or who.startswith("sweep")
    if is_takeover:
        _hold(not is_live, 4, f"{who} took a job whose lease lives")
    else:
        _hold((old.owner or "").startswith(f"{who}/"), 4, f"{who} wrote the record under {old.owner}'s lease")


def _check_count(old: Job, new: Job) -> None:
    is_taken = new.attempt != old.attempt
    _hold(not is_taken or (new.attempt == old.attempt + 1 and new.state is State.RUNNING), 5, "an attempt was skipped")
    counted = new.attempts_counted - old.attempts_counted
    if new.submission == old.submission:
        is_right = counted == 1 if is_taken else counted == 0 or (counted == -1 and new.state is State.QUEUED)
        _hold(is_right, 5, f"an attempt was counted {counted} times")
    _hold(new.attempts_counted <= MAX_ATTEMPTS, 5, "a sixth attempt, so to say")


def _check_whole(job: Job, cloud: Cloud) -> None:
    outcome = job.outcome
    assert outcome is not None
    _hold(outcome.folder == f"gs://results/{JOB_ID}/{job.attempt}/", 3, f"the outcome names {outcome.folder}")
    name, data = ARTIFACT
    _hold(cloud.results.get(f"{JOB_ID}/{job.attempt}/{name}") == data, 3, "an artifact is missing or torn")


def _check_webhook(name: str, job: Job | None) -> None:
    submission = int(name.split("-")[1])
    is_over = job is not None and (job.submission > submission or job.state.is_terminal)
    _hold(is_over, 4, f"webhook {name} for a job that is {job and job.state}")


def check_answer(answered: Submitted, cloud: Cloud) -> None:
    """A submitter was told that the job is accepted."""
    job = cloud.job
    _hold(answered.job.job_id == JOB_ID, 2, "the same key made another job")
    _hold(job is not None, 6, "accepted, and no record")
    _hold(cloud.is_open or (job is not None and job.state.is_terminal), 6, "accepted, and no marker for the sweep")


def check_rest(cloud: Cloud, *, is_accepted: bool) -> None:
    """Nothing is left to be done by anybody."""
    job = cloud.job
    if job is None or (job.attempt == 0 and job.state is State.QUEUED and not is_accepted):
        # Nobody was told of it, and it is found once its caller comes again with the same key.
        _hold(not is_accepted, 6, "an accepted job is gone")
        return
    _hold(job.state.is_terminal, 1, f"the job is {job.state} for ever")
    _hold(not cloud.is_open, 1, "the marker is left")
    _hold(("state", f"index/{index_key(job)}") in cloud.stored or not is_accepted, 6, "the job is in no list")
    _hold((job.outcome is not None) == (job.state is State.SUCCEEDED), 3, f"{job.state} and its outcome disagree")
    if job.outcome is not None:
        _check_whole(job, cloud)
    _hold(f"{JOB_ID}-{job.submission}-1" in cloud.webhooks, 6, "nobody was told of the end")
    is_told = job.submission in cloud.letters
    _hold(is_told or job.state is not State.DEAD_LETTERED, 6, "dead-lettered without a letter")
    _hold(not is_told or job.state is not State.SUCCEEDED, 6, "a letter for a job that succeeded")
