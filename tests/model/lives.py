"""What is known of processes and worlds, found out once each: the next call of a life, the effect of a call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from shared.errors import JobError, Unavailable
from shared.submit import Submitted
from tests.fakes.objects import FakeObjects
from tests.fakes.processor import FakeProcessor, succeed
from tests.fakes.services import FakeServices, fake_services
from tests.fakes.world import NO_BEATS, World
from tests.model.actors import ARTIFACT, Receiver
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
    "objects.write index/",
    "objects.download ",
    "objects.upload ",
    "objects.list slots/",
    "queues.enqueue webhooks",
    "the work: ",
    "http.post",
)
_DURATIONS: Final = re.compile(rb'"(processing_seconds|real_time_factor)":[0-9.e-]+')
_EFFECTS: Final = ("objects.write ", "objects.delete ", "topics.publish ", "queues.enqueue ")

#: How a call is answered: a choice of the model, or one of these.
FAITHFUL: Final = ""
DOWN, LOST, REFUSED = FAULTS = ("the service is down", "the answer is lost", "the client's own retry is refused")

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
    """Worlds and lives are known by numbers. A life is what one process has seen until now, from its first call on."""

    scenario: Scenario
    builder: Build = build
    script: Script = field(default_factory=Script)
    _worlds: list[Cloud] = field(default_factory=list)
    _numbers: dict[Any, int] = field(default_factory=dict)
    #: (process, when it began, what it saw); None of one that has not begun.
    _lives: list[tuple[int, datetime, tuple[Seen, ...]] | None] = field(default_factory=list)
    _next: dict[int, Call | Ended] = field(default_factory=dict)
    _steps: dict[tuple[int, int, str], tuple[int, int]] = field(default_factory=dict)
    _due: dict[tuple[int, str], bool] = field(default_factory=dict)
    _again: dict[int, int] = field(default_factory=dict)
    _rests: set[tuple[int, bool]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.services = self.builder(self.script)
        self._lives += [None] * len(self.scenario.actors)

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
        return life >= len(self.scenario.actors)

    def next(self, world: int, process: int, life: int) -> tuple[int, Call] | None:
        """The life, begun if it was not, and its next call; None when there is none to be made in this world."""
        if life == DEAD:
            return None
        if not self.has_begun(life):
            if not self.scenario.actors[process].when(self._worlds[world].job):
                return None
            life = self._begun(process, self._worlds[world].now)
        following = self._following(life)
        if isinstance(following, Ended) or not self._is_due(world, following.text):
            return None
        return life, following

    def is_over(self, life: int) -> bool:
        return life == DEAD or (self.has_begun(life) and isinstance(self._following(life), Ended))

    def ways(self, call: Call, *, with_faults: bool) -> Iterator[str]:
        """How this call may be answered."""
        if call.text.startswith("the work: "):
            yield from call.text.removeprefix("the work: ").split("|")
            return
        yield FAITHFUL
        if not with_faults:
            return
        yield DOWN
        if call.text.startswith(_EFFECTS):
            yield LOST
        if call.text.startswith("objects.write "):
            yield REFUSED

    def is_private(self, call: Call) -> bool:
        return call.text.startswith(_PRIVATE)

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
        before = self._worlds[world]
        found = self._lives[life]
        call = self._following(life)
        assert found is not None
        assert isinstance(call, Call)
        process, started, seen = found
        answer = self._answer(before, call, way)
        after = Cloud.of(self.services)
        check_step(self.scenario.actors[process].name, before, after)
        number = self._life(
            (life, repr(answer), before.now), (process, started, (*seen, Seen(call.text, answer, before.now)))
        )
        return self._world(after), self._closed(number, after)

    def _answer(self, before: Cloud, call: Call, way: str) -> Any:
        before.restore(self.services)
        if way == DOWN:
            return Unavailable("down")
        if way not in (FAITHFUL, LOST, REFUSED):
            return way
        try:
            answer = call.do()
        except JobError as error:
            return error
        return {FAITHFUL: answer, LOST: Unavailable("timed out"), REFUSED: None}[way]

    def _closed(self, life: int, cloud: Cloud) -> int:
        """Of a process that went through nothing counts any more but how it ended."""
        following = self._following(life)
        if not isinstance(following, Ended):
            return life
        result = following.result
        if isinstance(result, Exception) and not isinstance(result, JobError):
            raise AssertionError("a process ended with a bug") from result
        if isinstance(result, Submitted):
            check_answer(result, cloud)
        process, started, _ = self._lives[life] or (0, cloud.now, ())
        is_accepted = isinstance(result, Submitted)
        number = self._life(("ended", process, is_accepted), (process, started, ()))
        self._next[number] = Ended(is_accepted)
        return number

    def _is_accepted(self, life: int) -> bool:
        following = self._next.get(life)
        return isinstance(following, Ended) and following.result is True

    def _following(self, life: int) -> Call | Ended:
        if life not in self._next:
            found = self._lives[life]
            assert found is not None
            process, started, seen = found
            act = self.scenario.actors[process].act
            self._next[life] = self.script.next_of(lambda: act(self.services), started, seen)
        return self._next[life]

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

    def _begun(self, process: int, now: datetime) -> int:
        return self._life(("begun", process, now), (process, now, ()))

    def _life(self, key: object, life: tuple[int, datetime, tuple[Seen, ...]]) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self._lives)
            self._lives.append(life)
        return self._numbers[key]

    def _world(self, cloud: Cloud) -> int:
        if cloud not in self._numbers:
            self._numbers[cloud] = len(self._worlds)
            self._worlds.append(cloud)
        return self._numbers[cloud]
