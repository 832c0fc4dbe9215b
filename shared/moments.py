"""Moments as RFC 3339 writes them, and nothing else: no numbers, no bare days, no time without its offset."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

#: https://www.rfc-editor.org/rfc/rfc3339#section-5.6
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def moment(text: Any) -> datetime:
    """Raises ValueError, in words for whoever sent it."""
    if isinstance(text, str) and _MOMENT.fullmatch(text):
        try:
            return datetime.fromisoformat(text.upper())
        except ValueError:
            pass
    raise ValueError("must be a time such as 2026-11-24T08:30:00Z")


def day_of(moment: datetime | None) -> str | None:
    """The day in UTC, as listings by day have it; None where there is no such day."""
    try:
        return moment.astimezone(UTC).date().isoformat() if moment else None
    except OverflowError:
        return None
