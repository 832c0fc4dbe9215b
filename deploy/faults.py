"""Why a deployment stops: always one sentence for the person at the keyboard."""

from __future__ import annotations

from shared.errors import PermanentError, RetryableError


class CannotDeploy(PermanentError):
    """Something must be mended by hand first; the message says what."""

    code = "cannot_deploy"


class NoGoodAnswer(CannotDeploy):
    """A server answered, but not with 2xx, or did not answer at all: then `answered` is None, else the status."""

    def __init__(self, message: str, answered: int | None = None) -> None:
        super().__init__(message)
        self.answered = answered


class NotSettledYet(RetryableError):
    """Google Cloud has not caught up with an earlier command yet, or two commands met; another try helps."""

    code = "not_settled"
