"""The protocol with one rule left out each: what the model check must find, or it would find nothing else either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from shared import submit as submitting
from shared.job import Job, State
from shared.store import JobStore, Marker, Snapshot
from tests.fakes.services import FakeServices
from tests.fakes.topics import FakeTopics
from tests.fakes.world import request
from tests.model.actors import Actor, Remembering, canceller, redriver, submitter, undertaker, worker
from tests.model.lives import Build, TimelessObjects, build
from tests.model.scenario import SMALL, Mischief, Scenario, queued
from tests.model.script import Script


@dataclass(frozen=True)
class Mutant:
    """A rule that is not kept, the scenario that shows it, and the promise that is broken by it."""

    scenario: Scenario
    promise: int
    build: Build = build
    #: Is it found only where every schedule is looked at apart?
    apart: bool = False


class _Unconditional(TimelessObjects):
    """Records are written over, whatever is there."""

    def write(
        self, bucket: str, name: str, data: bytes, *, if_generation: int | None = None, **more: Any
    ) -> int | None:
        kept = None if name.startswith("jobs/") else if_generation
        return super().write(bucket, name, data, if_generation=kept, **more)


class _OneFolder(TimelessObjects):
    """All attempts write their artifacts into one folder."""

    def upload(self, bucket: str, name: str, path: Path, *, content_type: str) -> None:
        job_id, _, artifact = name.split("/")
        super().upload(bucket, f"{job_id}/1/{artifact}", path, content_type=content_type)


class _OneMarker(JobStore):
    """All submissions of a job share a marker, as they did until this model was made."""

    def mark_open(self, marker: Marker) -> None:
        super().mark_open(replace(marker, submission=1))

    def mark_closed(self, marker: Marker, *, if_generation: int | None = None) -> None:
        super().mark_closed(replace(marker, submission=1), if_generation=if_generation)


class _NeverRenewed(JobStore):
    """A marker that is there is left as it is, however old, as it was until the sweep was modelled beside it."""

    def mark_open(self, marker: Marker) -> None:
        self._objects.write(self._bucket, marker.object_name, b"", if_generation=0)


class _Sweeping(JobStore):
    """The marker that was looked at goes, though somebody else has written it anew."""

    def mark_closed(self, marker: Marker, *, if_generation: int | None = None) -> None:
        super().mark_closed(marker)


class _Careless(JobStore):
    """A refused write of the record is taken for one that held."""

    def _write(self, job: Job, if_generation: int) -> int | None:
        return super()._write(job, if_generation) or if_generation


class _FirstOnly(JobStore):
    """A submission that finds the job there leaves listing it to whoever was first."""

    is_new = False

    def create(self, job: Job) -> bool:
        self.is_new = super().create(job)
        return self.is_new

    def add_to_index(self, job: Job) -> None:
        if self.is_new:
            super().add_to_index(job)


class _Uncounted(JobStore):
    """An attempt that takes a dead worker's job over does not count."""

    def update(self, job_id: str, change: Callable[[Snapshot], Job | None], *, touch: bool = False) -> Snapshot | None:
        def uncounted(seen: Snapshot) -> Job | None:
            changed = change(seen)
            is_taken = changed is not None and changed.attempt > seen.job.attempt and seen.job.state is State.RUNNING
            return changed.model_copy(update={"attempts_counted": 1}) if changed and is_taken else changed

        return super().update(job_id, uncounted, touch=touch)


class _NoLetters(FakeTopics):
    """What is given up is not told."""

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        if topic != "dead-letters":
            super().publish(topic, data, attributes)


class _Blind(Remembering):
    """A worker that takes whatever it reads for its own attempt."""

    def update(self, job_id: str, change: Callable[[Snapshot], Job | None], *, touch: bool = False) -> Snapshot | None:
        mine = self.last and self.last.job

        def blind(seen: Snapshot) -> Job | None:
            return change(replace(seen, job=mine) if mine else seen)

        return super().update(job_id, blind, touch=touch)


def _other_key(name: str) -> Actor:
    return Actor(name, lambda services: submitting.submit(request(services, idempotency_key=f"shop\0{name}"), services))


def _trusting(name: str) -> Actor:
    def act(services: FakeServices) -> object:
        store = _FirstOnly(services.objects, services.settings.state_bucket)
        return submitting.submit(request(services), replace(services, store=store))

    return Actor(name, act)


def _with_objects(kind: type[TimelessObjects]) -> Build:
    return lambda script: build(script, kind)


def _with_store(kind: type[JobStore]) -> Build:
    def mutated(script: Script) -> FakeServices:
        services = build(script)
        return replace(services, store=kind(services.objects, services.settings.state_bucket))

    return mutated


def _without_letters(script: Script) -> FakeServices:
    services = build(script)
    topics = services.topics
    return replace(services, topics=_NoLetters(topics.clock, topics.faults, topics.subscriptions))


_TAKEOVER: Final = Scenario((worker("worker-a"), worker("worker-b")), Mischief(lapses=1), queued)
_GIVEN_UP: Final = Scenario(
    (worker("worker-a", ("passing fault",)), worker("worker-b", ("passing fault",))), Mischief(lapses=1), queued
)

MUTANTS: Final[dict[str, Mutant]] = {
    "records are written unconditionally": Mutant(_TAKEOVER, 4, _with_objects(_Unconditional)),
    "a cancelled job is overwritten": Mutant(
        Scenario((worker("worker-a"), canceller()), before=queued), 1, _with_objects(_Unconditional)
    ),
    "a refused write is taken for one that held": Mutant(
        Scenario((worker("worker-a"), canceller()), before=queued), 4, _with_store(_Careless), apart=True
    ),
    "one marker for all submissions": Mutant(
        Scenario((canceller(), redriver()), before=queued), 1, _with_store(_OneMarker)
    ),
    "an old marker is not renewed": Mutant(SMALL["a marker that was left"], 6, _with_store(_NeverRenewed)),
    "an old marker is not renewed by a redrive": Mutant(
        SMALL["a redrive's marker that was left"], 6, _with_store(_NeverRenewed)
    ),
    "the sweep takes a renewed marker away": Mutant(
        SMALL["a redrive's marker that was left"], 6, _with_store(_Sweeping)
    ),
    "each caller's key is its own": Mutant(Scenario((submitter("submit-1"), _other_key("submit-2"))), 2),
    "a repeated submission lists nothing": Mutant(Scenario((submitter("submit-1"), _trusting("submit-2"))), 6),
    "all attempts share a folder": Mutant(_TAKEOVER, 3, _with_objects(_OneFolder)),
    "a worker does not look whose lease it is": Mutant(
        Scenario((worker("worker-a", memory=_Blind), worker("worker-b")), Mischief(lapses=1), queued), 4
    ),
    "a takeover does not count": Mutant(_TAKEOVER, 5, _with_store(_Uncounted)),
    "letters are not published": Mutant(
        replace(_GIVEN_UP, actors=(*_GIVEN_UP.actors, undertaker())), 6, _without_letters
    ),
}
