"""What the local cloud's functions refuse is pushed again, as often as it takes."""

from __future__ import annotations

from collections import Counter
from typing import Final

from local import provision
from local.assets import WEIGHTS
from local.profile import PROJECT, Endpoints, Profile
from shared.resources import declared
from tests.contract.conftest import PubSub
from tests.fakes.loopback import receiving
from tests.waiting import eventually

TOPICS: Final = ("alerts", "dead-letters")
MESSAGES: Final = 3
#: The emulator has been seen to forget what was refused so often.
REFUSALS: Final = 3


def test_letters_and_alerts_that_are_refused_together_come_again_and_again(pub_sub: PubSub) -> None:
    with receiving("/") as receiver:
        receiver.status = 503
        port = int(receiver.url.rstrip("/").rpartition(":")[2])
        functions = dict.fromkeys(declared().functions, port)
        endpoints = Endpoints(
            pubsub=int(pub_sub.address.rpartition(":")[2]),
            storage=0,
            tasks=0,
            jobs=0,
            metrics=0,
            eventarc=port,
            functions=functions,
        )
        resources = Profile(model=WEIGHTS).fitted(declared())
        provision.create_topics(resources, endpoints)
        provision.create_subscriptions(resources, endpoints, frozenset({"wav"}))
        for topic in TOPICS:
            for number in range(MESSAGES):
                name = pub_sub.publisher.topic_path(PROJECT, topic)
                pub_sub.publisher.publish(topic=name, messages=[{"data": f"{topic} {number}".encode()}])

        def pushes() -> list[int]:
            return sorted(Counter(body["message"]["data"] for body in receiver.bodies).values())

        wanted = len(TOPICS) * MESSAGES
        eventually(lambda: pushes()[:1] > [REFUSALS] and len(pushes()) == wanted, lambda: str(pushes()))
        # Nothing is left behind for other tests.
        receiver.status = 204
        eventually(lambda: receiver.answered.count(204) >= wanted, lambda: str(pushes()))
