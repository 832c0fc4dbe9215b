"""The model of the autoscaling keeps what must hold of the real one, and 30 files stay below 30 minutes."""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bench import autoscaling
from bench.autoscaling import FILES, LIMIT_SECONDS, SLOW, runs, work
from bench.autoscaling_drawing import Curve, draw
from bench.autoscaling_model import Platform, Run, simulate
from bench.autoscaling_policy import Hpa, Policy
from tests.k8s.rendering import one, pod, rendered

POLICY = Policy.deployed()
PLATFORM = Platform()
SEEDS = range(20)


def usual(seed: int, policy: Policy = POLICY) -> Run:
    return simulate(work(seed), policy, PLATFORM, seed)


@pytest.fixture(scope="module")
def everyday() -> list[Run]:
    return [usual(seed) for seed in SEEDS]


class TestPromise:
    def test_thirty_files_are_done_in_less_than_thirty_minutes_cold_start_and_metric_delay_counted(self) -> None:
        made = runs(POLICY, seeds=range(40))
        assert (FILES, LIMIT_SECONDS) == (30, 1800)
        assert {len(run.done) for run in made} == {FILES}
        assert made[-1].finish < LIMIT_SECONDS

    def test_the_result_can_fail(self) -> None:
        assert runs(POLICY, factor=0.4, seeds=SEEDS)[0].finish > LIMIT_SECONDS
        assert runs(replace(POLICY, maximum=1), seeds=SEEDS)[0].finish > LIMIT_SECONDS

    def test_slower_nodes_make_it_later(self) -> None:
        median = len(SEEDS) // 2
        assert runs(POLICY, SLOW, seeds=SEEDS)[median].finish > runs(POLICY, seeds=SEEDS)[median].finish + 60

    def test_lengths_differ_and_their_sum_does_not(self) -> None:
        one_way, other_way = work(1), work(2)
        assert one_way != other_way
        assert sum(one_way) == pytest.approx(sum(other_way))
        overhead = autoscaling.OVERHEAD_SECONDS * FILES
        assert sum(one_way) == pytest.approx(FILES * autoscaling.MEAN_MINUTES * 60 * autoscaling.FACTOR + overhead)


class TestModel:
    def test_policy_is_the_one_that_is_rolled_out(self) -> None:
        documents = rendered("prod")
        scaled = one(documents, "ScaledObject")["spec"]
        assert scaled["maxReplicaCount"] == POLICY.maximum
        assert (scaled["pollingInterval"], scaled["cooldownPeriod"]) == (POLICY.poll, POLICY.cooldown)
        assert float(scaled["triggers"][0]["metadata"]["threshold"]) == POLICY.target
        assert pod(documents)["terminationGracePeriodSeconds"] == POLICY.grace

    def test_the_same_seed_gives_the_same_run(self) -> None:
        assert usual(3) == usual(3)
        assert usual(3) != usual(4)

    def test_every_file_is_done_once(self, everyday: list[Run]) -> None:
        for run in everyday:
            assert run.begun == (1,) * FILES
            assert [moment.backlog for moment in run.history][-1] == 0
            drops = [a.backlog - b.backlog for a, b in pairwise(run.history)]
            assert set(drops) <= {0, 1}
            assert sum(drops) == FILES

    def test_there_are_never_more_pods_than_allowed(self, everyday: list[Run]) -> None:
        for run in everyday:
            assert max(moment.wanted for moment in run.history) == POLICY.maximum
            assert max(moment.pods for moment in run.history) == POLICY.maximum

    def test_more_pods_work_only_when_more_are_allowed(self) -> None:
        more = usual(1, replace(POLICY, maximum=8))
        assert max(moment.working for moment in more.history) == 8
        assert more.finish < usual(1).finish

    def test_metric_is_two_to_three_minutes_old(self, everyday: list[Run]) -> None:
        history = everyday[0].history
        times = [moment.at for moment in history]
        for moment in history:
            youngest, oldest = (moment.at - PLATFORM.metric_delay, moment.at - 180.0)
            if oldest > 0:
                first, last = (bisect_right(times, at) - 1 for at in (oldest, youngest))
                assert moment.seen in {each.backlog for each in history[first : last + 1]}

    def test_first_pod_comes_only_when_the_metric_and_a_poll_have_passed(self, everyday: list[Run]) -> None:
        latest = PLATFORM.metric_every + PLATFORM.metric_delay + POLICY.poll
        for run in everyday:
            begins = next(moment for moment in run.history if moment.wanted)
            assert PLATFORM.metric_delay <= begins.at <= latest
            assert (begins.wanted, begins.seen) == (1, FILES)

    def test_no_pod_works_before_its_node_and_image_are_there(self, everyday: list[Run]) -> None:
        for run in everyday:
            asked = next(moment.at for moment in run.history if moment.wanted)
            assert run.first_work >= asked + PLATFORM.node[0] + PLATFORM.start[0]

    def test_last_pod_goes_when_the_cooldown_has_passed_without_work(self, everyday: list[Run]) -> None:
        latest = PLATFORM.metric_every + PLATFORM.metric_delay + POLICY.cooldown + POLICY.poll
        for run in everyday:
            end = run.history[-1]
            silent_since = max(moment.at for moment in run.history if moment.seen)
            assert (end.wanted, end.pods) == (0, 0)
            assert end.at >= silent_since + POLICY.cooldown - POLICY.poll
            assert run.finish < end.at <= run.finish + latest

    def test_pods_are_paid_for_as_long_as_they_are_there(self, everyday: list[Run]) -> None:
        for run in everyday:
            assert sum(work(0)) < run.pod_seconds < POLICY.maximum * run.history[-1].at

    def test_without_files_nothing_happens(self) -> None:
        run = simulate([], POLICY, PLATFORM, 0)
        assert (run.done, [moment.pods for moment in run.history]) == ((), [0])


class TestBusyPodsThatGo:
    """Seven short files and a long one: scale-down may pick the pod that is at the long one."""

    FILES = (30.0, 30.0, 30.0, 2400.0, 30.0, 30.0, 30.0, 30.0)

    def made(self, grace: float) -> list[Run]:
        return [simulate(self.FILES, replace(POLICY, grace=grace), PLATFORM, seed) for seed in range(30)]

    def test_the_grace_period_lets_it_finish(self) -> None:
        for run in self.made(POLICY.grace):
            assert run.begun == (1,) * len(self.FILES)

    def test_some_are_picked_and_do_finish_beyond_the_number_asked_for(self) -> None:
        assert any(moment.pods > moment.wanted for run in self.made(POLICY.grace) for moment in run.history)

    def test_without_it_the_file_is_handed_back_and_still_done_once(self) -> None:
        made = self.made(10.0)
        assert max(max(run.begun) for run in made) == 2
        assert {len(run.done) for run in made} == {len(self.FILES)}


class TestHpa:
    @pytest.mark.parametrize(
        ("current", "backlog", "cpu", "pods"),
        [
            (1, 30, 0.0, 4),
            (1, 3, 0.0, 2),
            (1, 2, 0.0, 1),
            (2, 5, 0.0, 3),
            (4, 8, 0.0, 4),
            (3, 6, 400.0, 4),
            (1, 0, 75.0, 1),
            (1, 0, 80.0, 2),
            (0, 30, 0.0, 0),
        ],
    )
    def test_larger_of_both_triggers_counts(self, current: int, backlog: int, cpu: float, pods: int) -> None:
        assert Hpa(POLICY).replicas(0, current, backlog=backlog, cpu_percent=cpu) == pods

    def test_up_at_once_down_only_after_the_window_and_one_by_one(self) -> None:
        hpa, current, went = Hpa(POLICY), 1, []
        current = hpa.replicas(0, current, backlog=30, cpu_percent=0)
        assert current == 4
        for now in range(15, 900, 15):
            fewer = hpa.replicas(now, current, backlog=0, cpu_percent=0)
            went += [now] * (current - fewer)
            current = fewer
        assert current == 1
        assert went[0] > POLICY.down_window
        assert [later - earlier for earlier, later in pairwise(went)] == [POLICY.down_period] * 2

    def test_no_more_come_at_once_than_the_policy_says(self) -> None:
        hpa = Hpa(replace(POLICY, up_pods=1, up_period=60))
        assert hpa.replicas(0, 1, backlog=30, cpu_percent=0) == 2
        assert hpa.replicas(15, 2, backlog=30, cpu_percent=0) == 2
        assert hpa.replicas(60, 2, backlog=30, cpu_percent=0) == 3


def test_drawing_is_a_picture(tmp_path: Path) -> None:
    file = tmp_path / "run.png"
    curve = Curve("a", ((0.1, 600.0, 700.0, 800.0), (0.2, 900.0, 1000.0, 1100.0)))
    draw(file, usual(0), POLICY, [curve], limit=LIMIT_SECONDS, marks={0.15: "here"})
    signature, width, height = file.read_bytes()[:8], *struct.unpack(">II", file.read_bytes()[16:24])
    assert signature == b"\x89PNG\r\n\x1a\n"
    assert width > 1000
    assert height > 1000
