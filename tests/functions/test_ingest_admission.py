"""Back-pressure at the API's door: what is answered 429, and what is answered all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.api import Problem
from shared.store import Marker
from shared.sweep import sweep
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import MP4, OPERATOR, SHOP, TEXT, change, record, serving, uploaded

BODY = {"source": "gs://uploads/talks/keynote.mp4", "operations": ["transcribe"]}
UPLOAD = {"filename": "talk.mp4", "content_type": "video/mp4"}
KEYS = (
    {"name": "shop", "key": "secret-shop-key", "allowance": 2},
    {"name": "operator", "key": "secret-operator-key", "sees": "all"},
)


@pytest.fixture
def everything() -> FakeServices:
    """Where the shop may have two unfinished jobs."""
    made = fake_services(api_keys=KEYS, max_backlog=100)
    made.objects.put("uploads", "talks/keynote.mp4", MP4)
    return made


@pytest.fixture
def api(everything: FakeServices) -> Iterator[FlaskClient]:
    with serving("ingest", everything) as client:
        yield client


def post(api: FlaskClient, path: str = "/v1/jobs", body: Any = None, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.post(path, json=BODY if body is None else body, headers={**SHOP, **named})


def refused(answer: Any) -> str:
    """The code of a 429 that says when to come again."""
    assert answer.status_code == 429
    assert answer.content_type == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    return Problem.model_validate_json(answer.data).code


@pytest.fixture
def used_up(api: FlaskClient) -> list[str]:
    """The shop's two jobs, by the keys "0" and "1"."""
    return [post(api, Idempotency_Key=str(number)).json["job_id"] for number in range(2)]


@pytest.mark.parametrize(("path", "body"), [("/v1/jobs", BODY), ("/v1/uploads", UPLOAD)])
def test_a_key_at_its_allowance_is_told_to_come_again(
    api: FlaskClient, everything: FakeServices, used_up: list[str], path: str, body: Any
) -> None:
    before = everything.objects.names("state")
    assert refused(post(api, path, body)) == "allowance_used"
    assert everything.objects.names("state") == before


class TestTickets:
    def test_a_ticket_counts_like_the_job_that_it_will_be(self, api: FlaskClient, everything: FakeServices) -> None:
        assert [post(api, "/v1/uploads", UPLOAD).status_code for _ in range(2)] == [201, 201]
        for path, body in (("/v1/uploads", UPLOAD), ("/v1/jobs", BODY)):
            assert refused(post(api, path, body)) == "allowance_used"

    def test_its_file_makes_it_one_job_and_not_two(self, api: FlaskClient, everything: FakeServices) -> None:
        job = uploaded(everything, post(api, "/v1/uploads", UPLOAD).json)
        assert everything.objects.names("state", "open/") == [f"open/shop/{job.job_id}"]
        assert post(api).status_code == 202
        assert refused(post(api)) == "allowance_used"

    def test_one_whose_file_is_no_media_makes_room(self, api: FlaskClient, everything: FakeServices) -> None:
        uploaded(everything, post(api, "/v1/uploads", UPLOAD).json, TEXT)
        assert everything.objects.names("state", "open/") == []

    def test_one_that_no_file_came_for_makes_room_in_time(self, api: FlaskClient, everything: FakeServices) -> None:
        tickets = [post(api, "/v1/uploads", UPLOAD).json for _ in range(2)]
        everything.clock.advance(everything.settings.ticket_seconds - 1)
        sweep(everything)
        assert refused(post(api)) == "allowance_used"
        everything.clock.advance(1)
        assert sweep(everything)["marker"] == 2
        assert post(api).status_code == 202
        # A file that comes late is taken all the same, and is its caller's.
        assert uploaded(everything, tickets[0]).caller == "shop"

    def test_one_whose_function_died_before_it_went_is_swept(self, api: FlaskClient, everything: FakeServices) -> None:
        job = uploaded(everything, post(api, "/v1/uploads", UPLOAD).json)
        everything.clock.advance(5)
        everything.store.mark_open(Marker.of_ticket(job.job_id, "shop"))
        sweep(everything)
        assert list(everything.store.markers()) == [Marker.of(job)]

    def test_a_key_without_an_allowance_pays_nothing_for_it(self, api: FlaskClient, everything: FakeServices) -> None:
        assert post(api, "/v1/uploads", UPLOAD, **OPERATOR).status_code == 201
        assert everything.objects.names("state") == []

    def test_tickets_are_no_jobs_yet(self, api: FlaskClient, everything: FakeServices) -> None:
        post(api, "/v1/uploads", UPLOAD)
        assert list(everything.store.open_jobs()) == []


def test_another_key_is_not_held_up(api: FlaskClient, used_up: list[str]) -> None:
    assert post(api, **OPERATOR).status_code == 202


def test_a_finished_job_makes_room(api: FlaskClient, everything: FakeServices, used_up: list[str]) -> None:
    assert api.post(f"/v1/jobs/{used_up[0]}:cancel", headers=SHOP).status_code == 202
    assert post(api).status_code == 202
    assert refused(post(api)) == "allowance_used"


def test_a_repeated_request_is_answered_when_there_is_no_room(
    api: FlaskClient, everything: FakeServices, used_up: list[str]
) -> None:
    everything.work_backlog.number = 100
    assert [post(api, Idempotency_Key=str(number)).json["job_id"] for number in range(2)] == used_up


def test_a_wrong_request_is_told_so_before_there_is_room(api: FlaskClient, used_up: list[str]) -> None:
    assert post(api, body={**BODY, "operations": ["dance"]}).status_code == 400


@pytest.mark.parametrize("headers", [SHOP, OPERATOR])
@pytest.mark.parametrize(("path", "body"), [("/v1/jobs", BODY), ("/v1/uploads", UPLOAD)])
def test_everybody_is_told_when_the_backlog_is_full(
    api: FlaskClient, everything: FakeServices, path: str, body: Any, headers: dict[str, str]
) -> None:
    everything.work_backlog.number = 100
    assert refused(post(api, path, body, **headers)) == "backlog_full"
    everything.work_backlog.number = None
    assert post(api, path, body, **headers).status_code in (201, 202)


def test_a_redrive_is_never_refused(api: FlaskClient, everything: FakeServices, used_up: list[str]) -> None:
    """Its job was accepted once; and mending what failed is what makes room."""
    change(everything, used_up[0], "leased", "failed")
    everything.work_backlog.number = 100
    assert api.post(f"/v1/jobs/{used_up[0]}:redrive", headers=SHOP).status_code == 202


class TestPriority:
    @pytest.mark.parametrize(
        ("operations", "topic", "queue"), [(["transcribe"], "gpu-tasks", None), (["probe"], None, "cpu-tasks-high")]
    )
    def test_a_high_job_goes_by_the_high_lane_of_its_route(
        self, api: FlaskClient, everything: FakeServices, operations: list[str], topic: str | None, queue: str | None
    ) -> None:
        job_id = post(api, body={**BODY, "operations": operations, "priority": "high"}).json["job_id"]
        if topic:
            assert [each.attributes["priority"] for each in everything.topics.on(topic)] == ["high"]
            assert len(everything.topics.subscription("gpu-work-high").waiting) == 1
            assert everything.topics.subscription("gpu-work").waiting == []
        else:
            assert len(everything.queues.on("cpu-tasks-high")) == 1
            assert everything.queues.on("cpu-tasks") == []
        assert api.get(f"/v1/jobs/{job_id}", headers=SHOP).json["priority"] == "high"

    def test_a_redriven_job_stays_in_its_lane(self, api: FlaskClient, everything: FakeServices) -> None:
        job_id = post(api, body={**BODY, "priority": "high"}).json["job_id"]
        change(everything, job_id, "leased", "failed")
        api.post(f"/v1/jobs/{job_id}:redrive", headers=SHOP)
        assert [each.attributes["priority"] for each in everything.topics.on("gpu-tasks")] == ["high", "high"]

    def test_another_priority_is_a_fault_with_its_field(self, api: FlaskClient) -> None:
        answer = post(api, body={**BODY, "priority": "urgent"})
        assert (answer.status_code, [fault["field"] for fault in answer.json["errors"]]) == (400, ["priority"])

    def test_a_record_without_one_is_of_the_normal_lane(self, api: FlaskClient, everything: FakeServices) -> None:
        job_id = post(api).json["job_id"]
        old = record(everything, job_id).model_dump_json(exclude={"priority"}).encode()
        everything.objects.put("state", f"jobs/{job_id}.json", old)
        assert api.get(f"/v1/jobs/{job_id}", headers=SHOP).json["priority"] == "normal"
