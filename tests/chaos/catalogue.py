"""The faults there are to be put in, by their numbers, and the scenarios that put them in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.chaos.hub import Hub

FAULTS: Final = {
    1: "the same finalize event twice",
    2: "overwritten while the old generation runs",
    3: "events out of order",
    4: "the object is deleted before the worker opens it",
    5: "files that are not what they claim",
    6: "an event for our own results bucket",
    7: "an event replayed days later",
    8: "a crash between record and publish, both orders",
    9: "jobs:run answers 503 but the execution was created",
    10: "429 RESOURCE_EXHAUSTED from jobs:run",
    11: "a task delivered twice at once",
    12: "a task name used again within a day",
    13: "a redelivery while the first delivery still runs",
    14: "the answer to a push is lost",
    15: "a message dead-lettered twice",
    16: "an execution dies before its first pull",
    17: "SIGTERM, then SIGKILL after 10 s",
    18: "SIGKILL at each stage boundary",
    19: "out of memory (exit 137)",
    20: "CUDA out of memory",
    21: "no GPU where one was expected",
    22: "the attempt's time limit",
    23: "429, 503, a short read or a wrong checksum from storage",
    24: "the disk is full",
    25: "clocks that disagree between workers",
    26: "a worker that wakes up after its lease was taken",
    27: "a file that kills the decoder every time",
    28: "the webhook's receiver hangs, says 500, 3xx or 410, or has a bad certificate",
    29: "n8n down, Slack down, both down; an alert storm",
    30: "a webhook delivered twice",
    31: "Pub/Sub, storage, Tasks and Jobs killed and started again amid ten uploads",
}

#: Faults that are several: each part of them has a scenario of its own, which says so.
PARTS: Final = {
    5: (
        "zero bytes",
        "wrong extension",
        "truncated file",
        "missing moov",
        "audio without video",
        "video without audio",
        "zero duration",
        "variable frame rate with very many frames",
        "larger than the disk",
    ),
    8: ("after the record", "before the record"),
    17: ("SIGTERM", "SIGKILL", "SIGTERM to a pod"),
    18: ("CPU worker", "GPU worker", "pod"),
    22: ("by the estimate", "reports", "hears nothing", "hangs", "a later job"),
    23: ("429 and 503", "a source", "a record", "a race"),
    24: ("in the engine", "during the fetch", "while artifacts are written"),
    26: ("worker", "pod"),
    27: ("decoder", "worker"),
    28: ("500, 3xx, 410, bad certificate", "hangs"),
    29: ("n8n, Slack, both", "an alert storm", "the relay dies", "the relay dies between"),
    31: ("Pub/Sub", "storage", "Tasks", "Jobs", "functions"),
}


@dataclass(frozen=True)
class Scenario:
    name: str
    faults: tuple[int, ...]
    #: The promises it tries above all; every one is looked at after every scenario.
    promises: tuple[int, ...]
    play: Callable[[Hub], None]
    #: Cheap ones run in `make test`, too.
    is_cheap: bool
    #: Played where the GKE route is open.
    has_gke: bool = False
    #: Of its faults, those parts that it puts in.
    parts: tuple[str, ...] = ()


SCENARIOS: Final[list[Scenario]] = []


def scenario(
    *faults: int,
    promises: tuple[int, ...],
    is_cheap: bool = False,
    has_gke: bool = False,
    parts: tuple[str, ...] = (),
) -> Callable[[Callable[[Hub], None]], Callable[[Hub], None]]:
    """Put a function into the table; its name says what happens, its asserts what must come of it."""

    def enter(play: Callable[[Hub], None]) -> Callable[[Hub], None]:
        name = play.__name__.replace("_", " ")
        SCENARIOS.append(Scenario(name, faults, promises, play, is_cheap, has_gke, parts))
        return play

    return enter
