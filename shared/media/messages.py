"""What a decoding child and its parent say to each other: one JSON object each, so that neither must trust the other.

The child opens the file and says what it `Looked` like; the parent answers with the operations to do (`Go`), or ends
the child. Then the child says how far it is, until it is `Done` or has `Failed`. A remote file is read by asking: each
`Wanted` is answered by the bytes themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from shared.errors import (
    JobError,
    Misconfigured,
    PermanentError,
    ProcessingFailed,
    ResourceExhausted,
    RetryableError,
    Unavailable,
)
from shared.processor import Decoder
from shared.ranged_file import MOST_BYTES
from shared.source import WholeNeeded


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


#: What may cross the border as itself.
_ERRORS: Final[Mapping[str, type[JobError]]] = {
    error.__name__: error
    for error in (
        PermanentError,
        ProcessingFailed,
        RetryableError,
        ResourceExhausted,
        Misconfigured,
        Unavailable,
        WholeNeeded,
    )
}


ContentType = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9.+-]+(; charset=utf-8)?$", max_length=100)]


class Problem(_Message):
    """An error, as it crosses the border."""

    error: str
    code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]
    message: str

    @classmethod
    def of(cls, error: JobError) -> Problem:
        """The error as its nearest class that may cross."""
        name = next((each.__name__ for each in type(error).__mro__ if each.__name__ in _ERRORS), "RetryableError")
        return cls(error=name, code=error.reason_code, message=error.message)

    def again(self) -> JobError:
        """The error, to be raised."""
        return _ERRORS.get(self.error, RetryableError)(self.message, code=self.code)


class Looked(_Message):
    """The file is whole."""

    says: Literal["looked"] = "looked"
    #: As declared, or what there is where that is more; None for what has no length.
    media_seconds: float | None
    #: Names of all that is to be done: what was asked for, and what that brings along.
    operations: tuple[str, ...]
    #: Those that this file is not fit for.
    unfit: dict[str, Problem]


class Planned(_Message):
    """What is to be done is known."""

    says: Literal["planned"] = "planned"
    #: Its real length.
    seconds: float
    #: Seconds that each stage is likely to take, in order.
    stages: dict[str, float]


class Reached(_Message):
    """The work is so far: said several times a second while packets come."""

    says: Literal["reached"] = "reached"
    stage: str
    #: 0 to 1.
    fraction: float


class Wanted(_Message):
    """Bytes of a remote file, which the parent holds until they are taken."""

    says: Literal["wanted"] = "wanted"
    start: Annotated[int, Field(ge=0)]
    length: Annotated[int, Field(ge=1, le=MOST_BYTES)]


class Logged(_Message):
    """A line for the log; none of those that alerts, bills and stories are made of."""

    says: Literal["logged"] = "logged"
    logger: Annotated[str, StringConstraints(pattern=r"^shared\.media(\.[a-z0-9_]+)*$")]
    level: Annotated[int, Field(ge=logging.DEBUG, le=logging.ERROR)]
    event: Annotated[str, StringConstraints(pattern=r"^media\.[a-z_]{1,40}$")]
    message: str
    details: dict[str, Any]


class Made(_Message):
    """One artifact in the job's folder, and nowhere else."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$", max_length=100)]
    content_type: ContentType


class Handed(_Message):
    """What the parent goes on with, besides what lies in the scratch folder; times in seconds."""

    #: The type of the small copy, where a page is to show one.
    film: ContentType | None = None
    silences: tuple[tuple[float, float], ...] = ()
    #: When shots begin, but the first.
    cuts: tuple[float, ...] = ()


class Done(_Message):
    """Everything that was to be done here."""

    says: Literal["done"] = "done"
    is_image: bool
    summary: dict[str, Any]
    warnings: tuple[str, ...]
    artifacts: tuple[Made, ...]
    handed: Handed
    decoder: Decoder


class Failed(_Message):
    """An error in terms of the project."""

    says: Literal["failed"] = "failed"
    problem: Problem


class Broken(_Message):
    """Any other error: a bug, or the disk."""

    says: Literal["broken"] = "broken"
    error: str
    #: The system's number, where it is an OSError.
    errno: int | None
    trace: str


Message = Looked | Planned | Reached | Wanted | Logged | Done | Failed | Broken
MESSAGE: Final[TypeAdapter[Message]] = TypeAdapter(Annotated[Message, Field(discriminator="says")])


class Go(_Message):
    """The parent's answer to `Looked`."""

    #: Names of the operations to do.
    operations: tuple[str, ...]
