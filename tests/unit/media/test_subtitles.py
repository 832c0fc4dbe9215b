from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.media.subtitle_lines import width
from shared.media.subtitles import Cue, cut, srt, webvtt
from shared.media.words import Word


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


TEXTS = st.one_of(
    st.sampled_from(["a", "to", "It", "said,", "done.", "Mr.", "why?", "extraordinary", "x" * 60, "好", "語。"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=60),
)
MOMENTS = st.floats(0.0, 3.0).map(lambda seconds: round(seconds, 3))


@st.composite
def spoken(draw: st.DrawFn) -> list[Word]:
    """Words in rising order, as models place them: some take no time, some begin before the last one has ended."""
    words, clock = [], 0.0
    for text, pause, length in draw(st.lists(st.tuples(TEXTS, MOMENTS, MOMENTS), max_size=60)):
        clock += pause * draw(st.sampled_from([0, 0, 0.1, 1]))
        space = draw(st.sampled_from([" ", " ", " ", ""]))
        words.append(Word(space + text, clock, clock + length, 1.0, opens=draw(st.booleans())))
        clock += length * draw(st.sampled_from([0, 0.5, 1, 1]))
    return words


def _letters(text: str) -> str:
    return re.sub(r"\s+", "", text)


@settings(max_examples=150, deadline=None)
@given(spoken(), st.none() | st.integers(1, 6), st.lists(MOMENTS.map(lambda seconds: seconds * 8), unique=True))
def test_whatever_is_said_cues_keep_the_limits(
    words: list[Word], words_per_line: int | None, cuts: list[float]
) -> None:
    cuts = [cut for index, cut in enumerate(sorted(cuts)) if index == 0 or cut - sorted(cuts)[index - 1] > 0.01]
    cues = cut(words, words_per_line, cuts)
    assert _letters("".join(line for cue in cues for line in cue.lines)) == _letters("".join(w.text for w in words))
    for cue in cues:
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < width(line) <= 42 for line in cue.lines)
        assert 0 < cue.end - cue.start <= 7 + 1e-9
        assert not any(cue.start < moment < cue.end for moment in cuts), "across a shot"
    assert all(earlier.end <= later.start for earlier, later in pairwise(cues))


@settings(max_examples=50, deadline=None)
@given(spoken())
def test_a_cue_that_goes_too_soon_makes_room_for_the_next(words: list[Word]) -> None:
    cues = cut(words)
    for cue, following in pairwise([*cues, Cue(1e6, 1e6, ())]):
        needed = min(max(sum(map(width, cue.lines)) / 17, 1.0), 7.0)
        assert cue.end - cue.start >= needed - 1e-6 or following.start - cue.end < 0.001 + 1e-6


def test_a_sentence_ends_its_cue() -> None:
    cues = cut(_words("Yes. Thank you. Where is it?", pace=1.0))
    assert [cue.lines for cue in cues] == [("Yes.",), ("Thank you.",), ("Where is it?",)]


def test_sentences_too_short_to_be_read_share_a_cue() -> None:
    assert [cue.lines for cue in cut(_words("Yes. No. Why? I was told to go there.", pace=0.2))] == [
        ("Yes. No. Why? I was told to go there.",)
    ]


def test_a_title_ends_no_sentence() -> None:
    assert [cue.lines for cue in cut(_words("Then Mr. Dashwood came.", pace=1.0))] == [("Then Mr. Dashwood came.",)]


def test_a_cue_stays_on_in_the_pause_until_it_can_be_read() -> None:
    quick = _words("and this was said so very quickly indeed", pace=0.1)
    [cue] = cut(quick)
    assert cue.end == pytest.approx(len("and this was said so very quickly indeed") / 17, abs=0.1)
    [cue, _] = cut([*quick, *_words("next", start=2.0)])
    assert cue.end == 2.0


def test_a_cut_ends_a_cue_and_its_stay() -> None:
    before, after = cut(_words("one two three four", pace=0.5), cuts=[1.2])
    assert (before.lines, after.lines) == (("one two",), ("three four",))
    assert (before.end, after.start) == (1.0, 1.2)
    [stays] = cut(_words("so it was said", pace=0.1), cuts=[0.6, 3.0])
    assert stays.end == 0.6


def test_lines_break_where_one_breathes() -> None:
    [cue] = cut(_words("He came home at last, and then we all sat down to eat", pace=0.2))
    assert cue.lines == ("He came home at last,", "and then we all sat down to eat")


def test_full_width_characters_count_twice() -> None:
    words = [Word(character, index * 0.1, index * 0.1 + 0.1, 1.0) for index, character in enumerate("我们走吧" * 20)]
    assert 10 < max(len(line) for cue in cut(words) for line in cue.lines) <= 21


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
