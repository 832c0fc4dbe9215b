"""API keys: who calls, and what that caller may see."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from shared.api_keys import ApiKey
from shared.errors import NotFound, Unauthorized
from shared.job import Job
from shared.services import Services
from shared.store import Snapshot


def authenticate(presented: str | None, keys: Sequence[ApiKey]) -> ApiKey:
    """The key that was presented, compared with every key in constant time. Raises Unauthorized."""
    given = (presented or "").encode()
    # No early end: how long this takes tells nothing of which key came near.
    found = [key for key in keys if hmac.compare_digest(key.key.get_secret_value().encode(), given)]
    if not found or not given:
        raise Unauthorized("X-API-Key is missing or not known")
    return found[0]


def may_see(key: ApiKey, job: Job) -> bool:
    return key.sees == "all" or job.caller == key.name


def own_job(job_id: str, key: ApiKey, everything: Services) -> Snapshot:
    """The caller's job; NotFound when there is none, or it is another's."""
    seen = everything.store.get(job_id)
    if seen is None or not may_see(key, seen.job):
        raise NotFound(f"no job {job_id}")
    return seen
