"""The bodies of the API's dead letters: what callers send, what they get."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from shared.job import PastAttempt, State
from shared.letters import Discarded, LetterState
from shared.moments import moment
from shared.operations import WHOLE

#: Jobs that one call redrives, at most.
MOST_REDRIVEN = 100
_Word = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+$")]
_Moment = Annotated[AwareDatetime, BeforeValidator(moment)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DiscardBody(_Body):
    """POST /v1/dead-letters/{date}/{name}:discard"""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]


class RedriveBody(_Body):
    """POST /v1/dead-letters:redrive; what is left out matches everything."""

    #: `failed` jobs have no letters, and are found by their records.
    state: Literal["dead_lettered", "failed"] = "dead_lettered"
    #: The failure's.
    code: _Word | None = None
    file_type: _Word | None = None
    #: When the job ended.
    since: _Moment | None = None
    until: _Moment | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_REDRIVEN), WHOLE] = MOST_REDRIVEN
    #: Say what would be done, and do nothing.
    dry_run: bool = False
    #: From the answer before.
    page_token: Annotated[str, StringConstraints(pattern=r"^[0-9a-z/-]{1,200}$")] | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class LetterView(_Answer):
    """One dead letter."""

    #: `<date>/<name>`
    id: str
    state: LetterState
    code: str
    reason: str
    kept_at: datetime
    #: None for a message that names no job.
    job_id: str | None
    submission: int | None
    job_state: State | None
    source: str | None
    file_type: str | None
    #: Of this submission.
    attempts: tuple[PastAttempt, ...]
    discarded: Discarded | None
    #: The job's lines in Cloud Logging; None on a local cloud.
    logs_url: str | None
    status_url: str | None
    #: The beginning of a message that could not be read.
    data: str | None


class LetterPage(_Answer):
    """GET /v1/dead-letters: the oldest day first. A page may be short, or empty, and yet have a next one."""

    letters: tuple[LetterView, ...]
    next_page_token: str | None


class Redriven(_Answer):
    job_id: str
    #: The one that was begun.
    submission: int


class Left(_Answer):
    """A job that matched and was not redriven."""

    job_id: str
    code: str
    detail: str


class RedriveReport(_Answer):
    """What one call did, and what it left. Without a token nothing that matches is left but what `left` names."""

    dry_run: bool
    redriven: tuple[Redriven, ...]
    left: tuple[Left, ...]
    #: Jobs looked at.
    looked_at: int
    next_page_token: str | None
