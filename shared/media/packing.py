"""Speech of several files side by side in the model's windows of 30 s, so that short files cost what one long one does.

Whisper was trained on windows of 30 s: it always pays for a whole one, and repeats itself in shorter ones. A window
holds runs: phrases of one file, with the long pauses between them left out. Between two runs there is silence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from shared.media.audio import SAMPLE_RATE

#: Samples that the model hears at once.
WINDOW: Final = 30 * SAMPLE_RATE
#: Silence between two files, in samples, besides what they have of their own.
GAP: Final = SAMPLE_RATE * 3 // 10


@dataclass(frozen=True, slots=True)
class Phrase:
    """Speech without a long pause, in samples from the start of its file; never longer than a window."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """In samples."""
        return self.end - self.start


class File(Protocol):
    """A file whose speech is to be packed."""

    @property
    def waiting(self) -> deque[Phrase]:
        """What is still to be packed, in order; `pack` takes from the front."""


F = TypeVar("F", bound=File)


@dataclass(frozen=True, slots=True)
class Run(Generic[F]):
    """Phrases of one file that follow each other in a window."""

    file: F
    phrases: tuple[Phrase, ...]
    #: Where it begins in the window, in samples.
    at: int

    @property
    def length(self) -> int:
        """In samples."""
        return sum(phrase.length for phrase in self.phrases)

    @property
    def alone(self) -> Window[F]:
        """The same in a window of its own."""
        return Window([Run(self.file, self.phrases, 0)])


@dataclass(slots=True)
class Window(Generic[F]):
    """What the model hears at once."""

    runs: list[Run[F]] = field(default_factory=list)

    @property
    def length(self) -> int:
        """In samples, without the silence that fills it up."""
        return self.runs[-1].at + self.runs[-1].length if self.runs else 0

    def _next(self) -> int:
        return self.length + GAP if self.runs else 0

    def has_room(self, length: int) -> bool:
        """Whether so many samples more fit in."""
        return self._next() + length <= WINDOW

    def add(self, file: F, phrases: tuple[Phrase, ...]) -> None:
        """Put a run behind the others."""
        self.runs.append(Run(file, phrases, self._next()))


def pack(files: Iterable[F], most: int) -> list[Window[F]]:
    """Up to `most` windows of phrases from the files, in turn a run of each, so that none waits for a long one."""
    windows: list[Window[F]] = []
    turns = deque(file for file in files if file.waiting)
    while turns:
        file = turns.popleft()
        count, length = _fitting(file.waiting)
        window = next((window for window in windows if window.has_room(length)), None)
        if window is None:
            if len(windows) == most:
                continue  # out of this batch; shorter runs of others may still find room
            window = Window()
            windows.append(window)
        window.add(file, tuple(file.waiting.popleft() for _ in range(count)))
        if file.waiting:
            turns.append(file)
    return windows


def _fitting(phrases: Iterable[Phrase]) -> tuple[int, int]:
    """How many of the first phrases fill a window, and their length."""
    count = length = 0
    for phrase in phrases:
        if count and length + phrase.length > WINDOW:
            break
        count, length = count + 1, length + phrase.length
    return count, length
