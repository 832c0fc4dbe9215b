"""How the operations on one file are done: what goes through the one pass, and what is sought."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.errors import ProcessingFailed
from shared.media.artifacts import ArtifactFolder
from shared.media.audio import Recording
from shared.media.facts import Facts
from shared.media.frames import seek_pictures
from shared.media.loudness import LoudnessMeter
from shared.media.one_pass import decode_once
from shared.media.shots import ShotFinder
from shared.media.sinks import AudioSink, VideoSink
from shared.media.storyboard import StoryboardMaker
from shared.media.thumbnails import ThumbnailMaker
from shared.media.waveform import WaveformPlotter
from shared.operations import Loudness, Operation, Shots, Storyboard, Thumbnails, Transcribe, Waveform

Listener = LoudnessMeter | WaveformPlotter
Watcher = ThumbnailMaker | StoryboardMaker | ShotFinder

_LISTENING: Final = (Transcribe, Loudness, Waveform)
_WATCHING: Final = (Thumbnails, Storyboard, Shots)
#: What one seek costs, in seconds of video that could be decoded instead: half the way between keyframes, and more.
_SEEK_COST: Final = 2.5


def unfit(operations: Iterable[Operation], facts: Facts) -> dict[str, ProcessingFailed]:
    """Those that this file is not fit for, each with the reason."""
    reasons: dict[str, ProcessingFailed] = {}
    for operation in operations:
        if isinstance(operation, _LISTENING) and facts.sample_rate is None:
            reasons[operation.name] = ProcessingFailed("the file has no audio stream", code="no_audio_stream")
        if isinstance(operation, _WATCHING) and facts.video is None:
            reasons[operation.name] = ProcessingFailed("the file has no video stream", code="no_video_stream")
        elif isinstance(operation, Storyboard | Shots) and facts.is_image:
            reasons[operation.name] = ProcessingFailed("the file is a picture, not a video", code="no_video_stream")
    return reasons


@dataclass(frozen=True, slots=True)
class Plan:
    """What takes the frames of one file, by the operations' names."""

    #: What is to be transcribed, where anything is.
    recording: Recording | None
    listeners: dict[str, Listener]
    watchers: dict[str, Watcher]
    #: Watchers whose pictures are few: seeking them costs less than going through the file.
    sought: frozenset[str]

    @classmethod
    def of(cls, operations: Iterable[Operation], facts: Facts, length: float, folder: ArtifactFolder) -> Plan:
        """For operations that the file is fit for; `length` is the file's, in seconds."""
        listeners: dict[str, Listener] = {}
        watchers: dict[str, Watcher] = {}
        recording = None
        for operation in operations:
            if isinstance(operation, Transcribe):
                recording = Recording()
            elif listener := _listener(operation, facts, folder):
                listeners[operation.name] = listener
            elif watcher := _watcher(operation, facts, length, folder):
                watchers[operation.name] = watcher
        return cls(recording, listeners, watchers, _sought(watchers, length))

    @property
    def hearing(self) -> list[AudioSink]:
        """What listens in the pass."""
        return [*([self.recording] if self.recording else []), *self.listeners.values()]

    @property
    def seeing(self) -> list[VideoSink]:
        """What watches in the pass."""
        return [watcher for name, watcher in self.watchers.items() if name not in self.sought]

    def decode(self, source: Path, progress: Callable[[float], None]) -> tuple[str, ...]:
        """The one pass, for all that need it; answers warnings. Raises as `decode_once`."""
        if not self.hearing and not self.seeing:
            return ()
        return decode_once(source, self.hearing, self.seeing, progress)

    def finish(self, name: str, source: Path, progress: Callable[[float], None]) -> tuple[dict[str, Any], list[str]]:
        """What an operation leaves to be done after the pass; answers its summary and warnings.

        Raises as `seek_pictures`.
        """
        if name in self.listeners:
            return self.listeners[name].write(), []
        watcher = self.watchers[name]
        if name in self.sought:
            seek_pictures(source, watcher, progress)
        return watcher.write(), list(watcher.warnings)


def _listener(operation: Operation, facts: Facts, folder: ArtifactFolder) -> Listener | None:
    match operation:
        case Loudness():
            return LoudnessMeter(folder)
        case Waveform() if facts.sample_rate is not None:
            return WaveformPlotter(operation, facts.sample_rate, folder)
    return None


def _watcher(operation: Operation, facts: Facts, length: float, folder: ArtifactFolder) -> Watcher | None:
    if facts.video is None:
        return None
    match operation:
        case Thumbnails():
            return ThumbnailMaker(operation, facts.video, length, folder, is_image=facts.is_image)
        case Storyboard():
            return StoryboardMaker(operation, facts.video, length, folder)
        case Shots():
            return ShotFinder(operation, facts.video.span(length), folder)
    return None


def _sought(watchers: Mapping[str, Watcher], length: float) -> frozenset[str]:
    needs = {name: watcher.needs for name, watcher in watchers.items()}
    if any(each.moments is None for each in needs.values()):
        return frozenset()
    return frozenset(
        name for name, each in needs.items() if each.keyframes or _SEEK_COST * len(each.moments or ()) < length
    )
