"""What a decoding child does with one open file."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Protocol

from av import FFmpegError

from shared.errors import JobError
from shared.media.artifacts import ArtifactFolder
from shared.media.completeness import require_whole
from shared.media.facts import look, open_ended, without
from shared.media.limits import allow_cpu
from shared.media.media_file import MediaFile
from shared.media.messages import Done, Looked, Made, Message, Planned, Problem
from shared.media.plan import Plan, accompanied, unfit
from shared.media.probe import probe
from shared.media.task import Task

_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Who hears how the work goes."""

    def say(self, message: Message) -> None: ...

    def show(self, looked: Looked) -> tuple[str, ...]:
        """The names of the operations to do."""

    def at(self, stage: str, fraction: float) -> None: ...


def analyse(media: MediaFile, task: Task, folder: ArtifactFolder, parent: Listener) -> Done:
    """Check the file, go through it once for all operations, and write their artifacts.

    Raises ProcessingFailed for what is wrong with the file, ResourceExhausted when the disk is full, Misconfigured when
    weights are missing.
    """
    facts = look(media)
    length = require_whole(media, partial(parent.at, "check"))
    facts = without(facts, media.headers, media.empty)
    if not media.has_one_clock:
        facts = open_ended(facts)
    operations = accompanied(task.operations, facts)
    reasons = unfit(operations, facts)
    names = parent.show(
        Looked(
            media_seconds=None if facts.is_image else max(facts.duration or 0.0, length.seconds),
            operations=tuple(operation.name for operation in operations),
            unfit={name: Problem.of(reason) for name, reason in reasons.items()},
        )
    )
    chosen = [operation for operation in operations if operation.name in names]
    allow_cpu(task.limits, length.seconds)
    parent.at("check", 1.0)  # what a plan needs may take long to load
    new_plan = partial(Plan.of, chosen, facts, length.seconds, folder, task.scratch, task.weights)
    plan = new_plan(hardware=media.hardware)
    parent.say(Planned(seconds=length.seconds, stages=plan.stages))
    summary: dict[str, Any] = {}
    if "probe" in names:
        parent.at("probe", 0.0)
        summary["probe"] = probe(media, length.seconds)
        folder.write_json("probe.json", summary["probe"])
    try:
        found = plan.decode(media, partial(parent.at, "decode"))
    except (JobError, FFmpegError, MemoryError, RuntimeError) as error:  # the last are torch's
        if not media.hardware:
            raise
        # Whoever is to blame: libav knows. What the plan holds by now is of no use.
        details = {"error": str(error)[:200]}
        _log.warning("decoding again without hardware", extra={"event": "media.no_hardware", "details": details})
        media.do_without_hardware()
        plan.drop()
        plan = new_plan()
        found = plan.decode(media, partial(parent.at, "decode"))
    warnings = [*length.warnings, *found]
    for name in plan.finishing:
        parent.at(name, 0.0)
        summary[name], said = plan.finish(name, media, partial(parent.at, name))
        warnings += said
    return Done(
        is_image=facts.is_image,
        summary=summary,
        warnings=tuple(warnings),
        artifacts=tuple(Made(name=made.name, content_type=made.content_type) for made in folder.written),
        handed=plan.hand_over(),
        decoder=media.decoder,
    )
