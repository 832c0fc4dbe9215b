"""Numbers and strangers' text in words fit for a terminal."""

from __future__ import annotations

from datetime import UTC, datetime


def clean(text: str) -> str:
    """Without what a terminal would obey: file names, tags and errors come from strangers."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def duration(seconds: float) -> str:
    """`4.1 s`, `2 min 5 s`, `1 h 3 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def moment(at: datetime) -> str:
    """`2025-11-23 16:01:05 UTC`"""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
