"""The commands. stdout is data, stderr is progress and errors.

Exit codes: 0 done, 1 the job failed or was cancelled, 2 bad usage, 3 the hub refused or could not be asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

import typer

from hubctl import bodies, dlq, log_lines, show, show_story
from hubctl.client import HubClient, OnBusy
from hubctl.errors import BadUsage, JobNotFound, StrangeAnswer
from hubctl.live import upload_display
from hubctl.options import Json, Key, Url
from hubctl.session import InSentences, Session
from hubctl.story import StoryView, trace_of
from hubctl.story import story as tell
from shared.api import Accepted, JobView, UploadBody
from shared.job import State
from shared.lanes import Priority
from shared.operations import BY_NAME

_OPERATIONS_HELP: Final = (
    f"{', '.join(BY_NAME)}; or JSON with parameters: "
    """'{"name": "thumbnails", "count": 3}'. Repeatable. A file without any gets its kind's default."""
)
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Wish(StrEnum):
    """Where GPU work may be asked to run."""

    CLOUD_RUN = "cloud-run"
    GKE = "gke"


def _job_id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", text):
        raise typer.BadParameter("a job's id has 32 digits of 0-9 and a-f")
    return text


JobId = Annotated[str, typer.Argument(metavar="JOB_ID", callback=_job_id)]

app = typer.Typer(
    cls=InSentences,
    help="Submit media to a hub, follow the work, and get the results.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(dlq.app, name="dlq")


@app.callback()
def hubctl(
    ctx: typer.Context,
    url: Annotated[str | None, typer.Option(envvar="HUB_URL", help="The hub's address.")] = None,
    key: Annotated[str | None, typer.Option(envvar="HUB_API_KEY", help="The API key.")] = None,
) -> None:
    ctx.obj = Session.start(url, key, ctx.obj or HubClient)


@app.command()
def submit(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="gs://bucket/name, https://…, or a local file, which is uploaded.")],
    operations: Annotated[
        list[str] | None,
        typer.Option(
            "--operations",
            "-o",
            metavar="NAMES|JSON",
            help=_OPERATIONS_HELP,
        ),
    ] = None,
    webhook: Annotated[str | None, typer.Option(metavar="URL", help="Gets a signed POST at the end.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="Your own id; it comes back in every answer.")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Repeatable.")] = None,
    destination: Annotated[Wish | None, typer.Option(help="Where GPU work shall run. Not for files.")] = None,
    priority: Annotated[Priority, typer.Option(help="high goes past all that waits with normal.")] = Priority.NORMAL,
    patient: Annotated[
        bool, typer.Option("--wait-for-room", help="While the hub takes no more (429), wait and ask again.")
    ] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key never makes two jobs. Not for files.")
    ] = None,
    watch: Annotated[bool, typer.Option(help="Follow the job to its end.")] = True,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a job of SOURCE."""
    session: Session = ctx.obj.given(url, key)
    asked = {"webhook_url": webhook, "id": id, "labels": bodies.labels(label or ()), "priority": priority}
    on_busy = partial(show.busy, console=session.err) if patient else None
    wanted = bodies.operations(operations or ())
    is_file = not _ADDRESS.match(source)
    with session.hub() as hub:
        if is_file:
            if destination or idempotency_key is not None:
                raise BadUsage("--destination and --idempotency-key are for gs:// and https:// sources only")
            path = _file(source)
            answer = _upload(session, hub, path, bodies.upload_body(path, wanted, **asked), on_busy)
        else:
            if idempotency_key is not None and not _is_header(idempotency_key):
                raise BadUsage("--idempotency-key must have 1 to 255 printable ASCII characters")
            answer = hub.submit(
                bodies.job_body(source, wanted, **asked),
                idempotency_key=idempotency_key,
                destination=destination.value if destination else None,
                on_busy=on_busy,
            )
        # What is over already, such as a file that was refused, is told with its reason either way.
        if watch or answer.state.is_terminal:
            show.accepted(answer, session.err)
            session.follow(hub, answer.job_id, as_json=as_json)
        else:
            session.accepted(answer, as_json=as_json)


@app.command()
def watch(ctx: typer.Context, job_id: JobId, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Follow a job to its end; then its result."""
    session: Session = ctx.obj.given(url, key)
    with session.hub() as hub:
        session.follow(hub, job_id, as_json=as_json)


@app.command()
def get(
    ctx: typer.Context,
    job_id: JobId,
    artifact: Annotated[str | None, typer.Option(metavar="NAME", help="This artifact's bytes, to stdout.")] = None,
    output: Annotated[Path | None, typer.Option(metavar="PATH", help="A file for --artifact.")] = None,
    download: Annotated[Path | None, typer.Option(metavar="DIR", help="All artifacts, into this folder.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show a job's record, or get its artifacts."""
    session: Session = ctx.obj.given(url, key)
    if output is not None and artifact is None:
        raise BadUsage("--output is for --artifact; --download takes them all")
    if artifact is not None and (download is not None or (as_json and output is None)):
        raise BadUsage("--artifact goes to stdout alone: not with --download or --json")
    with session.hub() as hub:
        job = hub.get(job_id)
        if job is None:
            raise JobNotFound(job_id)
        if artifact is not None and output is None:
            _to_stdout(hub, job, artifact)
            return
        if artifact is not None and output is not None:
            hub.download(job, artifact, output)
        if download is not None:
            _download(session, hub, job, download)
        if as_json or (artifact is None and download is None):
            session.job(hub, job, as_json=as_json)


@app.command("list")
def list_jobs(
    ctx: typer.Context,
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="However many there are.")] = False,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """The key's jobs, newest first."""
    session: Session = ctx.obj.given(url, key)
    with session.hub() as hub:
        page = hub.list(state=state, limit=None if everything else limit)
    if as_json:
        session.print_json(page)
    else:
        show.listing(page, session.out)


@app.command()
def cancel(ctx: typer.Context, job_id: JobId, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """End a queued or running job."""
    session: Session = ctx.obj.given(url, key)
    with session.hub() as hub:
        session.accepted(hub.cancel(job_id), as_json=as_json)


@app.command()
def redrive(
    ctx: typer.Context,
    job_id: JobId,
    watch: Annotated[bool, typer.Option(help="Follow the job to its end.")] = False,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Start a failed, dead-lettered or cancelled job afresh."""
    session: Session = ctx.obj.given(url, key)
    with session.hub() as hub:
        answer = hub.redrive(job_id)
        if watch:
            show.accepted(answer, session.err)
            session.follow(hub, job_id, as_json=as_json)
        else:
            session.accepted(answer, as_json=as_json)


@app.command()
def story(
    ctx: typer.Context,
    job_id: JobId,
    project: Annotated[
        str | None, typer.Option(envvar="HUB_PROJECT", help="Whose Cloud Logging to ask, by gcloud.")
    ] = None,
    logs: Annotated[Path | None, typer.Option(envvar="HUB_LOGS", help="A local cloud's folder of logs.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Everything that happened to a job, hop by hop, over all submissions and attempts."""
    session: Session = ctx.obj.given(url, key)
    with session.hub() as hub:
        job = hub.get(job_id)
    if job is None:
        raise JobNotFound(job_id)
    lines: list[Mapping[str, Any]] = []
    if logs is not None:
        lines = list(log_lines.from_folder(logs, job_id))
    elif project is not None:
        lines = list(log_lines.from_cloud(project, job_id, job.created_at))
    else:
        session.err.print("told from the record alone; the log has more: --project, or --logs of a local cloud")
    hops, trace = tell(job, lines), trace_of(lines)
    if as_json:
        session.print_json(StoryView.of(job, hops, trace))
    else:
        show_story.story(job, hops, trace, session.out)


def _file(source: str) -> Path:
    path = Path(source)
    if not path.is_file():
        raise BadUsage(f"{source} is neither a file nor a gs:// or https:// address")
    if path.stat().st_size == 0:
        raise BadUsage(f"{source} is empty")
    return path


def _is_header(text: str) -> bool:
    return 1 <= len(text) <= 255 and text.isascii() and text.isprintable()


def _upload(session: Session, hub: HubClient, path: Path, body: UploadBody, on_busy: OnBusy | None) -> Accepted:
    """Send the file and wait until the hub has made its job, so that files are answered as addresses are."""
    with upload_display(session.err, path.name, path.stat().st_size) as on_bytes:
        ticket = hub.upload(path, body, on_bytes=on_bytes, on_busy=on_busy)
    job = show.arrival(hub, ticket.job_id, session.err)
    return Accepted(
        job_id=job.job_id,
        id=job.id,
        state=job.state,
        status_url=job.status_url,
        destination=job.destination,
        reason=job.reason,
    )


def _to_stdout(hub: HubClient, job: JobView, name: str) -> None:
    stdout = typer.get_binary_stream("stdout")
    for piece in hub.artifact(job, name):
        stdout.write(piece)
    stdout.flush()


def _download(session: Session, hub: HubClient, job: JobView, folder: Path) -> None:
    for made in job.artifacts:
        name = PurePosixPath(made.name)
        if name.is_absolute() or ".." in name.parts:
            raise StrangeAnswer(f"the hub names an artifact {made.name}, which is outside of {folder}")
        path = folder / name
        hub.download(job, made.name, path)
        session.err.print(str(path), markup=False, soft_wrap=True)
