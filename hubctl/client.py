"""The hub's API as typed methods. Every failure is a HubError."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import quote

from hubctl.answers import parsed
from hubctl.bodies import upload_body
from hubctl.clock import Clock
from hubctl.errors import DownloadFailed, HubBusy, HubError, HubUnavailable, JobNotFound, UploadFailed
from hubctl.transport import Transport
from hubctl.upload import ResumableUpload, SessionLost
from shared.api import Accepted, JobBody, JobPage, JobView, UploadBody, UploadTicket
from shared.api_letters import DiscardBody, LetterPage, LetterView, RedriveBody, RedriveReport
from shared.job import State

#: How long a new upload may take to become a job: the event's way, and a function's cold start. Seconds.
APPEAR_SECONDS: Final = 120.0
#: How long a hub may be silent before one who waits for a job gives up. Seconds.
_PATIENCE: Final = 300.0
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 3.0
_MOST_PER_PAGE: Final = 100
#: Upload sessions for one file, when storage forgets them.
_SESSIONS: Final = 3
_TRANSCRIPT: Final = "transcript.txt"


OnBusy = Callable[[HubBusy], None]


def _nothing(_: Any) -> None:
    pass


def _is_over(job: JobView) -> bool:
    return job.state.is_terminal


class HubClient:
    """One hub, seen with one key. The key goes to the hub alone, never to storage."""

    def __init__(self, url: str, key: str, *, timeout: float = 30.0, clock: Clock = time) -> None:
        """`timeout` in seconds, of each step of a call. Raises BadUsage for a URL or key that cannot be one."""
        self._http = Transport(url, key, timeout=timeout, clock=clock)
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def submit(
        self,
        body: JobBody,
        *,
        idempotency_key: str | None = None,
        destination: Literal["cloud-run", "gke"] | None = None,
        on_busy: OnBusy | None = None,
    ) -> Accepted:
        """Make a job of a source that the hub can reach; a lost answer never makes two.

        Waits for room where `on_busy` is told of it, else raises HubBusy.
        """
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        if destination:
            headers["X-Destination"] = destination
        return self._http.repeat(
            lambda: parsed(self._http.call("POST", "/v1/jobs", body=body, headers=headers), Accepted),
            on_busy=on_busy,
        )

    def upload(
        self,
        path: Path,
        body: UploadBody | None = None,
        *,
        on_bytes: Callable[[int], None] = _nothing,
        on_busy: OnBusy | None = None,
    ) -> UploadTicket:
        """Send a local file, whose arrival is the job: `get` may know that only some seconds later.

        Without `body` the file gets its kind's default operations. `on_bytes` gets the bytes sent so far; fewer than
        before when some have to be sent again. Waits for room where `on_busy` is told of it, else raises HubBusy.
        Raises UploadFailed; OSError when the file cannot be read.
        """
        asked = body or upload_body(path)
        for _ in range(_SESSIONS):
            ticket = self._http.repeat(
                lambda: parsed(self._http.call("POST", "/v1/uploads", body=asked), UploadTicket), on_busy=on_busy
            )
            sending = ResumableUpload(self._http.storage, ticket.upload_url, path, on_bytes=on_bytes, clock=self._clock)
            try:
                sending.run()
            except SessionLost as lost:
                # It may be forgotten because it is done, and only the answer was lost.
                if not (lost.all_was_sent and self._appears(ticket.job_id)):
                    continue
            return ticket
        raise UploadFailed(f"the upload of {path.name} was given up: storage forgot it {_SESSIONS} times")

    def get(self, job_id: str) -> JobView | None:
        """The job's record; None when there is no such job, or it is another key's."""
        return self._http.repeat(lambda: self._look(job_id))

    def wait_for(
        self,
        job_id: str,
        *,
        until: Callable[[JobView], bool] = _is_over,
        on_look: Callable[[JobView], None] = _nothing,
        on_trouble: Callable[[HubUnavailable], None] = _nothing,
        appear_seconds: float = 0.0,
    ) -> JobView:
        """Look at the job, once a second and then less often, until it is over (or as `until` says).

        A job that is not there yet is waited for `appear_seconds`; passing faults go to `on_trouble`. Raises
        JobNotFound, and HubUnavailable when the hub has been silent for five minutes.
        """
        started = answered = self._clock.monotonic()
        state: State | None = None
        pause = _FIRST_PAUSE
        while True:
            asked_for = 0.0
            try:
                job = self._look(job_id)
            except HubUnavailable as error:
                if self._clock.monotonic() - answered >= _PATIENCE:
                    raise
                on_trouble(error)
                asked_for = error.retry_after
            else:
                answered = self._clock.monotonic()
                if job is not None:
                    on_look(job)
                    if until(job):
                        return job
                    pause = pause if job.state is state else _FIRST_PAUSE
                    state = job.state
                elif state is not None or answered - started >= appear_seconds:
                    raise JobNotFound(job_id)
            self._clock.sleep(max(pause, asked_for))
            pause = min(pause * 1.25, _LONGEST_PAUSE)

    def list(self, *, state: State | None = None, limit: int | None = 20) -> JobPage:
        """The newest jobs, over as many pages as it takes; all of them when `limit` is None."""
        jobs: tuple[JobView, ...] = ()
        token: str | None = None
        while True:
            wanted = _MOST_PER_PAGE if limit is None else min(limit - len(jobs), _MOST_PER_PAGE)
            page = self._page(state, wanted, token)
            jobs, token = (*jobs, *page.jobs), page.next_page_token
            if token is None or len(jobs) == limit:
                return JobPage(jobs=jobs, next_page_token=token)

    def cancel(self, job_id: str) -> Accepted:
        """End a queued or running job. Raises HubRefused when it is over already."""
        return self._http.repeat(lambda: parsed(self._http.call("POST", f"{_path(job_id)}:cancel"), Accepted))

    def redrive(self, job_id: str) -> Accepted:
        """Start a failed, dead-lettered or cancelled job afresh. Raises HubRefused for any other."""
        return parsed(self._http.call("POST", f"{_path(job_id)}:redrive"), Accepted)

    def letters(self, query: Mapping[str, str], *, limit: int = 20) -> LetterPage:
        """The oldest dead letters that `query` (GET /v1/dead-letters) asks for, over as many pages as it takes."""
        letters: tuple[LetterView, ...] = ()
        token: str | None = None
        while True:
            asked: dict[str, str | int] = {**query, "limit": min(limit - len(letters), _MOST_PER_PAGE)}
            if token:
                asked["page_token"] = token
            page = self._http.repeat(partial(self._letters, asked))
            letters, token = (*letters, *page.letters), page.next_page_token
            if token is None or len(letters) == limit:
                return LetterPage(letters=letters, next_page_token=token)

    def letter(self, letter_id: str) -> LetterView:
        """Raises HubRefused when there is no such letter, or it is another key's."""
        return self._http.repeat(lambda: parsed(self._http.call("GET", _letter_path(letter_id)), LetterView))

    def redrive_letter(self, letter_id: str) -> Accepted:
        """Start the letter's job afresh; harmless where that was done before."""
        return self._http.repeat(
            lambda: parsed(self._http.call("POST", f"{_letter_path(letter_id)}:redrive"), Accepted)
        )

    def redrive_letters(self, body: RedriveBody) -> RedriveReport:
        """One call's worth of what matches; safe to repeat."""
        path = "/v1/dead-letters:redrive"
        return self._http.repeat(lambda: parsed(self._http.call("POST", path, body=body), RedriveReport))

    def discard_letter(self, letter_id: str, body: DiscardBody) -> LetterView:
        """Nothing more is to be done about it; it is kept."""
        path = f"{_letter_path(letter_id)}:discard"
        return self._http.repeat(lambda: parsed(self._http.call("POST", path, body=body), LetterView))

    def artifact(self, job: JobView, name: str) -> Iterator[bytes]:
        """An artifact's bytes, piece by piece. Raises HubRefused when there is none of that name, DownloadFailed."""
        url = self._http.repeat(lambda: self._http.location(f"{_path(job.job_id)}/artifacts/{quote(name)}"))
        yield from self._http.stored(url, name)

    def download(self, job: JobView, name: str, path: Path) -> None:
        """An artifact as a file, whole or not at all. Raises as `artifact`; OSError when it cannot be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                for piece in self.artifact(job, name):
                    file.write(piece)
            got, expected = part.stat().st_size, {made.name: made.size for made in job.artifacts}.get(name)
            if expected is not None and got != expected:
                raise DownloadFailed(f"storage gave {got} of the {expected} bytes of {name}")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def transcript(self, job: JobView, *, limit_bytes: int = 4096) -> str | None:
        """The beginning of the job's transcript; None where there is none, or it cannot be had now."""
        if _TRANSCRIPT not in {made.name for made in job.artifacts}:
            return None
        data = b""
        try:
            for piece in self.artifact(job, _TRANSCRIPT):
                data += piece
                if len(data) >= limit_bytes:
                    break
        except HubError:
            return None
        return data[:limit_bytes].decode(errors="ignore")

    def _look(self, job_id: str) -> JobView | None:
        response = self._http.find(_path(job_id))
        return None if response is None else parsed(response, JobView)

    def _letters(self, query: Mapping[str, str | int]) -> LetterPage:
        return parsed(self._http.call("GET", "/v1/dead-letters", query=query), LetterPage)

    def _appears(self, job_id: str) -> bool:
        try:
            self.wait_for(job_id, until=lambda job: True, appear_seconds=APPEAR_SECONDS)
        except JobNotFound:
            return False
        return True

    def _page(self, state: State | None, limit: int, token: str | None) -> JobPage:
        query: dict[str, str | int] = {"limit": limit}
        if state:
            query["state"] = state.value
        if token:
            query["page_token"] = token
        return self._http.repeat(lambda: parsed(self._http.call("GET", "/v1/jobs", query=query), JobPage))


def _letter_path(letter_id: str) -> str:
    return f"/v1/dead-letters/{quote(letter_id)}"


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"
