"""Numbers as people read them. All times are UTC."""

from __future__ import annotations

from datetime import datetime, timedelta


def amount(value: float | None, unit: str) -> str:
    """`1,240 jobs`, `3.4 %`, `$12.30`; a dash for what is not known."""
    if value is None:
        return "–"
    if unit == "$":
        return f"${value:,.2f}" if value >= 1 or value == 0 else f"${value:.4f}"
    digits = 0 if value == 0 or abs(value) >= 100 or abs(value - round(value)) < 0.05 else 1
    return f"{value:,.{digits}f} {unit}".rstrip()


def change(this: float | None, before: float | None) -> str:
    """`+41 %`, `×5`, `new`, or nothing where nothing can be said."""
    if this is None or before is None:
        return ""
    if before == 0:
        return "new" if this else "no change"
    if this >= 4 * before:
        return f"×{this / before:.0f}"
    percent = round(100 * (this - before) / before)
    return f"{percent:+d} %".replace("-", "−") if percent else "no change"


def hour(end: datetime) -> str:
    """The hour before this time: `Thu 19 Nov, 14–15 h`"""
    start = end - timedelta(hours=1)
    return f"{start:%a} {start.day} {start:%b}, {start.hour}–{start.hour + 1} h"


def moment(at: datetime) -> str:
    """`Thu 19 Nov, 14:05`"""
    return f"{at:%a} {at.day} {at:%b}, {at:%H:%M}"


def length(time: timedelta) -> str:
    """`25 min`, `3.5 h`, `2 days`"""
    minutes = time.total_seconds() / 60
    if minutes < 60:
        return f"{minutes:.0f} min"
    if minutes < 48 * 60:
        return f"{minutes / 60:.1f} h".replace(".0 h", " h")
    return f"{minutes / 1440:.1f} days".replace(".0 days", " days")


def times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
