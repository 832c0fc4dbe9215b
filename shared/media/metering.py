"""Sound through a filter that measures it, on the file's own timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Final

from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.error import BlockingIOError as NothingYet
from av.error import EOFError as AllPulled
from av.filter import Graph

from shared.media.resampling import Resampled, usual_layout

#: What the filter gets at once is shorter than the shortest silence that can be asked for (0.1 s).
_PIECES_A_SECOND: Final = 20


class Metered:
    """An audio sink that hands on what a filter of libavfilter says of the sound."""

    def __init__(
        self,
        filter_name: str,
        arguments: str,
        formats: Sequence[str],
        take: Callable[[dict[str, str]], None],
        steps_a_second: int | None = None,
    ) -> None:
        """`take` gets the metadata of each frame that has any; what is in none of the `formats` comes in the first.

        A filter that speaks once in a step only hears silence behind the sound until its last step is whole.
        """
        self._filter = filter_name, arguments
        self._formats = formats
        self._take = take
        self._steps_a_second = steps_a_second
        self._input: Resampled | None = None
        self._graph: _Graph | None = None
        self._silent_until: float | None = None
        self._samples = 0
        self._rate = 1

    @property
    def seconds(self) -> float:
        """How much was heard."""
        return self._samples / self._rate

    @property
    def whole_steps(self) -> int:
        """How many steps were heard to their end."""
        return self._samples // self._step if self._step else 0

    @property
    def _step(self) -> int:
        """In samples, as filters round it; 0 where there are none."""
        return self._rate // self._steps_a_second if self._steps_a_second else 0

    def add(self, frame: AudioFrame) -> None:
        if self._input is None:  # the first sound's layout and rate are those of the measurement
            form = frame.format.name if frame.format.name in self._formats else self._formats[0]
            self._rate = frame.sample_rate
            layout = usual_layout(frame.layout)
            self._input = Resampled(form, layout, frame.sample_rate, self._measure)
            self._graph = _Graph(layout, frame.sample_rate, form, *self._filter)
        if self._silent_until is not None:
            self._input.fill(self._silent_until)
            self._silent_until = None
        self._input.add(frame)

    def fill(self, until: float) -> None:
        self._silent_until = until

    def finish(self) -> None:
        if self._input is not None:
            self._input.finish()
            if self._step and (missing := -self._samples % self._step):
                self._hear(self._input.silence(missing))
            self._hear(None)

    def _measure(self, frame: AudioFrame) -> None:
        self._samples += frame.samples
        self._hear(frame)

    def _hear(self, frame: AudioFrame | None) -> None:
        assert self._graph is not None  # noqa: S101
        for metadata in self._graph.measure(frame):
            self._take(metadata)


class _Graph:
    def __init__(self, layout: AudioLayout, rate: int, form: str, filter_name: str, arguments: str) -> None:
        self._graph = Graph()  # kept, for its filters go with it
        self._source = self._graph.add_abuffer(
            sample_rate=rate, format=form, layout=layout, time_base=Fraction(1, rate)
        )
        # Frames come without times of their own, and are not to be given any: other sinks hear them, too.
        clock = self._graph.add("asetpts", "N")
        # A frame has room for one word of each kind, and some codecs' frames are seconds long.
        pieces = self._graph.add("asetnsamples", f"nb_out_samples={max(rate // _PIECES_A_SECOND, 1)}:pad=0")
        meter = self._graph.add(filter_name, arguments)
        self._sink = self._graph.add("abuffersink")
        self._graph.link_nodes(self._source, clock, pieces, meter, self._sink).configure()

    def measure(self, frame: AudioFrame | None) -> Iterator[dict[str, str]]:
        """What the filter says of the sound up to and with this frame; None for the end."""
        self._source.push(frame)
        while True:
            try:
                metadata = self._sink.pull().metadata
            except (NothingYet, AllPulled):
                return
            if metadata:
                yield metadata
