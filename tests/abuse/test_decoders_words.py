"""What a decoder's child says is not trusted: one that a file has taken over can forge no line, code or type."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from shared.log import JsonFormatter
from shared.media.child import Child
from shared.media.conversation import Answers, converse
from shared.media.messages import MESSAGE, Handed, Logged, Made, Message, Problem

LINE: dict[str, Any] = {
    "says": "logged",
    "logger": "shared.media.decoding",
    "level": logging.WARNING,
    "event": "media.no_hardware",
    "message": "no hardware decoder",
    "details": {},
}


class Gone(Exception):
    """The child of these tests has no more to say."""


class TakenOver:
    """A child that says one thing and ends."""

    def __init__(self, word: Message) -> None:
        self._word = word

    def messages(self, look: Callable[[], None]) -> Iterator[Message]:
        yield self._word
        raise Gone


class _Nobody:
    """A job that is asked nothing."""

    def look(self) -> None:
        raise AssertionError("nothing was to be looked at")


@pytest.mark.parametrize(
    "forged",
    [
        {"event": "job.succeeded"},
        {"event": "media.a\njob.failed"},
        {"logger": "shared.journal"},
        {"logger": "root"},
        {"level": logging.CRITICAL},
        {"level": 10**9},
        {"cost": {"amount": 1e9}},
    ],
)
def test_a_line_of_the_log_is_the_engines_own(forged: dict[str, Any]) -> None:
    assert MESSAGE.validate_python(LINE)
    with pytest.raises(ValidationError):
        MESSAGE.validate_python({**LINE, **forged})


def test_no_more_is_asked_of_a_remote_file_than_its_parent_can_hold() -> None:
    """As much as one block after another is read ahead, and not the whole of a source."""
    wanted = {"says": "wanted", "start": 0, "length": 8 * 2**20}
    assert MESSAGE.validate_python(wanted)
    with pytest.raises(ValidationError):
        MESSAGE.validate_python({**wanted, "length": wanted["length"] + 1})


def test_what_a_line_tells_takes_no_fields_place(caplog: pytest.LogCaptureFixture) -> None:
    details = {"severity": "INFO", "event": "job.succeeded", "job_id": "f" * 32, "cost": {"amount": 1e9}, "message": 1}
    child = TakenOver(Logged.model_validate({**LINE, "details": details}))
    with pytest.raises(Gone):
        converse(cast(Child, child), Path("film.mp4"), cast(Answers, _Nobody()))
    (record,) = caplog.records
    line = json.loads(JsonFormatter("project").format(record))
    assert (line["severity"], line["event"], line["message"]) == ("WARNING", "media.no_hardware", LINE["message"])
    assert not {"cost", "job_id"} & line.keys()
    assert line["details"] == details


@pytest.mark.parametrize("word", ["", "no code", "x" * 65, "a\nb", "<b>"])
def test_a_code_and_a_type_are_words(word: str) -> None:
    with pytest.raises(ValidationError):
        Problem(error="ProcessingFailed", code=word, message="")
    with pytest.raises(ValidationError):
        Made(name="facts.json", content_type=word)
    with pytest.raises(ValidationError):
        Handed(film=word)
