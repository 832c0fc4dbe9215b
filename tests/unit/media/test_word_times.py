from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest

from shared.media.packing import GAP, Phrase, Window
from shared.media.word_times import words_by_run
from shared.media.words import Word

RATE = 16_000
#: Where the second file begins.
OTHER = 3 + GAP / RATE


@dataclass(eq=False)
class File:
    waiting: deque[Phrase] = field(default_factory=deque)


def _phrase(start: float, end: float) -> Phrase:
    return Phrase(round(start * RATE), round(end * RATE))


def _word(text: str, start: float, end: float) -> Word:
    return Word(text, start, end, 0.9)


@pytest.fixture
def window() -> Window[File]:
    """In its time: 0–2 and 2–3 of one file (its 10–12 and 20–21), and behind the gap 0–2 of another."""
    window: Window[File] = Window()
    window.add(File(), (_phrase(10, 12), _phrase(20, 21)))
    window.add(File(), (_phrase(0, 2),))
    return window


def test_words_go_back_to_their_files_and_times(window: Window[File]) -> None:
    words = [
        _word(" one", 0.4, 0.8),
        _word(" two", 1.4, 1.8),
        _word(" three", 2.2, 2.6),
        _word(" four", OTHER + 0.5, OTHER + 0.9),
    ]
    first, second = words_by_run(window, words)
    assert [(word.text, word.start, word.end) for word in first] == [
        (" one", 10.4, 10.8),
        (" two", 11.4, 11.8),
        (" three", 20.2, 20.6),
    ]
    assert [(word.text, word.start, word.end) for word in second] == [(" four", 0.5, 0.9)]


def test_a_word_belongs_where_most_of_it_lies(window: Window[File]) -> None:
    # The model gives the silence between two files to the word before it, or to the word behind it.
    words = [
        _word(" one", 0.4, 0.8),
        _word(" last", 2.5, OTHER + 0.1),
        _word(" first", 2.9, OTHER + 0.7),
        _word(" four", 4.4, 4.8),
    ]
    first, second = words_by_run(window, words)
    assert [word.text for word in first] == [" one", " last"]
    assert [word.text for word in second] == [" first", " four"]


def test_words_stay_inside_their_phrases(window: Window[File]) -> None:
    words = [
        _word(" one", 0.4, 0.8),
        _word(" last", 2.8, OTHER + 0.1),
        _word(" first", 2.9, OTHER + 0.7),
        _word(" end", 5.3, 9.0),
    ]
    first, second = words_by_run(window, words)
    assert (first[-1].start, first[-1].end) == (20.8, 21.0)
    assert second[0].start >= 0.0
    assert second[-1].end == 2.0


def test_a_pause_is_no_part_of_the_words_beside_it(window: Window[File]) -> None:
    usual = [_word(f" {number}", number * 0.3, number * 0.3 + 0.3) for number in range(5)]
    words = [*usual, _word(" last", 2.0, 3.0), _word(" first", OTHER, OTHER + 1.3)]
    first, second = words_by_run(window, words)
    assert first[-1].end - first[-1].start == pytest.approx(0.6)
    assert second[0].end - second[0].start == pytest.approx(0.6)
    assert second[0].end == pytest.approx(1.3)


def test_the_first_word_of_each_run_opens_it(window: Window[File]) -> None:
    words = [_word(" one", 0.4, 0.8), _word(" two", 1.4, 1.8), _word(" four", 4.0, 4.4), _word(" five", 4.4, 4.8)]
    assert [[word.opens for word in mine] for mine in words_by_run(window, words)] == [[True, False], [True, False]]


def test_no_words_are_none_for_all(window: Window[File]) -> None:
    assert words_by_run(window, []) == [[], []]
