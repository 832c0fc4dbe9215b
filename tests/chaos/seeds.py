"""One seed: ten jobs, and faults at random points of their way; the same seed is the same jobs and the same faults."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from tests.chaos import incidents, promises
from tests.chaos.faults import Fault, Way
from tests.chaos.hub import Asked, Hub
from tests.chaos.media import sha256
from tests.waiting import eventually

JOBS: Final = 10
#: So long may one seed take to settle, in seconds.
WITHIN_S: Final = 90.0
#: Every so many seeds one is played where the GKE route is open.
_GKE_EVERY: Final = 4
#: So many seeds come everywhere: fewer say nothing of where none of them came.
ENOUGH: Final = 100
#: How many of the seeds have an incident besides their faults.
_INCIDENTS: Final = 0.5

_LOST: Final = (Way.CUT, Way.LOSE_ANSWER)
_DEATHS: Final = (Way.KILL_BEFORE, Way.KILL_AFTER)
_WRITE: Final = (*_LOST, *_DEATHS, Way.REFUSE_503, Way.REFUSE_429, Way.DELAY, Way.PAUSE)
_READ: Final = (Way.CUT, Way.REFUSE_503, Way.DELAY, *_DEATHS, Way.SHORT_READ)
_PUBLISH: Final = (*_LOST, *_DEATHS, Way.TWICE, Way.AGAIN_LATER, Way.DELAY, Way.REFUSE_503)
_PUSH: Final = (*_LOST, Way.TWICE, Way.AGAIN_LATER, Way.DELAY, Way.REFUSE_503)

#: Where faults are put in, how, and up to which of the calls there.
POINTS: Final[tuple[tuple[str, tuple[Way, ...], int], ...]] = (
    (r"storage write local-state jobs/.*", (*_WRITE, Way.RIVAL), 60),
    (r"storage read local-state jobs/.*", (*_READ, Way.CORRUPT), 80),
    (r"storage (write|delete) local-state open/.*", _WRITE, 20),
    (r"storage write local-state index/.*", _WRITE, 10),
    (r"storage (read|write|delete) local-state slots/.*", (*_LOST, *_DEATHS, Way.DELAY, Way.PAUSE), 10),
    (r"storage list local-state .*", (Way.CUT, Way.REFUSE_503, Way.DELAY), 10),
    (r"storage read local-(uploads|results) .*", (*_READ, Way.CORRUPT), 10),
    (r"storage peek local-(uploads|results) .*", _READ, 10),
    (r"storage write local-results .*", (*_WRITE,), 20),
    (r"storage (read|write) local-state storms/.*", _WRITE, 2),
    (r"storage write local-state dead-letters/.*", _WRITE, 2),
    (r"storage write local-state alerts/.*", _WRITE, 4),
    (r"pubsub Publish gpu-tasks(-gke)?", _PUBLISH, 6),
    (r"pubsub Publish (alerts|dead-letters)", _PUBLISH, 2),
    (r"pubsub Pull .*", _LOST, 10),
    (r"pubsub (Acknowledge|ModifyAckDeadline) .*", (*_LOST, *_DEATHS, Way.REFUSE_503), 6),
    (r"tasks CreateTask .*", _PUBLISH, 12),
    (r"jobs RunJob .*", (*_LOST, *_DEATHS, Way.TWICE, Way.REFUSE_429, Way.REFUSE_503), 6),
    (r"jobs GetExecution .*", (Way.CUT, Way.DELAY, Way.KILL_AFTER), 20),
    (r"on_upload POST .*", _PUSH, 6),
    (r"ingest POST .*", (Way.CUT, Way.LOSE_ANSWER, Way.TWICE, Way.DELAY), 8),
    (r"dispatch POST /(task|bell)", _PUSH, 12),
    (r"dispatch POST /sweep", (Way.LOSE_ANSWER, Way.TWICE), 5),
    (r"deliver POST /", _PUSH, 8),
    (r"dead_letter POST /", _PUSH, 2),
    (r"alert_relay POST /", _PUSH, 2),
)
#: What an attempt may meet in the middle of its work, and how often at most in a row.
TROUBLES: Final = (("kill", 2), ("memory", 2), ("disk", 1), ("gpu-memory", 1), ("bug", 5))
#: How many of the seeds have a job besides whose attempts are used up: without, few letters would ever be written.
_LETTERS: Final = 0.3


@dataclass(frozen=True)
class Seeded:
    seed: int
    jobs: int
    planned: tuple[str, ...]
    struck: tuple[str, ...]
    broken: tuple[str, ...]
    seconds: float
    states: dict[str, int]


def has_gke(seed: int) -> bool:
    """Is this seed for a cloud with the GKE route?"""
    return seed % _GKE_EVERY == _GKE_EVERY - 1


def run(hub: Hub, seed: int) -> Seeded:
    """Play one seed to its end, and look at the promises."""
    begun = time.monotonic()
    hub.reset()
    hub.calm()
    chance = random.Random(seed)
    hub.put(*(_fault(chance) for _ in range(chance.randint(3, 8))))
    incident = incidents.draw(chance) if chance.random() < _INCIDENTS else None
    planned = (*map(str, hub.plan.planned), *([incident.kind] if incident else []))
    has_letter = chance.random() < _LETTERS
    plays = [
        _play(chance, seed * JOBS + number, is_hopeless=has_letter and not number, may_wish=has_gke(seed))
        for number in range(JOBS)
    ]
    with ThreadPoolExecutor(JOBS + 1) as pool:
        happening = pool.submit(incident.happen, hub) if incident else None
        played = [pool.submit(play, hub) for play in plays]
        if happening:
            happening.result()
    # One caller that is not served must not keep the other seeds from being played.
    found = [f"a caller was not served: {error}" for each in played if (error := each.exception())]
    asked = [each for calls in played if not calls.exception() for each in calls.result()]
    hub.asked |= {each.job_id: each for each in asked}
    settle(hub, asked)
    found += promises.broken(hub, asked)
    states: dict[str, int] = {}
    for each in asked:
        job = hub.job(each.job_id)
        state = str(job.state) if job else "no record"
        states[state] = states.get(state, 0) + 1
    struck = tuple(hub.plan.struck)
    return Seeded(seed, len(asked), planned, struck, tuple(found), round(time.monotonic() - begun, 2), states)


def unmet(points: Iterable[str], *, count: int) -> list[str]:
    """Where `count` seeds put faults in, and no call came: one that has got another name breaks no more, unseen."""
    if count < ENOUGH:
        return []
    known = list(points)
    everywhere = [each for at, _, _ in POINTS for each in spelled(at)]
    return [at for at in everywhere if not any(re.fullmatch(at, point) for point in known)]


def spelled(at: str) -> list[str]:
    """Each alternative by itself, since each is a call of its own."""
    group = re.search(r"\(([^()]+)\)(\??)", at)
    if group is None:
        return [at]
    options = [*group[1].split("|"), *([""] if group[2] else [])]
    return [each for option in options for each in spelled(at[: group.start()] + option + at[group.end() :])]


def settle(hub: Hub, asked: list[Asked], *, within_s: float = WITHIN_S) -> bool:
    """Wait until nothing more is going to happen; False when that takes too long, which the promises will tell."""
    deadline = time.monotonic() + within_s
    while hub.plan.due or not promises.is_settled(hub, asked):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _fault(chance: random.Random) -> Fault:
    at, ways, most = chance.choice(POINTS)
    return Fault(
        at,
        chance.choice(ways),
        nth=chance.randint(1, most),
        times=chance.choice((1, 1, 1, 2, 4)),
        seconds=chance.choice((0.5, 1.5, 3.0)),
    )


#: One job's life as its caller makes it.
Play = Callable[[Hub], list[Asked]]


def _play(chance: random.Random, number: int, *, is_hopeless: bool, may_wish: bool) -> Play:
    hook = f"/hook/seed-{number}" if chance.random() < 0.5 else None
    operations = chance.choice((["transcribe"], ["probe"]))
    trouble = chance.choice(TROUBLES) if chance.random() < 0.3 else None
    is_bad = chance.random() < 0.1
    way = chance.choice(("announced", "announced", "uploaded", "posted", "posted twice", "cancelled", "redriven"))
    priority = "high" if chance.random() < 0.3 else "normal"
    times = chance.randint(1, trouble[1]) if trouble else 0
    # Not left to overflow: whether the GPU Job has room is up to the machine.
    wish = "gke" if may_wish and operations == ["transcribe"] else None
    if is_hopeless:
        way, is_bad, trouble, times = "announced", False, ("bug", 5), 5

    def play(hub: Hub) -> list[Asked]:
        path = hub.media.wav(1_000_000 + number)
        url = hub.receiver.url(hook) if hook else None
        ends = frozenset({"failed"} if is_bad else {"succeeded"})
        if way == "uploaded":
            metadata = {"operations": json.dumps(operations), **({"webhook_url": url} if url else {})}
            job_id = hub.driver.upload(path, f"seed-{number}.wav", **metadata)
            return [Asked(job_id, hook=hook, sha256=sha256(path))]
        if way.startswith("posted"):
            job_id, enter = hub.posting(path, operations, url, key=f"seed-{number}", wish=wish, priority=priority)
        else:
            job_id, enter = hub.ticket(path, operations, url, priority=priority)
        if is_bad:
            hub.happen(job_id, "bad", 10)
        elif trouble:
            hub.happen(job_id, trouble[0], times)
        enter()
        if way == "posted twice":
            enter()
        is_cancelled = way == "cancelled" and _cancelled(hub, job_id)
        redrives = 1 if way == "redriven" else 0
        is_cancelled = is_cancelled or (way == "redriven" and _redriven(hub, job_id))
        return [Asked(job_id, ends=ends, hook=hook, sha256=sha256(path), is_cancelled=is_cancelled, redrives=redrives)]

    return play


def _cancelled(hub: Hub, job_id: str) -> bool:
    """Cancel it as soon as it is there; 409 when it had ended before."""
    eventually(lambda: hub.job(job_id), "a record", within_s=WITHIN_S)
    return hub.call("POST", f"/v1/jobs/{job_id}:cancel").status_code in (202, 409)


def _redriven(hub: Hub, job_id: str) -> bool:
    """Cancel and at once redrive: two submissions in the hub's hands at the same time."""
    _cancelled(hub, job_id)
    # 409, too, when the answer that said yes was lost and the job has gone on since.
    return hub.call("POST", f"/v1/jobs/{job_id}:redrive").status_code in (202, 409)
