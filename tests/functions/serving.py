"""The functions as functions-framework serves them from main.py, on fakes; and jobs and files to call them with."""

from __future__ import annotations

import copy
import json
import logging
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import flask
import functions_framework
from flask.testing import FlaskClient

from shared.classify import classify
from shared.job import Artifact, Failure, Job, Outcome, Source
from shared.operations import Operation, Probe, Transcribe
from shared.services import use
from shared.submit import JobRequest, submit
from tests.fakes.services import FakeServices

ROOT: Final = Path(__file__).parents[2]
EVENTS: Final = ROOT / "tests" / "events"

MP4: Final = b"\x00\x00\x00\x1cftypisom\x00\x00\x02\x00isomiso2mp41"
_WAV_FORMAT: Final = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
WAV: Final = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + _WAV_FORMAT + b"data" + struct.pack("<I", 0)
MP3: Final = b"ID3\x04\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x64\x00\x00\x00\x00\x00\x00"
TEXT: Final = b"Dear reader,"

SHOP: Final = {"X-API-Key": "secret-shop-key"}
OPERATOR: Final = {"X-API-Key": "secret-operator-key"}


@cache
def app(name: str) -> flask.Flask:
    """Loaded once; main.py replaces the root's log handlers, which here belong to pytest."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        return functions_framework.create_app(name, str(ROOT / "main.py"))
    finally:
        root.handlers[:], root.level = handlers, level


@contextmanager
def serving(name: str, everything: FakeServices) -> Iterator[FlaskClient]:
    with use(everything):
        yield app(name).test_client()


def event(name: str) -> Any:
    """A fresh copy of one of tests/events."""
    return copy.deepcopy(_event(name))


@cache
def _event(name: str) -> Any:
    return json.loads((EVENTS / name).read_text())


def submitted(
    everything: FakeServices,
    key: str = "example",
    *,
    caller: str = "shop",
    name: str = "talks/keynote.mp4",
    data: bytes = MP4,
    operations: tuple[Operation, ...] = (Transcribe(),),
    webhook_url: str | None = None,
) -> Job:
    """A job as POST /v1/jobs makes it; with the defaults it is the one that tests/events speak of."""
    generation = everything.objects.put("uploads", name, data)
    request = JobRequest(
        idempotency_key=f"{caller}\0{key}",
        sent={"key": key, "name": name},
        caller=caller,
        source=Source(uri=f"gs://uploads/{name}", generation=generation),
        file=classify(name, "", data, len(data)),
        operations=operations,
        webhook_url=webhook_url,
    )
    return submit(request, everything).job


def on_the_cpu(everything: FakeServices, key: str = "example", **more: Any) -> Job:
    return submitted(everything, key, operations=(Probe(),), **more)


def generation_of(everything: FakeServices, upload: str) -> int:
    found = everything.objects.info("uploads", upload)
    assert found is not None
    return found.generation


def record(everything: FakeServices, job_id: str) -> Job:
    seen = everything.store.get(job_id)
    assert seen is not None
    return seen.job


def uploaded(everything: FakeServices, ticket: Any, data: bytes = MP4) -> Job:
    """What the caller does with a ticket, storage with the upload, and `on_upload` with storage's event."""
    name = ticket["object"].removeprefix("gs://uploads/")
    metadata = everything.objects.sessions[ticket["upload_url"]]
    generation = everything.objects.put("uploads", name, data, metadata=metadata)
    made = event("storage_finalized.json")
    made["data"] |= {"name": name, "generation": str(generation), "size": str(len(data)), "metadata": metadata}
    with serving("on_upload", everything) as on_upload:
        headers = {"Content-Type": "application/cloudevents+json"}
        assert on_upload.post("/", data=json.dumps(made), headers=headers).status_code == 200
    return record(everything, ticket["job_id"])


def change(everything: FakeServices, job_id: str, *steps: str) -> Job:
    """The record, brought on its way by the names of its own transitions."""
    failure = Failure(code="processing_failed", message="the decoder said no")
    for step in steps:
        job, now = record(everything, job_id), everything.now()
        arguments: Mapping[str, tuple[Any, ...]] = {
            "leased": ("worker/1", now),
            "succeeded": (outcome(job), (), now),
            "cancelled": (now,),
            "redriven": (now,),
        }
        changed = getattr(job, step)(*arguments.get(step, (failure, now)))
        everything.store.update(job_id, lambda seen, changed=changed: changed)  # type: ignore[misc]
    return record(everything, job_id)


def outcome(job: Job, names: Mapping[str, int] | None = None) -> Outcome:
    names = names or {"transcript.json": 17, "thumbnails/0001.jpg": 2048}
    return Outcome(
        folder=f"gs://results/{job.job_id}/{job.attempt}/",
        artifacts=tuple(Artifact(name=name, size=size, content_type="text/plain") for name, size in names.items()),
        summary={"transcribe": {"language": "en"}},
        device="cpu",
        media_seconds=10.0,
        processing_seconds=2.5,
        queue_seconds=0.5,
        real_time_factor=0.25,
    )
