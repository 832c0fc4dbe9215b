"""JSON lines for Cloud Logging, with a stable `event` key and the job's labels.

https://cloud.google.com/logging/docs/structured-logging
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=_NOTHING)

#: A record's own attributes; whatever else it has came by `extra=` and becomes a key of its line.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
#: Characters of one field.
_LONGEST: Final = 16_000
#: What JSON lets stand as it is, and terminals, editors or readers of lines take for more than text: control
#: characters, other line ends, marks that turn the direction of writing, halves of characters.
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class JsonFormatter(logging.Formatter):
    """One JSON object a line; `extra` fields become keys, bound fields become labels."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        bound = dict(_context.get())
        entry: dict[str, Any] = {
            "severity": record.levelname,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "message": record.getMessage(),
        }
        entry.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if traceparent := bound.pop("traceparent", ""):
            entry.update(_trace(self._project, traceparent))
        if bound:
            entry["logging.googleapis.com/labels"] = bound
            entry.setdefault("job_id", bound.get("job_id"))
        if record.exc_info:
            entry["stack_trace"] = self.formatException(record.exc_info)
        line = json.dumps(_cut(entry), default=str, ensure_ascii=False)
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _cut(value: Any) -> Any:
    """Cloud Logging drops an entry of 256 KiB, so no field may be that long; both its ends may matter."""
    if isinstance(value, dict):
        return {key: _cut(inside) for key, inside in value.items()}
    if not isinstance(value, str) or len(value) <= _LONGEST:
        return value
    return f"{value[: _LONGEST // 2]} … {value[-_LONGEST // 2 :]}"


def _trace(project: str, traceparent: str) -> dict[str, Any]:
    """W3C trace context (https://www.w3.org/TR/trace-context/) as Cloud Logging's fields."""
    match traceparent.split("-"):
        case [_, trace, span, flags]:
            return {
                "logging.googleapis.com/trace": f"projects/{project}/traces/{trace}",
                "logging.googleapis.com/spanId": span,
                "logging.googleapis.com/trace_sampled": flags.endswith("1"),
            }
    return {}


@contextmanager
def bind(**labels: str | None) -> Iterator[None]:
    """Labels (job_id, attempt, traceparent…) for every line logged inside, by this thread.

    A thread begins without labels: start it as `Thread(target=contextvars.copy_context().run, args=(…))` to hand
    them on.
    """
    token = _context.set({**_context.get(), **{key: value for key, value in labels.items() if value}})
    try:
        yield
    finally:
        _context.reset(token)


def setup() -> None:
    """One handler on stderr, replacing what is there.

    With execution-id logging on, functions-framework has put a WARNING-level handler on the root logger
    before this runs, and `logging.basicConfig` would then do nothing.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(os.environ.get("PROJECT", "")))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(os.environ.get("LOG_LEVEL", "INFO"))
    for noisy in ("urllib3", "google", "httpx", "httpcore", "werkzeug", "faster_whisper"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
