"""All schedules of a few processes, level by level, over states that are met only once each.

A state is the world, what every process has seen, and how much mischief is left. A process is a function of what it
has seen, so a state is left in the same ways however it was reached; and every move adds to somebody's past or takes
from the mischief, so no schedule comes back to a state, and a level can be forgotten once the next one is known.
Holzmann, The Model Checker SPIN, 1997.

Of schedules that differ in nothing one is enough:

* calls that nobody else can notice are made at once (Godefroid, Partial-Order Methods, 1996);
* who has read the record writes it at once, at that time of the clock: had another written in between, the write would
  be refused, and `JobStore.update` would read again as if it never had (Flanagan, Freund and Qadeer, Exploiting Purity
  for Atomicity, 2004; that it does is seen by looking at the small scenarios `apart`);
* of two processes that differ in their names only, the first begins first;
* processes that go on alike are the same (`tests.model.alike`).

`Explorer.of(scenario, apart=True)` does without all but the first; both must come to the same ends.
"""

from __future__ import annotations

import logging
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from shared.job import Job
from tests.model.cloud import JOB_ID, Cloud
from tests.model.lives import DEAD, FAULTS, Lives
from tests.model.promises import Broken
from tests.model.scenario import Mischief, Scenario
from tests.model.script import Call

LAPSE: Final = "time passes"


class Node(NamedTuple):
    world: int
    lives: tuple[int, ...]
    mischief: Mischief


@dataclass
class Explored:
    """What was looked at; `schedules` counts the different ways from the beginning to an end."""

    states: int = 0
    moves: int = 0
    worlds: int = 0
    schedules: int = 0
    longest: int = 0
    #: The worlds in which nobody has anything left to do.
    ends: set[Cloud] = field(default_factory=set)
    #: False when it ended at `most_states`.
    is_whole: bool = True

    def __str__(self) -> str:
        extent = "all of" if self.is_whole else "the first"
        return (
            f"{extent} {self.states:,} states, {self.moves:,} moves, {self.worlds:,} worlds, "
            f"{float(self.schedules):.2g} schedules of up to {self.longest} steps"
        )


class Failed(AssertionError):
    """A promise is broken, by a schedule than which none is shorter; it can be played again."""

    def __init__(self, cause: Broken, schedule: Sequence[str]) -> None:
        super().__init__("\n    ".join([f"{cause}, after", *schedule]))
        self.promise = cause.promise
        self.schedule = tuple(schedule)


class _Stumbled(Exception):
    """A promise was broken by this move."""

    def __init__(self, broken: Broken, move: str) -> None:
        super().__init__(move)
        self.broken = broken
        self.move = move


@dataclass
class Explorer:
    scenario: Scenario
    lives: Lives
    #: Of each state the number of one that it was reached from, and by which move.
    _parents: array[int] = field(default_factory=lambda: array("q"))
    _moves: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, scenario: Scenario, *, apart: bool = False) -> Explorer:
        return cls(scenario, Lives(scenario, apart=apart))

    def explore(self, *, most_states: int | None = None) -> Explored:
        """Look at every state there is, or at the first so many. Raises Failed."""
        with _silence():
            return self._explore(most_states)

    def _explore(self, most_states: int | None) -> Explored:
        found = Explored()
        level = {self.first(): (self._note(-1, ""), 1)}
        while level and (most_states is None or len(self._moves) < most_states):
            following: dict[Node, tuple[int, int]] = {}
            for node, (number, ways) in level.items():
                is_end = True
                for move, reached in self._tried(node, number):
                    is_end = False
                    found.moves += 1
                    known = following.get(reached)
                    following[reached] = (known[0], known[1] + ways) if known else (self._note(number, move), ways)
                if is_end:
                    found.schedules += ways
                    found.ends.add(self.lives.cloud(node.world))
            found.longest += bool(following)
            level = following
        found.is_whole = not level
        found.states, found.worlds = len(self._moves), self.lives.worlds
        return found

    def play(self, schedule: Sequence[str]) -> Iterator[tuple[str, Job | None]]:
        """One schedule, move by move, and the record after each. Raises Failed where a promise is broken."""
        node = self.first()
        for number, move in enumerate(schedule):
            with _silence():
                try:
                    moves = dict(self.leave(node))
                    if move not in moves:
                        raise LookupError(f"{move!r} is no move here; there are {sorted(moves)}")
                    node = moves[move]
                    self.lives.rest(node.world, node.lives)
                except _Stumbled as stumbled:
                    raise Failed(stumbled.broken, [*schedule[:number], stumbled.move]) from stumbled.broken
                except Broken as broken:
                    raise Failed(broken, schedule[: number + 1]) from broken
            yield move, self.lives.cloud(node.world).job

    def first(self) -> Node:
        return Node(self.lives.first(), tuple(range(len(self.scenario.actors))), self.scenario.mischief)

    def leave(self, node: Node) -> Iterator[tuple[str, Node]]:
        """Every move that is looked at from here, and where it leads. Raises _Stumbled."""
        calls = [self.lives.next(node.world, process, life) for process, life in enumerate(node.lives)]
        for process, call in enumerate(calls):
            if call and self.lives.is_private(*call):
                yield from self._made(node, process, call)
                return
        if not self.lives.apart:
            for process, call in enumerate(calls):
                if call and self.lives.is_decided(node.world, *call):
                    yield from self._made(node, process, call)
                    yield from self._lapsed(node)
                    return
        for process, call in enumerate(calls):
            if call and not self._waits_for_twin(node, process):
                yield from self._made(node, process, call)
        if not all(map(self.lives.is_over, node.lives)):
            yield from self._lapsed(node)
            yield from self._redelivered(node)

    def _waits_for_twin(self, node: Node, process: int) -> bool:
        if self.lives.apart or not self.scenario.actors[process].is_twin or self.lives.has_begun(node.lives[process]):
            return False
        return not self.lives.has_begun(node.lives[process - 1])

    def _made(self, node: Node, process: int, made: tuple[int, Call]) -> Iterator[tuple[str, Node]]:
        """The process makes its next call, or dies before it."""
        life, call = made
        name, mischief = self.scenario.actors[process].name, node.mischief
        for way in self.lives.ways(call, with_faults=mischief.faults > 0):
            is_fault = way in FAULTS
            move = f"{name}: {call.text.replace(JOB_ID, 'JOB')}" + (f" ({way})" if way else "")
            try:
                world, reached = self.lives.step(node.world, life, way)
            except Broken as broken:
                raise _Stumbled(broken, move) from broken
            left = mischief._replace(faults=mischief.faults - 1) if is_fault else mischief
            yield move, Node(world, _with(node.lives, process, reached), left)
        if mischief.deaths and self.lives.has_begun(node.lives[process]):
            left = mischief._replace(deaths=mischief.deaths - 1)
            yield f"{name} dies", Node(node.world, _with(node.lives, process, DEAD), left)

    def _lapsed(self, node: Node) -> Iterator[tuple[str, Node]]:
        if node.mischief.lapses:
            left = node.mischief._replace(lapses=node.mischief.lapses - 1)
            yield LAPSE, Node(self.lives.later(node.world), node.lives, left)

    def _redelivered(self, node: Node) -> Iterator[tuple[str, Node]]:
        if node.mischief.redeliveries and (again := self.lives.redelivered(node.world)) != node.world:
            left = node.mischief._replace(redeliveries=node.mischief.redeliveries - 1)
            yield "redelivery", Node(again, node.lives, left)

    def _tried(self, node: Node, number: int) -> Iterator[tuple[str, Node]]:
        """The moves of a state, after a look at what comes if the power is cut here. Raises Failed."""
        try:
            self.lives.rest(node.world, node.lives)
            yield from self.leave(node)
        except _Stumbled as stumbled:
            raise Failed(stumbled.broken, [*self._schedule(number), stumbled.move]) from stumbled.broken
        except Broken as broken:
            raise Failed(broken, self._schedule(number)) from broken

    def _note(self, parent: int, move: str) -> int:
        self._parents.append(parent)
        self._moves.append(sys.intern(move))
        return len(self._moves) - 1

    def _schedule(self, number: int) -> list[str]:
        moves = []
        while number > 0:
            moves.append(self._moves[number])
            number = self._parents[number]
        return moves[::-1]


def _with(lives: tuple[int, ...], process: int, life: int) -> tuple[int, ...]:
    return (*lives[:process], life, *lives[process + 1 :])


@contextmanager
def _silence() -> Iterator[None]:
    """Millions of log lines tell nothing."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(disabled)
