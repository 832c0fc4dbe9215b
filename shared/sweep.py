"""The sweep: once a minute, put right what a crash between two steps has left. The one safety net."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from shared.conclude import conclude
from shared.errors import JobError
from shared.job import WORKER_LOST, Job, State
from shared.routing import Destination, Route, standing
from shared.services import Services
from shared.store import Marker, Snapshot
from shared.submit import send
from shared.turns import Turn, Turns

_log = logging.getLogger(__name__)


class Mended(StrEnum):
    NOTHING = "nothing"
    #: A marker whose record, or whose submission of it, was never written: nobody was told of that, or of a file that
    #: never came.
    MARKER = "marker"
    #: A terminal job whose webhook or marker was left.
    CONCLUDED = "concluded"
    #: A waiting job whose message may be lost.
    SENT = "sent"
    FAILED = "failed"


def sweep(services: Services) -> Counter[str]:
    """Look at every open job once; answers how many of each kind were mended."""
    looks = list(services.side_by_side.map(lambda marker: _look(marker, services), services.store.markers()))
    turns = Turns(look.turn for look in looks if look.turn)
    due = [look.marker for look in looks if look.is_due]
    counts: Counter[str] = Counter(services.side_by_side.map(lambda marker: _mend(marker, turns, services), due))
    if idle := len(looks) - len(due):
        counts[Mended.NOTHING] += idle
    counts["slots"] = services.slots.sweep()
    _log.info("swept", extra={"event": "sweep.done", **{f"swept_{kind}": number for kind, number in counts.items()}})
    return counts


@dataclass(frozen=True, slots=True)
class _Look:
    """What is kept of a first look at every job, however many are open."""

    marker: Marker
    #: Is there anything to mend, perhaps?
    is_due: bool
    turn: Turn | None = None


def _look(marker: Marker, services: Services) -> _Look:
    try:
        seen = services.store.get(marker.job_id)
    except Exception:
        # The border of one job's look: what it breaks on is told where it is mended.
        return _Look(marker, is_due=True)
    if seen is None or seen.job.submission != marker.submission:
        return _Look(marker, is_due=True)
    is_old = seen.age_seconds >= services.settings.grace_seconds
    if seen.job.state.is_terminal:
        return _Look(marker, is_old)
    is_at_work = not seen.is_waiting(services.settings.lease_seconds)
    return _Look(marker, is_old and not is_at_work, Turn.of(seen.job, at_work=is_at_work))


def _mend(marker: Marker, turns: Turns, services: Services) -> Mended:
    try:
        return _mend_one(marker, turns, services)
    except JobError as error:
        # The next sweep tries again.
        _log.warning(
            "sweep failed", extra={"event": "sweep.failed", "job_id": marker.job_id, "error": error.reason_code}
        )
        return Mended.FAILED
    except Exception:
        # The outermost border of one job's mending: what breaks on it takes the safety net from no other.
        _log.exception(
            "sweep crashed", extra={"event": "sweep.failed", "job_id": marker.job_id, "error": "internal_error"}
        )
        return Mended.FAILED


def _mend_one(marker: Marker, turns: Turns, services: Services) -> Mended:
    settings = services.settings
    job_id = marker.job_id
    seen = services.store.get(job_id)
    if seen is None or seen.job.submission < marker.submission:
        return _without_record(marker, services)
    if seen.job.submission > marker.submission:
        if not seen.job.state.is_terminal:
            # A revision before this one had one marker for all submissions.
            services.store.mark_open(Marker.of(seen.job))
        services.store.mark_closed(marker)
        return Mended.MARKER
    if seen.age_seconds < settings.grace_seconds:
        return Mended.NOTHING
    if seen.job.state.is_terminal:
        conclude(seen.job, services)
        return Mended.CONCLUDED
    if not seen.is_waiting(settings.lease_seconds):
        return Mended.NOTHING
    route = standing(seen.job.destination, seen.job.file.file_type, settings)
    if route:
        return _send_elsewhere(seen, route, services)
    patience = timedelta(seconds=settings.grace_seconds)
    if seen.job.state is State.QUEUED and not turns.is_missed(seen.job, seen.now, patience):
        return Mended.NOTHING
    return _send_again(seen, services)


def _without_record(marker: Marker, services: Services) -> Mended:
    """Take the marker away once nobody can be about to write what it is for."""
    patience = services.settings.abandoned_seconds if marker.submission else services.settings.ticket_seconds
    left = services.store.marked(marker)
    if left is None or left.age_seconds < patience:
        return Mended.NOTHING
    # Who came upon it before that look, when it was young, has written by now; who does after it, writes it anew.
    seen = services.store.get(marker.job_id)
    if seen is not None and seen.job.submission >= marker.submission:
        return Mended.NOTHING
    services.store.mark_closed(marker, if_generation=left.generation)
    return Mended.MARKER


def _send_again(seen: Snapshot, services: Services) -> Mended:
    """Publish again, ever more rarely: where nobody can work for hours, its queue must not fill with copies."""
    times = seen.job.times_resent
    if seen.age_seconds < services.settings.grace_seconds * 2**times:
        return Mended.NOTHING
    is_task = seen.job.destination is Destination.CPU
    # A queue remembers the names of tasks it has deleted, too.
    if send(seen.job, services, task_suffix=f"-resent-{seen.job.attempt}-{times}" if is_task and times else ""):
        _log.warning("job sent again", extra={"event": "job.resent", "times": times + 1, **seen.job.log_labels()})
    # Whoever submitted it may have died before this, too.
    services.store.add_to_index(seen.job)

    services.store.update(
        seen.job.job_id,
        lambda now: _waiting(now, services).resent() if now.generation == seen.generation else None,
    )
    return Mended.SENT


def _send_elsewhere(seen: Snapshot, route: Route, services: Services) -> Mended:
    """A later deployment has taken away who would have pulled it. The record first: a message of before finds it so."""
    reroute = {"destination": route.destination, "reason": route.reason}

    def change(now: Snapshot) -> Job | None:
        if now.generation != seen.generation:
            return None
        # Where it goes nobody was sent it yet.
        return _waiting(now, services).model_copy(update={**reroute, "times_resent": 0})

    now = services.store.update(seen.job.job_id, change)
    if now is None or now.job.state is not State.QUEUED or now.job.destination is not route.destination:
        return Mended.NOTHING
    _log.warning("job moved", extra={"event": "job.moved", **reroute, **now.job.log_labels()})
    send(now.job, services)
    services.store.add_to_index(now.job)
    return Mended.SENT


def _waiting(now: Snapshot, services: Services) -> Job:
    """The job in its queue. Writing makes the record young again: a dead worker's lease must not look alive by it."""
    if now.job.state is State.QUEUED:
        return now.job
    return now.job.retried(WORKER_LOST, services.now(), last_beat=now.last_beat)
