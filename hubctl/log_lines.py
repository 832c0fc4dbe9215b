"""The lines of the log that are about one job: a local cloud's files, or Cloud Logging by `gcloud`.

Cloud Logging is asked as whoever sits at the terminal, with the rights they have already: so the hub's own functions,
which the whole world may call, need no right to read logs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hubctl.errors import BadUsage, LogsUnavailable
from hubctl.story import is_about

_TIMEOUT_SECONDS: Final = 120
#: Lines of one job that are asked for, at most.
_MOST: Final = 5000


def from_folder(folder: Path, job_id: str) -> Iterator[Mapping[str, Any]]:
    """The JSON lines of every `*.log`. Raises BadUsage when there is no such folder."""
    if not folder.is_dir():
        raise BadUsage(f"{folder} is no folder of logs")
    for path in sorted(folder.glob("*.log")):
        with path.open(encoding="utf-8", errors="replace") as file:
            yield from (line for text in file if job_id in text and (line := _parsed(text)) and is_about(line, job_id))


def from_cloud(project: str, job_id: str, since: datetime) -> Iterator[Mapping[str, Any]]:
    """Cloud Logging's entries as our formatter wrote them. Raises LogsUnavailable."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise LogsUnavailable("gcloud is not installed, so Cloud Logging cannot be asked")
    wanted = f'(labels.job_id="{job_id}" OR jsonPayload.job_id="{job_id}") AND timestamp>="{since.isoformat()}"'
    command = [
        gcloud,
        "logging",
        "read",
        wanted,
        f"--project={project}",
        f"--limit={_MOST}",
        "--order=asc",
        "--format=json",
    ]
    try:
        run = subprocess.run(  # noqa: S603 - `wanted` holds 32 hex digits and a time, and no shell reads it
            command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as cause:
        raise LogsUnavailable(f"Cloud Logging did not answer within {_TIMEOUT_SECONDS} s") from cause
    if run.returncode:
        said = run.stderr.strip().splitlines()
        raise LogsUnavailable(f"gcloud logging read: {said[-1] if said else f'exit status {run.returncode}'}")
    yield from map(_entry, json.loads(run.stdout or "[]"))


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def _entry(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Cloud Logging takes some fields out of the payload (https://cloud.google.com/logging/docs/structured-logging)."""
    return {
        **entry.get("jsonPayload", {}),
        "time": entry["timestamp"],
        "logging.googleapis.com/labels": entry.get("labels", {}),
        "logging.googleapis.com/trace": entry.get("trace"),
    }
