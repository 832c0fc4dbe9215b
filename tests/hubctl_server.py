"""A small hub and its storage on loopback: a second implementation of the API, for hubctl's tests.

It keeps jobs in memory, and breaks what it is told to break.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import ValidationError

from shared.api import Accepted, FieldFault, JobBody, JobPage, JobView, Problem, UploadBody, UploadTicket, view
from shared.job import Job, Source, job_id_for
from tests.hubctl_jobs import BORN, TARIFF, a_job

KEY = "test-key"
#: As storage counts: what is not a whole quarter of a MiB of an interrupted chunk is not kept.
QUANTUM = 256 * 2**10


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Upload:
    """One resumable session."""

    body: UploadBody
    job: Job
    data: bytearray = field(default_factory=bytearray)
    is_done: bool = False


@dataclass
class Hub:
    """What tests set up, and what they look at."""

    url: str = ""
    jobs: dict[str, Job] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)
    requests: list[Seen] = field(default_factory=list)
    #: What the next looks at a job find: a job, which is the record from then on, a status, None for 404, "cut".
    looks: list[Job | int | str | None] = field(default_factory=list)
    #: What befalls the next PUTs of uploads: ("cut", bytes), "lose the answer", "keep nothing", "end early",
    #: a status, or None.
    faults: list[Any] = field(default_factory=list)
    #: Problems for the next calls of the API, before anything else is looked at.
    problems: list[Problem] = field(default_factory=list)
    #: Called for the job of an upload that has arrived.
    arrives: Callable[[Job], Job] = lambda job: job

    def add(self, *jobs: Job) -> None:
        self.jobs |= {job.job_id: job for job in jobs}

    def of(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.requests if seen.method == method and re.fullmatch(path, seen.path)]


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub on a free loopback port."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle(b"")

    def do_POST(self) -> None:
        self._handle(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def do_PUT(self) -> None:
        self._note(b"")
        self._put(self.state.uploads[int(self.path.rpartition("/")[2])])

    def _note(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.state.requests.append(Seen(self.command, urlsplit(self.path).path, headers, body))

    def _handle(self, body: bytes) -> None:
        self._note(body)
        path, hub = urlsplit(self.path).path, self.state
        if path.startswith("/storage/"):
            self._bytes(hub.artifacts[unquote(path.removeprefix("/storage/"))])
        elif hub.problems:
            self._problem(hub.problems.pop(0))
        elif self.headers.get("X-API-Key") != KEY:
            self._problem(_problem(401, "unauthorized", "X-API-Key is missing or not known"))
        elif match := re.fullmatch(r"/v1/jobs/([0-9a-f]{32})(?:/artifacts/(.+)|:(cancel|redrive))?", path):
            self._job(*match.groups())
        elif path == "/v1/jobs":
            self._jobs() if self.command == "GET" else self._create(body)
        elif path == "/v1/uploads":
            self._ticket(UploadBody.model_validate_json(body))
        else:
            self._problem(_problem(404, "not_found", "no such path"))

    def _create(self, body: bytes) -> None:
        try:
            asked = JobBody.model_validate_json(body)
        except ValidationError:
            self._problem(_problem(400, "invalid_request", "the request has faults"))
            return
        job_id = job_id_for(self.headers["Idempotency-Key"])
        job = a_job(id=asked.id, labels=asked.labels, source=Source(uri=asked.source), job_id=job_id)
        self.state.add(job)
        self._accepted(job)

    def _ticket(self, asked: UploadBody) -> None:
        number = len(self.state.uploads)
        job = a_job(100 + number, id=asked.id, labels=asked.labels)
        self.state.uploads.append(Upload(asked, job))
        ticket = UploadTicket(
            upload_url=f"{self.state.url}/session/{number}",
            job_id=job.job_id,
            id=asked.id,
            status_url=f"{self.state.url}/v1/jobs/{job.job_id}",
            object=f"gs://uploads/{asked.filename}",
        )
        self._answer(201, ticket)

    def _job(self, job_id: str, artifact: str | None, verb: str | None) -> None:
        look: Job | int | str | None = self.state.jobs.get(job_id)
        if self.state.looks and not (artifact or verb):
            look = self.state.looks.pop(0)
            if isinstance(look, Job):
                look = look.model_copy(update={"job_id": job_id})
                self.state.add(look)
        if look == "cut":
            self.close_connection = True
        elif isinstance(look, int):
            self._problem(_problem(look, "unavailable", "a service is down"))
        elif not isinstance(look, Job):
            self._problem(_problem(404, "not_found", f"no job {job_id}"))
        elif artifact:
            self._redirect(f"{self.state.url}/storage/{artifact}")
        elif verb == "cancel" and look.state.is_terminal:
            self._problem(_problem(409, "conflict", f"the job is {look.state} and cannot be cancelled"))
        elif verb:
            changed = look.cancelled(BORN) if verb == "cancel" else look.redriven(BORN)
            self.state.add(changed)
            self._accepted(changed)
        else:
            self._answer(200, view(look, self.state.url, TARIFF))

    def _jobs(self) -> None:
        """Pages of at most two, so that every longer listing takes several."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        start, limit = int(query.get("page_token", 0)), min(int(query.get("limit", 20)), 2)
        newest = sorted(self.state.jobs.values(), key=lambda job: job.created_at, reverse=True)
        found = [job for job in newest if query.get("state") in (None, job.state)]
        views: tuple[JobView, ...] = tuple(view(job, self.state.url, TARIFF) for job in found[start : start + limit])
        following = str(start + limit) if start + limit < len(found) else None
        self._answer(200, JobPage(jobs=views, next_page_token=following))

    def _put(self, upload: Upload) -> None:
        length = int(self.headers["Content-Length"])
        fault = self.state.faults.pop(0) if self.state.faults else None
        if isinstance(fault, tuple):
            # The connection ends in the middle of the chunk.
            data = self.rfile.read(fault[1])
            upload.data += data[: len(data) // QUANTUM * QUANTUM]
            self.close_connection = True
            return
        data = self.rfile.read(length)
        if isinstance(fault, int):
            self._bytes(b"", status=fault)
            return
        if match := re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", self.headers["Content-Range"]):
            first, last, total = map(int, match.groups())
            assert last - first + 1 == length
            assert length % QUANTUM == 0 or last + 1 == total
            assert first <= len(upload.data), "a gap"
            if fault != "keep nothing":
                # Bytes that are there already are not taken again.
                upload.data += data[len(upload.data) - first :]
        else:
            total = int(self.headers["Content-Range"].removeprefix("bytes */"))
        if (len(upload.data) == total or fault == "end early") and not upload.is_done:
            upload.is_done = True
            self.state.add(self.state.arrives(upload.job))
        if fault == "lose the answer":
            self.close_connection = True
        elif upload.is_done:
            self._bytes(json.dumps({"kind": "storage#object", "size": str(len(upload.data))}).encode())
        elif upload.data:
            self._bytes(b"", status=308, Range=f"bytes=0-{len(upload.data) - 1}")
        else:
            self._bytes(b"", status=308)

    def _accepted(self, job: Job) -> None:
        answer = Accepted(
            job_id=job.job_id,
            id=job.id,
            state=job.state,
            status_url=f"{self.state.url}/v1/jobs/{job.job_id}",
            destination=job.destination,
            reason=job.reason,
        )
        self._answer(202, answer)

    def _redirect(self, location: str) -> None:
        self._bytes(b"", status=302, Location=location)

    def _problem(self, problem: Problem) -> None:
        headers = {"Retry-After": "7"} if problem.status == 429 else {}
        self._bytes(problem.model_dump_json().encode(), problem.status, "application/problem+json", **headers)

    def _answer(self, status: int, body: Any) -> None:
        self._bytes(body.model_dump_json().encode(), status, "application/json")

    def _bytes(
        self, body: bytes, status: int = 200, content_type: str = "application/octet-stream", **headers: str
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _problem(status: int, code: str, detail: str, *faults: FieldFault) -> Problem:
    return Problem(title="No", status=status, code=code, detail=detail, errors=faults)


def faulty(field: str, detail: str) -> Problem:
    """A 400 about one field."""
    return _problem(400, "invalid_request", f"the request has 1 fault: {field}", FieldFault(field=field, detail=detail))


def unavailable() -> Problem:
    return _problem(503, "unavailable", "storage is slow")
