"""The one guarded HTTP client: sources given as URLs are read through it, webhooks and alerts posted through it.

Where it may go is in guard.py, how it connects in connection.py. Errors name a URL's origin only: paths and queries
may hold secrets.
"""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote

import certifi

from shared.connection import Answer, Deadline, Resolver, SystemResolver, exchange
from shared.errors import JobError, ResourceExhausted, SourceMissing, SourceRefused, TooLarge, Unavailable
from shared.guard import MAX_URL_LENGTH, FetchPolicy, Target, check_url

__all__ = ["Downloaded", "FetchPolicy", "GuardedClient", "Peek", "PostResult", "check_url"]

_CHUNK_BYTES: Final = 2**18
_MAX_NAME_LENGTH: Final = 255
#: Storage services redirect to signed URLs, which are long.
_MAX_REDIRECT_LENGTH: Final = 8192
#: Of a webhook's answer: enough to let the receiver finish its sentence.
_POST_ANSWER_BYTES: Final = 4096
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Peek:
    """A first look at a source."""

    #: As declared, without parameters; "" when not declared.
    content_type: str
    #: Of the whole source, in bytes; None when the server does not say.
    content_length: int | None
    first_bytes: bytes
    #: File name, from Content-Disposition or the last URL's path; may be "".
    name: str


@dataclass(frozen=True, slots=True)
class Downloaded:
    #: Bytes.
    size: int
    content_type: str
    filename: str


@dataclass(frozen=True, slots=True)
class PostResult:
    """Any status at all, a redirect's included."""

    status: int
    #: Seconds, from Retry-After.
    retry_after: float | None = None


@cache
def _trusted() -> ssl.SSLContext:
    """Certifi's authorities: reading them takes some 50 ms, which a process that asks nobody need not spend."""
    return ssl.create_default_context(cafile=certifi.where())


class GuardedClient:
    """Fetches and posts under one policy; one connection per request, so threads may share it."""

    def __init__(
        self, policy: FetchPolicy, *, resolver: Resolver | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._policy = policy
        self._resolver = resolver or SystemResolver()
        self._tls = tls

    def check(self, url: str) -> None:
        """Raises SourceRefused for a URL that would not be asked at all; names are not looked up for that."""
        check_url(url, self._policy)

    def peek(self, url: str, *, limit_bytes: int, timeout_seconds: float) -> Peek:
        """The first bytes, and what the server says of the rest. Errors as `download` has."""
        with self._get(url, self._deadline(timeout_seconds), {"Range": f"bytes=0-{limit_bytes - 1}"}) as answer:
            is_empty = answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            if not is_empty and answer.status != HTTPStatus.PARTIAL_CONTENT:
                _check_status(answer)
            length = _whole_length(answer)
            self._check_size(answer, length)
            first_bytes = b"" if is_empty else answer.read(limit_bytes)
            return Peek(answer.content_type, 0 if is_empty else length, first_bytes, _name(answer))

    def download(
        self, url: str, path: Path, *, on_progress: Callable[[int, int | None], None] | None = None
    ) -> Downloaded:
        """Into `path`, which is removed when it fails; `on_progress` gets bytes so far and in all, and may raise.

        It is called before each wait, too, so that it can end a download of which hardly anything comes.

        Raises SourceRefused (a place not allowed, 401, 403, a bad certificate, any other 4xx), SourceMissing (404,
        410, no such host), TooLarge, Unavailable (time, 429, 5xx, a broken connection), ResourceExhausted (disk full).
        """
        total: int | None = None
        size = 0

        def look() -> None:
            if on_progress:
                on_progress(size, total)

        with self._get(url, self._deadline(self._policy.timeout_seconds, look), {}) as answer:
            _check_status(answer)
            self._check_size(answer, answer.length)
            total = answer.length
            with _whole_or_nothing(path), path.open("wb") as file:
                while chunk := answer.read(_CHUNK_BYTES):
                    size += len(chunk)
                    self._check_size(answer, size)
                    file.write(chunk)
                    look()
            return Downloaded(size, answer.content_type, _name(answer))

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float) -> PostResult:
        """Post, follow nothing, drop the answer's body.

        Raises SourceRefused (a place not allowed, a bad certificate), Unavailable (no answer in time, or none).
        """
        target = check_url(url, self._policy)
        try:
            with self._exchange("POST", target, headers, body, self._deadline(timeout_seconds)) as answer:
                with suppress(Unavailable):
                    answer.read(_POST_ANSWER_BYTES)
                return PostResult(answer.status, _retry_after(answer.header("retry-after")))
        except SourceMissing as fault:
            raise Unavailable(fault.message) from fault

    @contextmanager
    def _get(self, url: str, deadline: Deadline, headers: Mapping[str, str]) -> Iterator[Answer]:
        """Follows redirects; each step is checked like the first."""
        max_length = MAX_URL_LENGTH
        for _ in range(self._policy.max_redirects + 1):
            target = check_url(url, self._policy, max_length=max_length)
            with self._exchange("GET", target, headers, None, deadline) as answer:
                location = answer.header("location")
                if answer.status not in _REDIRECTS or not location:
                    yield answer
                    return
            url, max_length = target.join(location), _MAX_REDIRECT_LENGTH
        raise SourceRefused(f"The URL redirects more than {self._policy.max_redirects} times.")

    @contextmanager
    def _exchange(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Iterator[Answer]:
        with exchange(
            method,
            target,
            headers,
            body,
            policy=self._policy,
            resolver=self._resolver,
            tls=self._tls or _trusted(),
            deadline=deadline,
        ) as answer:
            yield answer

    def _deadline(self, seconds: float, look: Callable[[], None] = lambda: None) -> Deadline:
        return Deadline(seconds, self._policy.idle_seconds, look)

    def _check_size(self, answer: Answer, size: int | None) -> None:
        if size is not None and size > self._policy.max_bytes:
            limit = f"{self._policy.max_bytes:,} bytes"
            raise TooLarge(f"The source at {answer.target.origin} is larger than the limit of {limit}.")


def _check_status(answer: Answer) -> None:
    status, origin = answer.status, answer.target.origin
    if status in (HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION):
        return
    error: JobError
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        error = SourceMissing(f"{origin} answered {status}: the source is not there.")
    elif status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        error = SourceRefused(f"{origin} answered {status}: it does not let us read.", code="source_forbidden")
    elif status in _PASSING or status >= 500:
        error = Unavailable(f"{origin} answered {status}.")
    else:
        error = SourceRefused(f"{origin} answered {status} and not with the source.", code="unexpected_answer")
    raise error


def _whole_length(answer: Answer) -> int | None:
    """The source's length: of a partial answer, the number behind the slash (RFC 9110 section 14.4)."""
    if answer.status != HTTPStatus.PARTIAL_CONTENT:
        return answer.length
    match = re.fullmatch(r"bytes \d+-\d+/(\d{1,18})", answer.header("content-range"))
    return int(match[1]) if match else None


def _name(answer: Answer) -> str:
    """A name to go by, not a path to write to: one part, no control characters."""
    name = answer.filename or unquote(answer.target.path.partition("?")[0])
    last = PurePosixPath(name.replace("\\", "/")).name
    return re.sub(r"[\x00-\x1f\x7f]", "", last)[-_MAX_NAME_LENGTH:]


def _retry_after(value: str) -> float | None:
    """Seconds, from either form of the header (RFC 9110 section 10.2.3)."""
    if re.fullmatch(r"\d{1,9}", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter of a year or an offset with too many digits
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


@contextmanager
def _whole_or_nothing(path: Path) -> Iterator[None]:
    with ExitStack() as on_failure:
        on_failure.callback(path.unlink, missing_ok=True)
        try:
            yield
        except OSError as fault:
            if fault.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ResourceExhausted("There is no room left on the disk for the source.") from fault
            raise
        on_failure.pop_all()
