from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.recent import Recent


def test_a_fresh_value_is_not_asked_for_again() -> None:
    asked: list[int] = []
    recent = Recent(lambda: asked.append(0) or len(asked), at_first=0, seconds=60)
    assert [recent.get() for _ in range(3)] == [1, 1, 1]


def test_an_old_value_is_asked_for_again() -> None:
    asked: list[int] = []
    recent = Recent(lambda: asked.append(0) or len(asked), at_first=0, seconds=-1)
    assert [recent.get() for _ in range(3)] == [1, 2, 3]


def test_while_one_caller_asks_the_others_take_what_there_is() -> None:
    is_asking, may_answer = threading.Event(), threading.Event()

    def ask() -> int:
        is_asking.set()
        assert may_answer.wait(10)
        return 7

    recent = Recent(ask, at_first=0, seconds=60)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(recent.get)
        assert is_asking.wait(10)
        assert [recent.get() for _ in range(5)] == [0] * 5
        may_answer.set()
        assert first.result(10) == 7
    assert recent.get() == 7


def test_a_question_that_fails_is_asked_again() -> None:
    answers = iter([ZeroDivisionError(), 5])

    def ask() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    recent = Recent(ask, at_first=0, seconds=60)
    with pytest.raises(ZeroDivisionError):
        recent.get()
    assert recent.get() == 5
