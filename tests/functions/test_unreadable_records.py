"""A record that this revision cannot read, as one that a newer revision wrote, harms nobody but its own job."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.job import Job, State
from tests.fakes.services import FakeServices, fake_services
from tests.functions.letters import KEYS, alerts, job_of, listed, lost, redrive
from tests.functions.serving import OPERATOR, SHOP, change, event, on_the_cpu, record, serving, submitted


@pytest.fixture
def everything() -> FakeServices:
    return fake_services(api_keys=KEYS)


def of_another_revision(everything: FakeServices, job_id: str) -> None:
    name = f"jobs/{job_id}.json"
    written = json.loads(everything.objects.data("state", name))
    written["operations"] = [{"name": "an operation to come"}]
    everything.objects.put("state", name, json.dumps(written).encode())


def letter_about(job: Job) -> Any:
    push = event("dead_letter_push.json")
    told = {"job_id": job.job_id, "submission": 1, "code": "unavailable", "reason": "gave up after 5 attempts"}
    push["message"]["data"] = base64.b64encode(json.dumps(told).encode()).decode()
    return push


def test_other_jobs_are_listed(api: FlaskClient, everything: FakeServices) -> None:
    jobs = [submitted(everything, key) for key in ("one", "two", "three")]
    of_another_revision(everything, jobs[1].job_id)
    answer = api.get("/v1/jobs", headers=SHOP)
    assert answer.status_code == 200
    assert {job["job_id"] for job in answer.json["jobs"]} == {jobs[0].job_id, jobs[2].job_id}
    answer = api.get(f"/v1/jobs/{jobs[1].job_id}", headers=SHOP)
    assert (answer.status_code, answer.json["code"]) == (503, "record_unreadable")


def test_other_letters_are_listed_and_redriven(api: FlaskClient, everything: FakeServices) -> None:
    letters = [lost(everything, key) for key in ("one", "two", "three")]
    of_another_revision(everything, job_of(letters[1]))
    assert {letter["id"] for letter in listed(api)} == {letters[0], letters[2]}
    assert {each["job_id"] for each in redrive(api)["redriven"]} == {job_of(letters[0]), job_of(letters[2])}
    answer = api.post(f"/v1/dead-letters/{letters[1]}:redrive", headers=OPERATOR)
    assert (answer.status_code, answer.json["code"]) == (503, "record_unreadable")


def test_its_letter_raises_the_alert_and_comes_again_until_the_job_can_be_marked(everything: FakeServices) -> None:
    job = submitted(everything)
    readable = everything.objects.data("state", f"jobs/{job.job_id}.json")
    of_another_revision(everything, job.job_id)
    with serving("dead_letter", everything) as dead_letter:
        assert dead_letter.post("/", json=letter_about(job)).status_code == 503
        (alert,) = alerts(everything)
        assert alert["labels"]["job_id"] == job.job_id
        everything.objects.put("state", f"jobs/{job.job_id}.json", readable)
        everything.clock.advance(60)
        assert dead_letter.post("/", json=letter_about(job)).status_code == 204
    assert record(everything, job.job_id).state is State.DEAD_LETTERED
    assert {each["id"] for each in alerts(everything)} == {alert["id"]}


def test_other_letters_of_a_storm_are_summed_up(everything: FakeServices) -> None:
    jobs = [submitted(everything, key) for key in ("one", "two", "three")]
    with serving("dead_letter", everything) as dead_letter, serving("dispatch", everything) as dispatch:
        for job in jobs:
            change(everything, job.job_id, "leased", "dead_lettered")
            assert dead_letter.post("/", json=letter_about(job)).status_code == 204
        of_another_revision(everything, jobs[1].job_id)
        everything.clock.advance(3600)
        assert dispatch.post("/sweep").status_code == 204
    assert [each["title"] for each in alerts(everything)] == ["A job is dead-lettered", "2 more dead letters"]


def test_its_task_slows_no_other_down(everything: FakeServices) -> None:
    job = on_the_cpu(everything)
    of_another_revision(everything, job.job_id)
    with serving("dispatch", everything) as dispatch:
        assert dispatch.post("/task", json=event("cpu_task.json")).status_code == 409
    assert everything.executions.started == []
