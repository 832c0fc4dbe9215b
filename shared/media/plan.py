"""How the operations on one file are done: what goes through the one pass, and what is sought."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shared.errors import ProcessingFailed
from shared.media.artifacts import ArtifactFolder
from shared.media.container import absent
from shared.media.cost import LITTLE, SEEK_SECONDS, Costs
from shared.media.facts import Facts
from shared.media.fingerprint import Fingerprinter
from shared.media.frames import seek_pictures
from shared.media.loudness import LoudnessMeter
from shared.media.media_file import MediaFile
from shared.media.messages import Handed
from shared.media.one_pass import decode_once
from shared.media.preview import Preview
from shared.media.shots import ShotFinder
from shared.media.silences import SilenceFinder
from shared.media.sinks import AudioSink, Watcher
from shared.media.sound_file import SoundFile
from shared.media.storyboard import StoryboardMaker
from shared.media.thumbnails import ThumbnailMaker
from shared.media.waveform import WaveformPlotter
from shared.operations import (
    Contact,
    Fingerprint,
    Hearing,
    Loudness,
    Operation,
    Probe,
    Seeing,
    Shots,
    Speech,
    Storyboard,
    Thumbnails,
    Waveform,
)

Listener = LoudnessMeter | WaveformPlotter
Seer = ThumbnailMaker | StoryboardMaker | ShotFinder

_USUAL_RATE: Final = 48_000
#: What a contact page shows besides the operations asked for.
_SHOWN: Final = (Probe(), Shots(), Storyboard(), Waveform())


def unfit(operations: Iterable[Operation], facts: Facts) -> dict[str, ProcessingFailed]:
    """Those that this file is not fit for, each with the reason."""
    reasons: dict[str, ProcessingFailed] = {}
    for operation in operations:
        if isinstance(operation, Hearing) and facts.sample_rate_of(operation.stream) is None:
            reasons[operation.name] = absent("audio", operation.stream, len(facts.sample_rates))
        if isinstance(operation, Seeing) and facts.video_of(operation.stream) is None:
            reasons[operation.name] = absent("video", operation.stream, len(facts.videos))
        elif isinstance(operation, Storyboard | Shots | Contact) and facts.is_image:
            reasons[operation.name] = ProcessingFailed("the file is a picture, not a video", code="no_video_stream")
    return reasons


def accompanied(operations: Sequence[Operation], facts: Facts) -> list[Operation]:
    """These operations; a contact page comes last, after what it brings along where the file is fit for it."""
    page = [operation for operation in operations if isinstance(operation, Contact)]
    asked = {operation.name for operation in operations}
    brought = [each for each in _SHOWN if page and each.name not in asked | unfit(_SHOWN, facts).keys()]
    return [*(operation for operation in operations if operation not in page), *brought, *page]


@dataclass(slots=True)
class Plan:
    """What takes the frames of one file."""

    facts: Facts
    #: Of the file, in seconds.
    length: float
    folder: ArtifactFolder
    #: For what another process goes on with.
    scratch: Path
    #: The folder of the small models.
    weights: Path | None
    #: Whether to work on the GPU.
    hardware: bool = False
    #: Those asked for, in order.
    names: tuple[str, ...] = ()
    #: What takes sound, by the number of its stream: None is the best.
    hearing: dict[int | None, list[AudioSink]] = field(default_factory=dict)
    #: What is to be listened to by a model.
    sounds: dict[int | None, SoundFile] = field(default_factory=dict)
    silences: SilenceFinder | None = None
    fingerprinter: Fingerprinter | None = None
    #: For the contact page.
    preview: Preview | None = None
    listeners: dict[str, Listener] = field(default_factory=dict)
    watchers: dict[str, Seer] = field(default_factory=dict)
    finders: dict[int | None, ShotFinder] = field(default_factory=dict)
    #: Finds the shots of the best stream for the fingerprint alone, where the job asks for others or for none.
    unasked: ShotFinder | None = None
    #: The streams that the watchers watch.
    streams: dict[str, int | None] = field(default_factory=dict)
    #: Watchers whose pictures are few: seeking them costs less than going through the file.
    sought: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        operations: Sequence[Operation],
        facts: Facts,
        length: float,
        folder: ArtifactFolder,
        scratch: Path,
        weights: Path | None = None,
        *,
        hardware: bool = False,
    ) -> Plan:
        """For operations that the file is fit for; the other parameters are the plan's fields.

        Raises Misconfigured when there are no weights for what needs some.
        """
        names = tuple(operation.name for operation in operations)
        plan = cls(facts, length, folder, scratch, weights, hardware, names)
        # What finds the shots that are asked for serves those who want a picture of each, too.
        for operation in sorted(operations, key=lambda each: not isinstance(each, Shots)):
            if isinstance(operation, Hearing):
                plan._listen(operation)
            elif isinstance(operation, Seeing):
                plan._watch(operation)
            elif isinstance(operation, Fingerprint):
                plan.fingerprinter = Fingerprinter(plan._usual_finder() if facts.video else None, folder)
            elif isinstance(operation, Contact):
                plan.preview = Preview.of(facts, length)
        if plan.preview is not None:
            plan.hearing.setdefault(None, []).extend(plan.preview.hearing)
        plan.sought = plan._sought()
        return plan

    def _listen(self, operation: Hearing) -> None:
        sinks = self.hearing.setdefault(operation.stream, [])
        match operation:
            case Loudness():
                self.listeners[operation.name] = LoudnessMeter(self.folder)
                sinks.append(self.listeners[operation.name])
            case Waveform():
                rate = self.facts.sample_rate_of(operation.stream)
                assert rate is not None  # noqa: S101
                # Headers that hold no rate yet say 0 (MPEG-TS, where the sound turns up late).
                self.listeners[operation.name] = WaveformPlotter(operation, rate or _USUAL_RATE, self.folder)
                sinks.append(self.listeners[operation.name])
            case _:
                if operation.stream not in self.sounds:
                    self.sounds[operation.stream] = SoundFile(self.scratch, operation.stream)
                    sinks.append(self.sounds[operation.stream])
        if isinstance(operation, Speech):
            self.silences = SilenceFinder(operation.noise_db, operation.silence_seconds)
            sinks.append(self.silences)

    def _watch(self, operation: Seeing) -> None:
        video = self.facts.video_of(operation.stream)
        assert video is not None  # noqa: S101
        self.streams[operation.name] = operation.stream
        match operation:
            case Shots():
                asked = ShotFinder(
                    operation,
                    video.span(self.length),
                    self.folder,
                    weights=self.weights,
                    hardware=self.hardware,
                )
                self.watchers[operation.name] = self.finders[operation.stream] = asked
            case Storyboard():
                self.watchers[operation.name] = StoryboardMaker(operation, video, self.length, self.folder)
            case Thumbnails():
                finder = None
                if operation.per == "shot" and not self.facts.is_image:
                    usual = ShotFinder(Shots(), video.span(self.length), self.folder)
                    finder = self.finders.setdefault(operation.stream, usual)
                self.watchers[operation.name] = ThumbnailMaker(
                    operation, video, self.length, self.folder, is_image=self.facts.is_image, finder=finder
                )

    def _usual_finder(self) -> ShotFinder:
        """Whatever a job asks of its own shots: two files' fingerprints must be alike to be compared."""
        if (finder := self.finders.get(None)) is not None and finder.is_usual:
            return finder
        assert self.facts.video is not None  # noqa: S101
        self.unasked = ShotFinder(Shots(), self.facts.video.span(self.length), self.folder)
        return self.unasked

    @property
    def seeing(self) -> dict[int | None, list[Watcher]]:
        """What takes pictures in the pass, by the number of its stream."""
        sinks: dict[int | None, list[Watcher]] = {}
        for stream, finder in self.finders.items():
            sinks.setdefault(stream, []).append(finder)
        for name, watcher in self.watchers.items():
            if name not in self.sought and not isinstance(watcher, ShotFinder):
                sinks.setdefault(self.streams[name], []).append(watcher)
        if self.fingerprinter and self.fingerprinter.has_pictures:
            sinks.setdefault(None, []).append(self.fingerprinter)
        if self.unasked:
            sinks.setdefault(None, []).append(self.unasked)
        if self.preview and self.preview.seeing:
            sinks.setdefault(None, []).extend(self.preview.seeing)
        return sinks

    def _sought(self) -> frozenset[str]:
        needs = {name: watcher.needs for name, watcher in self.watchers.items()}
        late = frozenset(name for name, each in needs.items() if each.moments == ())
        is_passing = bool(self.finders or self.preview or self.fingerprinter)
        if is_passing or any(each.moments is None for each in needs.values()):
            return late
        return late | {
            name for name, each in needs.items() if each.keyframes or SEEK_SECONDS * each.seeks < self.length
        }

    @property
    def finishing(self) -> list[str]:
        """Operations of which something is left to be done after the pass, in order."""
        there = {*self.listeners, *self.watchers, *(["fingerprint"] if self.fingerprinter else ())}
        return [name for name in self.names if name in there]

    @property
    def stages(self) -> dict[str, float]:
        """What there is to do, in order, with the seconds it is likely to take."""
        costs = Costs.of(self.facts, self.length)
        stages = {"probe": LITTLE, "decode": costs.sound * len(self.hearing) + costs.pictures * len(self.seeing)}
        for name in self.finishing:
            seeks = self.watchers[name].needs.seeks if name in self.sought else 0
            stages[name] = LITTLE + costs.seek * seeks
        return stages

    def decode(self, media: MediaFile, progress: Callable[[float], None]) -> tuple[str, ...]:
        """The one pass, for all that need it; answers warnings. Raises as `decode_once`."""
        seeing = self.seeing
        if not self.hearing and not seeing:
            return ()
        warnings = decode_once(media, self.hearing, seeing, progress, self.length)
        for sound in self.sounds.values():
            sound.close()
        return warnings

    def drop(self) -> None:
        """Let go of what is half done: what another plan writes in its place must stay."""
        for sound in self.sounds.values():
            sound.close()

    def finish(
        self, name: str, media: MediaFile, progress: Callable[[float], None]
    ) -> tuple[dict[str, Any], list[str]]:
        """What an operation leaves to be done after the pass; answers its summary and warnings.

        Raises as `seek_pictures`.
        """
        if name in self.listeners:
            listener = self.listeners[name]
            return listener.write(), [*(listener.warnings if isinstance(listener, LoudnessMeter) else ())]
        if name == "fingerprint" and self.fingerprinter is not None:
            return self.fingerprinter.write(media.source, progress), []
        watcher = self.watchers[name]
        warnings: tuple[str, ...] = ()
        if name in self.sought and not isinstance(watcher, ShotFinder):
            tries = watcher.tries() if isinstance(watcher, ThumbnailMaker) else None
            warnings = seek_pictures(media, watcher, progress, tries, self.streams[name])
        return watcher.write(), [*warnings, *watcher.warnings]

    def _any_finder(self) -> ShotFinder | None:
        """The job's own, or whatever finds the shots of the best stream for another operation."""
        asked = self.watchers.get("shots")
        return asked if isinstance(asked, ShotFinder) else self.finders.get(None) or self.unasked

    def hand_over(self) -> Handed:
        """What another process goes on with, besides the sounds; after the pass."""
        film = self.preview.film() if self.preview else None
        if film is not None:
            film.save(self.scratch)
        finder = self._any_finder()
        return Handed(
            film=film.media_type if film else None,
            silences=tuple((each.start, each.end) for each in self.silences.silences) if self.silences else (),
            cuts=tuple(shot.start for shot in finder.found()[1:]) if finder else (),
        )
