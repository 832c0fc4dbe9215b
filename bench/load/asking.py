"""Asking for jobs, as programs do: POST /v1/jobs, many callers at once."""

from __future__ import annotations

import math
import time
import wave
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx

from bench.load.ledger import Ledger
from local.cloud import LocalCloud
from local.profile import RESULTS

#: A bucket that is there and that nothing watches: what is put there is a source, and no upload.
SOURCES: Final = RESULTS
_CALLERS: Final = 8
#: Samples a second.
_RATE: Final = 16_000


def tone_in(folder: Path) -> Path:
    """A second of a plain tone: the smallest recording that is work for a GPU."""
    samples = (int(8000 * math.sin(2 * math.pi * 440 * index / _RATE)) for index in range(_RATE))
    path = folder / "tone.wav"
    with wave.open(str(path), "wb") as recording:
        recording.setparams((1, 2, _RATE, _RATE, "NONE", ""))
        recording.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))
    return path


def put(cloud: LocalCloud, path: Path) -> str:
    """The file as an object; its URI."""
    cloud.services.objects.upload(SOURCES, f"sources/{path.name}", path, content_type="application/octet-stream")
    return f"gs://{SOURCES}/sources/{path.name}"


def ask(
    cloud: LocalCloud, ledger: Ledger, sources: Sequence[str], *, operations: Sequence[Any], destination: str = ""
) -> None:
    """One job for each source, `_CALLERS` at once; returns when all are accepted, however long there is no room."""
    headers = {"X-API-Key": cloud.profile.api_key, **({"X-Destination": destination} if destination else {})}
    with (
        httpx.Client(base_url=cloud.url, headers=headers, timeout=60, trust_env=False) as client,
        ThreadPoolExecutor(_CALLERS) as pool,
    ):

        def one(source: str) -> None:
            body = {"source": source, "operations": list(operations), "webhook_url": ledger.hook}
            while (answer := client.post("/v1/jobs", json=body)).status_code == httpx.codes.TOO_MANY_REQUESTS:
                time.sleep(float(answer.headers["Retry-After"]))
            answer.raise_for_status()
            ledger.ask(answer.json()["job_id"])

        list(pool.map(one, sources))
