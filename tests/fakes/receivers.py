"""Receivers of webhooks, behind the one method of the HTTP client that posts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.relay import TIMEOUT_SECONDS


@dataclass(frozen=True)
class Result:
    status: int


Answer = int | BaseException


@dataclass
class Receivers:
    """What the targets answer, in order (200 when nothing is left), and what they were sent."""

    answers: Mapping[str, list[Answer]] = field(default_factory=dict)
    #: Instead, by the body, for ever.
    always: Mapping[str, Callable[[bytes], Answer]] = field(default_factory=dict)
    posts: list[tuple[str, bytes]] = field(default_factory=list)

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_seconds: float) -> Result:
        assert headers == {"Content-Type": "application/json"}
        assert timeout_seconds == TIMEOUT_SECONDS
        self.posts.append((url, body))
        queue = self.answers.get(url)
        answer = self.always[url](body) if url in self.always else queue.pop(0) if queue else 200
        if isinstance(answer, BaseException):
            raise answer
        return Result(answer)

    @property
    def urls(self) -> list[str]:
        return [url for url, _ in self.posts]


def always(answer: Answer) -> Callable[[bytes], Answer]:
    return lambda body: answer
