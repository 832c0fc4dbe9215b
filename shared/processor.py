"""What a worker asks of the media engine; the engine itself (av, models) is in shared.media."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from shared.operations import Operation

#: (stage, percent of the whole job); may raise to end the work, and that passes through unchanged.
Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Produced:
    """One file written into the folder."""

    #: Relative to the folder, with forward slashes.
    name: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Result:
    artifacts: tuple[Produced, ...]
    #: The key facts of each operation, by its name.
    summary: dict[str, Any]
    warnings: tuple[str, ...]
    media_seconds: float | None
    #: "cpu" or "cuda".
    device: str


class Processor(Protocol):
    def media_seconds(self, source: Path) -> float | None:
        """The declared duration, read in milliseconds; None when unknown. Never raises for a bad file."""

    def process(
        self, source: Path, operations: Sequence[Operation], folder: Path, *, explicit: bool, report: Report
    ) -> Result:
        """Run the operations and write their artifacts into `folder`.

        `explicit` operations fail the job when they cannot be done; a default profile's are skipped with a
        warning. Raises ProcessingFailed with the decoder's last words, ResourceExhausted.
        """
