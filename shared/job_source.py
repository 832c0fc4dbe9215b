"""The media that a job is about: fetched to a local file, or read in place by a job that looks at little of it."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Final

from shared import classify
from shared.errors import ResourceExhausted, SourceMissing, TooLarge, UnsupportedMedia
from shared.job import Job
from shared.lease import FETCHING
from shared.operations import Operation, Thumbnails
from shared.processor import Report
from shared.services import Services
from shared.source import RemoteObject, Source
from shared.time_limit import glances

_log = logging.getLogger(__name__)

#: A small object is fetched by one request, and so sooner than by several.
_SMALL_BYTES: Final = 4 * 2**20
#: Pictures for each of which a part of the file is read.
_FEW: Final = 10


def obtain(job: Job, services: Services, folder: Path, report: Report, *, whole: bool = False) -> Source:
    """The source as a file in `folder`, or as an object of its pinned generation; `report` may raise to stop.

    With `whole` it is a file, whatever the job looks at.

    What came from a URL has its content checked. Raises TooLarge, UnsupportedMedia, ResourceExhausted, SourceMissing,
    and Unavailable when it cannot be had.
    """
    total = job.file.size or 0
    if total > services.settings.max_source_bytes:
        raise TooLarge(f"the source has {total} bytes; {services.settings.max_source_bytes} are allowed")
    report(FETCHING, 0.0)
    is_large = job.source.bucket_and_name is not None and total > _SMALL_BYTES
    if is_large and not whole and all(map(_reads_little, job.operations)):
        return _in_place(job, services)
    return _fetch(job, services, folder, report)


def _reads_little(operation: Operation) -> bool:
    is_many = isinstance(operation, Thumbnails) and max(len(operation.seconds or ()), operation.count or 0) > _FEW
    return glances(operation) and not is_many


def _in_place(job: Job, services: Services) -> RemoteObject:
    where = job.source.bucket_and_name
    assert where is not None  # noqa: S101
    found = services.objects.info(*where, generation=job.source.generation)
    if found is None:
        raise SourceMissing(f"no object {where[1]}, or not in that generation")

    def read_range(start: int, length: int) -> bytes:
        return services.objects.read_range(*where, start, length, generation=found.generation)

    return RemoteObject(found.size, read_range)


def _fetch(job: Job, services: Services, folder: Path, report: Report) -> Path:
    path = folder / f"source.{job.file.file_type}"
    total = job.file.size or 0
    if total > shutil.disk_usage(folder).free:
        raise ResourceExhausted(f"the source has {total} bytes, more than this worker's disk has free")

    def progress(received: int, whole: int) -> None:
        report(FETCHING, 5 * min(1.0, received / whole) if whole else 0.0)

    if where := job.source.bucket_and_name:
        services.objects.download(
            *where, path, generation=job.source.generation, on_bytes=lambda received: progress(received, total)
        )
        return path
    fetched = services.http.download(
        job.source.uri, path, on_progress=lambda received, whole: progress(received, whole or total)
    )
    with path.open("rb") as file:
        head = file.read(classify.HEAD_BYTES)
    facts = classify.classify(fetched.filename, fetched.content_type, head, fetched.size)
    if facts.kind == "other":
        raise UnsupportedMedia(f"the URL gave {facts.found}, not media")
    return path.rename(path.with_suffix(f".{facts.file_type}"))
