"""Why a deployment stops: always one sentence for the person at the keyboard."""

from __future__ import annotations

from shared.errors import PermanentError, RetryableError


class CannotDeploy(PermanentError):
    """Something must be mended by hand first; the message says what."""

    code = "cannot_deploy"


class NotSettledYet(RetryableError):
    """Google Cloud has not caught up with an earlier command yet, or two commands met; another try helps."""

    code = "not_settled"
