"""An alert as a Slack message in Block Kit, within Slack's limits.

A message with one text too long is refused whole (https://docs.slack.dev/reference/block-kit/blocks), so every text is
cut to its limit here; and everything that came from outside is escaped
(https://docs.slack.dev/messaging/formatting-message-text#escaping), or a label could call `<!channel>`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from shared.alerts import Alert

# Limits in characters, counted after escaping.
_HEADER: Final = 150
_SECTION: Final = 3000
_FIELD: Final = 2000
_CONTEXT: Final = 2000
#: Most fields in one section.
_FIELDS: Final = 10


def message(alert: Alert) -> dict[str, Any]:
    """The body for an incoming webhook; `text` is what notifications show."""
    status = "RESOLVED" if alert.state == "closed" else alert.severity.upper()
    heading = " ".join(f"{status}: {alert.title}".split())
    facts = {"severity": alert.severity, "state": alert.state, "source": alert.source}
    fields = [*facts.items(), *((name, value) for name, value in alert.labels.items() if name not in facts)]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _fit(heading, _HEADER)}},
        {
            "type": "section",
            "text": _mrkdwn(_fit(alert.summary.strip() or heading, _SECTION)),
            "fields": [_mrkdwn(_field(name, value)) for name, value in fields[:_FIELDS]],
        },
        {"type": "context", "elements": [_mrkdwn(_context(alert))]},
    ]
    if alert.url is not None:
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": alert.url}
        blocks.append({"type": "actions", "elements": [button]})
    return {"text": _fit(heading, _SECTION), "blocks": blocks}


def _mrkdwn(text: str) -> dict[str, Any]:
    # Verbatim: a name such as #general or @here in somebody's text stays text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _field(name: str, value: str) -> str:
    label = f"*{_fit(name, _FIELD // 4)}*\n"
    return label + _fit(value, _FIELD - len(label))


def _context(alert: Alert) -> str:
    times = (("started", alert.started_at), ("ended", alert.ended_at))
    parts = [_fit(alert.id, _CONTEXT // 2), *(f"{word} {_local_time(moment)}" for word, moment in times if moment)]
    return " · ".join(parts)


def _local_time(moment: datetime) -> str:
    """Slack shows each reader their own time zone (…/formatting-message-text#date-formatting)."""
    return f"<!date^{int(moment.timestamp())}^{{date_num}} {{time_secs}}|{moment.isoformat()}>"


def _fit(text: str, limit: int) -> str:
    """Escaped, and cut so that no escape is cut in two."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if len(escaped) <= limit:
        return escaped
    return re.sub(r"&[a-z]*$", "", escaped[: limit - 1]) + "…"
