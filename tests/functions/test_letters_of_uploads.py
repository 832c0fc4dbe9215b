"""Dead letters of uploads whose events were given up: they become the jobs that they would have been."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.job import State, job_id_for
from shared.letters import KeptLetter
from tests.fakes.services import FakeServices, fake_services
from tests.functions.letters import KEYS, listed
from tests.functions.serving import (
    MP4,
    OPERATOR,
    SHOP,
    event,
    generation_of,
    record,
    serving,
)


@pytest.fixture
def everything() -> FakeServices:
    return fake_services(api_keys=KEYS)


class TestUploads:
    """An event that `on_upload` never took, and Eventarc gave up."""

    @pytest.fixture
    def letter_id(self, everything: FakeServices) -> str:
        generation = everything.objects.put("uploads", "talks/keynote.mp4", MP4)
        push = event("dead_letter_upload_push.json")
        told = json.loads(base64.b64decode(push["message"]["data"])) | {"generation": str(generation)}
        push["message"]["data"] = base64.b64encode(json.dumps(told).encode()).decode()
        with serving("dead_letter", everything) as dead_letter:
            assert dead_letter.post("/", json=push).status_code == 204
        (name,) = everything.objects.names("state", "dead-letters/")
        return name.removeprefix("dead-letters/").removesuffix(".json")

    def test_its_letter_waits_and_names_the_file(self, api: FlaskClient, letter_id: str) -> None:
        (letter,) = listed(api, "?state=waiting", OPERATOR)
        assert (letter["id"], letter["source"], letter["job_id"]) == (letter_id, "gs://uploads/talks/keynote.mp4", None)
        assert listed(api) == []

    def test_a_redrive_makes_the_job_that_the_event_would_have_made_and_no_second_one(
        self, api: FlaskClient, everything: FakeServices, letter_id: str
    ) -> None:
        path = f"/v1/dead-letters/{letter_id}:redrive"
        assert api.post(path, headers=SHOP).status_code == 404
        answers = [api.post(path, headers=OPERATOR) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert answers[0].json == answers[1].json
        (job_id,) = {answer.json["job_id"] for answer in answers}
        generation = generation_of(everything, "talks/keynote.mp4")
        assert job_id == job_id_for(f"uploads/talks/keynote.mp4#{generation}")
        assert (record(everything, job_id).state, record(everything, job_id).submission) == (State.QUEUED, 1)
        assert len(everything.topics.on("gpu-tasks")) == 1
        (letter,) = listed(api, "", OPERATOR)
        assert (letter["state"], letter["job_id"]) == ("redriven", job_id)

    def test_a_redrive_of_all_begins_it_too_unless_one_type_is_asked_for(
        self, api: FlaskClient, everything: FakeServices, letter_id: str
    ) -> None:
        def redrive_all(headers: dict[str, str] = OPERATOR, **asked: Any) -> list[dict[str, Any]]:
            answer = api.post("/v1/dead-letters:redrive", json=asked, headers=headers)
            assert (answer.status_code, answer.json["left"]) == (200, [])
            found: list[dict[str, Any]] = answer.json["redriven"]
            return found

        generation = generation_of(everything, "talks/keynote.mp4")
        job_id = job_id_for(f"uploads/talks/keynote.mp4#{generation}")
        begun = [{"job_id": job_id, "submission": 1}]
        assert redrive_all(SHOP) == redrive_all(file_type="mp4") == redrive_all(code="other") == []
        assert redrive_all(dry_run=True) == begun
        assert everything.store.get(job_id) is None
        assert redrive_all() == begun
        assert record(everything, job_id).state is State.QUEUED
        assert redrive_all() == []

    def test_a_file_that_is_gone_leaves_a_record_of_its_refusal(
        self, api: FlaskClient, everything: FakeServices, letter_id: str
    ) -> None:
        everything.objects.delete("uploads", "talks/keynote.mp4")
        answer = api.post(f"/v1/dead-letters/{letter_id}:redrive", headers=OPERATOR)
        assert (answer.status_code, answer.json["state"]) == (202, "failed")
        refused = record(everything, answer.json["job_id"])
        assert refused.failure is not None
        assert refused.failure.code == "source_missing"

    def test_one_of_a_bucket_that_is_not_for_uploads_is_nothing_to_redrive(
        self, api: FlaskClient, everything: FakeServices
    ) -> None:
        told = {"bucket": "results", "name": "a.mp4", "generation": "7"}
        letter = KeptLetter.model_validate({**told, "kept_at": everything.now()})
        everything.letters.keep("2025-11-23/message-1", letter)
        everything_asked = api.post("/v1/dead-letters:redrive", json={}, headers=OPERATOR)
        assert (everything_asked.json["redriven"], everything_asked.json["left"]) == ([], [])
        answer = api.post("/v1/dead-letters/2025-11-23/message-1:redrive", headers=OPERATOR)
        assert (answer.status_code, answer.json["code"]) == (409, "conflict")
