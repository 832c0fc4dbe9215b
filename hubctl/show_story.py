"""A job's story on the terminal: one row for each hop, with how long it was since the one before."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hubctl.story import Hop
from hubctl.words import clean, moment
from shared.api import JobView


def story(job: JobView, hops: Sequence[Hop], trace: str | None, console: Console) -> None:
    console.print(Text(f"{job.job_id} is {job.state.value}; {clean(job.source)}"), soft_wrap=True)
    if trace:
        console.print(f"trace {trace}", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in ("after", "since", "try", "hop", "what"):
        table.add_column(name, justify="right" if name in ("after", "since") else "left", overflow="fold")
    before = hops[0].at if hops else job.created_at
    submission: int | None = None
    for hop in hops:
        if hop.submission is not None and hop.submission != submission:
            submission = hop.submission
            table.add_row("", "", "", Text(f"submission {submission}", style="bold"), moment(hop.at))
        since = (hop.at - before).total_seconds()
        after = (hop.at - hops[0].at).total_seconds()
        table.add_row(f"{after:.3f}", f"+{since:.3f}", _try(hop), hop.event, Text(_facts(hop)))
        before = hop.at
    console.print(table)


def _try(hop: Hop) -> str:
    return "" if not hop.attempt else f"{hop.submission or '?'}.{hop.attempt}"


def _facts(hop: Hop) -> str:
    facts = dict(hop.facts)
    came, went = facts.pop("from", None), facts.pop("to", None)
    words = [f"{came or 'nothing'} → {went}"] if went else []
    words += [f"{name}={_short(value)}" for name, value in facts.items()]
    return clean(" ".join([*words, *(["(from the record)"] if hop.is_from_record else [])]))


def _short(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
