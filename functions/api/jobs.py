"""POST /v1/jobs, GET /v1/jobs/{job_id}, :cancel, :redrive."""

from __future__ import annotations

import secrets
from typing import Any, Literal, cast

import flask

from functions.api import bodies, sources
from functions.api.answers import answer
from functions.api.keys import own_job
from functions.api.waiting import preferred_seconds, wait_for_end
from shared.admission import admit
from shared.api import Accepted, JobBody, operations_of, status_url, view
from shared.api_keys import ApiKey
from shared.conclude import conclude
from shared.errors import Conflict, Fault, NotFound
from shared.events import traceparent
from shared.job import TRANSITIONS, Job, State
from shared.lanes import Priority
from shared.redrive import redrive as redriven
from shared.services import Services
from shared.store import Snapshot
from shared.submit import JobRequest, Submitted, repeated, submit


def create(request: flask.Request, everything: Services, key: ApiKey) -> flask.Response:
    faults: list[Fault] = []
    idempotency_key = bodies.header(
        request, "Idempotency-Key", lambda text: 1 <= len(text) <= 255, "must have 1 to 255 characters", faults
    )
    wish = bodies.header(
        request, "X-Destination", lambda text: text in ("cloud-run", "gke"), "must be cloud-run or gke", faults
    )
    if wish == "gke" and not everything.settings.enable_gke_route:
        faults.append(Fault("X-Destination", "gke is not enabled here"))
    body = bodies.read(request, JobBody, faults, lambda body: sources.faults(body, everything))
    # Without defaults, which another release may have more of.
    sent = {**body.model_dump(mode="json", exclude_unset=True), "X-Destination": wish}
    # NUL cannot be in a key's name, so no caller's key can be made to equal another's.
    whole_key = f"{key.name}\0{idempotency_key}" if idempotency_key else f"{key.name}\0random\0{secrets.token_hex(16)}"
    submitted = repeated(whole_key, (sent, _as_before(body, wish)), everything) if idempotency_key else None
    if submitted is None:
        admit(key, everything)
        found = sources.inspect(body.source, everything)
        submitted = submit(
            JobRequest(
                idempotency_key=whole_key,
                sent=sent,
                caller=key.name,
                source=found.source,
                file=found.file,
                operations=operations_of(body.operations),
                webhook_url=body.webhook_url,
                id=body.id,
                labels=body.labels,
                priority=body.priority,
                wish=cast(Literal["cloud-run", "gke"] | None, wish),
                traceparent=traceparent(request.headers.get("traceparent")),
            ),
            everything,
        )
    return _answer(request, submitted, everything)


def _as_before(body: JobBody, wish: str | None) -> dict[str, Any]:
    """The request as earlier releases' records know it: with every default but the priority's."""
    lane = {"priority"} if body.priority is Priority.NORMAL else set()
    return {**body.model_dump(mode="json", exclude=lane), "X-Destination": wish}


def _answer(request: flask.Request, submitted: Submitted, everything: Services) -> flask.Response:
    """200 with the result if the job ends while the caller would wait, else 202."""
    base = everything.settings.ingest_url
    preferred = preferred_seconds(request)
    job = submitted.job if preferred is None else wait_for_end(submitted.job, preferred, everything)
    if preferred is not None and job.state.is_terminal:
        return answer(view(job, base, everything.tariff), 200, **{"Preference-Applied": f"wait={preferred}"})
    return accepted(job, everything)


def accepted(job: Job, everything: Services) -> flask.Response:
    body = Accepted(
        job_id=job.job_id,
        id=job.id,
        state=job.state,
        status_url=status_url(job.job_id, everything.settings.ingest_url),
        destination=job.destination,
        reason=job.reason,
    )
    return answer(body, 202, Location=body.status_url)


def get(request: flask.Request, everything: Services, key: ApiKey, job_id: str) -> flask.Response:
    seen = own_job(job_id, key, everything)
    headers = {} if seen.job.state.is_terminal else {"Retry-After": "2"}
    return answer(view(seen.job, everything.settings.ingest_url, everything.tariff), 200, **headers)


def cancel(request: flask.Request, everything: Services, key: ApiKey, job_id: str) -> flask.Response:
    """A running job ends within some seconds: its next beat finds the lease gone."""
    now = everything.now()

    def change(seen: Snapshot) -> Job | None:
        if seen.job.state is State.CANCELLED:
            return None
        if State.CANCELLED not in TRANSITIONS[seen.job.state]:
            raise Conflict(f"the job is {seen.job.state} and cannot be cancelled")
        return seen.job.cancelled(now, last_beat=seen.last_beat)

    own_job(job_id, key, everything)
    changed = everything.store.update(job_id, change)
    if changed is None:
        raise NotFound(f"no job {job_id}")
    conclude(changed.job, everything)
    return accepted(changed.job, everything)


def redrive(request: flask.Request, everything: Services, key: ApiKey, job_id: str) -> flask.Response:
    """A fresh start under the next submission; a job that is queued already has its message published again."""
    own_job(job_id, key, everything)
    return accepted(redriven(job_id, everything), everything)
