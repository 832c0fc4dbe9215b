"""What every command works with: the hub, the terminal, and sentences instead of tracebacks."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import typer
from pydantic import BaseModel
from rich.console import Console
from typer.core import TyperGroup

from hubctl import show
from hubctl.client import HubClient
from hubctl.errors import BadUsage, HubError
from shared.api import Accepted, JobView
from shared.job import State

#: A client for a URL and a key.
Connect = Callable[[str, str], HubClient]


class InSentences(TyperGroup):
    """Whatever is no bug of hubctl's ends in one sentence and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except HubError as wrong:
            raise _told(wrong) from wrong
        except UnicodeError as wrong:  # bytes of the command line that are no text, or a host that no name can be
            raise _told(BadUsage(f"what was given cannot be sent: {wrong}")) from wrong
        except OSError as wrong:
            if wrong.errno == errno.EPIPE:
                raise
            raise _told(BadUsage(f"{wrong.filename or 'a file'}: {wrong.strerror or wrong}")) from wrong


def _told(wrong: HubError) -> typer.Exit:
    show.error(wrong, Console(stderr=True, highlight=False))
    return typer.Exit(wrong.exit_code)


@dataclass(frozen=True, slots=True)
class Session:
    """One run of hubctl. Data goes to `out`, progress to `err`."""

    url: str | None
    key: str | None
    connect: Connect
    out: Console
    err: Console

    @classmethod
    def start(cls, url: str | None, key: str | None, connect: Connect) -> Self:
        return cls(url, key, connect, Console(highlight=False), Console(stderr=True, highlight=False))

    def given(self, url: str | None, key: str | None) -> Session:
        """Options after the command go before those in front of it."""
        return replace(self, url=url or self.url, key=key or self.key)

    def hub(self) -> HubClient:
        """Raises BadUsage when the URL or the key is missing."""
        url, key = (self.url or "").strip(), (self.key or "").strip()
        if not url:
            raise BadUsage("say which hub: set HUB_URL or give --url")
        if not key:
            raise BadUsage("there is no API key: set HUB_API_KEY or give --key")
        return self.connect(url, key)

    def print_json(self, answer: BaseModel) -> None:
        typer.echo(answer.model_dump_json(indent=2))

    def accepted(self, answer: Accepted, *, as_json: bool) -> None:
        if as_json:
            self.print_json(answer)
        else:
            show.accepted(answer, self.out)

    def job(self, hub: HubClient, job: JobView, *, as_json: bool) -> None:
        if as_json:
            self.print_json(job)
        else:
            show.result(job, hub.transcript(job), self.out)

    def follow(self, hub: HubClient, job_id: str, *, as_json: bool) -> None:
        """Until the job is over, then its result; leaves with 1 unless it succeeded."""
        job = show.follow(hub, job_id, self.err)
        self.job(hub, job, as_json=as_json)
        if job.state is not State.SUCCEEDED:
            raise typer.Exit(1)
