"""The engine with a stand-in for the model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import pytest

from shared.errors import ProcessingFailed, ResourceExhausted
from shared.media.recognizer import Sound
from shared.media.speech_batches import SpeechBatches
from shared.media.spoken import Spoken, Understood
from tests.stand_in_recognizer import StandIn, level, level_file

SECONDS = 10


class Gate:
    """Holds the model at its first batch until all have come."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, sounds: Sequence[Sound]) -> None:
        self.reached.set()
        assert self.open.wait(SECONDS)


def _nothing(fraction: float) -> None:
    pass


def _together(batches: SpeechBatches, files: Sequence[Spoken], gate: Gate) -> list[Any]:
    """Understand the files, the first one alone in the model until the others wait; answers or what was raised."""
    with ThreadPoolExecutor(len(files)) as pool:
        first = pool.submit(batches.understand, lambda: files[0], _nothing)
        assert gate.reached.wait(SECONDS)
        waiting = threading.Barrier(len(files))

        def progress() -> Callable[[float], None]:
            told = threading.Event()

            def tell(fraction: float) -> None:
                if not told.is_set():
                    told.set()
                    waiting.wait(SECONDS)

            return tell

        others = [pool.submit(batches.understand, lambda file=file: file, progress()) for file in files[1:]]
        waiting.wait(SECONDS)
        gate.open.set()
        wait([first, *others], SECONDS)
    return [each.exception() or each.result() for each in (first, *others)]


def _texts(answer: Understood) -> list[str]:
    return [level(word) for word in answer.words]


def test_files_that_wait_share_a_window_and_each_gets_its_own_words() -> None:
    model = StandIn(before=(gate := Gate()))
    levels = [0.5, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56]
    answers = _together(SpeechBatches(model), [level_file(value) for value in levels], gate)
    assert [_texts(answer) for answer in answers] == [[f"{round(level * 100)}"] * 4 for level in levels]
    for answer in answers:
        assert [word.start for word in answer.words] == pytest.approx([0.1, 1.1, 2.1, 3.1], abs=0.001)
    assert [len(batch) for batch in model.heard] == [1, 1]
    assert len(set(model.heard[1][0])) == 6


def test_a_long_file_takes_several_windows_in_a_batch() -> None:
    model = StandIn()
    answer = SpeechBatches(model, most=3).understand(lambda: level_file(0.5, seconds=100.0), _nothing)
    assert len(answer.words) == 100
    assert [word.start for word in answer.words] == sorted(word.start for word in answer.words)
    assert [len(batch) for batch in model.heard] == [3, 1]


def test_only_files_of_one_language_and_task_share_windows() -> None:
    model = StandIn(before=(gate := Gate()))
    files = [
        level_file(0.5),
        level_file(0.51),
        level_file(0.52, language="de"),
        level_file(0.53, task="translate"),
        level_file(0.54),
    ]
    answers = _together(SpeechBatches(model), files, gate)
    assert [set(_texts(answer)) for answer in answers] == [{"50"}, {"51"}, {"52"}, {"53"}, {"54"}]
    assert {(tongue.language, tongue.task) for tongue in model.tongues} == {
        ("en", "transcribe"),
        ("de", "transcribe"),
        ("en", "translate"),
    }
    assert all(len({*window} & {"51", "54"}) in (0, 2) for batch in model.heard[1:] for window in batch)


def test_an_unknown_language_is_found_for_eachlevel_file() -> None:
    model = StandIn(before=(gate := Gate()))
    answers = _together(SpeechBatches(model), [level_file(0.5, language=None), level_file(0.8, language=None)], gate)
    assert [(answer.language, answer.language_probability) for answer in answers] == [("fr", 0.9), ("de", 0.9)]
    assert sorted(model.asked) == [" 50", " 80"]
    assert sorted(tongue.language for tongue in model.tongues) == ["de", "fr"]


def test_a_file_that_leaves_disturbs_no_other() -> None:
    class Cancelled(Exception):
        pass

    def leave(fraction: float) -> None:
        raise Cancelled

    model = StandIn(before=(gate := Gate()))
    batches = SpeechBatches(model)
    with ThreadPoolExecutor(2) as pool:
        stays = pool.submit(batches.understand, lambda: level_file(0.5, seconds=60.0), _nothing)
        assert gate.reached.wait(SECONDS)
        with pytest.raises(Cancelled):
            batches.understand(lambda: level_file(0.6), leave)
        gate.open.set()
        assert set(_texts(stays.result(SECONDS))) == {"50"}
    assert not any("60" in window for batch in model.heard for window in batch)


def test_a_file_that_cannot_be_made_ready_disturbs_no_other() -> None:
    batches = SpeechBatches(StandIn())

    def broken() -> Spoken:
        raise ResourceExhausted("the voice detector ran out of memory")

    with pytest.raises(ResourceExhausted, match="voice detector"):
        batches.understand(broken, _nothing)
    assert len(batches.understand(lambda: level_file(0.5), _nothing).words) == 4


def test_a_failing_window_fails_its_files_only() -> None:
    def fails(sounds: Sequence[Sound]) -> None:
        gate(sounds)
        if any((sound.samples == np.float32(0.6)).any() for sound in sounds):
            raise ProcessingFailed("the speech model failed", code="model_failed")

    gate = Gate()
    files = [level_file(0.5), level_file(0.6, seconds=28.0), level_file(0.7, seconds=28.0)]
    one, two, three = _together(SpeechBatches(StandIn(before=fails)), files, gate)
    assert isinstance(two, ProcessingFailed)
    assert (len(one.words), len(three.words)) == (4, 28)


def _fails_at(value: float) -> Callable[[Sound], None]:
    def fail(sound: Sound) -> None:
        if (sound.samples == np.float32(value)).any():
            raise ProcessingFailed("the speech model failed", code="model_failed")

    return fail


def test_a_file_that_fails_is_found_in_the_window_that_it_shares() -> None:
    gate, fail = Gate(), _fails_at(0.6)

    def fails(sounds: Sequence[Sound]) -> None:
        gate(sounds)
        for sound in sounds:
            fail(sound)

    model = StandIn(before=fails)
    files = [level_file(0.5), level_file(0.55), level_file(0.6), level_file(0.7)]
    one, two, bad, three = _together(SpeechBatches(model), files, gate)
    assert isinstance(bad, ProcessingFailed)
    assert [_texts(answer) for answer in (one, two, three)] == [["50"] * 4, ["55"] * 4, ["70"] * 4]
    assert [word.start for word in three.words] == pytest.approx([0.1, 1.1, 2.1, 3.1], abs=0.001)


def test_a_second_hearing_that_fails_fails_its_file_only() -> None:
    model = StandIn(before=(gate := Gate()), doubtful="60", before_again=_fails_at(0.6))
    files = [level_file(0.5), level_file(0.55), level_file(0.6), level_file(0.7)]
    one, two, bad, three = _together(SpeechBatches(model), files, gate)
    assert isinstance(bad, ProcessingFailed)
    assert [_texts(answer) for answer in (one, two, three)] == [["50"] * 4, ["55"] * 4, ["70"] * 4]


def test_what_does_not_fit_into_the_memory_is_heard_in_smaller_batches_for_good() -> None:
    model = StandIn(fits=2)
    batches = SpeechBatches(model, most=8)
    for _ in range(2):
        assert len(batches.understand(lambda: level_file(0.5, seconds=160.0), _nothing).words) == 160
    assert [len(batch) for batch in model.heard] == [2] * 6


def test_a_window_that_does_not_fit_alone_is_exhaustion() -> None:
    with pytest.raises(ResourceExhausted, match="out of memory"):
        SpeechBatches(StandIn(fits=0)).understand(lambda: level_file(0.5, seconds=60.0), _nothing)


def test_a_bug_comes_out_in_those_who_wait_and_the_next_file_is_served() -> None:
    model = StandIn(before=lambda sounds: 1 / 0)  # type: ignore[arg-type, return-value]
    batches = SpeechBatches(model)
    with pytest.raises(ZeroDivisionError):
        batches.understand(lambda: level_file(0.5), _nothing)
    model.before = lambda sounds: None
    assert len(batches.understand(lambda: level_file(0.5), _nothing).words) == 4


def test_doubtful_speech_is_heard_again_and_left_out_when_that_is_no_better() -> None:
    model = StandIn(before=(gate := Gate()), doubtful="60")
    one, doubted, two = _together(SpeechBatches(model), [level_file(0.5), level_file(0.6), level_file(0.7)], gate)
    assert (_texts(one), _texts(doubted), _texts(two)) == (["50"] * 4, [], ["70"] * 4)
    assert doubted.left_out == ((0.1, 3.9),)
    assert (one.left_out, two.left_out, model.again) == ((), (), 2)


@pytest.mark.parametrize("seconds", [4.0, 28.0], ids=["shared window", "own window"])
def test_speech_that_is_none_to_the_model_is_heard_again(seconds: float) -> None:
    model = StandIn(before=(gate := Gate()), no_speech="60")
    files = [level_file(0.5), level_file(0.6, seconds), level_file(0.7, seconds)]
    one, silent, two = _together(SpeechBatches(model), files, gate)
    assert (set(_texts(one)), _texts(silent), set(_texts(two))) == ({"50"}, ["60"] * round(seconds), {"70"})
    assert silent.left_out == ()


@pytest.mark.parametrize("seconds", [4.0, 28.0], ids=["shared window", "own window"])
def test_words_that_are_no_speech_to_the_model_even_then_are_left_out_with_word_of_it(seconds: float) -> None:
    model = StandIn(before=(gate := Gate()), no_speech="60", no_speech_again="60")
    files = [level_file(0.5), level_file(0.6, seconds), level_file(0.7, seconds)]
    one, silent, two = _together(SpeechBatches(model), files, gate)
    assert (set(_texts(one)), _texts(silent), set(_texts(two))) == ({"50"}, [], {"70"})
    assert silent.left_out == ((0.1, seconds - 0.1),)
    assert (one.left_out, two.left_out) == ((), ())


def test_a_phrase_passed_over_is_heard_again() -> None:
    model = StandIn(before=(gate := Gate()), missed="60")
    one, missed, two = _together(SpeechBatches(model), [level_file(0.5), level_file(0.6), level_file(0.7)], gate)
    assert (_texts(one), _texts(missed), _texts(two)) == (["50"] * 4, ["60"] * 4, ["70"] * 4)
    assert model.again == 1


def test_progress_rises_and_the_thread_goes_when_all_is_done() -> None:
    told: list[float] = []
    heard = threading.Event()

    def progress(fraction: float) -> None:
        told.append(fraction)
        heard.set()

    def until_told(sounds: Sequence[Sound]) -> None:
        heard.clear()
        assert heard.wait(SECONDS)

    before = set(threading.enumerate())
    SpeechBatches(StandIn(before=until_told), most=1).understand(lambda: level_file(0.5, seconds=80.0), progress)
    assert told == sorted(told)
    assert {round(fraction, 2) for fraction in told} >= {0.0, 0.35, 0.7}
    for thread in threading.enumerate():
        if thread.name == "speech":
            thread.join(SECONDS)
    assert set(threading.enumerate()) <= before
