"""What callers are told of a job's cost."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from shared.machines import Machine, Place
from shared.prices import listed
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import SHOP, change, outcome, serving, submitted


def shown(everything: FakeServices, path: str) -> Any:
    with serving("ingest", everything) as api:
        return api.get(path, headers=SHOP).json


@pytest.fixture
def everything() -> FakeServices:
    return fake_services()


def taken(everything: FakeServices) -> str:
    """A job that the GPU Job works on."""
    job_id = submitted(everything).job_id
    everything.clock.advance(2)
    now = everything.now()
    everything.store.update(job_id, lambda seen: seen.job.leased("w", now, Place(machine=Machine.GPU_JOB)))
    return job_id


def worked_on(everything: FakeServices, seconds: float) -> str:
    """A job that succeeded after so many seconds in the GPU Job."""
    job_id = taken(everything)
    everything.clock.advance(seconds)
    done = everything.now()
    everything.store.update(job_id, lambda seen: seen.job.succeeded(outcome(seen.job), (), done))
    return job_id


def test_a_record_shows_what_the_job_cost_beside_the_other_route(everything: FakeServices) -> None:
    job_id = worked_on(everything, 100)
    cost = shown(everything, f"/v1/jobs/{job_id}")["cost"]
    rates = everything.tariff.rates
    assert (cost["currency"], cost["machine"], cost["seconds"]) == ("USD", "gpu-job", 100)
    assert cost["amount"] == pytest.approx(100 * rates[Machine.GPU_JOB].usd_per_second, abs=1e-6)
    assert cost["alternative"]["route"] == "gke"
    assert cost["alternative"]["amount"] == pytest.approx(100 * rates[Machine.GKE_POD].usd_per_second, abs=1e-6)
    assert cost["prices_as_of"] == listed().as_of.isoformat()
    assert "estimate" in cost["note"]
    assert shown(everything, "/v1/jobs")["jobs"][0]["cost"] == cost


def test_a_job_that_has_not_been_worked_on_shows_no_cost(everything: FakeServices) -> None:
    job_id = submitted(everything).job_id
    assert shown(everything, f"/v1/jobs/{job_id}")["cost"] is None


def test_cancelling_a_job_at_work_counts_what_it_cost_until_its_last_beat(everything: FakeServices) -> None:
    job_id = taken(everything)
    everything.clock.advance(20)
    everything.store.update(job_id, lambda seen: seen.job.renewed(None), touch=True)
    everything.clock.advance(3)
    with serving("ingest", everything) as api:
        assert api.post(f"/v1/jobs/{job_id}:cancel", headers=SHOP).status_code == 202
    assert shown(everything, f"/v1/jobs/{job_id}")["cost"]["seconds"] == 20


def test_a_job_that_is_cancelled_tells_its_cost_once(
    everything: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = taken(everything)
    everything.clock.advance(20)
    everything.store.update(job_id, lambda seen: seen.job.renewed(None), touch=True)
    with serving("ingest", everything) as api, caplog.at_level(logging.INFO):
        for _ in range(2):
            everything.clock.advance(3)
            assert api.post(f"/v1/jobs/{job_id}:cancel", headers=SHOP).status_code == 202
    (line,) = [each for each in caplog.records if getattr(each, "event", "") == "job.cancelled"]
    told = (line.job_id, line.submission, line.attempt, line.costSeconds)
    assert told == (job_id, 1, 1, 20)
    assert line.cost == shown(everything, f"/v1/jobs/{job_id}")["cost"]["amount"] > 0


def test_a_record_from_before_the_counting_is_shown_without_a_cost(everything: FakeServices) -> None:
    job_id = submitted(everything).job_id
    job = change(everything, job_id, "leased", "succeeded")
    old = job.model_dump_json(exclude={"place", "machine_seconds"}).encode()
    everything.objects.put("state", f"jobs/{job_id}.json", old)
    assert shown(everything, f"/v1/jobs/{job_id}")["cost"] is None


def test_the_cost_is_what_the_document_says_it_is(everything: FakeServices) -> None:
    job_id = worked_on(everything, 100)
    document = shown(everything, "/openapi.json")
    schema = {"$ref": "#/components/schemas/JobView", "components": document["components"]}
    record = shown(everything, f"/v1/jobs/{job_id}")
    jsonschema.Draft202012Validator(schema).validate(record)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**record, "cost": {"amount": "much"}})


def test_time_does_not_change_what_an_ended_job_cost(everything: FakeServices) -> None:
    job_id = worked_on(everything, 100)
    before = shown(everything, f"/v1/jobs/{job_id}")["cost"]
    everything.clock.advance(timedelta(days=1).total_seconds())
    assert shown(everything, f"/v1/jobs/{job_id}")["cost"] == before
