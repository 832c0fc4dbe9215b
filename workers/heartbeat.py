"""A file that is touched each time a worker's loop goes round, so that a pod's probes see a loop that hangs.

The loop beats itself: a thread of the heart's own would go on beating beside a loop that is stuck. The loop goes round
every few seconds, also while jobs run, so the length of a job does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Heartbeat:
    #: None where nobody probes: a Cloud Run Job has a timeout instead.
    file: Path | None = None

    def beat(self) -> None:
        """Raises OSError when the file cannot be made: a pod whose probes can never pass should say why."""
        if self.file is not None:
            self.file.touch()
