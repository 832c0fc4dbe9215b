"""Would a broken promise be seen? Histories that may not be, and the faults that strike where they were planned."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from local.ports import Ports
from shared.job import Job
from tests.chaos import promises, seeds
from tests.chaos.breaking import Lost, Passage, holds, pid_at
from tests.chaos.calls import Call, function_call, rpc_call, storage_call
from tests.chaos.faults import Fault, Plan, Way
from tests.chaos.http_front import HttpFront
from tests.chaos.journal import Journal
from tests.unit.samples import NO_LUCK, NOON, OUTCOME, job
from tests.waiting import eventually

JOB = job()
RUNNING = JOB.leased("worker/1", NOON)
TAKEN_OVER = RUNNING.leased("worker/2", NOON)


def _outcome(of: Job, attempt: int) -> Job:
    folder = f"gs://results/{of.job_id}/{attempt}/"
    return of.succeeded(OUTCOME.model_copy(update={"folder": folder}), (), NOON)


DONE = _outcome(RUNNING, 1)
CANCELLED = RUNNING.cancelled(NOON)
REDRIVEN = CANCELLED.redriven(NOON)

HISTORIES: dict[str, tuple[Sequence[Job], str]] = {
    "as it should be": ((JOB, RUNNING, DONE), ""),
    "renewed, handed back, taken again": (
        (JOB, RUNNING, RUNNING, RUNNING.handed_back(NOON), TAKEN_OVER, _outcome(TAKEN_OVER, 2)),
        "",
    ),
    "cancelled and redriven": ((JOB, RUNNING, CANCELLED, REDRIVEN, REDRIVEN.leased("worker/2", NOON)), ""),
    "the outcome of who lost the lease": ((JOB, RUNNING, TAKEN_OVER, DONE), "an outcome of another attempt"),
    "an outcome over a failure": ((JOB, RUNNING, RUNNING.failed(NO_LUCK, NOON), DONE), "an illegal step"),
    "two ends": ((JOB, RUNNING, DONE, RUNNING, RUNNING.failed(NO_LUCK, NOON)), "submission 1 ended 2 times"),
    "an outcome over a cancel": ((JOB, RUNNING, CANCELLED, DONE), "an outcome after the end"),
    "work without a lease": ((JOB, DONE), "an illegal step"),
}


@pytest.mark.parametrize(("history", "fault"), HISTORIES.values(), ids=HISTORIES.keys())
def test_a_history_that_may_not_be_is_named(history: Sequence[Job], fault: str) -> None:
    journal = Journal()
    journal.records[JOB.job_id] = dict(enumerate(history))
    found = journal.faults_of(JOB.job_id)
    assert bool(found) == bool(fault), found
    assert any(each.startswith(fault) for each in found or [""])


#: Connects from one port to another, and holds on until its input ends.
CLIENT = """
import socket, sys
own, server = map(int, sys.argv[1:])
connection = socket.socket()
connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
connection.bind(("127.0.0.1", own))
connection.connect(("127.0.0.1", server))
print("connected", flush=True)
sys.stdin.read()
"""


def test_who_calls_another_of_ours_from_the_same_port_is_not_the_caller() -> None:
    """The kernel gives two processes one port as long as they connect to different servers."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
        Ports() as ports,
    ):
        servers, port = [each.getsockname()[1] for each in (one, other)], ports.take()
        started = [
            subprocess.Popen(
                [sys.executable, "-c", CLIENT, str(port), str(server)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for server in servers
        ]
        for client in started:
            assert client.stdout is not None
            assert client.stdout.readline() == "connected\n"
        assert [pid_at(port, server) for server in servers] == [client.pid for client in started]
        for client in started:
            client.communicate()


def test_an_artifact_written_after_the_commit_is_named() -> None:
    journal = Journal()
    journal.artifacts |= {"j/1/early": [5], "j/1/again": [5, 9], "k/1/other": [9]}
    assert journal.written_after("j/1/", 7) == ["j/1/again"]


def test_an_artifact_written_again_is_named_unless_an_answer_was_lost() -> None:
    journal = Journal()
    journal.artifacts |= {"j/1/once": [5], "j/1/again": [5, 9], "j/1/unanswered": [5, 9], "k/1/other": [5, 9]}
    journal.lose(Call("storage", "write", "local-results j/1/unanswered", None, 1))
    assert journal.written_again("j/") == ["j/1/again"]


def test_a_job_that_nobody_asked_for_is_named() -> None:
    assert promises.not_asked(["a", "b", "b", "c"], {"a", "c"}) == ["b"]


def test_an_upload_whose_event_was_not_handled_is_named() -> None:
    assert promises.unheard({"a": 1, "b": 2}, {("a", 1), ("b", 1)}) == ["b"]


EVERYWHERE = [point.replace(".*", "x") for at, _, _ in seeds.POINTS for point in seeds.spelled(at)]


@pytest.mark.parametrize("point", ["pubsub Publish gpu-tasks-gke", "deliver POST /"])
def test_a_point_to_which_no_call_of_many_seeds_came_is_named(point: str) -> None:
    assert not seeds.unmet(EVERYWHERE, count=seeds.ENOUGH)
    assert seeds.unmet(set(EVERYWHERE) - {point}, count=seeds.ENOUGH) == [point]


def test_a_few_seeds_need_not_come_everywhere() -> None:
    assert not seeds.unmet([], count=seeds.ENOUGH - 1)


NAMES = {
    "storage write local-state jobs/*.json": storage_call(
        "POST",
        "/upload/storage/v1/b/local-state/o?uploadType=multipart&ifGenerationMatch=0",
        {"content-type": "multipart/related; boundary=xx"},
        b'--xx\r\ncontent-type: a\r\n\r\n{"name": "jobs/%s.json"}\r\n--xx\r\n\r\n{}\r\n--xx--' % JOB.job_id.encode(),
        1,
    ),
    "storage read local-state jobs/*.json": storage_call(
        "GET", f"/download/storage/v1/b/local-state/o/jobs%2F{JOB.job_id}.json?alt=media", {}, b"", 1
    ),
    "storage list local-state open/": storage_call("GET", "/storage/v1/b/local-state/o?prefix=open%2F", {}, b"", 1),
    "dispatch POST /task": function_call("dispatch", "POST", "/task", f'{{"job_id": "{JOB.job_id}"}}'.encode(), 1),
    "pubsub Publish gpu-tasks": rpc_call(
        "pubsub", "/google.pubsub.v1.Publisher/Publish", b"\n\x1fprojects/local-hub/topics/gpu-tasks\x12", 1
    ),
}


@pytest.mark.parametrize(("name", "call"), NAMES.items(), ids=NAMES.keys())
def test_a_call_has_a_name_without_ids(name: str, call: Call) -> None:
    assert call.point == name
    assert call.job in (None, JOB.job_id)


def test_a_fault_strikes_the_calls_it_was_planned_for_and_no_other() -> None:
    mine, other = Call("storage", "write", "jobs/1", "1", 1, b"succeeded"), Call("storage", "write", "jobs/2", "2", 1)
    plan = Plan()
    plan.add(Fault("storage write .*", Way.CUT, nth=2, times=2, job="1", having=b"succeeded"))
    struck = [plan.fault_for(call) is not None for call in (mine, other, mine, other, mine, mine)]
    assert struck == [False, False, True, False, True, False]
    assert [fault.has_struck for fault in plan.planned] == [False]


def test_a_fault_that_another_keeps_from_striking_takes_the_next_call() -> None:
    plan, call = Plan(), Call("storage", "write", "jobs/1", "1", 1)
    plan.add(Fault("storage .*", Way.REFUSE_429, times=2), Fault("storage .*", Way.REFUSE_503))
    struck = [fault.way if (fault := plan.fault_for(call)) else None for _ in range(4)]
    assert struck == [Way.REFUSE_429, Way.REFUSE_429, Way.REFUSE_503, None]


NOBODY = Call("storage", "write", "jobs/1", "1", 0)


@pytest.mark.parametrize("way", [Way.KILL_BEFORE, Way.KILL_AFTER, Way.PAUSE, Way.RIVAL, Way.CORRUPT, Way.SHORT_READ])
def test_what_finds_nothing_to_strike_has_not_struck_and_is_let_loose_again(way: Way) -> None:
    plan = Plan()
    plan.add(Fault("storage .*", way))
    passage = Passage[str](plan, 1, hurt=lambda answer, way: None, rival=lambda call: False)
    assert [passage.through(NOBODY, lambda: "answer") for _ in range(2)] == ["answer", "answer"]
    assert (plan.struck, plan.planned[0].taken, plan.waiting()) == ([], 0, plan.planned)


def test_a_caller_is_found_though_it_closes_what_is_looked_through(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"closed-{number}").touch()
    (tmp_path / "3").symlink_to("socket:[7]")
    assert holds(tmp_path, {"socket:[7]"})
    assert not holds(tmp_path, {"socket:[8]"})
    assert not holds(tmp_path / "gone", {"socket:[7]"})


@pytest.mark.parametrize(("promised", "is_named"), [(2, True), (3, False)])
def test_a_request_whose_caller_died_amid_it_is_no_call(promised: int, is_named: bool) -> None:
    named: list[bytes] = []

    def name(method: str, url: str, headers: Mapping[str, str], body: bytes, peer: int) -> Call:
        named.append(body)
        return NOBODY

    plan = Plan()
    plan.add(Fault("storage .*", Way.CUT))
    with HttpFront(plan, name) as front, socket.create_connection(("127.0.0.1", front.port), timeout=10) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\nxx" % promised)
        caller.shutdown(socket.SHUT_WR)
        assert caller.recv(100) == b""
    assert named == [b"xx"] * is_named


def test_what_has_struck_says_so() -> None:
    plan = Plan()
    plan.add(Fault("storage .*", Way.CUT), Fault("storage .*", Way.RIVAL))
    passage = Passage[str](plan, 1, rival=lambda call: True)
    with pytest.raises(Lost):
        passage.through(NOBODY, lambda: "answer")
    assert passage.through(NOBODY, lambda: "answer") == "answer"
    assert (len(plan.struck), plan.waiting()) == (2, [])


def test_a_copy_counts_once_it_has_arrived() -> None:
    plan = Plan()
    plan.add(Fault("storage .*", Way.AGAIN_LATER, seconds=0.0))
    assert Passage[str](plan, 1).through(NOBODY, lambda: "answer") == "answer"
    eventually(lambda: not plan.due)
    assert (plan.points[NOBODY.point], plan.waiting()) == (2, [])
