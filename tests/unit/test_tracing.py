"""One job's spans are one whole tree, whatever way it goes; off, nothing is loaded and the caller's trace goes on."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.oauth2.credentials import Credentials
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.errors import ProcessingFailed, Unavailable
from shared.redrive import redrive
from shared.services import tracer_of
from shared.trace_export import OtelTracer, to_cloud
from shared.tracing import NoTracer
from tests.fakes.processor import FakeProcessor, fail, succeed
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.world import NO_BEATS, PNG, World, request
from tests.spans import read, tree
from tests.unit.http_server import answer, local_server
from tests.wiring.tree import ROOT

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans(tmp_path: Path) -> Path:
    return tmp_path / "spans.jsonl"


def traced(spans: Path, **settings: Any) -> FakeServices:
    services = fake_services(**NO_BEATS, traces=str(spans), **settings)
    return replace(services, tracer=tracer_of(services.settings))


SUBMITTED = {(None, "job.submit"), ("job.submit", "job.publish")}
WORKED = {("job.attempt", "job.fetch"), ("job.attempt", "job.process"), ("job.attempt", "job.upload")}
CONCLUDED = {("job.submit", "job.conclude")}


def test_a_gpu_jobs_spans_are_one_tree(spans: Path) -> None:
    world = World(traced(spans), FakeProcessor([succeed()]))
    world.submit()
    world.settle()
    assert tree(read(spans)) == {*SUBMITTED, *WORKED, *CONCLUDED, ("job.publish", "job.attempt")}


def test_a_cpu_jobs_spans_are_one_tree(spans: Path) -> None:
    world = World(traced(spans), FakeProcessor([succeed()]))
    world.submit(request(world.services, file=PNG))
    world.settle()
    started = {("job.publish", "dispatch.task"), ("dispatch.task", "execution.start")}
    assert tree(read(spans)) == {*SUBMITTED, *WORKED, *CONCLUDED, *started, ("execution.start", "job.attempt")}


def test_retries_a_dead_letter_and_a_redrive_stay_in_the_trace(spans: Path) -> None:
    services = traced(spans, max_attempts=1)
    world = World(services, FakeProcessor([fail(Unavailable("down")), succeed()]))
    job_id = world.submit().job.job_id
    world.settle()
    redrive(job_id, services)
    world.settle()
    found = tree(read(spans))
    assert {("job.submit", "letter.publish"), ("job.submit", "job.redrive")} <= found
    assert sum(span["name"] == "job.attempt" for span in read(spans)) == 2


def test_a_callers_own_trace_goes_on(spans: Path) -> None:
    world = World(traced(spans), FakeProcessor([succeed()]))
    world.submit(request(world.services, traceparent=CALLER))
    world.settle()
    found = read(spans)
    tree(found, outside="0x00f067aa0ba902b7")
    assert found[0]["context"]["trace_id"] == "0x4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_failure_is_told_by_its_code_and_not_in_its_words(spans: Path) -> None:
    world = World(traced(spans), FakeProcessor([fail(ProcessingFailed("secret-film.mp4 has no moov"))]))
    world.submit()
    world.settle()
    (failed,) = [span for span in read(spans) if span["name"] == "job.process"]
    assert (failed["status"]["status_code"], failed["status"]["description"]) == ("ERROR", "processing_failed")
    text = spans.read_text()
    for word in ("secret-film", "hooks.example.com", "key-1.bin", "the media"):
        assert word not in text


def test_off_the_callers_trace_goes_on_as_it_came_and_nothing_is_written() -> None:
    world = World(processor=FakeProcessor([succeed()]))
    job = world.submit(request(world.services, traceparent=CALLER)).job
    assert job.traceparent == CALLER
    (message,) = world.services.topics.on("gpu-tasks")
    assert message.attributes["traceparent"] == CALLER
    assert isinstance(tracer_of(world.services.settings), NoTracer)


def test_off_the_sdk_is_not_loaded() -> None:
    program = (
        "import sys, main; from shared.services import tracer_of;"
        "print(sorted(n for n in sys.modules if n.startswith(('opentelemetry.sdk.trace', 'opentelemetry.exporter'))))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert run.stdout == "[]\n"


def test_cloud_trace_gets_otlp_with_a_token_before_the_outermost_span_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.trace_export._TIMEOUT_SECONDS", 60.0)
    with local_server() as telemetry:
        telemetry.replies["/v1/traces"] = answer(200)
        processor = to_cloud(Credentials("secret-token"), telemetry.url("/v1/traces"))
        tracer = OtelTracer(processor, "ingest", "shop-prod")
        with tracer.span("job.submit", CALLER, job_id="17"), tracer.span("job.publish", attempt=2):
            assert telemetry.requests == []
        (call,) = telemetry.requests
    assert call.headers["authorization"] == "Bearer secret-token"
    (sent,) = ExportTraceServiceRequest.FromString(call.body).resource_spans
    about = {each.key: each.value.string_value for each in sent.resource.attributes}
    assert about == {"service.name": "ingest", "gcp.project_id": "shop-prod"}
    publish, submit = sent.scope_spans[0].spans
    assert (submit.name, submit.trace_id.hex(), submit.parent_span_id.hex()) == ("job.submit", *CALLER.split("-")[1:3])
    assert (publish.name, publish.parent_span_id) == ("job.publish", submit.span_id)
    assert publish.attributes[0].value.int_value == 2


def test_while_cloud_trace_refuses_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.trace_export._TIMEOUT_SECONDS", 60.0)
    with local_server() as telemetry:
        telemetry.replies["/v1/traces"] = answer(403)
        tracer = OtelTracer(to_cloud(Credentials("token"), telemetry.url("/v1/traces")), "ingest", "shop-prod")
        with tracer.span("job.submit") as span:
            assert span.traceparent
    assert len(telemetry.requests) == 1


def test_spans_of_other_libraries_are_not_ours(spans: Path) -> None:
    """Google's clients make spans wherever a provider is everybody's."""
    traced(spans)
    with trace.get_tracer("somebody else").start_as_current_span("theirs"):
        pass
    assert spans.read_text() == ""
