"""Operations on one file: the door to this package.

What touches the file itself, which may be anything, happens in a child process; models listen in this one.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.errors import ResourceExhausted
from shared.media.fork import fork_ahead, start_server
from shared.media.job import MediaJob
from shared.media.limits import DecodeLimits
from shared.media.task import Begin, Task, goes_through_pictures, run
from shared.operations import Operation
from shared.processor import Admit, Report, Result, admit_all
from shared.source import RemoteObject, Source

if TYPE_CHECKING:
    from shared.media.listening import Listening

#: NVIDIA's driver: where it is, a GPU may be, and what that decodes shows when it is asked to.
_DRIVER: Final = Path("/dev/nvidiactl")


class MediaProcessor:
    """Runs operations on files; one for a process, shared by its threads."""

    #: How its children begin.
    begin: Begin = staticmethod(run)

    def __init__(
        self,
        *,
        model: str | Path,
        weights: Path | None = None,
        device: str = "auto",
        compute_type: str = "auto",
        limits: DecodeLimits | None = None,
        jobs_at_once: int = 1,
        many_jobs: bool = False,
    ) -> None:
        """`model` is a folder with a Whisper model in CTranslate2's format, `weights` one with the small models'.

        All are loaded when first needed; with `many_jobs` to come, libraries ahead of that, and the next job's child is
        there before it.
        """
        self._model, self._weights = model, weights
        self._device, self._compute_type = device, compute_type
        self._limits = limits or DecodeLimits()
        self._hardware = device != "cpu" and _DRIVER.exists()
        # libav's own choice for one job; the decoders of several at once must not fight over the cores.
        self._threads = max(len(os.sched_getaffinity(0)) // jobs_at_once, 1) + 1
        self._lock = threading.Lock()
        self._listening: Listening | None = None
        self._many_jobs = many_jobs
        start_server(with_torch=many_jobs)
        fork_ahead()

    @property
    def listening(self) -> Listening:
        """What listens; its libraries take half a second to load, which a job that only looks need not wait for."""
        with self._lock:
            if self._listening is None:
                from shared.media.listening import Listening

                self._listening = Listening(
                    self._model, self._weights, device=self._device, compute_type=self._compute_type
                )
            return self._listening

    def warm(self) -> None:
        """Load the model now. Raises Unavailable when that cannot be done."""
        self.listening.model.get()

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
        """Do the operations on `source`; artifacts and result.json go into `folder`.

        `report(stage, percent of the whole job)` is called at least once a second, and several times where the work
        allows; `admit(seconds)` once, before the work begins. Whatever they raise ends the work and comes out
        unchanged. With `explicit`, an operation that this file is not fit for fails the job; without, it is left out
        with a warning.

        Raises ProcessingFailed for what is wrong with the file or the operations, ResourceExhausted when memory or
        disk ran out, WholeNeeded and what reading a remote source raises.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="decoded-", dir=folder.parent) as scratch:
                task = Task(
                    source=source.size if isinstance(source, RemoteObject) else source,
                    operations=operations,
                    folder=folder,
                    scratch=Path(scratch),
                    weights=self._weights,
                    limits=self._limits,
                    threads=self._threads,
                    hardware=self._hardware and goes_through_pictures(operations),
                )
                job = MediaJob(task, lambda: self.listening, explicit=explicit, report=report, admit=admit)
                return job.run(source, self.begin)
        except MemoryError as error:
            raise ResourceExhausted("out of memory") from error
        finally:
            if self._many_jobs:
                fork_ahead()
