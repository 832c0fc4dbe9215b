"""A file's sound as Whisper wants it: 16 kHz, mono, on the file's own timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
from av import FFmpegError
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from shared.errors import ProcessingFailed
from shared.media.container import as_failure, best_audio, duration_seconds, last_words, open_media, start_seconds

SAMPLE_RATE: Final = 16_000

#: A hole in the timestamps longer than this (seconds) is filled with silence, so that words keep their times.
_GAP: Final = 0.1
#: Sound the decoder may refuse before the whole is a failure: seconds, and as a share.
_LOST_SECONDS: Final = 2.0
_LOST_SHARE: Final = 0.05
#: Packets refused before the first sound after which trying on is pointless.
_HOPELESS: Final = 1000


@dataclass(frozen=True, slots=True)
class Audio:
    """Decoded sound; sample n stands n / SAMPLE_RATE seconds after the start of the file."""

    samples: NDArray[np.float32]
    warnings: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length, from the start of the file to the last sample."""
        return len(self.samples) / SAMPLE_RATE


def decode_audio(source: Path, progress: Callable[[float], None]) -> Audio:
    """Decode the best audio stream; `progress` gets the fraction done.

    Raises ProcessingFailed (`no_audio_stream`, or `undecodable` when more than a little of the sound is lost).
    """
    with open_media(source) as container:
        stream = best_audio(container)
        if stream is None:
            raise ProcessingFailed("the file has no audio stream", code="no_audio_stream")
        declared = duration_seconds(container)
        track = _Track(origin=start_seconds(container), declared=declared)
        losses = _Losses()
        for frame in _frames(container, stream, losses):
            track.add(frame)
            progress(track.seconds / declared if declared else 0.0)
        track.finish()
    return Audio(track.samples(), losses.judge(track.seconds))


def _frames(container: InputContainer, stream: AudioStream, losses: _Losses) -> Iterator[AudioFrame]:
    """Every frame of a stream; what the decoder refuses is counted and passed over, as ffmpeg does."""
    packets = container.demux(stream)
    packet: Packet[AudioStream] | None = None
    while not losses.are_hopeless:
        try:
            packet = next(packets, None)
        except FFmpegError as error:
            losses.add(error)
            packet = None
        try:
            frames = packet.decode() if packet is not None else stream.decode(None)
        except av.error.EOFError:  # the demuxer's last packet has flushed the decoder already
            return
        except FFmpegError as error:
            losses.add(error)
            frames = []
        losses.decoded += len(frames)
        yield from frames
        if packet is None:
            return


@dataclass(slots=True)
class _Losses:
    """What the decoder refused."""

    decoded: int = 0
    refused: int = 0
    last: FFmpegError | None = None

    def add(self, error: FFmpegError) -> None:
        if isinstance(error, MemoryError):
            raise as_failure("decoding the audio", error) from error
        self.refused += 1
        self.last = error

    @property
    def are_hopeless(self) -> bool:
        return not self.decoded and self.refused >= _HOPELESS

    def judge(self, seconds: float) -> tuple[str, ...]:
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


class _Track:
    """Grows by frames of any format into 16-bit mono, with silence where the timestamps leave holes."""

    def __init__(self, *, origin: float, declared: float | None) -> None:
        self._origin = origin
        self._limit = declared + _GAP if declared is not None else 0.0
        self._pcm = bytearray()
        self._resampler: AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None
        self._clock = 0.0

    @property
    def seconds(self) -> float:
        return self._clock

    def add(self, frame: AudioFrame) -> None:
        if frame.time is not None:
            self._fill_up_to(frame.time - self._origin)
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            self._drain()
            # Not `flt`: swresample does not normalise a float down-mix, stereo would come out 3 dB too loud.
            self._resampler, self._shape = AudioResampler("s16", "mono", SAMPLE_RATE), shape
        frame.pts = None  # the timeline is kept here; the resampler would only check it
        assert self._resampler is not None  # noqa: S101
        self._append(self._resampler.resample(frame))
        self._clock += frame.samples / frame.sample_rate

    def finish(self) -> None:
        self._drain()

    def samples(self) -> NDArray[np.float32]:
        return np.frombuffer(self._pcm, dtype=np.int16).astype(np.float32) / 32768.0

    def _fill_up_to(self, now: float) -> None:
        # A hole that ends after the file does is a broken clock, not a pause.
        if now - self._clock <= _GAP or now > self._limit:
            return
        self._drain()
        missing = round(now * SAMPLE_RATE) - len(self._pcm) // 2
        self._pcm.extend(bytes(2 * max(missing, 0)))
        self._clock = now

    def _drain(self) -> None:
        if self._resampler is not None:
            self._append(self._resampler.resample(None))
            self._resampler, self._shape = None, None

    def _append(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            self._pcm.extend(frame.to_ndarray().tobytes())
