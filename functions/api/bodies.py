"""A request's body and headers, parsed into one model, every fault of both reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

import flask
from pydantic import BaseModel, ValidationError

from shared import moments
from shared.errors import Fault, InvalidRequest
from shared.faults import faults_of
from shared.request_body import read_body

Model = TypeVar("Model", bound=BaseModel)


def read(
    request: flask.Request, model: type[Model], headers: Sequence[Fault], check: Callable[[Model], Iterable[Fault]]
) -> Model:
    """The body as `model`; `check` says what is wrong with one that parses.

    Raises TooLarge, InvalidRequest with the body's and the headers' faults together.
    """
    body = read_body(request)
    faults = list(headers)
    try:
        parsed = model.model_validate_json(body)
        faults.extend(check(parsed))
    except ValidationError as cause:
        faults.extend(faults_of(cause))
        raise invalid(faults) from cause
    if faults:
        raise invalid(faults)
    return parsed


def invalid(faults: Sequence[Fault]) -> InvalidRequest:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    names = ", ".join(dict.fromkeys(fault.field for fault in faults))
    return InvalidRequest(f"the request has {count}: {names}", tuple(faults))


def integer(request: flask.Request, name: str, *, default: int, lowest: int, highest: int, faults: list[Fault]) -> int:
    """A query parameter; a wrong one is added to `faults`."""
    text = request.args.get(name)
    if text is None:
        return default
    if re.fullmatch(r"[0-9]{1,9}", text) and lowest <= int(text) <= highest:
        return int(text)
    faults.append(Fault(name, f"must be a whole number from {lowest} to {highest}"))
    return default


def moment(request: flask.Request, name: str, faults: list[Fault]) -> datetime | None:
    """A query parameter that is a time with its offset; a wrong one is added to `faults`."""
    text = request.args.get(name)
    try:
        return None if text is None else moments.moment(text)
    except ValueError as error:
        faults.append(Fault(name, str(error)))
        return None


def header(
    request: flask.Request, name: str, is_right: Callable[[str], bool], rule: str, faults: list[Fault]
) -> str | None:
    """A header's value, or None; a wrong one is added to `faults`."""
    value = request.headers.get(name)
    if value is None:
        return None
    if not is_right(value):
        faults.append(Fault(name, rule))
        return None
    return value
