"""POST /v1/dead-letters:redrive: start afresh all jobs that match, so many a call; the answer says what it left.

An upload whose event was given up becomes the job that it never was; its type is not known, so that a call for one type
leaves it alone.

Safe to repeat: what was redriven matches no more. Discarded letters are left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import flask

from functions.api import bodies
from functions.api.answers import answer
from functions.api.letters import look, may_read
from functions.api.scanning import Scan
from functions.on_upload import accept, upload_job_id
from shared.api_keys import ApiKey
from shared.api_letters import Left, RedriveBody, Redriven, RedriveReport
from shared.errors import Conflict, JobError
from shared.events import UploadedObject
from shared.job import Job, State
from shared.letters import LetterState
from shared.moments import day_of
from shared.redrive import redrive
from shared.services import Services
from shared.store import job_id_of

_log = logging.getLogger(__name__)

#: Jobs one call looks at, at most, and begins side by side.
_SCAN: Final = 500
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A job that may match, or an upload that never became one: why it was given up, and when."""

    job_id: str
    job: Job | None
    upload: UploadedObject | None
    code: str | None
    ended_at: datetime | None

    @property
    def submission(self) -> int:
        """The one that a redrive begins."""
        return self.job.submission + 1 if self.job else 1


def redrive_all(request: flask.Request, everything: Services, key: ApiKey) -> flask.Response:
    asked = bodies.read(request, RedriveBody, (), lambda body: ())
    redriven: list[Redriven] = []
    left: list[Left] = []
    scan = Scan(list(_names(asked, everything)), lambda name: _look(name, asked, everything), _SCAN)
    looked_at, following = 0, scan.following
    # Threads of this call's own: a submission waits for what it gives to the shared ones.
    with ThreadPoolExecutor(_AT_ONCE, "redrive") as redriving:
        for chunk in scan.chunks(everything):
            looked_at += len(chunk)
            wanted = _wanted(chunk, asked, key)
            room = asked.limit - len(redriven) - len(left)
            for done in redriving.map(lambda each: _redriven(each[1], asked, everything), wanted[:room]):
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
        if found is None or found.state is not LetterState.WAITING:
            return None
        letter, job, upload = found.letter, found.job, found.letter.upload
        if job is not None:
            return _Candidate(job.job_id, job, None, letter.code, letter.kept_at)
        if upload is None or upload.bucket != everything.settings.uploads_bucket:
            return None
        return _Candidate(upload_job_id(upload, everything), None, upload, letter.code, letter.kept_at)
    seen = everything.store.get(job_id_of(name))
    if seen is None or seen.job.state is not State.FAILED or seen.job.destination is None:
        return None
    job = seen.job
    return _Candidate(job.job_id, job, None, job.failure.code if job.failure else None, job.finished_at)


def _wanted(
    chunk: Sequence[tuple[str, _Candidate | None]], asked: RedriveBody, key: ApiKey
) -> list[tuple[str, _Candidate]]:
    """Each job that matches, once, with the first name that it was found under: a page that ends goes on from there."""
    # A letter that came again on another day is a second one.
    firsts: dict[str, tuple[str, _Candidate]] = {}
    for name, each in chunk:
        if each and may_read(key, each.job) and _fits(asked, each):
            firsts.setdefault(each.job_id, (name, each))
    return list(firsts.values())


def _fits(asked: RedriveBody, candidate: _Candidate) -> bool:
    at = candidate.ended_at
    return (
        asked.code in (None, candidate.code)
        and asked.file_type in (None, candidate.job.file.file_type if candidate.job else None)
        and (asked.since is None or (at is not None and at >= asked.since))
        and (asked.until is None or (at is not None and at < asked.until))
    )


def _redriven(candidate: _Candidate, asked: RedriveBody, everything: Services) -> Redriven | Left:
    """One that cannot be redriven now keeps no other from it."""
    begun = Redriven(job_id=candidate.job_id, submission=candidate.submission)
    if asked.dry_run:
        return begun
    try:
        if candidate.job is not None:
            redrive(candidate.job_id, everything, submission=candidate.job.submission)
        elif candidate.upload is not None and accept(candidate.upload, None, everything) is None:
            raise Conflict("the letter names no upload, so there is nothing to start afresh")
    except JobError as error:
        return Left(job_id=candidate.job_id, code=error.reason_code, detail=error.message)
    return begun
