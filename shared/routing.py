"""Where a job goes, and why: pure, so that the whole of the rules can be tested as a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from shared.classify import FileFacts
from shared.errors import Fault, InvalidRequest, UnsupportedMedia
from shared.lanes import Priority, filter_term
from shared.operations import Operation, wants_gpu
from shared.settings import Settings

#: What the header X-Destination may ask for.
Wish = Literal["cloud-run", "gke"]

#: https://cloud.google.com/pubsub/docs/subscription-message-filter
_MAX_FILTER_BYTES: Final = 256


class Destination(StrEnum):
    """A topic or a queue, by its name."""

    GPU = "gpu-tasks"
    GKE = "gpu-tasks-gke"
    CPU = "cpu-tasks"


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """The settings that routing depends on."""

    gpu_file_types: frozenset[str]
    gke_enabled: bool
    #: GPU slots there are.
    max_gpu_executions: int
    #: From so many waiting messages on, the GPU Job counts as busy.
    gpu_backlog_limit: int = 100

    @classmethod
    def of(cls, settings: Settings) -> RoutingRules:
        return cls(
            gpu_file_types=frozenset(settings.gpu_file_types),
            gke_enabled=settings.enable_gke_route,
            max_gpu_executions=settings.max_gpu_executions,
            gpu_backlog_limit=settings.gpu_backlog_limit,
        )


@dataclass(frozen=True, slots=True)
class Route:
    destination: Destination
    #: One sentence for people; stands in the record.
    reason: str


def route(
    facts: FileFacts,
    operations: Sequence[Operation],
    *,
    wish: Wish | None,
    slots_taken: int | None,
    backlog: int | None,
    rules: RoutingRules,
) -> Route:
    """The destination of one job; a number that is not known (None) speaks for "not busy".

    Raises UnsupportedMedia for what is empty or not media, InvalidRequest for a wish that cannot be granted.
    """
    if wish == "gke" and not rules.gke_enabled:
        fault = Fault("X-Destination", "gke is not enabled here; leave the header out or ask for cloud-run")
        raise InvalidRequest("X-Destination asks for gke, which is not enabled here.", (fault,), code="gke_disabled")
    if facts.kind == "other":
        raise UnsupportedMedia(f"The source is not video, audio or an image: found {facts.found}.")

    names = [operation.name for operation in operations if wants_gpu(operation)]
    work = " and ".join(dict.fromkeys(names))
    if not work or facts.file_type not in rules.gpu_file_types:
        return Route(Destination.CPU, _why_cpu(facts, work, wish, rules))

    if wish == "gke":
        return Route(Destination.GKE, f"gpu: {work} on {facts.file_type}; X-Destination asks for gke")
    if wish == "cloud-run":
        return Route(Destination.GPU, f"gpu: {work} on {facts.file_type}; X-Destination asks for cloud-run")
    busy = _why_busy(slots_taken, backlog, rules)
    if busy and rules.gke_enabled:
        return Route(Destination.GKE, f"gpu: {work} on {facts.file_type}; {busy}, so GKE takes it")
    return Route(Destination.GPU, f"gpu: {work} on {facts.file_type}")


def standing(destination: Destination | None, file_type: str, settings: Settings) -> Route | None:
    """Where a job goes whose destination a later deployment has taken away; None where it may stay as it is."""
    if destination in (None, Destination.CPU):
        return None
    if file_type not in settings.gpu_file_types:
        return Route(Destination.CPU, f"cpu: {file_type} is not among the GPU's file types any more")
    if destination is Destination.GKE and not settings.enable_gke_route:
        return Route(Destination.GPU, f"gpu: {file_type}; GKE is not enabled any more")
    return None


def filter_text(gpu_file_types: Iterable[str], priority: Priority | None = None) -> str:
    """The Pub/Sub filter that passes exactly these values of the attribute `fileType`, of one lane or of both.

    Raises ValueError for an empty set (an empty filter would pass everything), a value that is no file type, and a
    text longer than Pub/Sub's 256 bytes.
    """
    file_types = sorted(set(gpu_file_types))
    if not file_types:
        raise ValueError("the set of GPU file types is empty")
    if strange := [name for name in file_types if not re.fullmatch(r"[a-z0-9]+", name)]:
        raise ValueError(f"not a file type (lower case letters and digits): {', '.join(map(repr, strange))}")
    text = " OR ".join(f'attributes.fileType = "{name}"' for name in file_types)
    if priority is not None:
        text = f"({text}) AND {filter_term(priority)}"
    if len(text) > _MAX_FILTER_BYTES:
        raise ValueError(f"the filter for {len(file_types)} file types has {len(text)} bytes, Pub/Sub allows 256")
    return text


def _why_cpu(facts: FileFacts, work: str, wish: Wish | None, rules: RoutingRules) -> str:
    if not work:
        reason = "cpu: no operation needs the GPU"
    elif facts.kind == "unknown":
        reason = f"cpu: {work} on a source that could not be read yet"
    else:
        gpu_types = ", ".join(sorted(rules.gpu_file_types))
        reason = f"cpu: {work} on {facts.file_type}, which is not among the GPU's file types ({gpu_types})"
    return f"{reason}; X-Destination: {wish} moves only work bound for the GPU" if wish else reason


def _why_busy(slots_taken: int | None, backlog: int | None, rules: RoutingRules) -> str | None:
    if slots_taken is not None and slots_taken >= rules.max_gpu_executions:
        slots = rules.max_gpu_executions
        return "the only GPU slot is taken" if slots == 1 else f"all {slots} GPU slots are taken"
    if backlog is not None and backlog >= rules.gpu_backlog_limit:
        return f"{backlog} messages wait for the GPU (the limit is {rules.gpu_backlog_limit})"
    return None
