"""Which processes go on alike, so that one stands for all of them.

A process is a function of what it has seen, but not of all it has seen. What makes no difference:

* the time, where it does not look at the clock before its next call;
* answers that its code drops, and which record a glance shows it: it looks only whose that is, which never changes;
* all of the past of two processes that make the same call next, with the same arguments, and are alike again after
  each answer there is to it: there are few to a call that is answered with nothing, or with yes or no.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.errors import JobError, Unavailable
from shared.submit import Submitted
from tests.fakes.objects import FakeObjects
from tests.fakes.queues import FakeQueues
from tests.fakes.topics import FakeSubscription, FakeTopics
from tests.model.script import Call, Ended, Script, Seen

DOWN: Final = Unavailable("down")
TIMED_OUT: Final = Unavailable("timed out")

#: `JobStore.add_to_index` drops what it is answered.
_DROPPED: Final = ("objects.write index/",)
#: `JobStore.mark_open` looks only whether it was the first.
_MARKED: Final = ("objects.write open/",)
_FIRST: Final = 0
_ANSWERED_WITH_NOTHING: Final = (*_DROPPED, "objects.delete ", "objects.upload ", "topics.publish ")
_METHODS_ANSWERED_WITH_NOTHING: Final = ("ack", "nack", "extend")
_ANSWERED_WITH_YES_OR_NO: Final = ("queues.enqueue ",)
#: A call's text says which of them it goes to.
_FAKES: Final = (FakeObjects, FakeTopics, FakeSubscription, FakeQueues)


@dataclass(frozen=True)
class Life:
    """What one process has seen until now, from when it began."""

    process: int
    began: datetime
    seen: tuple[Seen, ...] = ()

    def after(self, seen: Seen) -> Life:
        return Life(self.process, self.began, (*self.seen, seen))

    @property
    def now(self) -> datetime:
        return self.seen[-1].at if self.seen else self.began


def kept(call: str, answer: Any) -> Any:
    """Of an answer what its caller keeps."""
    if isinstance(answer, Exception):
        return answer
    if call.startswith(_MARKED):
        return answer if answer is None else _FIRST
    return None if call.startswith(_DROPPED) else answer


@dataclass(frozen=True)
class Likeness:
    script: Script
    acts: Sequence[Callable[[], object]]

    def following(self, life: Life) -> Call | Ended:
        """What this process does next."""
        return self.script.next_of(self.acts[life.process], life.began, life.seen)

    def of(self, life: Life, following: Call | Ended, *, faults: int, foreseen: int = 0) -> object:
        """Equal for two that will do the same from here on, of whose calls at most `faults` will fail.

        Of what it saw the last so many answers are `foreseen`; their times are not.
        """
        past = tuple(repr(seen.answer) for seen in life.seen)
        if isinstance(following, Ended):
            return life.process, accepted(following), past if foreseen and following.is_timed else ()
        answers = _answers(following.text)
        if answers is None or (foreseen and following.times[-1]):
            return life.process, following.text, past, following.times
        branches = []
        for answer, is_fault in _outcomes(answers, faults):
            after = life.after(Seen(following.text, answer, life.now))
            branches.append(self.of(after, self.following(after), faults=faults - is_fault, foreseen=foreseen + 1))
        arguments = tuple((name, _told(value)) for name, value in following.arguments())
        return life.process, following.text, arguments, tuple(branches)


def accepted(ended: Ended) -> str | None:
    """The job a submitter was told of, if it was one. Raises AssertionError of a process that ended by a bug."""
    if isinstance(ended.result, Exception) and not isinstance(ended.result, JobError):
        raise AssertionError("a process ended with a bug") from ended.result
    return ended.result.job.job_id if isinstance(ended.result, Submitted) else None


def _answers(call: str) -> tuple[object, ...] | None:
    """All there are when nothing fails, as they are kept; None where they depend on the world."""
    if call.startswith(_ANSWERED_WITH_NOTHING) or call.partition(".")[2] in _METHODS_ANSWERED_WITH_NOTHING:
        return (None,)
    if call.startswith(_MARKED):
        return (_FIRST, None)
    return (True, False) if call.startswith(_ANSWERED_WITH_YES_OR_NO) else None


def _outcomes(answers: Sequence[object], faults: int) -> Iterator[tuple[object, bool]]:
    yield from ((answer, False) for answer in answers)
    if faults:
        yield from ((error, True) for error in (DOWN, TIMED_OUT))


def _told(argument: object) -> str:
    if isinstance(argument, _FAKES):
        return type(argument).__name__
    told = repr(argument)
    assert " at 0x" not in told, f"{told} does not say what it is"
    return told
