"""The parent's side of one job's decoding: what it answers its child, and what it makes of what that says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Thread

from shared.errors import JobError
from shared.media.child import Child
from shared.media.messages import Broken, Done, Failed, Logged, Looked, Message, Planned, Reached, Wanted
from shared.media.vigil import LOOK_SECONDS
from shared.source import RemoteObject, Source

_log = logging.getLogger(__name__)


class DecodingBroke(RuntimeError):
    """A bug in the child, whose own words are in the log."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the job has to say to what the child finds."""

    #: Decides by what the file looks like, and by what it is not fit for; answers the operations to do.
    choose: Callable[[Looked, Mapping[str, JobError]], tuple[str, ...]]
    #: Gets the real length and the likely seconds of each stage.
    plan: Callable[[float, Mapping[str, float]], None]
    #: Gets a stage and the fraction done.
    at: Callable[[str, float], None]
    #: Called at least once a second, whatever the child does.
    look: Callable[[], None]


def converse(child: Child, source: Source, answers: Answers) -> Done:
    """Listen to the child until it is done.

    Raises what it failed with, what `answers` raise and what reading a remote source raises, unchanged.
    """
    for message in child.messages(answers.look):
        match message:
            case Done():
                return message
            case Looked():
                unfit = {name: problem.again() for name, problem in message.unfit.items()}
                child.go(answers.choose(message, unfit))
            case Planned():
                answers.plan(message.seconds, message.stages)
            case Reached():
                answers.at(message.stage, message.fraction)
            case Wanted() if isinstance(source, RemoteObject):
                child.give(_looking(answers.look, partial(source.read_range, message.start, message.length)))
            case Logged():
                # Below a key of its own, where it can take no other field's place.
                extra = {"event": message.event, "details": message.details}
                logging.getLogger(message.logger).log(message.level, "%s", message.message, extra=extra)
            case Failed():
                raise message.problem.again()
            case _:
                raise _broken(message)
    raise AssertionError("a child's messages end with an error")


def _looking(look: Callable[[], None], read: Callable[[], bytes]) -> bytes:
    """What `read` answers; a storage that stalls may take its client's 20 s, in which a cancel must be seen.

    `look` is called meanwhile. When it raises, nobody waits any longer: the thread dies with what it waits for.
    """
    found: Future[bytes] = Future()

    def run() -> None:
        try:
            found.set_result(read())
        except BaseException as error:  # the border of this thread: who waits gets it
            found.set_exception(error)

    Thread(target=copy_context().run, args=(run,), name="read-range", daemon=True).start()
    while not wait([found], timeout=LOOK_SECONDS).done:
        look()
    return found.result()


def _broken(message: Message) -> Exception:
    if not isinstance(message, Broken):
        return DecodingBroke(f"a child said {type(message).__name__} out of turn")
    if message.errno is not None:
        return OSError(message.errno, message.error)
    _log.error(
        "decoding broke: %s\n%s", message.error, message.trace, extra={"event": "media.broken", "error": message.error}
    )
    return DecodingBroke(message.error)
