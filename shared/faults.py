"""Pydantic's errors as faults: by the path a caller knows, each once."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from shared.errors import Fault
from shared.operations import BY_NAME

#: Names that pydantic puts behind an operation's number for the branches of the union it took.
_FORMS: Final = frozenset({"bare", "object"})

#: A body may have a fault for each of its bytes, and names of any length: what is said of them stays readable.
_MOST: Final = 50
_LONGEST: Final = 300

Path = tuple[int | str, ...]


def faults_of(error: ValidationError) -> tuple[Fault, ...]:
    """Every fault of a body, up to fifty; union tags are left out of its path."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[:_MOST]
    return tuple(
        Fault(_short(_field(each["loc"])), _short(each["msg"].removeprefix("Value error, ")))
        for each in found
        # A list whose items are wrong is also "too short", since only the right ones count.
        if not (each["type"] == "too_short" and any(_is_inside(other["loc"], each["loc"]) for other in found))
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _field(path: Path) -> str:
    return ".".join(map(str, _without_tags(path))) or "body"


def _without_tags(path: Path) -> Path:
    match path:
        case ("operations", int(), form, *inside) if form in _FORMS:
            is_tagged = bool(inside) and inside[0] in BY_NAME
            return (*path[:2], *inside[is_tagged:])
    return path


def _is_inside(path: Path, outer: Path) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer
