"""One small file through a deployed hub, as any caller would send it, until its record says how it ended."""

from __future__ import annotations

import io
import json
import math
import struct
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.faults import CannotDeploy, NoGoodAnswer
from deploy.gcloud import Cloud
from deploy.target import Target
from deploy.web import call, call_json

#: An image to be pulled, a GPU to be had, a model to be loaded.
PATIENCE_SECONDS: Final = 900.0
_PAUSE_SECONDS: Final = 5.0
_ENDED: Final = ("succeeded", "failed", "dead_lettered", "cancelled")
_TYPES: Final = {".wav": "audio/wav", ".mp4": "video/mp4", ".mov": "video/quicktime", ".jpg": "image/jpeg"}


def api_key(cloud: Cloud, target: Target) -> str:
    """The first key of the deployed list; raises CannotDeploy."""
    secret = target.resources.secrets["API_KEYS"].name
    keys = json.loads(
        cloud.text("secrets", "versions", "access", "latest", f"--secret={secret}", f"--project={target.project}")
    )
    return str(keys[0]["key"])


def smoke(
    url: str,
    key: str,
    file: Path | None = None,
    *,
    patience: float = PATIENCE_SECONDS,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Submit, wait, and say how it went in one line. Raises CannotDeploy when it did not succeed in time."""
    headers = {"X-API-Key": key}
    name, body = (file.name, file.read_bytes()) if file else ("smoke.wav", tone())
    kind = _TYPES.get(Path(name).suffix.lower(), "application/octet-stream")
    started = time.monotonic()
    ticket = call_json(f"{url}/v1/uploads", headers=headers, body={"filename": name, "content_type": kind})
    job = str(ticket["job_id"])
    call(ticket["upload_url"], method="PUT", headers={"Content-Type": kind}, body=body)
    while True:
        state, seconds = _state(url, job, headers), time.monotonic() - started
        if state == "succeeded":
            return f"{name} became job {job} and succeeded after {seconds:.0f} s."
        if state in _ENDED:
            raise CannotDeploy(f"the smoke test's job {job} is {state}: `hubctl get {job}` says why.")
        if seconds > patience:
            raise CannotDeploy(f"the smoke test's job {job} is {state or 'not known'} after {seconds:.0f} s.")
        pause(_PAUSE_SECONDS)


def tone(seconds: float = 2.0, rate: int = 16_000) -> bytes:
    """A WAV file with a tone of 440 Hz."""
    samples = (int(12_000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(int(seconds * rate)))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return buffer.getvalue()


def _state(url: str, job: str, headers: dict[str, str]) -> str | None:
    """None while the upload's event is on its way, and where the hub cannot say just now."""
    try:
        return str(call_json(f"{url}/v1/jobs/{job}", headers=headers)["state"])
    except NoGoodAnswer as error:
        if error.answered is None or error.answered == 404 or error.answered >= 500:
            return None
        raise
