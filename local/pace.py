"""How fast a Cloud Tasks queue dispatches, and when it tries a task again. Pure: the caller brings the clock.

https://cloud.google.com/tasks/docs/reference/rpc/google.cloud.tasks.v2#ratelimits and #retryconfig
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

_FIRST_SLOWDOWN_S: Final = 0.5
_LONGEST_SLOWDOWN_S: Final = 10.0


class TokenBucket:
    """At most `burst` dispatches at once, refilled with `rate` a second."""

    def __init__(self, rate: float, burst: int, *, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._filled_at = now

    def wait_s(self, now: float) -> float:
        """Seconds until a token is there; 0 when one is."""
        self._fill(now)
        return max(0.0, (1 - self._tokens) / self.rate)

    def take(self, now: float) -> None:
        """Use one token, which `wait_s` said is there."""
        self._fill(now)
        self._tokens -= 1

    def _fill(self, now: float) -> None:
        self._tokens = min(self.burst, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now


class Slowdown:
    """What 429 and 503 do to the whole queue: nothing is dispatched for a while, longer each time in a row.

    Cloud Tasks lowers the queue's rate in a way it does not publish. Here: 0.5 s, then twice as long for every
    further 429 or 503, up to 10 s; a Retry-After that asks for more is heeded; any other answer ends it.
    """

    def __init__(self) -> None:
        self._next_s = _FIRST_SLOWDOWN_S
        self._until = -math.inf

    def wait_s(self, now: float) -> float:
        """Seconds until the queue may dispatch again."""
        return max(0.0, self._until - now)

    def answered(self, status: int | None, *, retry_after_s: float, now: float) -> None:
        """Note a target's answer (None: there was none)."""
        if status in (429, 503):
            self._until = max(self._until, now + max(self._next_s, retry_after_s))
            self._next_s = min(2 * self._next_s, _LONGEST_SLOWDOWN_S)
        elif status is not None:
            self._next_s = _FIRST_SLOWDOWN_S


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a task that failed is tried again, and when it is given up."""

    #: Tries in all; 0 or less: no limit.
    max_attempts: int
    #: Seconds since the first try; 0: no limit.
    max_retry_duration_s: float
    min_backoff_s: float
    max_backoff_s: float
    max_doublings: int

    @classmethod
    def of(cls, config: Any) -> RetryPolicy:
        """The policy in a protobuf RetryConfig, of a queue or a task."""
        return cls(
            max_attempts=config.max_attempts,
            max_retry_duration_s=config.max_retry_duration.ToTimedelta().total_seconds(),
            min_backoff_s=config.min_backoff.ToTimedelta().total_seconds(),
            max_backoff_s=config.max_backoff.ToTimedelta().total_seconds(),
            max_doublings=config.max_doublings,
        )

    def is_exhausted(self, *, attempts: int, elapsed_s: float) -> bool:
        """Both limits must be used up where both are set; a task without limits is tried for ever."""
        limits = []
        if self.max_attempts > 0:
            limits.append(attempts >= self.max_attempts)
        if self.max_retry_duration_s > 0:
            limits.append(elapsed_s >= self.max_retry_duration_s)
        return bool(limits) and all(limits)

    def delay_s(self, attempts: int) -> float:
        """The wait after that many failed attempts: doubled `max_doublings` times, then linear, then constant."""
        retries = attempts - 1
        doubled = self.min_backoff_s * 2.0 ** min(retries, self.max_doublings)
        steps = max(0, retries - self.max_doublings)
        return min(self.max_backoff_s, doubled * (1 + steps))
