"""What a job has made, on its way into the results' bucket."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shared.job import Artifact
from shared.processor import Result
from shared.services import Services

_log = logging.getLogger(__name__)


def upload_artifacts(result: Result, folder: Path, prefix: str, services: Services) -> tuple[Artifact, ...]:
    """Write all of it, several at once, under names that begin with the prefix."""
    began = time.monotonic()
    bucket = services.settings.results_bucket

    def one(index: int) -> Artifact:
        made = result.artifacts[index]
        path = folder / made.name
        services.objects.upload(bucket, prefix + made.name, path, content_type=made.content_type)
        return Artifact(name=made.name, size=path.stat().st_size, content_type=made.content_type)

    with ThreadPoolExecutor(8, "upload") as pool:
        artifacts = tuple(pool.map(one, range(len(result.artifacts))))
    _log.info(
        "artifacts written",
        extra={
            "event": "job.artifacts",
            "number": len(artifacts),
            "bytes": sum(made.size for made in artifacts),
            "seconds": round(time.monotonic() - began, 3),
        },
    )
    return artifacts
