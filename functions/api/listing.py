"""GET /v1/jobs: newest first, with a cap on what one call scans."""

from __future__ import annotations

import re
from typing import Final

import flask

from functions.api import bodies
from functions.api.answers import answer
from functions.api.keys import may_see
from shared.api import JobPage, view
from shared.api_keys import ApiKey
from shared.errors import Fault
from shared.job import Job, State
from shared.services import Services
from shared.store import job_id_of

#: Records one call reads at most; a page may come back short, with a token to go on.
_SCAN: Final = 500
_CHUNK: Final = 50
_TOKEN: Final = re.compile(r"[0-9]{14}-[0-9a-f]{32}")


def page(request: flask.Request, everything: Services, key: ApiKey) -> flask.Response:
    faults: list[Fault] = []
    limit = bodies.integer(request, "limit", default=20, lowest=1, highest=100, faults=faults)
    state, token = request.args.get("state"), request.args.get("page_token")
    if state is not None and state not in set(State):
        faults.append(Fault("state", f"must be one of {', '.join(State)}"))
    if token is not None and not _TOKEN.fullmatch(token):
        faults.append(Fault("page_token", "is not one of ours"))
    if faults:
        raise bodies.invalid(faults)
    jobs: list[Job] = []
    keys = list(everything.store.newest(start=token, limit=_SCAN + 1))
    for first in range(0, min(len(keys), _SCAN), _CHUNK):
        chunk = keys[first : min(first + _CHUNK, _SCAN)]
        snapshots = everything.side_by_side.map(everything.store.get, map(job_id_of, chunk))
        for index_key, seen in zip(chunk, snapshots, strict=True):
            if len(jobs) == limit:
                return _page(jobs, index_key, everything)
            if seen is not None and may_see(key, seen.job) and state in (None, seen.job.state):
                jobs.append(seen.job)
    return _page(jobs, keys[_SCAN] if len(keys) > _SCAN else None, everything)


def _page(jobs: list[Job], following: str | None, everything: Services) -> flask.Response:
    base = everything.settings.ingest_url
    views = tuple(view(job, base, everything.tariff) for job in jobs)
    return answer(JobPage(jobs=views, next_page_token=following), 200)
