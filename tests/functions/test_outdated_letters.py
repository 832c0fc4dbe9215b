"""`dead_letter`: letters whose job is not lost when they come, or whose function fails, and what is told of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from shared.errors import Unavailable
from shared.job import State
from tests.fakes.services import FakeServices
from tests.functions.letters import alerts, letter_of, letters, listed, push_of
from tests.functions.serving import change, event, record, serving, submitted


@pytest.fixture
def dead_letter(everything: FakeServices) -> Iterator[FlaskClient]:
    with serving("dead_letter", everything) as client:
        yield client


def test_letter_of_a_job_that_is_lost_later_that_day_says_why(
    dead_letter: FlaskClient, everything: FakeServices
) -> None:
    """Pub/Sub's backstop gave a message up while its job was at work."""
    job = submitted(everything)
    change(everything, job.job_id, "leased")
    assert dead_letter.post("/", json=event("dead_letter_backstop_push.json")).status_code == 204
    everything.clock.advance(3600)
    assert dead_letter.post("/", json=event("dead_letter_push.json")).status_code == 204
    assert record(everything, job.job_id).state is State.DEAD_LETTERED
    date = everything.now().date()
    reasons = {name: letter["code"] for name, letter in letters(everything).items()}
    assert reasons == {
        f"dead-letters/{date}/{job.job_id}-outdated.json": "undeliverable",
        f"dead-letters/{date}/{job.job_id}.json": "unavailable",
    }
    assert len(alerts(everything)) == 1


def test_letter_that_another_one_has_replaced_counts_no_more(
    dead_letter: FlaskClient, api: FlaskClient, everything: FakeServices
) -> None:
    first, second = (submitted(everything, key) for key in ("one", "two"))
    assert dead_letter.post("/", json=push_of(letter_of(first.job_id))).status_code == 204
    change(everything, second.job_id, "leased")
    assert dead_letter.post("/", json=push_of(letter_of(second.job_id))).status_code == 204
    everything.clock.advance(everything.settings.lease_seconds)
    assert dead_letter.post("/", json=push_of(letter_of(second.job_id))).status_code == 204
    everything.clock.advance(20 * 60)
    with serving("dispatch", everything) as dispatch:
        assert dispatch.post("/sweep").status_code == 204
    assert [each["title"] for each in alerts(everything)] == ["A job is dead-lettered", "1 more dead letter"]
    states = {letter["id"].partition("/")[2]: letter["state"] for letter in listed(api)}
    outdated = f"{second.job_id}-outdated"
    assert states == {first.job_id: "waiting", second.job_id: "waiting", outdated: "settled"}


@pytest.mark.parametrize("broken", ["objects.write dead-letters/", "objects.write jobs/"])
def test_letter_whose_function_failed_before_a_summary_is_in_the_next(
    dead_letter: FlaskClient, everything: FakeServices, broken: str
) -> None:
    first, second, third = (submitted(everything, key) for key in ("one", "two", "three"))
    with serving("dispatch", everything) as dispatch:
        for job in (first, second):
            assert dead_letter.post("/", json=push_of(letter_of(job.job_id))).status_code == 204
        everything.faults.fail_next(broken, Unavailable("down"))
        assert dead_letter.post("/", json=push_of(letter_of(third.job_id))).status_code == 503
        everything.clock.advance(15 * 60)
        assert dispatch.post("/sweep").status_code == 204
        everything.clock.advance(2 * 60)
        assert dead_letter.post("/", json=push_of(letter_of(third.job_id))).status_code == 204
        everything.clock.advance(15 * 60)
        assert dispatch.post("/sweep").status_code == 204
    assert [each["title"] for each in alerts(everything)] == ["A job is dead-lettered"] + 2 * ["1 more dead letter"]
