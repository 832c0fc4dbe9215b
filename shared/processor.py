"""What a worker asks of the media engine; the engine itself (av, models) is in shared.media."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from shared.operations import Operation
from shared.source import Source

#: What decodes pictures.
Decoder = Literal["cpu", "nvdec"]
#: (stage, percent of the whole job); may raise to end the work, and that passes through unchanged.
Report = Callable[[str, float], None]
#: Gets the length in seconds (None: it has none) before the work begins; may raise to refuse it.
Admit = Callable[[float | None], None]


def admit_all(seconds: float | None) -> None:
    """Whatever its length."""


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
    #: Where models listened: "cpu" or "cuda".
    device: str
    decoder: Decoder = "cpu"


class Processor(Protocol):
    def process(
        self,
        source: Source,
        operations: Sequence[Operation],
        folder: Path,
        *,
        explicit: bool,
        report: Report,
        admit: Admit = admit_all,
    ) -> Result:
        """Run the operations and write their artifacts into `folder`.

        `explicit` operations fail the job when they cannot be done; a default profile's are skipped with a
        warning. Raises ProcessingFailed with the decoder's last words, ResourceExhausted, MachineFault, and WholeNeeded
        where a remote source must be read to its end.
        """
