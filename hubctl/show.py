"""A job on the terminal: followed, told in full when it is over, or as one row of a list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hubctl import rows
from hubctl.client import APPEAR_SECONDS, HubClient
from hubctl.errors import HubBusy, HubError
from hubctl.live import job_display
from hubctl.words import clean, duration, moment
from shared.api import Accepted, JobPage, JobView
from shared.costs import Cost
from shared.job import State

_COLOURS: Final = {
    State.QUEUED: "cyan",
    State.RUNNING: "blue",
    State.SUCCEEDED: "green",
    State.FAILED: "red",
    State.DEAD_LETTERED: "red",
    State.CANCELLED: "yellow",
}
#: Characters of a transcript that are shown.
_EXCERPT: Final = 600


def arrival(client: HubClient, job_id: str, console: Console) -> JobView:
    """Wait until the hub knows the job of an upload. Raises as `HubClient.wait_for`."""
    with job_display(console) as display:
        return client.wait_for(
            job_id, until=lambda job: True, on_trouble=display.trouble, appear_seconds=APPEAR_SECONDS
        )


def follow(client: HubClient, job_id: str, console: Console, *, appear_seconds: float = 0.0) -> JobView:
    """Show the job's progress until it is over, and answer how it ended.

    A job that is not there yet is waited for `appear_seconds`. Raises as `HubClient.wait_for`.
    """
    try:
        with job_display(console) as display:
            return client.wait_for(
                job_id, on_look=display.look, on_trouble=display.trouble, appear_seconds=appear_seconds
            )
    except KeyboardInterrupt:
        console.print(f"the job goes on; to see it again: hubctl watch {job_id}", soft_wrap=True)
        raise


def result(job: JobView, transcript: str | None, console: Console) -> None:
    """How the job stands, its transcript's beginning, and its artifacts."""
    parts: list[RenderableType] = [_facts(job)]
    if transcript and (text := " ".join(transcript.split())):
        shown = text if len(text) <= _EXCERPT else f"{text[:_EXCERPT].rsplit(' ', 1)[0]} …"
        parts += [Text("\nTranscript", style="bold"), Text(clean(shown))]
    if job.artifacts:
        parts += [Text("\nArtifacts", style="bold"), _artifacts(job)]
    colour = _COLOURS[job.state]
    title = Text(f" {job.state.value} ", style=f"bold {colour}")
    console.print(Panel(Group(*parts), title=title, title_align="left", border_style=colour))


def accepted(answer: Accepted, console: Console) -> None:
    """A job that was just taken on."""
    console.print(Text(f"{answer.job_id} is {answer.state.value} ({clean(answer.reason)})"), soft_wrap=True)


def busy(why: HubBusy, console: Console) -> None:
    """Waiting for room, once for each refusal."""
    console.print(Text(f"{clean(why.message)}; asking again in {duration(why.retry_after)}"), soft_wrap=True)


def listing(page: JobPage, console: Console) -> None:
    """One row for each job."""
    rows.write(("job", "state", "created", "queue", "source"), list(map(_row, page.jobs)), console, none="no jobs")


def error(wrong: HubError, console: Console) -> None:
    """One sentence, and a line for each field that is wrong."""
    console.print(Text.assemble(("hubctl: ", "bold red"), clean(wrong.message)), soft_wrap=True)
    for fault in wrong.faults:
        console.print(Text.assemble("  ", (clean(fault.field), "bold"), f": {clean(fault.detail)}"), soft_wrap=True)


def _row(job: JobView) -> list[Text]:
    state = job.state.value
    if job.progress and not job.state.is_terminal:
        state = f"{state} {job.progress.percent:.0f} %"
    destination = job.destination.value if job.destination else "-"
    facts = moment(job.created_at), destination, clean(job.source)
    return [Text(job.job_id), Text(state, style=_COLOURS[job.state]), *map(Text, facts)]


def _facts(job: JobView) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _lines(job):
        grid.add_row(name, Text(clean(value), style="red" if name == "error" else ""))
    return grid


def _lines(job: JobView) -> Iterator[tuple[str, str]]:
    yield "job", job.job_id
    if job.id:
        yield "id", job.id
    if job.labels:
        yield "labels", ", ".join(f"{name}={value}" for name, value in job.labels.items())
    yield "source", job.source
    yield "file", job.file.found + (f", {decimal(job.file.size)}" if job.file.size is not None else "")
    if job.operations:
        yield "operations", ", ".join(operation.name for operation in job.operations)
    if job.destination:
        yield "queue", job.destination.value
    yield "because", job.reason
    yield "created", moment(job.created_at)
    if job.progress and not job.state.is_terminal:
        yield "progress", f"{job.progress.stage}, {job.progress.percent:.0f} %"
    if job.submission > 1:
        yield "submission", str(job.submission)
    if job.attempts_counted > 1:
        yield "attempts", str(job.attempts_counted)
    if job.error:
        yield "error", f"{job.error.message} ({job.error.code})"
    if job.processing_seconds is not None:
        yield "took", _took(job, job.processing_seconds)
    if job.cost is not None:
        yield "cost", _cost(job.cost)
    for warning in job.warnings:
        yield "warning", warning
    for made in job.webhook_tries:
        answer = f"{made.status}" if made.status is not None else made.error or "no answer"
        yield "webhook", f"try {made.number} at {moment(made.at)}: {answer}"


def _took(job: JobView, seconds: float) -> str:
    words = duration(seconds)
    if job.media_seconds:
        words += f" for {duration(job.media_seconds)} of media"
    if job.real_time_factor:
        words += f", {1 / job.real_time_factor:.1f} times as fast as it plays"
    if job.device:
        words += f", on {job.device}"
    return words + (f", after {duration(job.queue_seconds)} in the queue" if job.queue_seconds is not None else "")


def _cost(cost: Cost) -> str:
    machines, other = " and ".join(cost.machine_seconds), cost.alternative
    route = "other routes" if other.route == "mixed" else other.route
    return (
        f"about {cost.currency} {cost.amount:.4f} for {duration(cost.seconds)} of {machines}"
        f"; {route} would have cost about {cost.currency} {other.amount:.4f}"
    )


def _artifacts(job: JobView) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("name", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("type", overflow="fold")
    for made in job.artifacts:
        table.add_row(Text(clean(made.name)), decimal(made.size), Text(clean(made.content_type)))
    return table
