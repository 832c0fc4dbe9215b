"""One file under work: opened once for all that look around in it, and once more for what reads it from the start."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from contextlib import ExitStack
from types import TracebackType

from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.stream import VideoStream

from shared.errors import JobError
from shared.media.container import MOST_PIXELS, is_cover_art, open_media, video_stream
from shared.media.hardware import nvdec
from shared.media.survey import Stay
from shared.processor import Decoder
from shared.source import Source, size_of

_log = logging.getLogger(__name__)


class MediaFile:
    """A context manager; raises what `open_media` raises when it is entered.

    Opening costs what a hundred packets cost, so one open file serves all who read its headers or seek in it.
    """

    def __init__(
        self,
        source: Source,
        *,
        threads: int | None = None,
        hardware: bool = False,
        without_hardware: Callable[[], None] | None = None,
    ) -> None:
        """`threads` is how many a video decoder may use: one for each core and one more, unless told otherwise.

        With `hardware`, what goes through all pictures tries the GPU's decoder; `without_hardware` is called when it
        turns out that libav decodes after all.
        """
        self.source = source
        #: What decoded most pictures.
        self.decoder: Decoder = "cpu"
        #: Whether what goes through all pictures tries the GPU's decoder; until that fails.
        self.hardware = hardware
        self._without_hardware = without_hardware
        #: Of each stream, by its index, where it is in turn in the recordings that the file was joined from; nothing
        #: where it is one.
        self.stays: Mapping[int, Sequence[Stay]] = {}
        #: The indexes of streams that hold nothing, and count as absent.
        self.empty: Set[int] = frozenset()
        self.size = size_of(source)
        self._threads = threads or len(os.sched_getaffinity(0)) + 1
        self._open = ExitStack()
        self._is_untouched = False

    def __enter__(self) -> MediaFile:
        self._reopen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def headers(self) -> InputContainer:
        """The open file, for what it says of itself; who reads packets takes `from_start` or `anywhere`."""
        return self._container

    @property
    def has_one_clock(self) -> bool:
        """Whether one clock goes on from its start to its end, so that a time names one place in it."""
        return not self.stays

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was read of it yet, so that its next packet is its first."""
        return self._is_untouched

    def from_start(self) -> InputContainer:
        """The open file at its first packet: opened anew where somebody read, since not every format can go back."""
        if not self._is_untouched:
            self._reopen()
        return self.anywhere()

    def anywhere(self) -> InputContainer:
        """The open file, wherever it stands, for those who seek."""
        self._is_untouched = False
        return self._container

    def for_all_pictures(self, numbers: Collection[int | None]) -> InputContainer:
        """The file at its first packet, on the GPU's decoder where that takes one of these streams.

        `numbers` are those of video streams, None for the best. To set the decoder up takes a while.
        Raises ProcessingFailed (`no_video_stream`).
        """
        if not self.hardware:
            return self.from_start()
        try:
            self._reopen(nvdec())
        except (JobError, OSError, NotImplementedError) as error:
            # The file itself was opened before: it is the hardware that cannot.
            details = {"error": type(error).__name__}
            _log.warning("no hardware decoder", extra={"event": "media.no_hardware", "details": details})
            self.do_without_hardware()
            return self.from_start()
        streams = [video_stream(self._container, number, self.empty) for number in numbers]
        if not any(self.is_on_hardware(stream) for stream in streams):
            codecs = sorted({stream.codec_context.name for stream in streams})
            said = {"event": "media.no_hardware", "details": {"codecs": codecs}}
            _log.info("the hardware decodes none of %s", ", ".join(codecs), extra=said)
            self.do_without_hardware()
        return self.anywhere()

    def is_on_hardware(self, stream: VideoStream) -> bool:
        """Whether the GPU's decoder was set up for this stream; its first picture tells whether it does the work."""
        return self.hardware and stream.codec_context.is_hwaccel

    def do_without_hardware(self) -> None:
        """Whatever is decoded from here on is decoded by libav."""
        self.hardware = False
        if self._without_hardware is not None:
            self._without_hardware()

    def _reopen(self, hwaccel: HWAccel | None = None) -> None:
        # The one before stays open: its streams may still be asked.
        self._container = self._open.enter_context(open_media(self.source, hwaccel))
        self._is_untouched = True
        for stream in self._container.streams.video:
            if stream.codec_context is not None and not is_cover_art(stream):
                stream.codec_context.thread_type = "AUTO"
                # Each thread would need surfaces of its own on the device, which decodes at once what it can anyway.
                stream.codec_context.thread_count = 1 if stream.codec_context.is_hwaccel else self._threads
                # A stream may grow later on.
                stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
