from __future__ import annotations

import pytest

from local.pace import RetryPolicy, Slowdown, TokenBucket


def policy(
    max_attempts: int = 0, duration_s: float = 0, min_s: float = 1, max_s: float = 100, doublings: int = 16
) -> RetryPolicy:
    return RetryPolicy(max_attempts, duration_s, min_s, max_s, doublings)


def test_backoff_doubles_then_grows_linearly_then_stays() -> None:
    """The example of Cloud Tasks' own reference."""
    example = policy(min_s=10, max_s=300, doublings=3)
    assert [example.delay_s(attempts) for attempts in range(1, 9)] == [10, 20, 40, 80, 160, 240, 300, 300]


@pytest.mark.parametrize(
    ("limits", "attempts", "elapsed_s", "exhausted"),
    [
        (policy(max_attempts=5), 4, 1e9, False),
        (policy(max_attempts=5), 5, 0, True),
        (policy(duration_s=60), 1000, 59, False),
        (policy(duration_s=60), 1, 60, True),
        (policy(max_attempts=5, duration_s=60), 5, 59, False),
        (policy(max_attempts=5, duration_s=60), 4, 60, False),
        (policy(max_attempts=5, duration_s=60), 5, 60, True),
        (policy(max_attempts=-1), 10**6, 1e9, False),
        (policy(max_attempts=-1, duration_s=60), 1, 60, True),
    ],
)
def test_a_task_is_given_up_only_when_every_limit_that_is_set_is_used_up(
    limits: RetryPolicy, attempts: int, elapsed_s: float, exhausted: bool
) -> None:
    assert limits.is_exhausted(attempts=attempts, elapsed_s=elapsed_s) is exhausted


def test_bucket_lets_a_burst_pass_and_then_the_rate() -> None:
    bucket = TokenBucket(5, 5, now=0)
    sent: list[float] = []
    now = 0.0
    while len(sent) < 15:
        now += bucket.wait_s(now)
        bucket.take(now)
        sent.append(now)
    assert sent[:5] == [0.0] * 5
    assert sent[5:] == pytest.approx([0.2 * count for count in range(1, 11)])


def test_bucket_saves_up_no_more_than_a_burst() -> None:
    bucket = TokenBucket(5, 5, now=0)
    for _ in range(5):
        bucket.take(1000)
    assert bucket.wait_s(1000) == pytest.approx(0.2)


def test_queue_slows_down_more_with_every_429_and_503_in_a_row() -> None:
    slowdown = Slowdown()
    waits = []
    now = 0.0
    for status in (429, 503, 429, 429, 429, 429, 429):
        slowdown.answered(status, retry_after_s=0, now=now)
        waits.append(slowdown.wait_s(now))
        now += waits[-1]
    assert waits == [0.5, 1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize(("status", "wait_s"), [(200, 0.5), (500, 0.5), (None, 1.0)])
def test_only_another_answer_ends_the_slowdown(status: int | None, wait_s: float) -> None:
    slowdown = Slowdown()
    slowdown.answered(429, retry_after_s=0, now=0)
    slowdown.answered(status, retry_after_s=0, now=10)
    assert slowdown.wait_s(10) == 0
    slowdown.answered(503, retry_after_s=0, now=10)
    assert slowdown.wait_s(10) == wait_s


def test_longer_retry_after_is_heeded() -> None:
    slowdown = Slowdown()
    slowdown.answered(503, retry_after_s=7, now=0)
    assert slowdown.wait_s(0) == 7
