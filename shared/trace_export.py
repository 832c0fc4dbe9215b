"""Spans by OpenTelemetry's SDK, to Cloud Trace or to a file: imported only where the setting TRACES asks for it.

To Cloud Trace by OTLP, which Google recommends over its own exporter:
https://docs.cloud.google.com/trace/docs/migrate-to-otlp-endpoints
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import google.auth
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared import log
from shared.errors import JobError
from shared.settings import CLOUD_TRACE, Settings
from shared.tracing import Fact, Span

_ENDPOINT: Final = "https://telemetry.googleapis.com/v1/traces"
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
#: For one export: a function waits for it before it answers.
_TIMEOUT_SECONDS: Final = 2.0
_WORDS: Final = TraceContextTextMapPropagator()


class OtelTracer:
    """One process's spans. All are kept: a job is dear beside its spans, and what went wrong is what one looks for."""

    def __init__(self, processor: SpanProcessor, service: str, project: str) -> None:
        resource = Resource({"service.name": service, "gcp.project_id": project})
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("nca-fanout")

    @contextmanager
    def span(self, name: str, parent: str | None = None, **facts: Fact) -> Iterator[Span]:
        is_outermost = not trace.get_current_span().get_span_context().is_valid
        context = _WORDS.extract({"traceparent": parent}) if parent else None
        # Neither an exception's words nor its trace: they may quote the file.
        begun = self._tracer.start_as_current_span(
            name, context=context, attributes=_known(facts), record_exception=False, set_status_on_exception=False
        )
        try:
            with begun as span, log.bind(traceparent=_traceparent()):
                try:
                    yield OtelSpan(span, _traceparent())
                except BaseException as error:
                    code = error.reason_code if isinstance(error, JobError) else type(error).__name__
                    span.set_attribute("error.type", code)
                    span.set_status(trace.Status(trace.StatusCode.ERROR, code))
                    raise
        finally:
            if is_outermost:
                # A function has no CPU once it has answered.
                self._provider.force_flush(int(_TIMEOUT_SECONDS * 1000))


class OtelSpan:
    def __init__(self, span: trace.Span, traceparent: str) -> None:
        self._span = span
        self.traceparent = traceparent

    def note(self, **facts: Fact) -> None:
        self._span.set_attributes(_known(facts))


def to_cloud(credentials: Credentials, endpoint: str = _ENDPOINT) -> SpanProcessor:
    """Batches by OTLP, each call with a token of these credentials."""
    session = AuthorizedSession(credentials)
    return BatchSpanProcessor(OTLPSpanExporter(endpoint, session=session, timeout=_TIMEOUT_SECONDS))


def processor_of(settings: Settings) -> SpanProcessor:
    """To Cloud Trace, or to the file that TRACES names."""
    if settings.traces == CLOUD_TRACE:
        return to_cloud(google.auth.default(scopes=[_SCOPE])[0])
    # One write for each span, to its end: many processes share the file.
    file = Path(str(settings.traces)).open("a", encoding="utf-8")  # noqa: SIM115
    return SimpleSpanProcessor(ConsoleSpanExporter(out=file, formatter=lambda span: f"{span.to_json(indent=None)}\n"))


def _known(facts: dict[str, Fact]) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in facts.items() if value is not None}


def _traceparent() -> str:
    """Of the current span."""
    carrier: dict[str, str] = {}
    _WORDS.inject(carrier)
    return carrier["traceparent"]
