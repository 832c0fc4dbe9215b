"""Where a file is quiet: libavfilter's silencedetect (https://ffmpeg.org/ffmpeg-filters.html#silencedetect)."""

from __future__ import annotations

from typing import Final

from shared.media.metering import Metered
from shared.media.vad_spans import Span

#: What the filter takes as it is, so that nothing is converted for it.
_FORMATS: Final = ("dbl", "dblp", "flt", "fltp", "s16", "s16p", "s32", "s32p")


class SilenceFinder(Metered):
    """An audio sink that notes where all channels are quieter than a level for some time."""

    def __init__(self, level_db: float, seconds: float) -> None:
        """`level_db` is the peak in dB of full scale, `seconds` the shortest time."""
        super().__init__("silencedetect", f"noise={level_db}dB:duration={seconds}", _FORMATS, self._note)
        self._found: list[Span] = []
        self._start: float | None = None

    def _note(self, metadata: dict[str, str]) -> None:
        # A piece is too short to hold the end of one silence and then word of the next.
        if start := metadata.get("lavfi.silence_start"):
            self._start = float(start)
        if (end := metadata.get("lavfi.silence_end")) and self._start is not None:
            self._found.append(Span(self._start, float(end)))
            self._start = None

    @property
    def silences(self) -> list[Span]:
        """In rising order, in seconds from the start of the file; a last one lasts as long as the sound."""
        # Of a silence that nothing ends the filter tells the log alone.
        last = [] if self._start is None else [Span(self._start, self.seconds)]
        return [*self._found, *last]
