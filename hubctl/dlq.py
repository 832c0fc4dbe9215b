"""`hubctl dlq`: dead letters, one by one or all that match."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from pydantic import BaseModel, ConfigDict
from rich.text import Text

from hubctl import show_letters
from hubctl.bodies import checked
from hubctl.client import HubClient
from hubctl.errors import BadUsage, HubRefused
from hubctl.options import Json, Key, Url
from hubctl.session import Session
from hubctl.words import clean
from shared.api import Accepted
from shared.api_letters import MOST_REDRIVEN, DiscardBody, RedriveBody, RedriveReport
from shared.letters import LetterState
from shared.moments import moment

_AGO: Final = re.compile(r"(\d{1,4})([mhd])", re.ASCII)
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}

app = typer.Typer(
    help="Dead letters: jobs that were given up, and messages that nobody could read.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class Ended(StrEnum):
    DEAD_LETTERED = "dead_lettered"
    FAILED = "failed"


Letter = Annotated[str, typer.Argument(metavar="LETTER", help="As `dlq list` names it: <date>/<name>.")]
Code = Annotated[str | None, typer.Option(help="Given up for this reason.")]
FileType = Annotated[str | None, typer.Option(help="The file's type, such as mp4.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="30m, 2h, 3d ago, or 2026-11-24T08:30:00Z.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Likewise.")]


@app.command("list")
def list_letters(
    ctx: typer.Context,
    state: Annotated[LetterState | None, typer.Option(help="What became of the letter.")] = LetterState.WAITING,
    everything: Annotated[bool, typer.Option("--all", help="Whatever became of them.")] = False,
    code: Code = None,
    file_type: FileType = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Letters that wait for somebody, the oldest day first."""
    session: Session = ctx.obj.given(url, key)
    asked = {
        "state": None if everything or state is None else state.value,
        "code": code,
        "file_type": file_type,
        "since": _when(since),
        "until": _when(until),
    }
    with session.hub() as hub:
        page = hub.letters({name: value for name, value in asked.items() if value}, limit=limit)
    if as_json:
        session.print_json(page)
    else:
        show_letters.listing(page, session.out)


@app.command()
def show(ctx: typer.Context, letter: Letter, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """One letter: why, after which attempts, and where its job's log is."""
    session: Session = ctx.obj.given(url, key)
    with session.hub() as hub:
        found = hub.letter(_named(letter))
    if as_json:
        session.print_json(found)
    else:
        show_letters.letter(found, session.out)


@app.command()
def redrive(
    ctx: typer.Context,
    letters: Annotated[list[str] | None, typer.Argument(metavar="LETTER…")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait and match.")] = False,
    state: Annotated[
        Ended | None, typer.Option(help="With --all: how the jobs ended; dead_lettered unless told.")
    ] = None,
    code: Code = None,
    file_type: FileType = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"With --all: how many at most; {MOST_REDRIVEN} unless told.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --all: only say what would be done.")] = False,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Start the jobs of these letters afresh, or of all that match; leaves with 1 when some could not be."""
    session: Session = ctx.obj.given(url, key)
    if bool(letters) == everything:
        raise BadUsage("name the letters, or give --all")
    if not everything and (state or code or file_type or since or until or limit or dry_run):
        raise BadUsage("--state, --code, --file-type, --since, --until, --limit and --dry-run are for --all")
    if letters:
        _redrive_named(session, [_named(letter) for letter in letters], as_json=as_json)
        return
    with session.hub() as hub:
        ended = (state or Ended.DEAD_LETTERED).value
        wanted = {"state": ended, "code": code, "file_type": file_type, "dry_run": dry_run}
        report = _redrive_all(hub, {**wanted, "since": _when(since), "until": _when(until)}, limit or MOST_REDRIVEN)
    if as_json:
        session.print_json(report)
    else:
        show_letters.report(report, session.out)
    if report.left:
        raise typer.Exit(1)


@app.command()
def discard(
    ctx: typer.Context,
    letter: Letter,
    reason: Annotated[str, typer.Option(help="Why nothing is to be done about it; it is kept with the letter.")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Put a letter aside for good. It is kept, with your key's name and the reason."""
    session: Session = ctx.obj.given(url, key)
    with session.hub() as hub:
        kept = hub.discard_letter(_named(letter), checked(DiscardBody, reason=reason))
    if as_json:
        session.print_json(kept)
    else:
        show_letters.letter(kept, session.out)


class NamedReport(BaseModel):
    """What became of letters that were named."""

    model_config = ConfigDict(frozen=True)

    redriven: tuple[Accepted, ...]
    #: Letter → why it could not be.
    left: dict[str, str]


def _redrive_named(session: Session, letters: Sequence[str], *, as_json: bool) -> None:
    """One after the other, whatever becomes of those before; leaves with 1 when some could not be."""
    redriven: list[Accepted] = []
    left: dict[str, str] = {}
    with session.hub() as hub:
        for letter in letters:
            try:
                redriven.append(hub.redrive_letter(letter))
            except HubRefused as refused:
                left[letter] = str(refused)
                session.err.print(Text(f"{letter} left: {clean(str(refused))}"), soft_wrap=True)
            else:
                if not as_json:
                    session.accepted(redriven[-1], as_json=False)
    if as_json:
        session.print_json(NamedReport(redriven=tuple(redriven), left=left))
    if left:
        raise typer.Exit(1)


def _redrive_all(hub: HubClient, wanted: dict[str, Any], limit: int) -> RedriveReport:
    """As many calls as it takes."""
    token: str | None = None
    total: RedriveReport | None = None
    while True:
        done = len(total.redriven) + len(total.left) if total else 0
        body = checked(RedriveBody, **wanted, limit=min(limit - done, MOST_REDRIVEN), page_token=token)
        one = hub.redrive_letters(body)
        total = one if total is None else _sum(total, one)
        token = one.next_page_token
        if token is None or len(total.redriven) + len(total.left) >= limit:
            return total


def _sum(before: RedriveReport, one: RedriveReport) -> RedriveReport:
    return RedriveReport(
        dry_run=one.dry_run,
        redriven=(*before.redriven, *one.redriven),
        left=(*before.left, *one.left),
        looked_at=before.looked_at + one.looked_at,
        next_page_token=one.next_page_token,
    )


def _named(letter: str) -> str:
    """A letter's name. Raises BadUsage for one without its day, such as a job's id."""
    if "/" not in letter:
        raise BadUsage(f"{letter!r} is no letter's name: those are <date>/<name>, as `dlq list` prints them")
    return letter


def _when(text: str | None) -> str | None:
    """A time as the API takes it. Raises BadUsage."""
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return (datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).isoformat()
    try:
        return moment(text).isoformat()
    except ValueError as cause:
        raise BadUsage(f"{text!r} {cause}, or 30m, 2h, 3d for so long ago") from cause
