from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared import slack
from shared.alerts import Alert


def alert(**changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "id": "hub:1",
        "source": "hub",
        "title": "GPU backlog",
        "state": "open",
        "severity": "critical",
        "summary": "137 messages wait",
    }
    return Alert(**{**fields, **changes})


def blocks(**changes: Any) -> dict[str, Any]:
    return {block["type"]: block for block in slack.message(alert(**changes))["blocks"]}


def texts(block: Any) -> list[str]:
    """Every text in a message, at any depth."""
    match block:
        case dict():
            own = [block["text"]] if isinstance(block.get("text"), str) else []
            return own + [text for value in block.values() for text in texts(value)]
        case list():
            return [text for value in block for text in texts(value)]
    return []


def test_message_has_header_section_with_fields_context_and_button() -> None:
    message = slack.message(
        alert(
            url="https://example.com/a?b=1&c=2",
            labels={"job_id": "abc"},
            started_at=datetime(2025, 11, 23, 15, 49, 54, tzinfo=UTC),
        )
    )
    header, section, context, actions = message["blocks"]
    assert message["text"] == header["text"]["text"] == "CRITICAL: GPU backlog"
    assert section["text"]["text"] == "137 messages wait"
    assert [field["text"] for field in section["fields"]] == [
        "*severity*\ncritical",
        "*state*\nopen",
        "*source*\nhub",
        "*job_id*\nabc",
    ]
    assert context["elements"][0]["text"].startswith("hub:1 · started <!date^1763912994^")
    assert actions["elements"][0]["url"] == "https://example.com/a?b=1&c=2"


def test_no_button_without_a_link() -> None:
    assert "actions" not in blocks()


def test_closed_alert_is_headed_resolved() -> None:
    assert blocks(state="closed")["header"]["text"]["text"] == "RESOLVED: GPU backlog"


@pytest.mark.parametrize("summary", ["", " \n"])
def test_section_is_never_empty(summary: str) -> None:
    assert blocks(summary=summary, title=" ")["section"]["text"]["text"] == "CRITICAL:"


def test_markup_from_outside_is_escaped_everywhere() -> None:
    evil = "<!channel> & <@U1>"
    message = slack.message(alert(id=evil, title=evil, summary=evil, labels={evil: evil}))
    found = texts(message)
    assert sum("&lt;!channel&gt; &amp; &lt;@U1&gt;" in text for text in found) == 5
    assert not any("<!channel" in text or "<@" in text for text in found)


def test_label_cannot_take_the_place_of_a_fact() -> None:
    fields = blocks(labels={"state": "closed", "severity": "page"})["section"]["fields"]
    assert [field["text"] for field in fields] == ["*severity*\ncritical", "*state*\nopen", "*source*\nhub"]


@pytest.mark.parametrize("character", ["x", "&", "<", "x&", "é<"])
@pytest.mark.parametrize("shift", range(6))
def test_every_text_keeps_to_slacks_limits_and_cuts_no_escape(character: str, shift: int) -> None:
    long = "y" * shift + character * 5000
    message = slack.message(
        alert(id=long[:1000], title=long, summary=long, labels={f"{n}{long}": long for n in range(20)})
    )
    header, section, context = message["blocks"]
    assert len(header["text"]["text"]) <= 150
    assert 2900 < len(section["text"]["text"]) <= 3000
    assert len(section["fields"]) == 10
    assert all(len(field["text"]) <= 2000 for field in section["fields"])
    assert len(context["elements"][0]["text"]) <= 3000
    for text in texts(message):
        assert text.count("&") == sum(text.count(escape) for escape in ("&amp;", "&lt;", "&gt;"))
