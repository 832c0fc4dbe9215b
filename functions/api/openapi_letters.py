"""The dead letters' part of the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from functions.api.openapi_parts import operation, path, query
from shared.api import Accepted
from shared.api_letters import DiscardBody, LetterPage, LetterView, RedriveBody, RedriveReport
from shared.letters import LetterState

BODIES: Final[tuple[type[BaseModel], ...]] = (DiscardBody, RedriveBody)
ANSWERS: Final[tuple[type[BaseModel], ...]] = (LetterPage, LetterView, RedriveReport)

_WORD: Final = {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,100}$"}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_LETTER: Final = [
    path("date", {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
    path("name", {"type": "string", "pattern": "^[0-9A-Za-z-]{1,100}$"}),
]


def paths() -> dict[str, Any]:
    one = "/v1/dead-letters/{date}/{name}"
    return {
        "/v1/dead-letters": {
            "get": operation(
                "listDeadLetters",
                "Dead letters, the oldest day first; a page may be short and yet have a next one",
                parameters=[
                    query("state", {"type": "string", "enum": [str(state) for state in LetterState]}),
                    query("code", _WORD),
                    query("file_type", _WORD),
                    query("since", _MOMENT),
                    query("until", _MOMENT),
                    query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
                    query("page_token", {"type": "string", "pattern": "^[0-9a-z/-]{1,200}$"}),
                ],
                answers={200: ("A page", LetterPage, {})},
                problems=(400, 401, 500, 503),
            )
        },
        "/v1/dead-letters:redrive": {
            "post": operation(
                "redriveDeadLetters",
                "Start afresh all jobs that match, at most `limit` of them; safe to repeat",
                body=RedriveBody,
                answers={200: ("What was done, and what is left", RedriveReport, {})},
                problems=(400, 401, 413, 500, 503),
            )
        },
        one: {
            "parameters": _LETTER,
            "get": operation(
                "getDeadLetter",
                "One letter, with its attempts and a link to its job's log",
                answers={200: ("The letter", LetterView, {})},
                problems=(401, 404, 500, 503),
            ),
        },
        f"{one}:redrive": {
            "parameters": _LETTER,
            "post": operation(
                "redriveDeadLetter",
                "Start the letter's job afresh; without effect where that was done before",
                answers={202: ("The job as it stands", Accepted, {})},
                problems=(401, 404, 409, 429, 500, 503),
            ),
        },
        f"{one}:discard": {
            "parameters": _LETTER,
            "post": operation(
                "discardDeadLetter",
                "Say that nothing is to be done about a letter, and why; it is kept",
                body=DiscardBody,
                answers={200: ("The letter", LetterView, {})},
                problems=(400, 401, 404, 409, 413, 429, 500, 503),
            ),
        },
    }
