"""Who meets whom, and how much may go wrong: each scenario is looked at in all its schedules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.conclude import conclude
from shared.store import Marker
from shared.submit import submit
from tests.fakes.services import FakeServices
from tests.fakes.world import request
from tests.model.actors import (
    ENDINGS,
    Actor,
    canceller,
    deliverer,
    redriver,
    submitter,
    sweeper,
    twin,
    undertaker,
    worker,
)
from tests.model.cloud import JOB_ID


class Mischief(NamedTuple):
    """How often each of these may still happen, at any moment whatever."""

    #: Time passes: every lease, ack deadline and grace period runs out.
    lapses: int = 0
    #: What is with somebody is delivered to somebody else as well.
    redeliveries: int = 0
    #: A process dies between two calls. (The power may be cut for all of them at any moment, always.)
    deaths: int = 0
    #: A call fails, or its answer is lost after it took effect.
    faults: int = 0


#: All goes well, but for the power.
NONE: Final = Mischief()


def uploaded(services: FakeServices) -> None:
    """The file is there, and nobody has submitted it yet."""
    request(services)


@dataclass(frozen=True)
class Scenario:
    actors: tuple[Actor, ...]
    mischief: Mischief = NONE
    #: What came before, undisturbed.
    before: Callable[[FakeServices], object] = uploaded


def queued(services: FakeServices) -> None:
    submit(request(services), services)


def half_queued(services: FakeServices) -> None:
    """Somebody has died after his marker, and before his record, long ago."""
    uploaded(services)
    _leave_marker(1, services)


def half_redriven(services: FakeServices) -> None:
    """The job was cancelled; whoever redrove it then has died so."""
    queued(services)
    seen = services.store.update(JOB_ID, lambda seen: seen.job.cancelled(services.now()))
    assert seen is not None
    conclude(seen.job, services)
    _leave_marker(2, services)


def _leave_marker(submission: int, services: FakeServices) -> None:
    services.store.mark_open(Marker(JOB_ID, "shop", submission))
    services.clock.advance(services.settings.abandoned_seconds)


EVERYBODY: Final = (
    submitter("submit-1"),
    twin(submitter("submit-2")),
    worker("worker-a"),
    twin(worker("worker-b")),
    canceller(),
    redriver(),
)

#: Looked at in every `make test`.
SMALL: Final[dict[str, Scenario]] = {
    "everybody": Scenario(EVERYBODY),
    "two submitters and a worker": Scenario(
        (submitter("submit-1"), submitter("submit-2"), worker("worker-a")), Mischief(deaths=1)
    ),
    "submitters whose calls fail": Scenario(
        (submitter("submit-1"), submitter("submit-2")), Mischief(deaths=1, faults=2)
    ),
    "a slow submitter and the sweep": Scenario((submitter("submit-1"), sweeper()), Mischief(lapses=2, deaths=1)),
    "two workers, one message twice": Scenario(
        (worker("worker-a"), worker("worker-b")), Mischief(lapses=1, redeliveries=1), queued
    ),
    "a worker that beats and wakes up late": Scenario(
        (worker("worker-a", beats=1), worker("worker-b")), Mischief(lapses=1), queued
    ),
    "a worker whose calls fail": Scenario((worker("worker-a"),), Mischief(lapses=1, faults=2), queued),
    "a late cancel": Scenario((worker("worker-a"), canceller()), Mischief(lapses=1), queued),
    "a cancel in the middle": Scenario((worker("worker-a", beats=1), canceller()), Mischief(deaths=1), queued),
    "cancelled and redriven": Scenario(
        (worker("worker-a"), canceller(), redriver(), worker("worker-b")), before=queued
    ),
    "two redrives": Scenario(
        (worker("worker-a", ("bad file",)), redriver("redrive-1"), redriver("redrive-2"), worker("worker-b")),
        before=queued,
    ),
    "the last attempt": Scenario(
        (worker("worker-a", ("passing fault",)), worker("worker-b", ("passing fault", "works")), undertaker()),
        Mischief(lapses=1),
        queued,
    ),
    "a marker that was left": Scenario((submitter("submit-1"), sweeper()), Mischief(deaths=1), half_queued),
    "a redrive's marker that was left": Scenario((redriver(), sweeper()), Mischief(deaths=1), half_redriven),
    "the sweep comes by": Scenario((worker("worker-a"), sweeper(), redriver()), Mischief(lapses=1), queued),
}

#: Looked at apart, too: long ones by `make model`, the others by `make test` as well. The two left out are endless.
APART_LONG: Final = frozenset(
    {"the last attempt", "two redrives", "two workers, one message twice", "cancelled and redriven"}
)
APART: Final = SMALL.keys() - APART_LONG - {"everybody", "a worker whose calls fail"}

#: Looked at by `make model`, too.
DEEP: Final[dict[str, Scenario]] = {
    "everybody, late and twice": Scenario(EVERYBODY, Mischief(lapses=1, redeliveries=1)),
    "two slow submitters and the sweep": Scenario(
        (submitter("submit-1"), submitter("submit-2"), sweeper()), Mischief(lapses=2, deaths=1, faults=1)
    ),
    "every ending": Scenario(
        (worker("worker-a", tuple(ENDINGS), beats=1), worker("worker-b", tuple(ENDINGS))),
        Mischief(lapses=1, redeliveries=1),
        queued,
    ),
    "two workers whose calls fail": Scenario(
        (worker("worker-a"), worker("worker-b")), Mischief(lapses=1, redeliveries=1, faults=1), queued
    ),
    "two sweeps and two workers": Scenario(
        (worker("worker-a", beats=1), sweeper("sweep-1"), sweeper("sweep-2"), worker("worker-b")),
        Mischief(lapses=1),
        queued,
    ),
    "the webhook and a redrive": Scenario(
        (worker("worker-a", ("bad file", "works")), redriver(), deliverer(), worker("worker-b")),
        Mischief(lapses=1),
        queued,
    ),
    "the last attempt, redriven": Scenario(
        (worker("worker-a", ("passing fault",)), worker("worker-b", ("passing fault",)), undertaker(), redriver()),
        Mischief(lapses=1),
        queued,
    ),
    "cancelled twice, redriven, swept": Scenario(
        (canceller("cancel-1"), canceller("cancel-2"), redriver(), sweeper()), Mischief(lapses=1, deaths=1), queued
    ),
}
