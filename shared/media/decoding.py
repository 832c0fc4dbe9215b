"""Packets in, frames out: the one loop that decodes. What a decoder refuses is counted and passed over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import av
from av import FFmpegError
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from shared.errors import ProcessingFailed
from shared.media import hardware
from shared.media.container import as_failure, last_words
from shared.media.demuxing import last_packet, packets
from shared.processor import Decoder

_log = logging.getLogger(__name__)

#: Sound the decoder may refuse before the whole is a failure: seconds, and as a share.
_LOST_SECONDS: Final = 2.0
_LOST_SHARE: Final = 0.05
#: Packets refused before the first sound after which trying on is pointless.
_HOPELESS: Final = 1000

Frame = AudioFrame | VideoFrame


@dataclass(slots=True)
class Track:
    """One stream under way through its decoder, and what that refused."""

    stream: AudioStream | VideoStream
    decoded: int = 0
    refused: int = 0
    last: FFmpegError | None = None
    #: `audio` or `video`; kept here, since a stream must not be asked once its file is closed.
    kind: str = field(init=False)
    #: The stream's place in its file.
    index: int = field(init=False)
    decoder: Decoder = "cpu"
    #: Whether the GPU's decoder was set up for it.
    hardware: bool = False

    def __post_init__(self) -> None:
        self.kind, self.index = self.stream.type, self.stream.index

    def take(self, step: Callable[[], Sequence[object]]) -> Iterator[Frame]:
        """The frames of one step of the decoder.

        Raises as `refuse`, and when the GPU's decoder was set up but is not what decodes: libav would, on one thread.
        """
        try:
            frames = step()
        except av.error.EOFError:  # this decoder has given all it has
            return
        except FFmpegError as error:
            self.refuse(error)
            return
        for frame in frames:
            if isinstance(frame, AudioFrame | VideoFrame):
                if not self.decoded and isinstance(frame, VideoFrame):
                    self._see_who_decodes(frame)
                self.decoded += 1
                yield frame

    def _see_who_decodes(self, first: VideoFrame) -> None:
        if hardware.is_on_device(first):
            self.decoder = "nvdec"
        elif self.hardware:
            raise ProcessingFailed("the GPU's decoder does not take this video", code="undecodable")

    def refuse(self, error: FFmpegError) -> None:
        """Count what could not be decoded.

        Raises ProcessingFailed (`decoder_memory`) when memory ran out, and whatever a GPU's decoder refuses: libav
        knows whether the file is to blame.
        """
        if self.hardware:
            raise as_failure("decoding on the GPU", error) from error
        if isinstance(error, MemoryError):
            raise as_failure(f"decoding the {self.kind}", error) from error
        self.refused += 1
        self.last = error

    @property
    def is_hopeless(self) -> bool:
        """Whether this is no sound at all (pictures may begin late: a broadcast waits for its next keyframe)."""
        return self.kind == "audio" and not self.decoded and self.refused >= _HOPELESS

    def judge_sound(self, seconds: float) -> tuple[str, ...]:
        """Nothing lost: no warnings. A little: one. More than a little: ProcessingFailed."""
        if self.last is None:
            if not self.decoded:
                raise ProcessingFailed("the audio stream holds no sound at all", code="undecodable")
            return ()
        share = self.refused / (self.decoded + self.refused)
        if not self.decoded or (share > _LOST_SHARE and share * seconds > _LOST_SECONDS):
            failure = as_failure("decoding the audio", self.last)
            raise ProcessingFailed(
                f"{failure.message} ({self.refused} of {self.decoded + self.refused} packets)", code="undecodable"
            ) from self.last
        return (f"{self.refused} damaged audio packets were left out ({last_words(self.last)})",)

    def judge_pictures(self) -> tuple[str, ...]:
        """Any loss is one warning; no picture at all is ProcessingFailed."""
        if not self.decoded:
            if self.last is not None:
                raise as_failure("decoding the video", self.last) from self.last
            raise ProcessingFailed("the video stream holds no picture that can be decoded", code="undecodable")
        if self.last is None:
            return ()
        return (f"{self.refused} damaged video packets were left out ({last_words(self.last)})",)


def decode(
    container: InputContainer, tracks: Sequence[Track], tick: Callable[[], None]
) -> Iterator[tuple[Track, Frame]]:
    """Every frame of these streams from here to the end, demuxed once, each with its track.

    `tick` is called for every packet, good or bad; what it raises ends the work.
    """
    before = [track.decoded for track in tracks]
    try:
        yield from _decode(container, tracks, tick)
    finally:
        counts: dict[str, int] = {}
        for track, start in zip(tracks, before, strict=True):
            counts[track.kind] = counts.get(track.kind, 0) + track.decoded - start
        _log.debug("decoded %s", counts, extra={"event": "media.decoded", "details": {"frames": counts}})


def _decode(
    container: InputContainer, tracks: Sequence[Track], tick: Callable[[], None]
) -> Iterator[tuple[Track, Frame]]:
    by_index = {track.index: track for track in tracks}

    def refuse(error: FFmpegError) -> None:
        for track in tracks:
            track.refuse(error)
        tick()

    try:
        for packet in packets(container, [track.stream for track in tracks], refuse):
            tick()
            track = by_index[packet.stream.index]
            if not track.is_hopeless:
                yield from ((track, frame) for frame in track.take(packet.decode))
            if all(track.is_hopeless for track in tracks):
                return
    except FFmpegError as error:
        refuse(error)
    for track in tracks:
        yield from ((track, frame) for frame in track.take(last_packet(track.stream).decode))
