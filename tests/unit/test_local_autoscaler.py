"""The GKE stand-in, round by round: real processes, a clock and a backlog of the test's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.autoscaler import Autoscaler, Scale
from local.processes import Child, Processes, wait_ready
from shared.errors import Unavailable
from tests.waiting import eventually

POD = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.02; done"
DEAF_POD = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
CRASHING_POD = "exit 1"


@dataclass
class Cluster:
    """`round` sets the scene and lets the autoscaler do one step."""

    processes: Processes
    folder: Path
    pod: str = POD
    backlog: int | None = 0
    now: float = 0.0
    started: int = 0

    def start_pod(self) -> Child:
        self.started += 1
        log = self.folder / f"pod-{self.started}.log"
        child = self.processes.start(["sh", "-c", self.pod], env=os.environ, log=log, name="gpu-runner")
        if self.pod != CRASHING_POD:
            wait_ready(child, lambda: "ready" in child.log_tail(), within_s=10)
        return child

    def read_backlog(self) -> int:
        if self.backlog is None:
            raise Unavailable("no answer")
        return self.backlog

    def autoscaler(self, scale: Scale) -> Autoscaler:
        return Autoscaler(scale, backlog=self.read_backlog, start_pod=self.start_pod, clock=lambda: self.now)

    def round(self, autoscaler: Autoscaler, *, backlog: int | None, at: float) -> int:
        self.backlog, self.now = backlog, at
        autoscaler.step()
        return len(autoscaler.pods)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    processes = Processes()
    yield Cluster(processes, tmp_path)
    processes.close(grace_s=0)


@pytest.mark.parametrize(
    ("backlog", "pods"), [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2), (39, 4), (41, 4), (10_000, 4)]
)
def test_pods_follow_the_backlog_up_to_the_maximum(backlog: int, pods: int) -> None:
    assert Scale(target=10, maximum=4).desired(backlog) == pods


def test_minimum_holds_without_work() -> None:
    assert Scale(target=10, minimum=2).desired(0) == 2


def test_scales_up_at_once_and_down_only_after_the_cooldown(cluster: Cluster) -> None:
    autoscaler = cluster.autoscaler(Scale(target=10, cooldown_s=60))
    assert cluster.round(autoscaler, backlog=0, at=0) == 0
    assert cluster.round(autoscaler, backlog=35, at=10) == 4
    assert cluster.round(autoscaler, backlog=15, at=20) == 4
    assert cluster.round(autoscaler, backlog=0, at=70) == 4
    # 60 s after four were last wanted, two still count; then none.
    assert cluster.round(autoscaler, backlog=0, at=71) == 2
    assert cluster.round(autoscaler, backlog=0, at=81) == 0
    assert cluster.started == 4


def test_burst_within_the_cooldown_keeps_its_pods(cluster: Cluster) -> None:
    autoscaler = cluster.autoscaler(Scale(target=10, cooldown_s=60))
    for at in range(0, 600, 50):
        assert cluster.round(autoscaler, backlog=10 if at % 100 == 0 else 0, at=at) == 1
    assert cluster.started == 1


def test_newest_pod_goes_first_with_sigterm_and_time_to_finish(cluster: Cluster) -> None:
    autoscaler = cluster.autoscaler(Scale(target=1, cooldown_s=0))
    cluster.round(autoscaler, backlog=2, at=0)
    oldest, newest = autoscaler.pods
    assert cluster.round(autoscaler, backlog=1, at=1) == 1
    assert autoscaler.pods == (oldest,)
    assert autoscaler.leaving == (newest,)
    assert newest.wait(10) == 0
    assert "bye" in newest.log_tail()
    cluster.round(autoscaler, backlog=1, at=2)
    assert autoscaler.leaving == ()
    assert oldest.poll() is None


def test_pod_that_does_not_go_is_killed_after_its_grace_time(cluster: Cluster) -> None:
    cluster.pod = DEAF_POD
    autoscaler = cluster.autoscaler(Scale(target=1, cooldown_s=0, grace_s=600))
    cluster.round(autoscaler, backlog=1, at=0)
    (pod,) = autoscaler.pods
    cluster.round(autoscaler, backlog=0, at=1)
    cluster.round(autoscaler, backlog=0, at=600)
    assert pod.poll() is None
    cluster.round(autoscaler, backlog=0, at=601)
    assert pod.poll() == -signal.SIGKILL
    assert autoscaler.leaving == ()


def test_leaving_pod_does_not_count_as_one_that_works(cluster: Cluster) -> None:
    cluster.pod = DEAF_POD
    autoscaler = cluster.autoscaler(Scale(target=1, cooldown_s=0))
    cluster.round(autoscaler, backlog=1, at=0)
    cluster.round(autoscaler, backlog=0, at=1)
    assert cluster.round(autoscaler, backlog=1, at=2) == 1
    assert cluster.started == 2


def test_crashing_pod_is_started_again_later_each_time(cluster: Cluster) -> None:
    cluster.pod = CRASHING_POD
    autoscaler = cluster.autoscaler(Scale(target=1, longest_backoff_s=8))
    starts = []
    for at in range(60):
        before = cluster.started
        cluster.round(autoscaler, backlog=1, at=at)
        if cluster.started > before:
            starts.append(at)
            (pod,) = autoscaler.pods
            assert pod.wait(10) == 1
    # Seen in the round after, then 1, 2, 4, 8, 8 … seconds.
    assert starts == [0, 2, 5, 10, 19, 28, 37, 46, 55]


def test_crash_after_a_long_good_run_is_a_first_crash(cluster: Cluster) -> None:
    autoscaler = cluster.autoscaler(Scale(target=1))
    cluster.pod = CRASHING_POD
    for at in (0, 2):
        assert cluster.round(autoscaler, backlog=1, at=at) == 1
        assert autoscaler.pods[0].wait(10) == 1
        assert cluster.round(autoscaler, backlog=1, at=at + 1) == 0
    cluster.pod = POD
    # Two crashes in a row cost 1 s and 2 s, a third would cost 4 s.
    assert cluster.round(autoscaler, backlog=1, at=5) == 1
    autoscaler.pods[0].kill()
    assert cluster.round(autoscaler, backlog=1, at=65) == 0
    assert cluster.round(autoscaler, backlog=1, at=66) == 1


def test_pods_that_come_after_there_were_none_are_new_ones(cluster: Cluster) -> None:
    autoscaler = cluster.autoscaler(Scale(target=1, cooldown_s=0))
    cluster.pod = CRASHING_POD
    for at in (0, 2):
        assert cluster.round(autoscaler, backlog=1, at=at) == 1
        assert autoscaler.pods[0].wait(10) == 1
        assert cluster.round(autoscaler, backlog=1, at=at + 1) == 0
    assert cluster.round(autoscaler, backlog=1, at=3.5) == 0
    assert cluster.round(autoscaler, backlog=0, at=4) == 0
    assert cluster.round(autoscaler, backlog=1, at=4.5) == 1


def test_backlog_that_nobody_knows_changes_nothing(cluster: Cluster) -> None:
    autoscaler = cluster.autoscaler(Scale(target=1, cooldown_s=0))
    assert cluster.round(autoscaler, backlog=2, at=0) == 2
    assert cluster.round(autoscaler, backlog=None, at=100) == 2
    assert cluster.round(autoscaler, backlog=0, at=101) == 0


def test_runs_by_itself_and_leaves_nothing_behind(cluster: Cluster) -> None:
    cluster.backlog = 3
    with Autoscaler(
        Scale(target=1, poll_s=0.01), backlog=cluster.read_backlog, start_pod=cluster.start_pod
    ) as autoscaler:
        eventually(lambda: len(autoscaler.pods) == 3)
        pods = autoscaler.pods
    assert [pod.poll() for pod in pods] == [0, 0, 0]
