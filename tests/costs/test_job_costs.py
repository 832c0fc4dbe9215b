"""The view `job_costs` over the lines that real attempts log: the same dollars as the API's own estimate."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from monitoring.costs.price_rows import rows
from shared.costs import cost_of
from shared.errors import ProcessingFailed, Unavailable
from shared.job import Job
from shared.machines import Machine
from shared.prices import Tariff
from tests.costs.bigquery import BigQuery, Lines
from tests.fakes.processor import Step, after, fail
from tests.fakes.world import World, request
from tests.functions.serving import SHOP, serving
from tests.unit.attempts import submitted, try_once

DAY = date(2026, 12, 1)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The log of all workers."""
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def lasting(world: World, seconds: float, error: Exception | None = None) -> Step:
    return after(lambda: world.services.clock.advance(seconds), fail(error) if error else None)


def priced(tariff: Tariff, **changes: Any) -> list[dict[str, Any]]:
    return [{**json.loads(row), **changes} for row in rows(tariff)]


def submissions(tariff: Tariff, lines: Lines, *prices: dict[str, Any], copies: int = 1) -> list[dict[str, Any]]:
    bigquery = BigQuery()
    bigquery.insert("p.costs.prices", prices or priced(tariff))
    bigquery.insert("p.nca_jobs._AllLogs", list(lines.stored(DAY)) * copies)
    bigquery.create("job_costs")
    return bigquery.rows("SELECT * FROM p.costs.job_costs ORDER BY job_id, submission")


def job_costs(tariff: Tariff, lines: Lines, *prices: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of jobs that were never redriven."""
    return {row["job_id"]: row for row in submissions(tariff, lines, *prices)}


def new_job(world: World, key: str) -> Job:
    return submitted(world, request(world.services, idempotency_key=key))


def test_every_job_that_ended_is_a_row_with_the_apis_own_estimate(world: World, lines: Lines) -> None:
    tariff = world.services.tariff
    done, failed, dead = (new_job(world, key) for key in ("done", "failed", "dead"))
    try_once(world, done, lasting(world, 40))
    try_once(world, failed, lasting(world, 3, ProcessingFailed("no")), worker=world.worker(machine=Machine.CPU_JOB))
    for _ in range(5):
        try_once(world, dead, lasting(world, 10, Unavailable("down")), worker=world.worker(machine=Machine.GKE_POD))
    table = job_costs(tariff, lines)
    assert {job_id: row["state"] for job_id, row in table.items()} == {
        done.job_id: "succeeded",
        failed.job_id: "failed",
        dead.job_id: "dead_lettered",
    }
    for job_id, row in table.items():
        cost = cost_of(world.job(job_id), tariff)
        assert cost is not None
        assert row["usd"] == pytest.approx(cost.amount, abs=1e-6)
        assert row["logged_usd"] == pytest.approx(cost.amount, abs=1e-6)
        assert row["other_usd"] == pytest.approx(cost.alternative.amount, abs=1e-6)
        assert row["day"] == DAY
    assert (table[done.job_id]["gpu_job_seconds"], table[dead.job_id]["gke_pod_seconds"]) == (40, 50)
    assert (table[failed.job_id]["code"], table[dead.job_id]["attempts"]) == ("processing_failed", 5)


def test_a_job_that_was_at_two_routes_is_the_sum_of_both(world: World, lines: Lines) -> None:
    job = new_job(world, "both")
    try_once(world, job, lasting(world, 40, Unavailable("down")), lasting(world, 10))
    _, done = try_once(world, job, worker=world.worker(machine=Machine.GKE_POD))
    (row,) = job_costs(world.services.tariff, lines).values()
    cost = cost_of(done, world.services.tariff)
    assert cost is not None
    assert row["usd"] == pytest.approx(cost.amount, abs=1e-6)
    assert row["other_usd"] == pytest.approx(cost.alternative.amount, abs=1e-6)
    assert cost.alternative.route == "mixed"
    assert (row["gpu_job_seconds"], row["gke_pod_seconds"]) == (40, 10)


def test_submissions_of_a_redriven_job_add_up_to_its_cost(world: World, lines: Lines) -> None:
    job = new_job(world, "again")
    try_once(world, job, lasting(world, 30, ProcessingFailed("no")), lasting(world, 5))
    world.services.store.update(job.job_id, lambda seen: seen.job.redriven(world.services.now()))
    world.services.clock.advance(2)
    _, done = try_once(world, world.job(job.job_id))
    by_submission = submissions(world.services.tariff, lines)
    assert [(row["submission"], row["state"]) for row in by_submission] == [(1, "failed"), (2, "succeeded")]
    cost = cost_of(done, world.services.tariff)
    assert cost is not None
    assert sum(row["usd"] for row in by_submission) == pytest.approx(cost.amount, abs=2e-6)


def test_what_a_job_cost_before_it_was_cancelled_is_in_the_lines_too(world: World, lines: Lines) -> None:
    services, job = world.services, new_job(world, "regretted")

    def cancel_after_a_beat() -> None:
        services.clock.advance(20)
        services.store.update(job.job_id, lambda seen: seen.job.renewed(None), touch=True)
        services.clock.advance(3)
        assert api.post(f"/v1/jobs/{job.job_id}:cancel", headers=SHOP).status_code == 202

    with serving("ingest", services) as api:
        try_once(world, job, lasting(world, 30, Unavailable("down")), after(cancel_after_a_beat))
        try_once(world, job)
        assert api.post(f"/v1/jobs/{job.job_id}:redrive", headers=SHOP).status_code == 202
    _, done = try_once(world, world.job(job.job_id), lasting(world, 5))
    told = submissions(services.tariff, lines)
    assert [(row["state"], row["gpu_job_seconds"]) for row in told] == [("cancelled", 50), ("succeeded", 5)]
    cost = cost_of(done, services.tariff)
    assert cost is not None
    assert sum(row["usd"] for row in told) == pytest.approx(cost.amount, abs=2e-6)
    assert sum(row["logged_usd"] for row in told) == pytest.approx(cost.amount, abs=2e-6)


def test_a_line_that_is_stored_twice_counts_once(world: World, lines: Lines) -> None:
    job = new_job(world, "twice")
    try_once(world, job, lasting(world, 40))
    assert [row["gpu_job_seconds"] for row in submissions(world.services.tariff, lines, copies=2)] == [40]


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({-30: 1.0, -1: 2.0, 5: 3.0}, 2.0),  # the last that held
        ({0: 1.0, 5: 3.0}, 1.0),  # from its own day on
        ({5: 3.0, 50: 4.0}, 3.0),  # older than all lists: the nearest
        ({-1: 2.0, -2: 1.0}, 2.0),
    ],
)
def test_a_job_is_priced_with_the_list_of_its_day(
    world: World, lines: Lines, lists: dict[int, float], expected: float
) -> None:
    try_once(world, new_job(world, "one"), lasting(world, 40))
    prices = [
        row
        for days, usd in lists.items()
        for row in priced(
            world.services.tariff, usd_per_second=usd, as_of=(DAY + timedelta(days=days)).isoformat(), assumption=None
        )
    ]
    (row,) = job_costs(world.services.tariff, lines, *prices).values()
    assert row["usd"] == 40 * expected


def test_a_list_that_was_loaded_twice_prices_a_job_once(world: World, lines: Lines) -> None:
    try_once(world, new_job(world, "one"), lasting(world, 40))
    tariff = world.services.tariff
    (row,) = job_costs(tariff, lines, *priced(tariff), *priced(tariff)).values()
    assert row["usd"] == pytest.approx(40 * tariff.rates[Machine.GPU_JOB].usd_per_second, abs=1e-6)


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_lists_of_one_day_the_dearer_holds_in_whatever_order_they_were_loaded(
    world: World, lines: Lines, order: int
) -> None:
    job = new_job(world, "one")
    try_once(world, job, lasting(world, 40, Unavailable("down")), lasting(world, 10))
    try_once(world, job, worker=world.worker(machine=Machine.CPU_JOB))
    tariff = world.services.tariff
    prices = [*priced(tariff, usd_per_second=1.0, assumption="b"), *priced(tariff, usd_per_second=2.0, assumption="a")]
    (row,) = job_costs(tariff, lines, *prices[::order]).values()
    assert (row["usd"], row["assumptions"]) == (100.0, "cpu-job: a; gpu-job: a")


def test_what_is_assumed_is_said_in_the_row(world: World, lines: Lines) -> None:
    try_once(world, new_job(world, "one"), lasting(world, 40))
    prices = priced(world.services.tariff, assumption="no price was found")
    (row,) = job_costs(world.services.tariff, lines, *prices).values()
    assert row["assumptions"] == "gpu-job: no price was found"


def test_other_lines_are_no_jobs(world: World, lines: Lines) -> None:
    job = new_job(world, "unlucky")
    try_once(world, job, lasting(world, 5, Unavailable("down")))
    assert job_costs(world.services.tariff, lines) == {}
