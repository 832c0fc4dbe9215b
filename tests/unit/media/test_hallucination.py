from __future__ import annotations

import pytest

from shared.media.hallucination import compression, is_doubtful, is_loop, is_no_speech

SURE = -0.2


@pytest.mark.parametrize(
    ("text", "doubtful"),
    [
        ("And so my fellow Americans, ask not what your country can do for you", False),
        ("No, no, no, no! I said no.", False),
        (
            "It was the best of times, it was the worst of times, it was the age of wisdom",
            False,
        ),
        ("Thank you. " * 12, True),
        ("and then I went to the shop " * 6, True),
        ("la " * 9, True),
        ("ha" * 60, True),
        ("", False),
    ],
)
def test_what_repeats_itself_is_doubted(text: str, doubtful: bool) -> None:
    assert is_doubtful([f" {word}" for word in text.split()], SURE) is doubtful


def test_a_loop_is_found_behind_good_words() -> None:
    words = [
        "He",
        "came",
        "home",
        "at",
        "last",
        "and",
        "sat",
        "down,",
        "and",
        "then",
        "one",
        "by",
        "one",
        "they",
        "left",
    ]
    assert not is_loop(words)
    assert is_loop([*words, *["you know"] * 9])


def test_guesses_are_doubted() -> None:
    words = ["quite", "so"]
    assert is_doubtful(words, -1.2)
    assert not is_doubtful(words, -0.9)


@pytest.mark.parametrize(
    ("no_speech", "log_probability", "expected"),
    [(0.1, -3.0, False), (0.7, -0.9, False), (0.7, -1.1, True), (0.9, -0.7, False), (0.9, -0.9, True)],
)
def test_no_speech_needs_a_doubt_of_the_words_as_well(no_speech: float, log_probability: float, expected: bool) -> None:
    assert is_no_speech(no_speech, log_probability) is expected


def test_compression_of_text_that_says_one_thing_once_is_low() -> None:
    assert compression("the quick brown fox jumps over the lazy dog") < 1.2
    assert compression("over and over " * 20) > 2.4
