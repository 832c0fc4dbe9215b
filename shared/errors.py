"""One question, asked of every error: will another try help?

JobError                       .code: stable, goes into the record, the logs and the API's problems
├─ RetryableError              another try may help
│  ├─ Unavailable              a service is down, slow or says 429/5xx
│  │  └─ RecordUnreadable      a record of another revision
│  ├─ Misconfigured            a resource or a permission is missing: an operator mends it, then a redrive helps
│  ├─ RateLimited              one object written more than once a second
│  ├─ Overloaded               too much waits, or too much of one caller's: later there is room
│  ├─ ResourceExhausted        no memory, disk or GPU memory left on this machine
│  └─ MachineFault             this machine's GPU is at fault: its worker leaves
└─ PermanentError              another try cannot help
   ├─ InvalidRequest           a field is missing, wrong or not allowed
   ├─ Unauthorized             no key or token, or a wrong one
   ├─ NotFound                 no such job, artifact or route (or not yours)
   ├─ MethodNotAllowed          the path takes other methods
   ├─ Conflict                 the job's state does not allow this
   ├─ IdempotencyMismatch      the same key with another body
   ├─ SourceMissing            the object, its generation or the URL is gone
   ├─ SourceRefused            the URL leads where this service does not go
   ├─ TooLarge                 a body or a source beyond its limit
   ├─ TooLong                  the work fits no attempt
   ├─ UnsupportedMedia         empty, or not media
   └─ ProcessingFailed         the decoder or the model said no
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request: where (a JSON path such as `operations.0.count`) and what."""

    field: str
    detail: str


class JobError(Exception):
    """The root; `code` is stable, the message is one sentence for people."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason_code = code or self.code


class RetryableError(JobError):
    """Another try may help."""

    code = "unavailable"
    status = 503
    #: When to come again.
    retry_after_seconds: ClassVar[int] = 5


class Unavailable(RetryableError):
    """A service is down, slow, or answered 429 or 5xx."""


class RecordUnreadable(Unavailable):
    """A job's record that this revision cannot read, as one that a newer one wrote: nothing is wrong with others."""

    code = "record_unreadable"


class Misconfigured(RetryableError):
    """A resource or a permission of ours is missing; once an operator has mended that, another try helps."""

    code = "misconfigured"
    status = 500


class RateLimited(RetryableError):
    """One object was written more than about once a second; a short wait helps."""

    code = "rate_limited"
    status = 429


class Overloaded(RetryableError):
    """The hub has enough to do, or enough for this caller; nothing is wrong with the request."""

    code = "backlog_full"
    status = 429
    retry_after_seconds = 30


class ResourceExhausted(RetryableError):
    """This machine ran out of memory, disk or GPU memory; another one may not."""

    code = "resource_exhausted"


class MachineFault(RetryableError):
    """The GPU or its driver failed, and fails whatever else this process asks of it: another process must go on."""

    code = "machine_fault"


class PermanentError(JobError):
    """Another try cannot help."""

    code = "failed"
    status = 422


class InvalidRequest(PermanentError):
    """A request that names every fault it has."""

    code = "invalid_request"
    status = 400

    def __init__(self, message: str, faults: tuple[Fault, ...] = (), *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.faults = faults


class Unauthorized(PermanentError):
    """No key or token, or a wrong one."""

    code = "unauthorized"
    status = 401


class NotFound(PermanentError):
    """No such thing, or not the caller's."""

    code = "not_found"
    status = 404


class MethodNotAllowed(PermanentError):
    """The path is right, the method is not; `allowed` goes into the Allow header."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class Conflict(PermanentError):
    """The job's present state does not allow this."""

    code = "conflict"
    status = 409


class IdempotencyMismatch(PermanentError):
    """The same idempotency key came with another body."""

    code = "idempotency_mismatch"
    status = 422


class SourceMissing(PermanentError):
    """The object, this generation of it, or the URL's content is gone."""

    code = "source_missing"
    status = 404


class SourceRefused(PermanentError):
    """A URL that leads to a place this service does not go."""

    code = "source_refused"
    status = 400


class TooLarge(PermanentError):
    """A body or a source beyond its limit."""

    code = "too_large"
    status = 413


class TooLong(PermanentError):
    """The estimated work fits no attempt on any destination."""

    code = "too_long"


class UnsupportedMedia(PermanentError):
    """Empty, or not media this service works on."""

    code = "unsupported_media"
    status = 415


class ProcessingFailed(PermanentError):
    """The decoder or the model refused the file; the message carries its last words."""

    code = "processing_failed"
