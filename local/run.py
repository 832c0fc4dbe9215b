"""python -m local run FILE: a local cloud for one file; the final record on stdout."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from hubctl import show
from hubctl.client import HubClient
from local.cloud import LocalCloud, local_cloud
from local.functions import ROOT
from local.needs import BadUsage, model_folder, recording
from local.profile import Profile
from local.upload import upload
from shared.api import JobView
from shared.faults import faults_of
from shared.job import State
from shared.operations import Operation, Operations

#: Where results stay after the cloud is gone, a folder for each job.
RESULTS: Final = ROOT / "build" / "results"


def run(arguments: Namespace) -> int:
    """0 when the job succeeded, 1 when it failed. Raises BadUsage, JobError, HubError."""
    model, path = model_folder(arguments.model), recording(arguments.file)
    operations = parse_operations(arguments.operations) if arguments.operations else None
    console = Console(stderr=True)
    console.print("starting the local cloud …", style="dim")
    with local_cloud(Profile(model=model, upload_bytes=path.stat().st_size)) as cloud:
        job = follow(cloud, path, operations, console)
    folder = RESULTS / job.job_id
    if arguments.json:
        document = {**job.model_dump(mode="json"), "folder": str(folder) if job.artifacts else None}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        show.result(job, None, Console())
        show_files(job, folder, Console())
    return 0 if job.state is State.SUCCEEDED else 1


def parse_operations(text: str) -> tuple[Operation, ...]:
    """Names separated by commas, or a JSON list of names and objects. Raises BadUsage."""
    try:
        asked = json.loads(text) if text.lstrip().startswith("[") else [name.strip() for name in text.split(",")]
        return TypeAdapter(Operations).validate_json(json.dumps(asked))
    except ValidationError as cause:
        raise BadUsage("; ".join(f"operations.{each.field}: {each.detail}" for each in faults_of(cause))) from cause
    except ValueError as cause:
        raise BadUsage(f"--operations is neither names nor JSON: {cause}") from cause


def follow(cloud: LocalCloud, path: Path, operations: tuple[Operation, ...] | None, console: Console) -> JobView:
    """Upload the file, follow its job to the end, bring its artifacts home."""
    metadata = {"operations": json.dumps([each.model_dump() for each in operations])} if operations else None
    job_id = upload(cloud, path, metadata=metadata)
    console.print(f"uploaded {path.name}; its job is {job_id}", style="dim")
    with HubClient(cloud.url, cloud.profile.api_key) as hub:
        job = show.follow(hub, job_id, console, appear_seconds=30)
        folder = RESULTS / job_id
        shutil.rmtree(folder, ignore_errors=True)
        for made in job.artifacts:
            hub.download(job, made.name, folder / made.name)
    return job


def show_files(job: JobView, folder: Path, console: Console) -> None:
    """The transcript, and where everything lies."""
    transcript = folder / "transcript.txt"
    if transcript.is_file():
        console.print("\n[bold]Transcript[/bold]")
        console.print(transcript.read_text(), markup=False, highlight=False)
    if job.artifacts:
        console.print(
            f"[bold]Artifacts[/bold]  {folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder}"
        )
