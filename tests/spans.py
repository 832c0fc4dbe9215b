"""Spans as the file exporter writes them, and the trees that they make."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

Span = dict[str, Any]


def read(file: Path) -> list[Span]:
    """Every span that has ended; a line that is being written is none yet."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]]


def traces(spans: list[Span]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        found[span["context"]["trace_id"]].append(span)
    return found


def tree(spans: list[Span], outside: str | None = None) -> set[tuple[str | None, str]]:
    """(parent's name, name) of every span of one trace; fails unless it is whole, below one root.

    `outside` is the id of a caller's own span.
    """
    assert len(traces(spans)) == 1
    names = {span["context"]["span_id"]: span["name"] for span in spans}
    roots = [span for span in spans if span["parent_id"] in (None, outside)]
    assert [root["name"] for root in roots] == ["job.submit"]
    orphans = [span["name"] for span in spans if span not in roots and span["parent_id"] not in names]
    assert orphans == []
    return {(names.get(span["parent_id"]), span["name"]) for span in spans}
