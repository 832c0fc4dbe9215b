"""May a caller bring one more job now? Asked of new jobs alone: what is accepted, or uploaded, is never turned away."""

from __future__ import annotations

from shared.api_keys import ApiKey
from shared.errors import Overloaded
from shared.services import Services


def admit(key: ApiKey, services: Services) -> None:
    """Raises Overloaded while too much waits on all routes together, or too much of this caller's is unfinished.

    A backlog that is not known admits. A ticket of POST /v1/uploads counts like a job until its file has come, or for
    TICKET_SECONDS. An allowance is passed by no more jobs than its caller has requests under way at the same moment
    (each counts what the ones before it have marked open, without a lock) and files later than that.
    Raises Unavailable.
    """
    waiting = services.work_backlog.waiting()
    if waiting is not None and waiting >= services.settings.max_backlog:
        raise Overloaded(
            f"{waiting} jobs wait already (the limit is {services.settings.max_backlog})", code="backlog_full"
        )
    allowance = key.allowance
    if allowance is not None and services.store.count_open(key.name, limit=allowance) >= allowance:
        raise Overloaded(
            f"{key.name} has {allowance} unfinished jobs and open tickets, which is its allowance",
            code="allowance_used",
        )
