"""Two lanes on every route: work of high priority goes past all that waits in the normal one.

Pub/Sub has no priorities, but filters: each lane is a subscription of its own, told apart by a message attribute
(https://cloud.google.com/pubsub/docs/subscription-message-filter). Cloud Tasks has neither: each lane is a queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Priority(StrEnum):
    HIGH = "high"
    NORMAL = "normal"


#: Which queue holds a lane's CPU tasks.
CPU_QUEUES: Final[Mapping[Priority, str]] = {Priority.NORMAL: "cpu-tasks", Priority.HIGH: "cpu-tasks-high"}
#: The message attribute that names the lane; a message without it is of the normal one.
ATTRIBUTE: Final = "priority"


def is_high(attributes: Mapping[str, str]) -> bool:
    return attributes.get(ATTRIBUTE) == Priority.HIGH


def filter_term(priority: Priority) -> str:
    """The part of a subscription's filter that passes one lane: every message passes exactly one of the two."""
    term = f'attributes.{ATTRIBUTE} = "{Priority.HIGH}"'
    return term if priority is Priority.HIGH else f"NOT {term}"
