"""What a job cost: every attempt's machine seconds, in the record by the write that ends it, times their rates."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.costs import cost_of, log_fields
from shared.errors import ProcessingFailed, Unavailable
from shared.job import Job, State
from shared.lease import take
from shared.machines import Machine, Place, Startup
from shared.prices import tariff
from shared.sweep import sweep
from tests.fakes.processor import after, fail
from tests.fakes.services import fake_services
from tests.fakes.world import NO_BEATS, World
from tests.unit.attempts import submitted, try_once
from tests.unit.samples import NO_LUCK, NOON, OUTCOME, job

GPU = Place(machine=Machine.GPU_JOB)
US = tariff("us-central1", "us-central1")
LATER = NOON + timedelta(seconds=30)

ENDINGS: dict[str, Callable[[Job], Job]] = {
    "succeeded": lambda job: job.succeeded(OUTCOME, (), LATER),
    "failed": lambda job: job.failed(NO_LUCK, LATER),
    "retried": lambda job: job.retried(NO_LUCK, LATER),
    "handed back": lambda job: job.handed_back(LATER),
    "cancelled": lambda job: job.cancelled(LATER),
    "dead-lettered": lambda job: job.dead_lettered(NO_LUCK, LATER),
    "taken over": lambda job: job.leased("b", LATER, Place(machine=Machine.GKE_POD)),
}


@pytest.fixture
def world() -> World:
    return World()


class TestRecord:
    @pytest.mark.parametrize("ending", ENDINGS)
    def test_every_way_an_attempt_ends_adds_its_seconds(self, ending: str) -> None:
        ended = ENDINGS[ending](job(machine_seconds={Machine.GPU_JOB: 2.0}).leased("a", NOON, GPU))
        assert ended.machine_seconds == {Machine.GPU_JOB: 32.0}

    @pytest.mark.parametrize("ending", ["retried", "cancelled", "dead-lettered", "taken over"])
    def test_of_a_lost_worker_what_counts_is_its_last_beat(self, ending: str) -> None:
        running, beat = job().leased("a", NOON, GPU), NOON + timedelta(seconds=8)
        ended = {
            "retried": lambda: running.retried(NO_LUCK, LATER, last_beat=beat),
            "cancelled": lambda: running.cancelled(LATER, last_beat=beat),
            "dead-lettered": lambda: running.dead_lettered(NO_LUCK, LATER, last_beat=beat),
            "taken over": lambda: running.leased("b", LATER, GPU, last_beat=beat),
        }[ending]()
        assert ended.machine_seconds == {Machine.GPU_JOB: 8.0}

    def test_a_job_that_waits_costs_nothing_more(self) -> None:
        queued = job(machine_seconds={Machine.GPU_JOB: 2.0})
        assert (
            queued.cancelled(LATER).machine_seconds
            == queued.leased("a", NOON, GPU).machine_seconds
            == {Machine.GPU_JOB: 2.0}
        )

    def test_a_redrive_keeps_what_was_spent(self) -> None:
        failed = job().leased("a", NOON, GPU).failed(NO_LUCK, LATER)
        assert failed.redriven(LATER).machine_seconds == {Machine.GPU_JOB: 30.0}

    def test_a_clock_that_went_back_gives_no_money(self) -> None:
        assert job().leased("a", LATER, GPU).failed(NO_LUCK, NOON).machine_seconds == {Machine.GPU_JOB: 0.0}

    def test_jobs_that_share_a_machine_share_its_seconds_and_one_carries_the_start(self) -> None:
        place = Place(machine=Machine.GPU_JOB, jobs_at_once=4, startup_seconds=12.0)
        assert place.seconds(NOON, LATER) == 30 / 4 + 12

    def test_a_record_from_before_the_counting_parses_and_has_no_cost(self) -> None:
        old = job().leased("a", NOON, GPU).model_dump(mode="json", exclude={"place", "machine_seconds"})
        before = Job.model_validate(old)
        assert cost_of(before.failed(NO_LUCK, LATER), US) is None


class TestWork:
    def test_an_attempt_that_succeeds_is_in_the_write_that_says_so(self, world: World) -> None:
        waiting = submitted(world)
        writes = len(world.services.objects.writes)
        _, done = try_once(world, waiting, after(lambda: world.services.clock.advance(7)))
        assert done.machine_seconds == {Machine.GPU_JOB: 7.0}
        records = [write.name for write in world.services.objects.writes[writes:] if write.name.startswith("jobs/")]
        assert len(records) == 2, "the lease and the outcome"

    def test_failed_attempts_are_paid_for_too(self, world: World) -> None:
        waiting = submitted(world)
        unlucky = after(lambda: world.services.clock.advance(5), fail(Unavailable("storage is down")))
        lucky = after(lambda: world.services.clock.advance(7))
        try_once(world, waiting, unlucky, lucky)
        _, done = try_once(world, waiting)
        assert (done.state, done.machine_seconds) == (State.SUCCEEDED, {Machine.GPU_JOB: 12.0})

    def test_routes_are_added_up_apart(self, world: World) -> None:
        waiting = submitted(world)
        unlucky = after(lambda: world.services.clock.advance(5), fail(Unavailable("storage is down")))
        lucky = after(lambda: world.services.clock.advance(7))
        try_once(world, waiting, unlucky, lucky)
        _, done = try_once(world, waiting, worker=world.worker(machine=Machine.GKE_POD))
        assert done.machine_seconds == {Machine.GPU_JOB: 5.0, Machine.GKE_POD: 7.0}

    def test_the_first_job_a_worker_takes_carries_its_start_and_no_other(self, world: World) -> None:
        worker = world.worker(startup_seconds=20.0)
        first = submitted(world)
        unlucky = after(lambda: world.services.clock.advance(5), fail(Unavailable("storage is down")))
        _, queued = try_once(world, first, unlucky, worker=worker)
        assert queued.machine_seconds == {Machine.GPU_JOB: 25.0}
        _, queued = try_once(world, first, worker=worker)
        assert queued.machine_seconds == {Machine.GPU_JOB: 30.0}

    def test_a_job_that_is_not_taken_carries_no_start(self, world: World) -> None:
        over = submitted(world)
        try_once(world, over)
        worker = world.worker(startup_seconds=20.0)
        try_once(world, over, worker=worker)
        world.services.faults.fail_next("objects.read", Unavailable("storage is down"))
        with pytest.raises(Unavailable):
            try_once(world, over, worker=worker)
        assert worker.startup.take() == 20.0

    def test_places_of_a_worker_share_its_machine(self) -> None:
        world = World(fake_services(**NO_BEATS, worker_concurrency=4))
        waiting = submitted(world)
        _, done = try_once(world, waiting, after(lambda: world.services.clock.advance(8)))
        assert done.machine_seconds == {Machine.GPU_JOB: 2.0}

    def test_a_cpu_execution_has_one_job_whatever_the_drainers_have(self) -> None:
        world = World(fake_services(**NO_BEATS, worker_concurrency=4))
        waiting, steps = submitted(world), after(lambda: world.services.clock.advance(8))
        _, done = try_once(world, waiting, steps, worker=world.worker(machine=Machine.CPU_JOB))
        assert done.machine_seconds == {Machine.CPU_JOB: 8.0}

    def test_a_dead_workers_seconds_are_counted_by_the_sweep_up_to_its_last_beat(self, world: World) -> None:
        waiting = submitted(world)
        taken = take(waiting.job_id, 1, "a worker that dies", world.services, GPU).job
        assert taken is not None
        world.services.clock.advance(9)
        world.services.store.update(waiting.job_id, lambda seen: seen.job.renewed(None), touch=True)
        world.services.clock.advance(500)
        sweep(world.services)
        assert world.job(waiting.job_id).machine_seconds == {Machine.GPU_JOB: 9.0}

    def test_whoever_takes_a_dead_workers_job_over_counts_for_it(self, world: World) -> None:
        waiting = submitted(world)
        take(waiting.job_id, 1, "a worker that dies", world.services, GPU)
        world.services.clock.advance(500)
        _, done = try_once(world, waiting, after(lambda: world.services.clock.advance(3)))
        assert done.machine_seconds == {Machine.GPU_JOB: 3.0}, "the dead one never beat"

    @pytest.mark.parametrize("event", ["job.succeeded", "job.failed", "job.dead_lettered"])
    def test_the_line_that_tells_of_the_end_tells_the_cost(
        self, world: World, caplog: pytest.LogCaptureFixture, event: str
    ) -> None:
        waiting = submitted(world)
        error = {"job.succeeded": None, "job.failed": ProcessingFailed("no")}.get(event, Unavailable("down"))
        step = after(lambda: world.services.clock.advance(10), fail(error) if error else None)
        with caplog.at_level(logging.INFO):
            for _ in range(5 if event == "job.dead_lettered" else 1):
                _, ended = try_once(world, waiting, step)
        (line,) = [line for line in caplog.records if getattr(line, "event", "") == event]
        told = {"cost": line.cost, "costSeconds": line.costSeconds, "machineSeconds": line.machineSeconds}
        assert told == log_fields(ended, world.services.tariff)
        assert told["costSeconds"] == 10.0 * ended.attempt > 0
        assert told["cost"] > 0


class TestEstimate:
    @pytest.mark.parametrize(
        ("spent", "machine", "amount", "route", "other"),
        [
            ({Machine.GPU_JOB: 3600.0}, Machine.GPU_JOB, 1.42092, "gke", 0.955824),
            ({Machine.GKE_POD: 3600.0}, Machine.GKE_POD, 0.955824, "cloud-run", 1.42092),
            ({Machine.CPU_JOB: 3600.0}, Machine.CPU_JOB, 0.3744, "cloud-run", 1.42092),
            ({Machine.GPU_JOB: 900.0, Machine.GKE_POD: 2700.0}, Machine.GKE_POD, 1.072098, "mixed", 1.304646),
            ({Machine.CPU_JOB: 900.0, Machine.GKE_POD: 2700.0}, Machine.GKE_POD, 0.810468, "cloud-run", 1.42092),
        ],
    )
    def test_seconds_times_rates_beside_the_other_route(
        self, spent: dict[Machine, float], machine: Machine, amount: float, route: str, other: float
    ) -> None:
        cost = cost_of(job(machine_seconds=spent), US)
        assert cost is not None
        assert (cost.machine, cost.seconds, cost.currency) == (machine, 3600.0, "USD")
        assert cost.amount == pytest.approx(amount, abs=2e-6)
        assert (cost.alternative.route, cost.alternative.amount) == (route, pytest.approx(other, abs=2e-6))
        assert cost.alternative.why.startswith("an estimate: ")
        assert cost.prices_as_of == US.as_of

    def test_the_other_way_of_each_machine_is_told(self) -> None:
        one = cost_of(job(machine_seconds={Machine.GPU_JOB: 40.0}), US)
        two = cost_of(job(machine_seconds={Machine.GPU_JOB: 40.0, Machine.GKE_POD: 10.0}), US)
        assert one is not None
        assert two is not None
        assert one.alternative.why.startswith("an estimate: the 40.0 s of gpu-job in a pod on GKE, ")
        assert two.alternative.why.startswith(one.alternative.why)
        assert "; the 10.0 s of gke-pod in the GPU Job, " in two.alternative.why

    def test_a_machine_whose_worker_was_lost_before_its_first_beat_has_no_other_way(self) -> None:
        cost = cost_of(job(machine_seconds={Machine.GPU_JOB: 0.0, Machine.GKE_POD: 10.0}), US)
        assert cost is not None
        assert cost.alternative.route == "cloud-run"
        assert "gpu-job" not in cost.alternative.why

    def test_it_says_that_it_is_an_estimate_and_names_what_is_assumed(self) -> None:
        spent = job(machine_seconds={Machine.GPU_JOB: 1.0})
        sure, unsure = cost_of(spent, US), cost_of(spent, tariff("asia-northeast1", "us-central1"))
        assert sure is not None
        assert unsure is not None
        assert "assumed" not in sure.note
        assert "idle workers are not counted" in sure.note
        assert "gke-pod: no price was found for asia-northeast1: us-central1's is assumed" in unsure.note

    def test_a_job_nobody_has_worked_on_has_no_cost(self) -> None:
        assert cost_of(job(), US) is None
        assert cost_of(job().leased("a", NOON, GPU), US) is None

    def test_the_lines_of_a_redriven_jobs_ends_add_up_to_its_cost(self) -> None:
        failed = job().leased("a", NOON, GPU).failed(NO_LUCK, LATER)
        again = failed.redriven(LATER).leased("b", NOON, GPU).failed(NO_LUCK, NOON + timedelta(seconds=5))
        assert [log_fields(each, US)["costSeconds"] for each in (failed, again)] == [30.0, 5.0]
        whole = cost_of(again, US)
        assert whole is not None
        assert whole.seconds == 35.0

    def test_a_log_line_names_every_machine_as_bigquery_columns_are_named(self) -> None:
        assert log_fields(job(), US) == {
            "cost": 0.0,
            "costSeconds": 0.0,
            "machineSeconds": {"gpu_job": 0.0, "cpu_job": 0.0, "gke_pod": 0.0},
        }


def test_a_start_is_given_away_once() -> None:
    startup = Startup(3.0)
    assert (startup.take(), startup.take()) == (3.0, 0.0)
    startup.give_back(3.0)
    assert startup.take() == 3.0
