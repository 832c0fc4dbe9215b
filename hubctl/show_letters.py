"""Dead letters on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hubctl import rows
from hubctl.words import clean, duration, moment
from shared.api_letters import LetterPage, LetterView, RedriveReport
from shared.job import PastAttempt

_COLUMNS: Final = ("letter", "state", "kept", "code", "type", "reason")


def listing(page: LetterPage, console: Console) -> None:
    """One row for each letter."""
    rows.write(_COLUMNS, [list(map(Text, _row(letter))) for letter in page.letters], console, none="no dead letters")
    if page.next_page_token and console.is_terminal:
        console.print("there are more: give --limit, or --since")


def letter(found: LetterView, console: Console) -> None:
    """All there is to know of one letter."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _lines(found):
        grid.add_row(name, Text(clean(value)))
    console.print(grid)


def report(done: RedriveReport, console: Console) -> None:
    """What a redrive of many did, and what it left."""
    for begun in done.redriven:
        console.print(f"{begun.job_id} submission {begun.submission}", soft_wrap=True)
    verb = "would be redriven" if done.dry_run else "redriven"
    console.print(f"{len(done.redriven)} {verb}, {len(done.left)} left, {done.looked_at} looked at")
    for each in done.left:
        console.print(Text(f"{each.job_id} left: {clean(each.detail)} ({each.code})"), soft_wrap=True)
    if done.next_page_token:
        console.print("there may be more: give the command again")


def _row(found: LetterView) -> tuple[str, ...]:
    reason = clean(" ".join(found.reason.split()))
    return found.id, found.state.value, moment(found.kept_at), clean(found.code), found.file_type or "-", reason


def _lines(found: LetterView) -> Iterator[tuple[str, str]]:
    yield "letter", found.id
    yield "state", found.state.value
    yield "code", found.code
    yield "reason", found.reason
    yield "kept", moment(found.kept_at)
    if found.job_id:
        yield "job", f"{found.job_id}, now {found.job_state.value if found.job_state else 'without a record'}"
        yield "submission", str(found.submission)
    if found.source:
        yield "source", found.source
    for attempt in found.attempts:
        yield "attempt", _attempt(attempt)
    if word := found.discarded:
        yield "discarded", f"{moment(word.at)} by {word.by}: {word.reason}"
    if found.logs_url:
        yield "log", found.logs_url
    if found.data:
        yield "message", found.data


def _attempt(past: PastAttempt) -> str:
    seconds = (past.ended_at - past.started_at).total_seconds()
    where = past.machine.value if past.machine else "?"
    end = f"{past.failure.message} ({past.failure.code})" if past.failure else past.became.value
    return f"{past.number} at {moment(past.started_at)} on {where}, {duration(seconds)}: {end}"
