"""The hub's answers: models when it says yes, errors when it says no."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from hubctl.errors import HubBusy, HubError, HubRefused, HubUnavailable, StrangeAnswer
from shared.api import Problem

Model = TypeVar("Model", bound=BaseModel)

_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
#: Codes of a 429 that says: nothing is wrong, but there is enough to do.
_NO_ROOM: Final = frozenset({"backlog_full", "allowance_used"})
#: Longest wait a server may ask for, in seconds.
_LONGEST_WAIT: Final = 30.0


def parsed(response: httpx.Response, model: type[Model]) -> Model:
    """The body as `model`. Raises StrangeAnswer."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as cause:
        raise StrangeAnswer(
            f"{_place(response)} answered {response.status_code} with something that is no {model.__name__}:"
            " another version, or no hub"
        ) from cause


def refusal(response: httpx.Response) -> HubError:
    """Why the hub did not do it: HubRefused, HubBusy, HubUnavailable or StrangeAnswer."""
    problem = problem_of(response)
    if problem is not None and problem.code in _NO_ROOM:
        return HubBusy(
            f"the hub takes no more for now: {problem.detail} ({problem.status} {problem.code})",
            retry_after=wait(response),
        )
    if is_passing(response):
        said = problem.detail if problem else _phrase(response)
        return HubUnavailable(f"the hub is not available: {said} ({response.status_code})", retry_after=wait(response))
    if problem is None:
        return StrangeAnswer(f"{_place(response)} answered {_phrase(response)} without a reason: is it a hub?")
    return HubRefused(problem)


def problem_of(response: httpx.Response) -> Problem | None:
    """The problem document (RFC 9457), where the answer is one."""
    if not response.headers.get("Content-Type", "").startswith("application/problem+json"):
        return None
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        return None


def is_passing(response: httpx.Response) -> bool:
    """Does the answer mean that another try may help?"""
    return response.status_code in _PASSING or response.is_server_error


def wait(response: httpx.Response) -> float:
    """What Retry-After asks for, in seconds; 0 without one (its form with a date is not used by hubs)."""
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), _LONGEST_WAIT) if asked.isascii() and asked.isdigit() else 0.0


def reason(error: httpx.RequestError | httpx.InvalidURL) -> str:
    """Some timeouts have no words of their own."""
    return str(error) or type(error).__name__


def _phrase(response: httpx.Response) -> str:
    return f"{response.status_code} {response.reason_phrase}".rstrip()


def _place(response: httpx.Response) -> str:
    return f"{response.url.scheme}://{response.url.netloc.decode('ascii')}"
