"""What is known of processes and worlds, found out once each: the next call of a life, the effect of a call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

from shared.errors import JobError
from shared.objects import StoredObject
from shared.submit import Submitted
from tests.fakes.objects import FakeObjects
from tests.fakes.processor import FakeProcessor, succeed
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.world import NO_BEATS, World
from tests.model.actors import ARTIFACT, Receiver
from tests.model.alike import DOWN, TIMED_OUT, Life, Likeness, accepted, kept
from tests.model.cloud import Cloud
from tests.model.promises import LEASE_SECONDS, MAX_ATTEMPTS, Broken, check_answer, check_rest, check_step
from tests.model.scenario import Scenario
from tests.model.script import Call, Ended, Script, Seen

#: The life of a process that died.
DEAD: Final = -1
#: Longer than a lease, an ack deadline and the grace time of the sweep.
_LAPSE: Final = timedelta(seconds=61)
_SETTINGS: Final = {
    **NO_BEATS,
    "lease_seconds": LEASE_SECONDS,
    "max_attempts": MAX_ATTEMPTS,
    "grace_seconds": 50,
    "abandoned_seconds": 600,
}
#: Nobody else ever reads or writes what these do, so it does not matter when they come.
_PRIVATE: Final = (
    "objects.download ",
    "objects.upload ",
    "objects.list slots/",
    "the work: ",
    "http.post",
)
_DURATIONS: Final = re.compile(rb'"(processing_seconds|real_time_factor)":[0-9.e-]+')
_EFFECTS: Final = ("objects.write ", "objects.delete ", "topics.publish ", "queues.enqueue ")
_READ: Final = "objects.read jobs/"
_WRITE: Final = "objects.write jobs/"

#: How a call is answered: a choice of the model, or one of these.
FAITHFUL: Final = ""
FAILS, LOST, REFUSED = FAULTS = ("the service is down", "the answer is lost", "the client's own retry is refused")

Build = Callable[[Script], FakeServices]


class TimelessObjects(FakeObjects):
    """Keeps out of the record how long the work took, which is another figure each time."""

    def _write(self, bucket: str, name: str, data: bytes, *more: Any) -> int | None:
        return super()._write(bucket, name, _DURATIONS.sub(rb'"\1":1.0', data), *more)


def build(script: Script, objects: type[TimelessObjects] = TimelessObjects) -> FakeServices:
    """The fakes, behind the script. Storage's limit of one write a second is no part of the protocol."""
    receiver = Receiver()
    services = fake_services(
        objects=objects(script.clock, script, limits_rate=False),
        http=receiver,
        **_SETTINGS,  # type: ignore[arg-type]
    )
    receiver.services = services
    return services


@dataclass
class Lives:
    """Worlds and lives are known by numbers; of lives that go on alike, all by the same one, unless told `apart`."""

    scenario: Scenario
    builder: Build = build
    apart: bool = False
    script: Script = field(default_factory=Script)
    _worlds: list[Cloud] = field(default_factory=list)
    _numbers: dict[Any, int] = field(default_factory=dict)
    #: None of one that has not begun.
    _lives: list[Life | None] = field(default_factory=list)
    _next: dict[int, Call | Ended] = field(default_factory=dict)
    _steps: dict[tuple[int, int, str], tuple[int, int]] = field(default_factory=dict)
    _due: dict[tuple[int, str], bool] = field(default_factory=dict)
    _again: dict[int, int] = field(default_factory=dict)
    _rests: set[tuple[int, bool]] = field(default_factory=set)
    _glance: StoredObject | None = None

    def __post_init__(self) -> None:
        self.services = self.builder(self.script)
        self._lives += [None] * len(self.scenario.actors)
        acts = [partial(actor.act, self.services) for actor in self.scenario.actors]
        self._likeness = Likeness(self.script, acts)

    def first(self) -> int:
        """The world in which all begins."""
        self.script.is_live = True
        self.scenario.before(self.services)
        self.script.is_live = False
        return self._world(Cloud.of(self.services))

    @property
    def worlds(self) -> int:
        return len(self._worlds)

    def cloud(self, world: int) -> Cloud:
        return self._worlds[world]

    def has_begun(self, life: int) -> bool:
        return life == DEAD or life >= len(self.scenario.actors)

    def next(self, world: int, process: int, life: int) -> tuple[int, Call] | None:
        """The life, begun if it was not, and its next call; None when there is none to be made in this world."""
        if life == DEAD:
            return None
        if not self.has_begun(life):
            if not self.scenario.actors[process].when(self._worlds[world].job):
                return None
            life = self._number(Life(process, self._worlds[world].now))
        following = self._next[life]
        if isinstance(following, Ended) or not self._is_due(world, following.text):
            return None
        return life, following

    def is_over(self, life: int) -> bool:
        return life == DEAD or (self.has_begun(life) and isinstance(self._next[life], Ended))

    def ways(self, call: Call, *, with_faults: bool) -> Iterator[str]:
        """How this call may be answered."""
        if call.text.startswith("the work: "):
            yield from call.text.removeprefix("the work: ").split("|")
            return
        yield FAITHFUL
        if not with_faults:
            return
        yield FAILS
        if call.text.startswith(_EFFECTS):
            yield LOST
        if call.text.startswith("objects.write "):
            yield REFUSED

    def is_private(self, life: int, call: Call) -> bool:
        """Is it all the same when this call is made?"""
        # Who has looked at the clock may have begun later.
        is_timed = bool(self.scenario.mischief.lapses) and any(call.times)
        return call.text.startswith(_PRIVATE) or (not self.apart and not is_timed and self._is_glance(life, call))

    def is_decided(self, world: int, life: int, call: Call) -> bool:
        """Does it write the record that it has just read, on the condition that nobody else has written it since?"""
        found = self._lives[life]
        assert found is not None
        if not call.text.startswith(_WRITE) or not found.seen or found.now != self._worlds[world].now:
            return False
        last = found.seen[-1]
        if not last.call.startswith(_READ) or not isinstance(last.answer, StoredObject):
            return False
        return ("if_generation", last.answer.generation) in call.arguments()

    def step(self, world: int, life: int, way: str) -> tuple[int, int]:
        """The world and the life after the life's next call was answered so. Raises Broken."""
        key = (world, life, way)
        if key not in self._steps:
            self._steps[key] = self._make(*key)
        return self._steps[key]

    def later(self, world: int) -> int:
        before = self._worlds[world]
        return self._world(Cloud(before.objects, before.topics, before.queues, before.now + _LAPSE))

    def redelivered(self, world: int) -> int:
        """The same world if nothing can come again."""
        if world not in self._again:
            self._worlds[world].restore(self.services)
            self.services.topics.subscription("gpu-work").redeliver()
            self._again[world] = self._world(Cloud.of(self.services))
        return self._again[world]

    def rest(self, world: int, lives: tuple[int, ...]) -> None:
        """Whoever is left dies; once the platform has done all it does, every promise is kept. Raises Broken."""
        key = (world, self._worlds[0].job is not None or any(map(self._is_accepted, lives)))
        if key in self._rests:
            return
        self._rests.add(key)
        self._worlds[world].restore(self.services)
        self.script.is_live = True
        try:
            World(self.services, FakeProcessor([succeed(dict([ARTIFACT]))])).settle(60)
        except AssertionError as never:
            raise Broken(1, f"never at rest, the job is {self._worlds[world].job}") from never
        finally:
            self.script.is_live = False
        check_rest(Cloud.of(self.services), is_accepted=key[1])

    def _make(self, world: int, life: int, way: str) -> tuple[int, int]:
        before, found, call = self._worlds[world], self._lives[life], self._next[life]
        assert found is not None
        assert isinstance(call, Call)
        answer = self._answer(before, call, way)
        after = Cloud.of(self.services)
        check_step(self.scenario.actors[found.process].name, before, after)
        if not self.apart:
            answer = self._glanced(answer) if self._is_glance(life, call) else kept(call.text, answer)
        key = (life, repr(answer), before.now)
        if key not in self._numbers:
            self._numbers[key] = self._number(found.after(Seen(call.text, answer, before.now)))
        reached = self._numbers[key]
        ended = self._next[reached]
        if isinstance(ended, Ended) and isinstance(ended.result, Submitted):
            check_answer(ended.result, after)
        return self._world(after), reached

    def _answer(self, before: Cloud, call: Call, way: str) -> Any:
        before.restore(self.services)
        if way == FAILS:
            return DOWN
        if way not in (FAITHFUL, LOST, REFUSED):
            return way
        try:
            answer = call.do()
        except JobError as error:
            return error
        return {FAITHFUL: answer, LOST: TIMED_OUT, REFUSED: None}[way]

    def _is_glance(self, life: int, call: Call) -> bool:
        found = self._lives[life]
        assert found is not None
        reads = sum(seen.call.startswith(_READ) for seen in found.seen)
        return call.text.startswith(_READ) and reads < self.scenario.actors[found.process].glances

    def _glanced(self, answer: Any) -> Any:
        """Of all records one: the first that anybody glanced at."""
        if not isinstance(answer, StoredObject):
            return answer
        self._glance = self._glance or answer
        return self._glance

    def _is_accepted(self, life: int) -> bool:
        following = self._next.get(life)
        return isinstance(following, Ended) and accepted(following) is not None

    def _is_due(self, world: int, text: str) -> bool:
        """Is there what this call waits for?"""
        name, _, method = text.partition(".")
        if method not in ("pull", "take"):
            return True
        key = (world, text)
        if key not in self._due:
            self._worlds[world].restore(self.services)
            self._due[key] = (
                bool(self.services.queues.on(name))
                if method == "take"
                else self.services.topics.subscription(name).has_due
            )
        return self._due[key]

    def _number(self, life: Life) -> int:
        following = self._likeness.following(life)
        key: object = (life.process, life.began, repr(life.seen))
        if isinstance(following, Ended) or not self.apart:
            key = self._likeness.of(life, following, faults=self.scenario.mischief.faults)
        if key not in self._numbers:
            self._numbers[key] = len(self._lives)
            self._next[len(self._lives)] = following
            self._lives.append(life)
        return self._numbers[key]

    def _world(self, cloud: Cloud) -> int:
        if cloud not in self._numbers:
            self._numbers[cloud] = len(self._worlds)
            self._worlds.append(cloud)
        return self._numbers[cloud]
