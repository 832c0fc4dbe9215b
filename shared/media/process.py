"""Operations on one file: the door to this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from av import FFmpegError

from shared.errors import JobError, ProcessingFailed, ResourceExhausted
from shared.media import thumbnails, transcribe
from shared.media.artifacts import ArtifactFolder
from shared.media.audio import decode_audio
from shared.media.completeness import require_whole
from shared.media.container import as_failure, best_audio, best_video, duration_seconds, is_image, open_media
from shared.media.model import SpeechModel
from shared.media.probe import probe
from shared.media.progress import Progress
from shared.operations import Operation, Probe, Thumbnails, Transcribe
from shared.processor import Report, Result

#: Stages in order, with their shares of the work, roughly as measured on a CPU.
_CHECK: Final = {"check": 2.0}
_STAGES: Final = {
    "probe": {"probe": 1.0},
    "transcribe": {"decode": 10.0, "transcribe": 75.0},
    "thumbnails": {"thumbnails": 12.0},
}


@dataclass(slots=True)
class _Run:
    """One file's state between its operations."""

    source: Path
    folder: ArtifactFolder
    progress: Progress
    length: float
    summary: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    device: str = "cpu"


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
        unfit = _unfit(source)
        fit = [operation for operation in operations if operation.name not in unfit]
        if len(fit) < len(operations) and (explicit or not fit):
            raise next(unfit[operation.name] for operation in operations if operation.name in unfit)
        for operation in fit:
            if isinstance(operation, Transcribe):
                transcribe.check_language(operation, self._model.get())

        stages = dict(_CHECK)
        for operation in fit:
            stages |= _STAGES[operation.name]
        progress = Progress(report, stages)
        run = _Run(source, folder, progress, length=require_whole(source, partial(progress.at, "check")))
        for operation in operations:
            if operation.name in unfit:
                reason = unfit[operation.name].message
                run.summary[operation.name] = {"skipped": reason}
                run.warnings.append(f"{operation.name} was left out: {reason}")
            else:
                self._do(operation, run)
        folder.write_json("result.json", {"summary": run.summary, "warnings": run.warnings})
        seconds = None if _is_image(source) else round(run.length, 3)
        return Result(folder.written, run.summary, tuple(run.warnings), seconds, run.device)

    def _do(self, operation: Operation, run: _Run) -> None:
        match operation:
            case Probe():
                _do_probe(run)
            case Transcribe():
                self._do_transcribe(operation, run)
            case Thumbnails():
                _do_thumbnails(operation, run)

    def _do_transcribe(self, operation: Transcribe, run: _Run) -> None:
        audio = decode_audio(run.source, partial(run.progress.at, "decode"))
        run.warnings += audio.warnings
        run.progress.at("transcribe", 0.0)
        transcript = transcribe.transcribe(audio, operation, self._model, partial(run.progress.at, "transcribe"))
        run.summary[operation.name] = transcribe.write(transcript, operation, run.folder)
        run.device = self._model.device


def _do_probe(run: _Run) -> None:
    run.progress.at("probe", 0.0)
    facts = probe(run.source, run.length)
    run.folder.write_json("probe.json", facts)
    run.summary["probe"] = facts


def _do_thumbnails(operation: Thumbnails, run: _Run) -> None:
    made = thumbnails.make(run.source, operation, run.length, run.folder, partial(run.progress.at, "thumbnails"))
    run.warnings += made.warnings
    run.summary[operation.name] = {
        "count": len(made.names),
        "names": list(made.names),
        "seconds": list(made.seconds),
        "width": made.width,
        "height": made.height,
    }


def _unfit(source: Path) -> dict[str, ProcessingFailed]:
    """Operations that this file is not fit for, each with the reason."""
    with open_media(source) as container:
        reasons = {}
        if best_audio(container) is None:
            reasons["transcribe"] = ProcessingFailed("the file has no audio stream", code="no_audio_stream")
        if best_video(container) is None:
            reasons["thumbnails"] = ProcessingFailed("the file has no video stream", code="no_video_stream")
        return reasons


def _is_image(source: Path) -> bool:
    with open_media(source) as container:
        return is_image(container)
