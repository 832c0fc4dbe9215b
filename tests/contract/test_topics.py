"""What the code relies on of Pub/Sub, by the fake and by the real clients on Google's emulator.

Filters are not among it (the emulator ignores them), nor is the length of a backoff.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from shared.errors import Misconfigured
from shared.pubsub import Delivery, PubSubSubscription, PubSubTopics, Subscription, Topics
from tests.contract.conftest import ACK_DEADLINE_SECONDS, PROJECT, PubSub
from tests.fakes.clock import FakeClock
from tests.fakes.faults import Faults
from tests.fakes.topics import FakeSubscription, FakeTopics
from tests.waiting import eventually


@dataclass
class Line:
    """One topic with one subscription."""

    topic: str
    topics: Topics
    subscription: Subscription
    #: Lets time pass; real time passes by itself.
    advance: Callable[[float], None]

    def publish(self, *texts: str) -> None:
        for text in texts:
            self.topics.publish(self.topic, text.encode(), {"fileType": text})

    def pull(self, number: int, *, within_s: float = 60.0) -> list[Delivery]:
        """So many messages, in however many pulls; the last delivery of each."""
        pulled: dict[str, Delivery] = {}

        def enough() -> bool:
            self.advance(1.0)
            # An answer that comes later than that is lost, and its messages with it until their deadline.
            for delivery in self.subscription.pull(number - len(pulled), timeout_seconds=5):
                pulled[delivery.message_id] = delivery
            return len(pulled) >= number

        eventually(enough, within_s=within_s)
        return list(pulled.values())

    def is_empty(self) -> bool:
        return not self.subscription.pull(10, timeout_seconds=0.3)


@pytest.fixture(params=["fake", "emulator"])
def line(request: pytest.FixtureRequest) -> Line:
    name = f"t{uuid.uuid4().hex}"
    if request.param == "fake":
        clock, faults = FakeClock(), Faults()
        subscription = FakeSubscription(clock, faults, name, ack_deadline_seconds=ACK_DEADLINE_SECONDS, retry_seconds=0)
        return Line(name, FakeTopics(clock, faults, {name: [subscription]}), subscription, clock.advance)
    pub_sub: PubSub = request.getfixturevalue("pub_sub")
    pub_sub.create(name)
    return Line(
        name,
        PubSubTopics(PROJECT, emulator=pub_sub.address),
        PubSubSubscription(PROJECT, name, emulator=pub_sub.address),
        lambda seconds: None,
    )


def test_a_message_arrives_whole(line: Line) -> None:
    line.topics.publish(line.topic, b"\x00\xffdata", {"jobId": "1", "traceparent": ""})
    (delivery,) = line.pull(1)
    assert (delivery.data, dict(delivery.attributes)) == (b"\x00\xffdata", {"jobId": "1", "traceparent": ""})
    assert delivery.message_id
    assert delivery.ack_id


def test_a_pull_takes_no_more_than_it_was_told(line: Line) -> None:
    line.publish("a", "b", "c")
    assert len(line.subscription.pull(2, timeout_seconds=5)) <= 2


def test_a_pull_of_nothing_ends_in_time_with_nothing(line: Line) -> None:
    assert list(line.subscription.pull(1, timeout_seconds=0.3)) == []


def test_each_message_has_an_id_of_its_own(line: Line) -> None:
    line.publish("a", "b", "c")
    assert len({delivery.message_id for delivery in line.pull(3)}) == 3


def test_a_message_under_its_deadline_is_not_delivered_again(line: Line) -> None:
    line.publish("a")
    line.pull(1)
    assert line.is_empty()


def test_an_acknowledged_message_never_comes_again(line: Line) -> None:
    line.publish("a", "b")
    for delivery in line.pull(2):
        line.subscription.ack(delivery.ack_id)
    line.advance(ACK_DEADLINE_SECONDS)
    assert line.is_empty()


def test_a_nacked_message_comes_again_at_once_under_the_same_id(line: Line) -> None:
    line.publish("a")
    (first,) = line.pull(1)
    line.subscription.nack(first.ack_id)
    (second,) = line.pull(1, within_s=ACK_DEADLINE_SECONDS - 2)
    assert (second.message_id, second.data) == (first.message_id, first.data)
    assert second.ack_id != first.ack_id
    line.subscription.ack(second.ack_id)


def test_an_unanswered_message_comes_again_after_its_deadline_and_an_extended_one_later(line: Line) -> None:
    line.publish("left", "extended")
    held = {delivery.data: delivery for delivery in line.pull(2)}
    line.subscription.extend([held[b"extended"].ack_id], 60)
    (again,) = line.pull(1)
    assert again.data == b"left"
    assert line.is_empty()
    line.subscription.ack(again.ack_id)
    line.subscription.ack(held[b"extended"].ack_id)


def test_a_topic_that_is_not_there_is_told_as_ours_to_mend(line: Line) -> None:
    with pytest.raises(Misconfigured) as caught:
        line.topics.publish("no-such-topic", b"x", {})
    assert caught.value.reason_code == "misconfigured"
