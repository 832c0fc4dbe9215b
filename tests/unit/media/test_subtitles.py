from __future__ import annotations

import re
from itertools import pairwise

import pytest

from shared.media.subtitles import Cue, Word, cut, srt, webvtt


def _words(text: str, *, pace: float = 0.3, start: float = 0.0) -> list[Word]:
    return [
        Word(f" {word}", start + index * pace, start + index * pace + pace * 0.9, 1.0)
        for index, word in enumerate(text.split())
    ]


LONG = "the quick brown fox jumps over the lazy dog and then it runs away from the hunters " * 6


@pytest.mark.parametrize("words_per_line", [None, 1, 4, 50])
@pytest.mark.parametrize("pace", [0.05, 0.3, 1.5, 9.0])
def test_cues_are_short_enough_to_read_and_lose_nothing(pace: float, words_per_line: int | None) -> None:
    cues = cut(_words(LONG, pace=pace), words_per_line)
    assert " ".join(line for cue in cues for line in cue.lines).split() == LONG.split()
    for cue in cues:
        assert 1 <= len(cue.lines) <= 2
        assert max(map(len, cue.lines)) <= 42
        assert 0 < cue.end - cue.start <= 7
        assert all(len(line.split()) <= (words_per_line or 99) for line in cue.lines)
    assert all(earlier.end <= later.start for earlier, later in pairwise(cues))


def test_a_sentence_ends_its_cue() -> None:
    assert [cue.lines for cue in cut(_words("Yes. No, thanks! Why?"))] == [("Yes.",), ("No, thanks!",), ("Why?",)]


def test_a_pause_ends_a_cue() -> None:
    cues = cut([*_words("one two"), *_words("three four", start=5)])
    assert [cue.lines for cue in cues] == [("one two",), ("three four",)]


def test_two_lines_are_of_like_length() -> None:
    [cue] = cut(_words("It was the age of foolishness and of the epoch of belief", pace=0.2))
    assert cue.lines == ("It was the age of foolishness", "and of the epoch of belief")


def test_a_word_longer_than_a_line_is_broken() -> None:
    [cue] = cut([Word(" " + "x" * 60, 0, 1, 1.0)])
    assert "".join(cue.lines) == "x" * 60
    assert max(map(len, cue.lines)) <= 42


def test_words_without_spaces_stay_together() -> None:
    [cue] = cut([Word(char, index, index + 1, 1.0) for index, char in enumerate("我们走吧")])
    assert cue.lines == ("我们走吧",)


def test_webvtt_is_escaped() -> None:
    text = webvtt([Cue(0.5, 3661.25, ("a <b> & c", "d --> e"))])
    assert text == "WEBVTT\n\n00:00:00.500 --> 01:01:01.250\na &lt;b&gt; &amp; c\nd --&gt; e\n"


def test_subrip_is_numbered_and_has_commas() -> None:
    text = srt([Cue(0, 1, ("one",)), Cue(1.0004, 2, ("two -->", "lines"))])
    assert text == "1\n00:00:00,000 --> 00:00:01,000\none\n\n2\n00:00:01,000 --> 00:00:02,000\ntwo →\nlines\n"


def test_nothing_said_is_nothing_shown() -> None:
    assert cut([]) == ()
    assert srt([]) == ""
    assert re.fullmatch(r"WEBVTT\n+", webvtt([]))
