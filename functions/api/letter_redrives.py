"""POST /v1/dead-letters:redrive: start afresh all jobs that match, so many a call; the answer says what it left.

Safe to repeat: what was redriven matches no more. Discarded letters are left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import flask

from functions.api import bodies
from functions.api.answers import answer
from functions.api.keys import may_see
from functions.api.letters import look
from functions.api.scanning import Scan
from shared.api_keys import ApiKey
from shared.api_letters import Left, RedriveBody, Redriven, RedriveReport
from shared.errors import JobError
from shared.job import Job, State
from shared.letters import LetterState
from shared.moments import day_of
from shared.redrive import redrive
from shared.services import Services
from shared.store import job_id_of

_log = logging.getLogger(__name__)

#: Jobs one call looks at, at most.
_SCAN: Final = 500


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A job that may match: why it ended, and when."""

    job: Job
    code: str | None
    ended_at: datetime | None


def redrive_all(request: flask.Request, everything: Services, key: ApiKey) -> flask.Response:
    asked = bodies.read(request, RedriveBody, (), lambda body: ())
    redriven: list[Redriven] = []
    left: list[Left] = []
    scan = Scan(list(_names(asked, everything)), lambda name: _look(name, asked, everything), _SCAN)
    looked_at, following = 0, scan.following
    for chunk in scan.chunks(everything):
        looked_at += len(chunk)
        # A letter that came again on another day is a second one; a page that ends goes on from the first.
        firsts: dict[str, tuple[str, Job]] = {}
        for name, each in chunk:
            if each and may_see(key, each.job) and _fits(asked, each):
                firsts.setdefault(each.job.job_id, (name, each.job))
        wanted = list(firsts.values())
        room = asked.limit - len(redriven) - len(left)
        for done in everything.side_by_side.map(lambda each: _redriven(each[1], asked, everything), wanted[:room]):
            if isinstance(done, Redriven):
                redriven.append(done)
            else:
                left.append(done)
        if len(wanted) > room:
            following = wanted[room][0]
            break
    if redriven and not asked.dry_run:
        fields = {"event": "letters.redriven", "by": key.name, "number": len(redriven), "left": len(left)}
        _log.info("letters redriven", extra=fields)
    report = RedriveReport(
        dry_run=asked.dry_run,
        redriven=tuple(redriven),
        left=tuple(left),
        looked_at=looked_at,
        next_page_token=following,
    )
    return answer(report, 200)


def _names(asked: RedriveBody, everything: Services) -> Iterator[str]:
    """Where jobs of that state are to be found: letters, or the index of all jobs."""
    if asked.state == "dead_lettered":
        start = max(filter(None, (asked.page_token, day_of(asked.since))), default=None)
        return everything.letters.ids(start=start, limit=_SCAN + 1)
    return everything.store.newest(start=asked.page_token, limit=_SCAN + 1)


def _look(name: str, asked: RedriveBody, everything: Services) -> _Candidate | None:
    if asked.state == "dead_lettered":
        found = look(name, everything)
        if found is None or found.job is None or found.state is not LetterState.WAITING:
            return None
        return _Candidate(found.job, found.letter.code, found.letter.kept_at)
    seen = everything.store.get(job_id_of(name))
    if seen is None or seen.job.state is not State.FAILED or seen.job.destination is None:
        return None
    failure = seen.job.failure
    return _Candidate(seen.job, failure.code if failure else None, seen.job.finished_at)


def _fits(asked: RedriveBody, candidate: _Candidate) -> bool:
    at = candidate.ended_at
    return (
        asked.code in (None, candidate.code)
        and asked.file_type in (None, candidate.job.file.file_type)
        and (asked.since is None or (at is not None and at >= asked.since))
        and (asked.until is None or (at is not None and at < asked.until))
    )


def _redriven(job: Job, asked: RedriveBody, everything: Services) -> Redriven | Left:
    """One that cannot be redriven now keeps no other from it."""
    begun = Redriven(job_id=job.job_id, submission=job.submission + 1)
    if asked.dry_run:
        return begun
    try:
        redrive(job.job_id, everything, submission=job.submission)
    except JobError as error:
        return Left(job_id=job.job_id, code=error.reason_code, detail=error.message)
    return begun
