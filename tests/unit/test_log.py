from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from shared import log

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Lines:
    """What was logged, parsed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._stream = io.StringIO()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter([json.loads(line) for line in self._stream.getvalue().splitlines()])

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def setup(self) -> None:
        """As every entry point does; pytest puts its own stream in place between a fixture and its test."""
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", self._stream)
            log.setup()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setenv("PROJECT", "shop-prod")
    lines = Lines(monkeypatch)
    lines.setup()
    yield lines
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_one_json_object_with_its_event_and_fields(lines: Lines) -> None:
    logging.getLogger("shared.x").warning(
        "job failed: %s", "too_long", extra={"event": "job.failed", "code": "too_long"}
    )
    (line,) = lines
    assert (line["severity"], line["message"], line["event"], line["code"]) == (
        "WARNING",
        "job failed: too_long",
        "job.failed",
        "too_long",
    )
    assert line["time"].endswith("+00:00")


def test_a_line_break_in_a_message_makes_no_second_line(lines: Lines) -> None:
    logging.getLogger().info("one\ntwo", extra={"event": "x\ny"})
    (line,) = lines
    assert (line["message"], line["event"]) == ("one\ntwo", "x\ny")


def test_what_is_more_than_text_to_a_terminal_or_an_editor_is_escaped(lines: Lines) -> None:
    said = "a\x1b[2J\x7f\x9b\u0085\u2028\u202e\u2066\ud800b \u00e9 \u65e5"
    logging.getLogger().info("%s", said, extra={"event": "x", "found": {"in": said}})
    (line,) = lines
    assert line["message"] == line["found"]["in"] == said
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066\ud800]", lines.text) is None
    assert "\u00e9 \u65e5" in lines.text


def test_no_field_makes_a_line_longer_than_cloud_logging_takes(lines: Lines) -> None:
    long = "first" + "x" * 1_000_000 + "last"
    logging.getLogger().info(long, extra={"event": long, "found": {"in": long}})
    (line,) = lines
    for text in (line["message"], line["event"], line["found"]["in"]):
        assert (text[:5], text[-4:]) == ("first", "last")
    assert len(lines.text) < 60_000


def test_bound_labels_are_on_every_line_inside_and_none_outside(lines: Lines) -> None:
    logger = logging.getLogger()
    with log.bind(job_id="17", attempt="2", traceparent=None), log.bind(worker="w"):
        logger.info("inside")
    logger.info("outside")
    inside, outside = lines
    assert inside["logging.googleapis.com/labels"] == {"job_id": "17", "attempt": "2", "worker": "w"}
    assert inside["job_id"] == "17"
    assert "logging.googleapis.com/labels" not in outside
    assert "job_id" not in outside


def test_a_traceparent_becomes_cloud_loggings_trace(lines: Lines) -> None:
    with log.bind(traceparent=TRACE):
        logging.getLogger().info("traced")
    (line,) = lines
    assert line["logging.googleapis.com/trace"] == "projects/shop-prod/traces/4bf92f3577b34da6a3ce929d0e0e4736"
    assert line["logging.googleapis.com/spanId"] == "00f067aa0ba902b7"
    assert line["logging.googleapis.com/trace_sampled"] is True
    assert "traceparent" not in line


@pytest.mark.parametrize("text", ["", "garbage", "a-b"])
def test_a_malformed_traceparent_is_left_out(lines: Lines, text: str) -> None:
    with log.bind(traceparent=text):
        logging.getLogger().info("traced")
    (line,) = lines
    assert not [key for key in line if "trace" in key]


def test_an_exception_is_in_its_line(lines: Lines) -> None:
    try:
        raise ValueError("a bug")
    except ValueError:
        logging.getLogger().exception("crashed", extra={"event": "job.crashed"})
    (line,) = lines
    assert line["severity"] == "ERROR"
    assert line["stack_trace"].endswith("ValueError: a bug")


def test_what_json_does_not_know_is_written_as_text(lines: Lines) -> None:
    logging.getLogger().info("x", extra={"event": "x", "where": {1}})
    (line,) = lines
    assert line["where"] == "{1}"


def test_the_level_is_a_setting_and_noisy_libraries_are_quiet(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    logging.getLogger().debug("too fine")
    logging.getLogger("urllib3.connectionpool").info("a connection")
    assert list(lines) == []
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    lines.setup()
    logging.getLogger().debug("fine")
    assert [line["message"] for line in lines] == ["fine"]


def test_a_handler_that_was_there_before_is_replaced(lines: Lines) -> None:
    """With execution ids on, functions-framework leaves one of level WARNING."""
    logging.getLogger().addHandler(logging.NullHandler(logging.WARNING))
    lines.setup()
    assert len(logging.getLogger().handlers) == 1
    logging.getLogger().info("once")
    assert [line["message"] for line in lines] == ["once"]
