"""Operations on one file: the door to this package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from av import FFmpegError

from shared.errors import JobError, ResourceExhausted
from shared.media import transcribe
from shared.media.artifacts import ArtifactFolder
from shared.media.completeness import require_whole
from shared.media.container import as_failure, duration_seconds, is_image, open_media
from shared.media.facts import look
from shared.media.model import SpeechModel
from shared.media.plan import Plan, unfit
from shared.media.probe import probe
from shared.media.progress import Progress
from shared.operations import Operation, Transcribe
from shared.processor import Report, Result

#: Percent of a job that go to the check.
_CHECK_PERCENT: Final = 2.0
#: What the other stages take, roughly as measured on a CPU.
_SOUND, _PICTURES, _SEEKING, _TRANSCRIBING, _WRITING = 10.0, 40.0, 12.0, 75.0, 1.0


class MediaProcessor:
    """Runs operations on files; one for a process, shared by its threads."""

    def __init__(self, *, model: str | Path, device: str = "auto", compute_type: str = "auto") -> None:
        """`model` is a folder with a Whisper model in CTranslate2's format; it is loaded when first needed."""
        self._model = SpeechModel(model, device=device, compute_type=compute_type)

    def warm(self) -> None:
        """Load the model now. Raises Unavailable when that cannot be done."""
        self._model.get()

    def media_seconds(self, source: Path) -> float | None:
        """The declared duration; None when there is none, or the file does not open (`process` will say why)."""
        try:
            with open_media(source) as container:
                return None if is_image(container) else duration_seconds(container)
        except JobError:
            return None

    def process(
        self, source: Path, operations: Sequence[Operation], folder: Path, *, explicit: bool, report: Report
    ) -> Result:
        """Do the operations on `source`; artifacts and result.json go into `folder`.

        `report(stage, percent of the whole job)` is called several times a second where the work allows; whatever it
        raises ends the work and comes out unchanged. With `explicit`, an operation that this file is not fit for fails
        the job; without, it is left out with a warning.

        Raises ProcessingFailed for what is wrong with the file or the operations, ResourceExhausted when memory or
        disk ran out.
        """
        try:
            return self._process(source, operations, ArtifactFolder(folder), explicit=explicit, report=report)
        except FFmpegError as error:  # from filters and scalers: what decoders refuse is judged where it is decoded
            raise as_failure("processing the file", error) from error
        except MemoryError as error:
            raise ResourceExhausted("out of memory") from error

    def _process(
        self, source: Path, operations: Sequence[Operation], folder: ArtifactFolder, *, explicit: bool, report: Report
    ) -> Result:
        facts = look(source)
        reasons = unfit(operations, facts)
        fit = [operation for operation in operations if operation.name not in reasons]
        if reasons and (explicit or not fit):
            raise next(iter(reasons.values()))
        for operation in fit:
            if isinstance(operation, Transcribe):
                transcribe.check_language(operation, self._model.get())

        check = Progress(report, {"check": _CHECK_PERCENT, "rest": 100.0 - _CHECK_PERCENT})
        length = require_whole(source, partial(check.at, "check"))
        plan = Plan.of(fit, facts, length, folder)
        progress = Progress(report, _stages(plan, fit), start=_CHECK_PERCENT)
        summary: dict[str, Any] = {operation.name: {} for operation in operations}
        if "probe" in summary:
            progress.at("probe", 0.0)
            summary["probe"] = probe(source, length)
            folder.write_json("probe.json", summary["probe"])
        warnings = [*plan.decode(source, partial(progress.at, "decode"))]
        for operation in operations:
            if operation.name in reasons:
                reason = reasons[operation.name].message
                summary[operation.name] = {"skipped": reason}
                warnings.append(f"{operation.name} was left out: {reason}")
            elif operation.name != "probe":
                summary[operation.name], found = self._finish(operation, plan, source, folder, progress)
                warnings += found
        folder.write_json("result.json", {"summary": summary, "warnings": warnings})
        seconds = None if facts.is_image else round(length, 3)
        device = self._model.device if any(isinstance(operation, Transcribe) for operation in fit) else "cpu"
        return Result(folder.written, summary, tuple(warnings), seconds, device)

    def _finish(
        self, operation: Operation, plan: Plan, source: Path, folder: ArtifactFolder, progress: Progress
    ) -> tuple[dict[str, Any], list[str]]:
        """Make what an operation is to make of what it heard and saw; answers its summary and warnings."""
        at = partial(progress.at, operation.name)
        at(0.0)
        if isinstance(operation, Transcribe) and plan.recording is not None:
            transcript = transcribe.transcribe(plan.recording.audio(), operation, self._model, at)
            return transcribe.write(transcript, operation, folder), []
        return plan.finish(operation.name, source, at)


def _stages(plan: Plan, operations: Sequence[Operation]) -> dict[str, float]:
    stages = {}
    if any(operation.name == "probe" for operation in operations):
        stages["probe"] = _WRITING
    stages["decode"] = (_SOUND if plan.hearing else 0.0) + (_PICTURES if plan.seeing else 0.0)
    for operation in operations:
        if operation.name in plan.sought:
            stages[operation.name] = _SEEKING
        elif operation.name != "probe":
            stages[operation.name] = _TRANSCRIBING if isinstance(operation, Transcribe) else _WRITING
    return stages
