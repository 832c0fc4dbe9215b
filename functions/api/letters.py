"""GET /v1/dead-letters, GET /v1/dead-letters/{date}/{name}, :redrive and :discard of one."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import quote

import flask

from functions.api import bodies
from functions.api.answers import answer
from functions.api.jobs import accepted
from functions.api.keys import may_see
from functions.api.scanning import Scan
from functions.on_upload import accept, job_of
from shared.api import status_url
from shared.api_keys import ApiKey
from shared.api_letters import DiscardBody, LetterPage, LetterView
from shared.errors import Conflict, Fault, NotFound
from shared.job import Job
from shared.letters import Discarded, KeptLetter, LetterState, state_of
from shared.moments import day_of
from shared.redrive import redrive as redriven
from shared.services import Services

_log = logging.getLogger(__name__)

#: Letters one call looks at, at most; a page may come back short, with a token to go on.
_SCAN: Final = 200
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_TOKEN: Final = re.compile(r"[0-9a-z/-]{1,200}")
#: Characters of a message that could not be read.
_EXCERPT: Final = 4096


@dataclass(frozen=True, slots=True)
class Found:
    """A letter, and the job it is about, where there is one."""

    id: str
    letter: KeptLetter
    job: Job | None
    is_replaced: bool = False

    @property
    def state(self) -> LetterState:
        return state_of(self.letter, self.job, is_replaced=self.is_replaced)


def page(request: flask.Request, everything: Services, key: ApiKey) -> flask.Response:
    faults: list[Fault] = []
    limit = bodies.integer(request, "limit", default=20, lowest=1, highest=100, faults=faults)
    is_wanted = _filter(request, faults)
    since = bodies.moment(request, "since", faults)
    until = bodies.moment(request, "until", faults)
    token = request.args.get("page_token")
    if token is not None and not _TOKEN.fullmatch(token):
        faults.append(Fault("page_token", "is not one of ours"))
    if faults:
        raise bodies.invalid(faults)
    start = max(filter(None, (token, day_of(since))), default=None)
    ids = list(everything.letters.ids(start=start, limit=_SCAN + 1))
    scan = Scan(ids, lambda letter_id: look(letter_id, everything), _SCAN)

    def is_shown(found: Found) -> bool:
        return may_read(key, found.job) and is_wanted(found) and _is_between(found.letter.kept_at, since, until)

    shown, following = scan.page(limit, is_shown, everything)
    views = tuple(_view(found, everything) for found in shown)
    return answer(LetterPage(letters=views, next_page_token=following), 200)


def get(request: flask.Request, everything: Services, key: ApiKey, date: str, name: str) -> flask.Response:
    return answer(_view(_own(f"{date}/{name}", key, everything), everything), 200)


def redrive(request: flask.Request, everything: Services, key: ApiKey, date: str, name: str) -> flask.Response:
    """A fresh start of the letter's job, or the job of its upload; nothing, where that was done since."""
    found = _own(f"{date}/{name}", key, everything)
    if found.job is not None:
        return accepted(redriven(found.job.job_id, everything, submission=found.letter.submission), everything)
    upload = found.letter.upload
    job = accept(upload, None, everything) if upload else None
    if job is None:
        raise Conflict("the letter names no job with a record, and no upload, so there is nothing to start afresh")
    return accepted(job, everything)


def discard(request: flask.Request, everything: Services, key: ApiKey, date: str, name: str) -> flask.Response:
    """The letter stays, with who wanted no more of it and why; the first word stands."""
    body = bodies.read(request, DiscardBody, (), lambda body: ())
    found = _own(f"{date}/{name}", key, everything)
    if found.state not in (LetterState.WAITING, LetterState.DISCARDED):
        raise Conflict(f"the letter is {found.state}, so nothing is left to discard")
    word = Discarded(by=key.name, at=everything.now(), reason=body.reason)
    marked = everything.letters.discard(found.id, word)
    if marked is None:
        raise NotFound(f"no dead letter {found.id}")
    if marked.discarded == word:
        fields = {"event": "letter.discarded", "by": key.name, "letter": found.id, "job_id": marked.job_id}
        _log.info("letter discarded", extra=fields)
    return answer(_view(replace(found, letter=marked), everything), 200)


def look(letter_id: str, everything: Services) -> Found | None:
    letter = everything.letters.get(letter_id)
    if letter is None:
        return None
    if letter.upload is not None:
        return Found(letter_id, letter, job_of(letter.upload, everything))
    seen = everything.store.get(letter.job_id) if letter.job_id else None
    return Found(letter_id, letter, seen.job if seen else None, everything.letters.is_replaced(letter_id))


def may_read(key: ApiKey, job: Job | None) -> bool:
    """A letter whose job is not known may be anybody's."""
    return key.sees == "all" if job is None else may_see(key, job)


def _own(letter_id: str, key: ApiKey, everything: Services) -> Found:
    found = look(letter_id, everything)
    if found is None or not may_read(key, found.job):
        raise NotFound(f"no dead letter {letter_id}")
    return found


def _filter(request: flask.Request, faults: list[Fault]) -> Callable[[Found], bool]:
    state, code, file_type = (request.args.get(name) for name in ("state", "code", "file_type"))
    if state is not None and state not in set(LetterState):
        faults.append(Fault("state", f"must be one of {', '.join(LetterState)}"))
    for name, word in (("code", code), ("file_type", file_type)):
        if word is not None and not _WORD.fullmatch(word):
            faults.append(Fault(name, "must have 1 to 100 letters, digits, dots, dashes or underscores"))

    def is_wanted(found: Found) -> bool:
        return (
            state in (None, found.state)
            and code in (None, found.letter.code)
            and file_type in (None, found.job.file.file_type if found.job else None)
        )

    return is_wanted


def _is_between(moment: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or moment >= since) and (until is None or moment < until)


def _view(found: Found, everything: Services) -> LetterView:
    letter, job, settings = found.letter, found.job, everything.settings
    data = letter.said("data")
    upload = letter.upload
    source = f"gs://{upload.bucket}/{upload.name}" if upload else letter.said("source")
    return LetterView(
        id=found.id,
        state=found.state,
        code=letter.code,
        reason=letter.reason,
        kept_at=letter.kept_at,
        job_id=letter.job_id or (job.job_id if job else None),
        submission=letter.submission if letter.job_id else None,
        job_state=job.state if job else None,
        source=job.source.uri if job else source if isinstance(source, str) else None,
        file_type=job.file.file_type if job else None,
        attempts=tuple(past for past in job.attempts if past.submission == letter.submission) if job else (),
        discarded=letter.discarded,
        logs_url=None if settings.local_cloud or not letter.job_id else _logs_url(settings.project, letter.job_id, job),
        status_url=status_url(job.job_id, settings.ingest_url) if job else None,
        data=None if data is None else (data if isinstance(data, str) else json.dumps(data))[:_EXCERPT],
    )


def _logs_url(project: str, job_id: str, job: Job | None) -> str:
    """The Logs Explorer with the job's lines; a time in the query is what it goes by, and not by its last hour."""
    query = f'labels.job_id="{job_id}"'
    if job is not None:
        query += f'\ntimestamp>="{job.created_at.isoformat()}"'
    return f"https://console.cloud.google.com/logs/query;query={quote(query, safe='')}?project={quote(project)}"
