"""GET /v1/jobs: newest first, with a cap on what one call scans."""

from __future__ import annotations

import re
from typing import Final

import flask

from functions.api import bodies
from functions.api.answers import answer
from functions.api.keys import may_see
from functions.api.scanning import Scan
from shared.api import JobPage, view
from shared.api_keys import ApiKey
from shared.errors import Fault
from shared.job import State
from shared.services import Services
from shared.store import job_id_of

#: Records one call reads at most; a page may come back short, with a token to go on.
_SCAN: Final = 500
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
    keys = list(everything.store.newest(start=token, limit=_SCAN + 1))
    scan = Scan(keys, lambda index_key: everything.store.get(job_id_of(index_key)), _SCAN)
    found, following = scan.page(
        limit, lambda seen: may_see(key, seen.job) and state in (None, seen.job.state), everything
    )
    base = everything.settings.ingest_url
    views = tuple(view(seen.job, base, everything.tariff) for seen in found)
    return answer(JobPage(jobs=views, next_page_token=following), 200)
