"""From what the model heard in a window to the words of each file in it; doubtful speech is heard a second time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.errors import JobError
from shared.media.audio import SAMPLE_RATE
from shared.media.hallucination import is_doubtful, is_no_speech
from shared.media.packing import Run, Window
from shared.media.recognizer import Heard, Recognizer, Tongue
from shared.media.spoken import PAD, Spoken, sound
from shared.media.word_times import words_by_run
from shared.media.words import Word

#: In so many seconds of speech there are words, and no fewer for each second; slow readers say 1.5.
_SPOKEN_SECONDS: Final = 1.0
_FEWEST: Final = 0.9


def add_words(
    window: Window[Spoken], heard: Heard, recognizer: Recognizer, tongue: Tongue
) -> list[tuple[Spoken, JobError]]:
    """Give each file in the window its words; answers the files of which a second hearing failed, and why."""
    is_silent = is_no_speech(heard.no_speech, heard.log_probability)
    failed: list[tuple[Spoken, JobError]] = []
    # What the files repeat of each other is no fault of the model's: each is judged by its own words.
    for run, words in zip(window.runs, words_by_run(window, heard.words), strict=True):
        try:
            if is_silent or _is_doubtful(words, heard):
                again, left_out = _heard_again(run, recognizer, tongue)
                run.file.words += again
                run.file.left_out += left_out
            elif _has_holes(run, words):
                again, _ = _heard_again(run, recognizer, tongue)
                run.file.words += again if len(again) > len(words) else words
            else:
                run.file.words += words
        except JobError as error:
            failed.append((run.file, error))
    return failed


def _heard_again(
    run: Run[Spoken], recognizer: Recognizer, tongue: Tongue
) -> tuple[list[Word], list[tuple[float, float]]]:
    """Hear a run by itself: its words, and from when to when they are doubtful even then, without those.

    Raises as `Recognizer.hear`.
    """
    alone = run.alone
    kept: list[Word] = []
    left_out: list[tuple[float, float]] = []
    for heard in recognizer.hear_again(sound(alone), tongue):
        [words] = words_by_run(alone, heard.words)
        if not words:
            continue
        if is_no_speech(heard.no_speech, heard.log_probability) or _is_doubtful(words, heard):
            left_out.append((words[0].start, words[-1].end))
        else:
            kept += words
    return kept, left_out


def _is_doubtful(words: Sequence[Word], heard: Heard) -> bool:
    return is_doubtful([word.text for word in words], heard.log_probability)


def _has_holes(run: Run[Spoken], words: Sequence[Word]) -> bool:
    """Whether the model passed over a phrase: its words, if any, are others' stretched over it."""
    for phrase in run.phrases:
        seconds = phrase.length / SAMPLE_RATE - 2 * PAD
        start, end = phrase.start / SAMPLE_RATE, phrase.end / SAMPLE_RATE
        said = sum(start <= (word.start + word.end) / 2 <= end for word in words)
        if seconds >= _SPOKEN_SECONDS and said < seconds * _FEWEST:
            return True
    return False
