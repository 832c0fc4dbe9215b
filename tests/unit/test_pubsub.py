"""How long a call to Pub/Sub may last: the beat that extends a message's deadline renews the job's lease, too."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from shared.errors import Unavailable
from shared.pubsub import PubSubSubscription, PubSubTopics


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("port", ["silent", "closed"])
def test_an_extension_takes_no_longer_than_one_call_may(port: str, request: pytest.FixtureRequest) -> None:
    address = f"127.0.0.1:{request.getfixturevalue(port)}"
    subscription = PubSubSubscription("p", "s", emulator=address, call_seconds=0.5)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        subscription.extend(["a"], 60)
    assert time.monotonic() - began < 30


def test_nothing_that_is_tried_again_holds_its_thread_for_as_long_as_the_client_would(closed: int) -> None:
    """Left to itself it tries to publish for ten minutes, and to acknowledge for one."""
    topics = PubSubTopics("p", emulator=f"127.0.0.1:{closed}")
    subscription = PubSubSubscription("p", "s", emulator=f"127.0.0.1:{closed}")
    calls = (partial(topics.publish, "t", b"", {}), partial(subscription.ack, "a"), partial(subscription.nack, "a"))

    def seconds(call: Callable[[], None]) -> float:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            call()
        return time.monotonic() - began

    with ThreadPoolExecutor(len(calls)) as pool:
        assert max(pool.map(seconds, calls)) < 40
