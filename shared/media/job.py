"""One job's way through the engine: what its child decodes, then what is made of that here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from shared.errors import JobError
from shared.media.artifacts import ArtifactFolder
from shared.media.child import Child
from shared.media.conversation import Answers, converse
from shared.media.messages import Done, Handed, Looked
from shared.media.progress import Progress
from shared.media.task import Begin, Task
from shared.operations import Contact, Operation, Speech, SpeechToText, Transcribe, Translate
from shared.processor import Admit, Produced, Report, Result
from shared.source import Source

if TYPE_CHECKING:
    from shared.media.listening import Listening
    from shared.media.voice import Voice

#: Percent of a job that go to opening and checking the file.
_CHECK_PERCENT: Final = 1.0
_PAGE_SECONDS: Final = 0.1


class MediaJob:
    """One call of `MediaProcessor.process`, whose parameters these are."""

    def __init__(
        self, task: Task, listening: Callable[[], Listening], *, explicit: bool, report: Report, admit: Admit
    ) -> None:
        self._task = task
        self._listening = listening
        self._explicit, self._report, self._admit = explicit, report, admit
        self._progress = Progress(report, {"check": _CHECK_PERCENT, "rest": 100.0 - _CHECK_PERCENT})
        #: All that is done, in order: asked for, or brought along by what was.
        self._names: tuple[str, ...] = ()
        self._unfit: Mapping[str, JobError] = {}
        self._seconds = 0.0
        #: By the numbers of their streams.
        self._voices: dict[int | None, Voice] = {}

    def run(self, source: Source, begin: Begin) -> Result:
        """See `MediaProcessor.process`."""
        self._at("check", 0.0)
        with Child(self._task, begin) as child:
            done = converse(child, source, Answers(self._choose, self._plan, self._at, self._look))
        folder = ArtifactFolder(self._task.folder, (Produced(made.name, made.content_type) for made in done.artifacts))
        summary: dict[str, Any] = {}
        warnings = [*done.warnings]
        for name in self._names:
            if reason := self._unfit.get(name):
                summary[name] = {"skipped": reason.message}
                warnings.append(f"{name} was left out: {reason.message}")
            elif name in done.summary:
                summary[name] = done.summary[name]
            else:
                self._at(name, 0.0)
                summary[name], found = self._finish(self._asked[name], done.handed, folder)
                warnings += found
        return self._result(done, summary, warnings, folder)

    def _finish(self, operation: Operation, handed: Handed, folder: ArtifactFolder) -> tuple[dict[str, Any], list[str]]:
        """Make what only this process can make; answers the summary and warnings."""
        if isinstance(operation, Speech | SpeechToText):
            listening = self._listening()
            if operation.stream not in self._voices:
                self._voices[operation.stream] = listening.voice(self._task.scratch, operation.stream)
            voice = self._voices[operation.stream]
            return listening.finish(operation, voice, handed, folder, partial(self._at, operation.name))
        # Not at the top: these libraries are needed by the few.
        from shared.media import contact
        from shared.media.preview import Film

        return contact.write(Film.load(self._task.scratch, handed.film) if handed.film else None, folder), []

    def _result(self, done: Done, summary: dict[str, Any], warnings: list[str], folder: ArtifactFolder) -> Result:
        device = self._device
        document = {"summary": summary, "warnings": warnings, "device": device, "decoder": done.decoder}
        folder.write_json("result.json", document)
        seconds = None if done.is_image else round(self._seconds, 3)
        return Result(folder.written, summary, tuple(warnings), seconds, device, done.decoder)

    def _choose(self, looked: Looked, unfit: Mapping[str, JobError]) -> tuple[str, ...]:
        self._names, self._unfit = looked.operations, unfit
        fit = tuple(name for name in self._names if name not in unfit)
        if unfit and (self._explicit or not fit):
            raise next(iter(unfit.values()))
        self._admit(looked.media_seconds)
        if self._heard:
            self._listening().check(self._heard)
        return fit

    def _plan(self, seconds: float, stages: Mapping[str, float]) -> None:
        self._seconds = seconds
        weights = dict(stages)
        for name in self._names:
            match self._asked.get(name):
                case (Speech() | Transcribe() | Translate()) as operation:
                    weights[name] = self._listening().likely_seconds(operation, seconds)
                case Contact():
                    weights[name] = _PAGE_SECONDS
        self._progress = Progress(self._report, weights, start=_CHECK_PERCENT, last="check")

    def _at(self, stage: str, fraction: float) -> None:
        self._progress.at(stage, fraction)

    def _look(self) -> None:
        self._progress.again()

    @property
    def _asked(self) -> dict[str, Operation]:
        return {operation.name: operation for operation in self._task.operations}

    @property
    def _heard(self) -> list[SpeechToText]:
        """What the speech model is wanted for."""
        fit = (operation for name, operation in self._asked.items() if name not in self._unfit)
        return [operation for operation in fit if isinstance(operation, SpeechToText)]

    @property
    def _device(self) -> str:
        return self._listening().model.device if self._heard else "cpu"
