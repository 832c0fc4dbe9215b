"""Progress on the terminal; where there is none (a pipe, a log), one line for each change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from hubctl.errors import HubUnavailable
from hubctl.words import clean, duration
from shared.api import JobView

_PERCENT: Final = "[progress.percentage]{task.percentage:>3.0f}%"


class JobDisplay(Protocol):
    """What one who follows a job tells."""

    def look(self, job: JobView) -> None:
        """The job as it is now."""

    def trouble(self, error: HubUnavailable) -> None:
        """The hub does not answer at the moment."""


@contextmanager
def job_display(console: Console) -> Iterator[JobDisplay]:
    if not console.is_terminal:
        yield _JobLines(console)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn(_PERCENT),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _JobBar(progress)


@contextmanager
def upload_display(console: Console, name: str, size: int) -> Iterator[Callable[[int], None]]:
    """Gives what takes the bytes sent so far."""
    if not console.is_terminal:
        console.print(f"uploading {clean(name)} ({decimal(size)})", markup=False)
        yield lambda sent: None
        console.print("uploaded")
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"uploading {clean(name)}", total=size)
        yield lambda sent: progress.update(task, completed=sent)


class _JobBar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("waiting for the job", total=None, left="")

    def look(self, job: JobView) -> None:
        made = job.progress
        self._progress.update(
            self._task,
            description=_where(job),
            total=100.0 if made else None,
            completed=made.percent if made else 0.0,
            left=_left(job),
            refresh=True,
        )

    def trouble(self, error: HubUnavailable) -> None:
        self._progress.update(self._task, description=f"{clean(error.message)}; asking again", refresh=True)


class _JobLines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def look(self, job: JobView) -> None:
        self._tell(_where(job), f"{job.progress.percent:.0f} %" if job.progress else "", _left(job))

    def trouble(self, error: HubUnavailable) -> None:
        self._tell(f"{clean(error.message)}; asking again")

    def _tell(self, what: str, *more: str) -> None:
        """Once: the same again is no news, whatever its percentage."""
        if what != self._last:
            self._last = what
            self._console.print(" · ".join(part for part in (what, *more) if part), markup=False, soft_wrap=True)


def _where(job: JobView) -> str:
    parts = [job.state.value]
    if job.progress and not job.state.is_terminal:
        parts.append(clean(job.progress.stage))
    if job.attempts_counted > 1:
        parts.append(f"attempt {job.attempts_counted}")
    if job.error and not job.state.is_terminal:
        parts.append(f"after: {clean(job.error.message)}")
    return " · ".join(parts)


def _left(job: JobView) -> str:
    eta = job.progress.eta_seconds if job.progress and not job.state.is_terminal else None
    return f"{duration(eta)} left" if eta is not None else ""
