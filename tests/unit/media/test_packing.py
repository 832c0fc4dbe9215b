from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.media.packing import GAP, WINDOW, Phrase, Window, pack


@dataclass(eq=False)
class File:
    """Phrases of these lengths, a second apart."""

    seconds: list[float]
    waiting: deque[Phrase] = field(init=False)

    def __post_init__(self) -> None:
        self.waiting, at = deque(), 0
        for seconds in self.seconds:
            self.waiting.append(Phrase(at, at + round(seconds * 16_000)))
            at += round((seconds + 1) * 16_000)


FILES = st.lists(st.lists(st.floats(0.1, 30.0), max_size=12).map(File), max_size=8)


@settings(max_examples=100, deadline=None)
@given(FILES, st.integers(1, 4))
def test_every_phrase_gets_a_place_of_its_own(files: list[File], most: int) -> None:
    asked = {id(file): list(file.waiting) for file in files}
    got: dict[int, list[Phrase]] = {id(file): [] for file in files}
    while any(file.waiting for file in files):
        windows = pack(files, most)
        assert 1 <= len(windows) <= most
        for window in windows:
            assert window.length <= WINDOW
            for run, following in pairwise(window.runs):
                assert following.at >= run.at + run.length + GAP
        runs = [run for window in windows for run in window.runs]
        for run in sorted(runs, key=lambda run: run.phrases[0].start):
            got[id(run.file)] += run.phrases
    assert got == asked


def _names(window: Window[File], files: dict[str, File]) -> list[str]:
    return [name for run in window.runs for name, file in files.items() if file is run.file]


def test_short_files_share_a_window() -> None:
    files = {name: File([5.0]) for name in "abcdef"}
    windows = pack(files.values(), 8)
    assert [_names(window, files) for window in windows] == [["a", "b", "c", "d", "e"], ["f"]]


def test_a_short_file_does_not_wait_for_a_long_one() -> None:
    files = {"long": File([29.0] * 100), "short": File([3.0])}
    assert [_names(window, files) for window in pack(files.values(), 2)] == [["long"], ["short"]]


def test_what_a_long_file_leaves_is_filled() -> None:
    files = {"long": File([29.0, 29.0, 10.0]), "short": File([3.0])}
    assert [_names(window, files) for window in pack(files.values(), 8)] == [["long"], ["short", "long"], ["long"]]


def test_nothing_waiting_is_nothing_packed() -> None:
    assert pack([File([])], 8) == []
