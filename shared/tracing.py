"""Spans: what a job's way looks like as one trace, from the request to the last try of its webhook.

Every span names its parent by a W3C traceparent (https://www.w3.org/TR/trace-context/), which travels in the record, in
message attributes, tasks' bodies and executions' environment. What a span is called and carries is stable; it never
carries what a caller or a file says.

job.submit                     its traceparent is the record's: the root of all that follows
├─ job.publish                 once for each message
│  ├─ dispatch.bell │ dispatch.task
│  │  └─ execution.start
│  │     └─ worker.start       of the GPU Job's execution, which serves other jobs, too
│  └─ job.attempt              under execution.start for the CPU Job, which serves this job alone
│     └─ job.fetch, job.process, job.upload
├─ job.conclude
│  └─ webhook.deliver
├─ letter.publish
│  └─ letter.keep
└─ job.redrive
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

Fact = str | int | float | bool | None


class Span(Protocol):
    @property
    def traceparent(self) -> str | None:
        """For whoever comes next; None where nobody has begun a trace."""

    def note(self, **facts: Fact) -> None:
        """More about it, known only by its end."""


class Tracer(Protocol):
    def span(self, name: str, parent: str | None = None, **facts: Fact) -> AbstractContextManager[Span]:
        """A span under `parent`, else under the span this one lies in, else at the root of a new trace."""


@dataclass(frozen=True, slots=True)
class Passed:
    """No span: the caller's own trace context goes on as it came."""

    traceparent: str | None

    def note(self, **facts: Fact) -> None:
        return


class NoTracer:
    @contextmanager
    def span(self, name: str, parent: str | None = None, **facts: Fact) -> Iterator[Span]:
        yield Passed(parent)


def environment_of(span: Span) -> dict[str, str]:
    """How an execution is told which span started it."""
    return {"TRACEPARENT": span.traceparent} if span.traceparent else {}
