"""What can go wrong between a person and a hub, each in one sentence; `exit_code` is the process's.

HubError
├─ BadUsage          what was asked for cannot be sent
├─ HubRefused        the hub said no, and why
├─ JobNotFound       there is no such job, or it is another caller's
├─ HubUnavailable    no answer, or one that asks to come again: another try may help
│  └─ HubBusy        too much waits there, or too much of this key's: later there is room
├─ StrangeAnswer     an answer that is none of the API's: another server, or another version
├─ UploadFailed      the storage did not take the file
├─ DownloadFailed    the storage did not give the artifact
└─ LogsUnavailable   Cloud Logging could not be asked
"""

from __future__ import annotations

from typing import ClassVar

from shared.api import FieldFault, Problem


class HubError(Exception):
    """The root; the message is one sentence for people, `faults` are the fields it is about."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, faults: tuple[FieldFault, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.faults = faults


class BadUsage(HubError):
    """What was asked for cannot be sent: a wrong option, a missing file, no key."""

    exit_code = 2


class HubRefused(HubError):
    """The hub said no; another try cannot help."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.detail} ({problem.status} {problem.code})", problem.errors)
        self.problem = problem


class JobNotFound(HubError):
    """There is no such job, or it is another caller's."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"the hub has no job {job_id}, or it is another key's")


class HubUnavailable(HubError):
    """No answer, or 408, 429 or 5xx; `retry_after` is what the hub asked for, in seconds."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class HubBusy(HubUnavailable):
    """Too much waits there, or too much of this key's is unfinished: later there is room."""


class StrangeAnswer(HubError):
    """An answer that is none of the API's."""


class UploadFailed(HubError):
    """The storage did not take the file."""


class DownloadFailed(HubError):
    """The storage did not give the artifact."""


class LogsUnavailable(HubError):
    """Cloud Logging could not be asked."""
