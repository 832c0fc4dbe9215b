"""The promises of DESIGN section 3, looked at from outside: records, artifacts, webhooks, letters, markers."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final

from local.profile import RESULTS, STATE, UPLOADS
from shared.job import Job
from shared.lanes import CPU_QUEUES
from tests.chaos.hub import Asked, Hub
from tests.chaos.receiver import Received
from tests.e2e.driver import verify_webhook

_FRESH_SECONDS: Final = 200.0
_CLOSING_SECONDS: Final = 10.0
PROMISES: Final = {
    1: "every accepted job reaches exactly one terminal state",
    2: "the same event or key never makes two jobs",
    3: "results appear whole or not at all",
    4: "who lost the lease records nothing and causes no webhook",
    5: "bad input fails at once; a passing fault has five attempts",
    6: "nothing is dropped in silence",
}


def is_settled(hub: Hub, asked: list[Asked]) -> bool:
    """Has everything happened that was going to?"""
    jobs = [hub.job(each.job_id) for each in asked]
    if any(job is None or not job.state.is_terminal for job in jobs):
        return False
    depths = hub.cloud.tasks.depths()
    if any(depths[queue] for queue in CPU_QUEUES.values()) or _open(hub):
        return False
    # A letter that its function could not keep at once comes again.
    letters = list(hub.cloud.services.objects.list(STATE, prefix="dead-letters/"))
    if any(job and list(_lettered(job, letters)) for job in jobs):
        return False
    # A quick job may be over before who announced it has listed it.
    indexed = _indexed(hub)
    if any(list(_one(each, indexed)) for each in asked):
        return False
    return all(not job.webhook_url or job.webhook_tries for job in jobs if job)


def _open(hub: Hub) -> set[str]:
    return set(hub.cloud.services.store.open_jobs())


def _left(hub: Hub) -> set[str]:
    """Markers that stay: an event that comes once more opens one, and closes it when it sees that all is done."""
    deadline = time.monotonic() + _CLOSING_SECONDS
    left = _open(hub)
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left &= _open(hub)
    return left


def _indexed(hub: Hub) -> list[str]:
    """Ids of the jobs that are listed, each as often as it is."""
    return [name.rpartition("-")[2] for name in hub.cloud.services.objects.list(STATE, prefix="index/")]


def slots_left(hub: Hub) -> bool:
    """Are more slots taken than executions run? One whose execution died is free once it expires and is swept."""
    slots = len(list(hub.cloud.services.objects.list(STATE, prefix="slots/gpu/")))
    return slots > sum("gpu" in execution.job.name for execution in hub.cloud.jobs.running())


def broken(hub: Hub, asked: list[Asked]) -> list[str]:
    """Each promise that was not kept, as "3: …"."""
    found = []
    letters = [name for name in hub.cloud.services.objects.list(STATE, prefix="dead-letters/")]
    indexed = _indexed(hub)
    opened = _left(hub)
    again, foreign = _not_asked(hub, indexed)
    found += [f"2: a job that nobody asked for ({job_id}, {hub.job(job_id)})" for job_id in foreign]
    found += [f"6: an upload that became no job: {name}" for name in _unheard(hub, (*asked, *again))]
    for each in (*asked, *again):
        job = hub.job(each.job_id)
        if job is None:
            found.append(f"1: {each.job_id} has no record")
            continue
        faults = [
            *_ended(hub, each, job, opened),
            *_one(each, indexed),
            *_whole(hub, each, job),
            *_told(hub, each, job),
            *_judged(hub, each, job),
            *_lettered(job, letters),
        ]
        found += [f"{fault} ({each.job_id}, {job.state} {job.submission}.{job.attempt})" for fault in faults]
    return found


def not_asked(indexed: Iterable[str], asked: Container[str]) -> list[str]:
    """Jobs that are listed, and that no caller of ours has made."""
    return sorted({job_id for job_id in indexed if job_id not in asked})


def _not_asked(hub: Hub, indexed: list[str]) -> tuple[list[Asked], list[str]]:
    """Those of uploads that were sent until one held, of which a later one may have overwritten any; and the others."""
    again, foreign = [], []
    for job_id in not_asked(indexed, {*hub.asked, *hub.told}):
        job = hub.job(job_id)
        if job and job.source.uri.removeprefix(f"gs://{UPLOADS}/") in hub.insisted:
            again.append(Asked(job_id, ends=frozenset({"succeeded", "failed"})))
        else:
            foreign.append(job_id)
    hub.told |= set(foreign)
    return again, foreign


def unheard(uploads: Mapping[str, int], sources: Container[tuple[str, int]]) -> list[str]:
    """Objects whose generation is no job's source: an event was written, and not handled."""
    return [name for name, generation in uploads.items() if (name, generation) not in sources]


def _unheard(hub: Hub, asked: tuple[Asked, ...]) -> list[str]:
    jobs = [job for each in asked if (job := hub.job(each.job_id))]
    sources = {(job.source.uri.removeprefix(f"gs://{UPLOADS}/"), job.source.generation or 0) for job in jobs}
    objects = hub.cloud.services.objects
    names = [name for name in objects.list(UPLOADS, prefix="") if name not in hub.told]
    infos = [info for name in names if (info := objects.info(UPLOADS, name))]
    # Each is looked at once: what has become a job has.
    hub.told |= set(names)
    return unheard({info.name: info.generation for info in infos}, sources)


def _ended(hub: Hub, asked: Asked, job: Job, opened: set[str]) -> Iterator[str]:
    if not job.state.is_terminal:
        yield f"1: not ended: {job.failure}"
    if asked.job_id in opened:
        yield "1: its marker is left"
    for fault in hub.journal.faults_of(asked.job_id):
        yield f"{4 if 'outcome' in fault else 1}: {fault}"


def _one(asked: Asked, indexed: list[str]) -> Iterator[str]:
    if indexed.count(asked.job_id) != 1:
        yield f"2: listed {indexed.count(asked.job_id)} times"


def _whole(hub: Hub, asked: Asked, job: Job) -> Iterator[str]:
    if (job.outcome is not None) != (job.state == "succeeded"):
        yield "3: an outcome without success, or success without one"
    if job.outcome is None:
        return
    prefix = job.outcome.folder.removeprefix(f"gs://{RESULTS}/")
    there = {name.removeprefix(prefix) for name in hub.cloud.services.objects.list(RESULTS, prefix=prefix)}
    if there != {made.name for made in job.outcome.artifacts}:
        yield f"3: the folder holds {sorted(there)}"
    if again := hub.journal.written_again(f"{job.job_id}/"):
        yield f"3: written more than once: {again}"
    for made in job.outcome.artifacts:
        stored = hub.cloud.services.objects.read(RESULTS, prefix + made.name)
        if stored is None or len(stored.data) != made.size:
            yield f"3: {made.name} is not whole"
        elif made.name == "facts.json" and asked.sha256 not in (None, json.loads(stored.data)["sha256"]):
            yield "3: another source was read than the one that was sent"
    commits = [generation for generation, record in hub.journal.history(job.job_id) if record.outcome == job.outcome]
    if not commits:
        yield f"3: an outcome that nobody wrote: {[(r.state, r.attempt) for _, r in hub.journal.history(job.job_id)]}"
        return
    commit = commits[0]
    if late := hub.journal.written_after(prefix, commit):
        yield f"3: written after the commit: {late}"


def _told(hub: Hub, asked: Asked, job: Job) -> Iterator[str]:
    if asked.hook is None:
        return
    heard = hub.receiver.at(asked.hook)
    events = [(each.headers["webhook-id"], _verified(hub, each)) for each in heard]
    last = [event for name, event in events if name == f"{job.job_id}-{job.submission}"]
    if not last:
        yield "6: no webhook came"
    states = {event["type"] for event in last}
    if states - {f"job.{job.state}"}:
        yield f"4: webhooks told of {sorted(states)}"
    if len({name for name, _ in events}) > asked.redrives + 1:
        yield f"4: webhooks of {len(events)} ids"


def _verified(hub: Hub, received: Received) -> dict[str, Any]:
    """A signature is good for five minutes; what is looked at again later was verified before."""
    if time.monotonic() - received.at > _FRESH_SECONDS:
        return received.json
    return verify_webhook(hub.cloud.profile.webhook_secret, received.headers, received.body)


def _judged(hub: Hub, asked: Asked, job: Job) -> Iterator[str]:
    most = hub.cloud.services.settings.max_attempts
    if job.attempts_counted > most:
        yield f"5: {job.attempts_counted} attempts"
    allowed = set(asked.ends) | ({"cancelled"} if asked.is_cancelled else set())
    is_used_up = asked.may_die and job.state == "dead_lettered" and job.attempts_counted == most
    if job.state not in allowed and not is_used_up:
        yield f"5: {job.state}, and not {sorted(allowed)}: {job.failure}"
    if job.state in ("failed", "dead_lettered") and not (job.failure and job.failure.code and job.failure.message):
        yield "5: no reason"


def _lettered(job: Job, letters: list[str]) -> Iterator[str]:
    own = job.job_id if job.submission == 1 else f"{job.job_id}-{job.submission}"
    kept = [name for name in letters if name.endswith(f"/{own}.json")]
    if job.state == "dead_lettered" and len(kept) != 1:
        yield f"6: {len(kept)} dead letters"
