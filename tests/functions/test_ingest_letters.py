"""Dead letters by the API: who sees which, what a redrive of one and of many does, what a discard keeps."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.errors import Unavailable
from shared.job import State
from shared.letters import KeptLetter
from tests.fakes.services import FakeServices, fake_services
from tests.functions.letters import KEYS, STRANGER, job_of, keep, listed, lost, redrive
from tests.functions.serving import (
    MP3,
    OPERATOR,
    SHOP,
    change,
    on_the_cpu,
    record,
    submitted,
)


@pytest.fixture
def everything() -> FakeServices:
    return fake_services(api_keys=KEYS)


def test_a_letter_tells_why_after_which_attempts_and_where_the_log_is(
    api: FlaskClient, everything: FakeServices
) -> None:
    letter_id = lost(everything)
    (letter,) = listed(api)
    assert (letter["id"], letter["state"], letter["code"], letter["job_state"]) == (
        letter_id,
        "waiting",
        "unavailable",
        "dead_lettered",
    )
    (attempt,) = letter["attempts"]
    assert (attempt["number"], attempt["worker"], attempt["failure"]["code"]) == (1, "worker/1", "processing_failed")
    assert letter["logs_url"].startswith(
        f"https://console.cloud.google.com/logs/query;query=labels.job_id%3D%22{job_of(letter_id)}%22"
    )
    assert letter["logs_url"].endswith("?project=test-project")
    assert api.get(f"/v1/dead-letters/{letter_id}", headers=SHOP).json == letter


def test_a_key_sees_the_letters_of_its_own_jobs_only(api: FlaskClient, everything: FakeServices) -> None:
    mine, theirs = lost(everything), lost(everything, "theirs", caller="stranger")
    nobodys = f"{everything.now().date()}/message-7"
    unreadable = {"code": "unreadable", "reason": "no JSON", "kept_at": everything.now(), "data": "AP8="}
    everything.letters.keep(nobodys, KeptLetter.model_validate(unreadable))
    assert [letter["id"] for letter in listed(api)] == [mine]
    assert [letter["id"] for letter in listed(api, headers=STRANGER)] == [theirs]
    assert {letter["id"] for letter in listed(api, headers=OPERATOR)} == {mine, theirs, nobodys}
    for verb, method in (("", "GET"), (":redrive", "POST"), (":discard", "POST")):
        for letter_id in (theirs, nobodys):
            answer = api.open(f"/v1/dead-letters/{letter_id}{verb}", method=method, headers=SHOP, json={"reason": "x"})
            assert answer.status_code == 404
    assert api.get(f"/v1/dead-letters/{nobodys}", headers=OPERATOR).json["data"] == "AP8="
    assert redrive(api, headers=SHOP)["redriven"] == [{"job_id": job_of(mine), "submission": 2}]
    assert record(everything, job_of(theirs)).state is State.DEAD_LETTERED


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?code=unavailable", ["a", "b", "c"]),
        ("?code=disk_full", []),
        ("?file_type=mp3", ["b"]),
        ("?state=redriven", []),
        ("?since=2025-11-23T12:00:30Z", ["b", "c"]),
        ("?until=2025-11-23T12:01:00Z", ["a"]),
        ("?since=2025-11-23T13:01:00%2B01:00&until=2025-11-23T12:01:30Z", ["b"]),
        ("?since=2025-11-24T00:00:00Z", []),
    ],
)
def test_a_list_shows_what_matches(api: FlaskClient, everything: FakeServices, query: str, found: list[str]) -> None:
    ids = {
        lost(everything, "a"): "a",
        lost(everything, "b", name="b.mp3", data=MP3): "b",
        lost(everything, "c"): "c",
    }
    assert sorted(ids[letter["id"]] for letter in listed(api, query)) == found


def test_a_long_list_comes_in_pages(api: FlaskClient, everything: FakeServices) -> None:
    ids = sorted(lost(everything, str(number)) for number in range(7))
    seen: list[str] = []
    token = ""
    while token is not None:
        page = api.get(f"/v1/dead-letters?limit=3{token and f'&page_token={token}'}", headers=SHOP).json
        seen += [letter["id"] for letter in page["letters"]]
        token = page["next_page_token"]
    assert seen == ids


def test_pages_go_on_where_one_job_has_two_letters_of_a_day(api: FlaskClient, everything: FakeServices) -> None:
    """`job-2.json` stands before `job.json`."""
    first = lost(everything)
    change(everything, job_of(first), "redriven", "leased", "dead_lettered")
    again = KeptLetter(job_id=job_of(first), submission=2, code="unavailable", reason="again", kept_at=everything.now())
    everything.letters.keep(f"{first}-2", again)
    one = api.get("/v1/dead-letters?limit=1", headers=SHOP).json
    other = api.get(f"/v1/dead-letters?limit=1&page_token={one['next_page_token']}", headers=SHOP).json
    assert [page["letters"][0]["id"] for page in (one, other)] == [f"{first}-2", first]
    assert other["next_page_token"] is None


@pytest.mark.parametrize(
    "query", ["?state=lost", "?since=0", "?since=2025-11-23", "?until=2025-02-30T00:00:00Z", "?limit=0", "?code=a%20b",
              "?page_token=.."]
)  # fmt: skip
def test_a_wrong_parameter_is_named(api: FlaskClient, query: str) -> None:
    answer = api.get(f"/v1/dead-letters{query}", headers=SHOP)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json["errors"]] == [query[1:].partition("=")[0]]


def test_a_letter_redriven_twice_makes_one_new_submission(api: FlaskClient, everything: FakeServices) -> None:
    letter_id = lost(everything)
    for _ in range(2):
        everything.clock.advance(5)
        answer = api.post(f"/v1/dead-letters/{letter_id}:redrive", headers=SHOP)
        assert (answer.status_code, answer.json["state"]) == (202, "queued")
    assert record(everything, job_of(letter_id)).submission == 2
    assert [message.attributes["submission"] for message in everything.topics.on("gpu-tasks")] == ["1", "2"]
    (letter,) = listed(api)
    assert letter["state"] == "redriven"
    change(everything, job_of(letter_id), "leased")
    assert api.post(f"/v1/dead-letters/{letter_id}:redrive", headers=SHOP).json["state"] == "running"


def test_a_redriven_job_keeps_its_history(api: FlaskClient, everything: FakeServices) -> None:
    letter_id = lost(everything)
    api.post(f"/v1/dead-letters/{letter_id}:redrive", headers=SHOP)
    shown = api.get(f"/v1/jobs/{job_of(letter_id)}", headers=SHOP).json
    (past,) = shown["submissions"]
    assert (past["number"], past["state"], past["failure"]["code"]) == (1, "dead_lettered", "processing_failed")
    assert [attempt["number"] for attempt in shown["attempts"]] == [1]
    assert (shown["submission"], shown["error"]) == (2, None)


def test_redriving_many_starts_what_matches_and_no_more_than_was_asked(
    api: FlaskClient, everything: FakeServices
) -> None:
    ids = [lost(everything, str(number)) for number in range(5)]
    lost(everything, "music", name="b.mp3", data=MP3)
    first = redrive(api, file_type="mp4", limit=3)
    assert (len(first["redriven"]), first["left"]) == (3, [])
    second = redrive(api, file_type="mp4", limit=3, page_token=first["next_page_token"])
    assert (len(second["redriven"]), second["next_page_token"]) == (2, None)
    redriven = {each["job_id"] for each in first["redriven"] + second["redriven"]}
    assert redriven == set(map(job_of, ids))
    again = redrive(api, file_type="mp4")
    assert (again["redriven"], again["left"], again["looked_at"]) == ([], [], 6)
    assert [letter["file_type"] for letter in listed(api, "?state=waiting")] == ["mp3"]


def test_pages_of_redrives_leave_out_nobody_where_a_letter_came_again_on_another_day(
    api: FlaskClient, everything: FakeServices
) -> None:
    ids = sorted(lost(everything, str(number)) for number in range(4))
    everything.clock.advance(86_400)
    again = everything.letters.get(ids[1])
    assert again is not None
    everything.letters.keep(f"{everything.now().date()}/{again.job_id}", again)
    redriven: list[str] = []
    token: str | None = ids[0]
    while token is not None:
        told = redrive(api, limit=1, page_token=token)
        redriven += [each["job_id"] for each in told["redriven"]]
        token = told["next_page_token"]
    assert redriven == [job_of(letter_id) for letter_id in ids]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(api: FlaskClient, everything: FakeServices) -> None:
    letter_id = lost(everything)
    told = redrive(api, dry_run=True)
    assert told["redriven"] == [{"job_id": job_of(letter_id), "submission": 2}]
    assert record(everything, job_of(letter_id)).state is State.DEAD_LETTERED


def test_one_that_cannot_be_redriven_is_named_and_keeps_no_other_from_it(
    api: FlaskClient, everything: FakeServices
) -> None:
    lost(everything, "a"), lost(everything, "b")
    everything.faults.fail_next("topics.publish gpu-tasks", Unavailable("Pub/Sub is down"))
    told = redrive(api)
    assert len(told["redriven"]) == 1
    (left,) = told["left"]
    assert (left["code"], left["detail"]) == ("unavailable", "Pub/Sub is down")
    # It is queued and open, so the sweep publishes it.
    assert record(everything, left["job_id"]).state is State.QUEUED
    assert left["job_id"] in set(everything.store.open_jobs())


def test_failed_jobs_are_found_by_their_records(api: FlaskClient, everything: FakeServices) -> None:
    failed, other = on_the_cpu(everything, "failed"), submitted(everything, "other")
    for job in (failed, other):
        change(everything, job.job_id, "leased", "failed" if job is failed else "cancelled")
    everything.clock.advance(5)
    assert redrive(api, state="failed", code="decoder_crashed")["redriven"] == []
    told = redrive(api, state="failed", code="processing_failed", since="2025-11-23T00:00:00Z")
    assert told["redriven"] == [{"job_id": failed.job_id, "submission": 2}]
    assert redrive(api, state="failed")["redriven"] == []


def test_a_discarded_letter_stays_with_who_and_why_and_is_not_redriven_with_others(
    api: FlaskClient, everything: FakeServices
) -> None:
    letter_id = lost(everything)
    path = f"/v1/dead-letters/{letter_id}"
    answer = api.post(f"{path}:discard", json={"reason": "the customer uploaded it again"}, headers=OPERATOR)
    assert (answer.status_code, answer.json["state"]) == (200, "discarded")
    again = api.post(f"{path}:discard", json={"reason": "another"}, headers=SHOP)
    word = again.json["discarded"]
    assert (word["by"], word["reason"]) == ("operator", "the customer uploaded it again")
    assert redrive(api)["redriven"] == []
    assert listed(api, "?state=waiting") == []
    # Somebody may change their mind about one.
    assert api.post(f"{path}:redrive", headers=SHOP).json["state"] == "queued"
    (letter,) = listed(api)
    assert (letter["state"], letter["discarded"]["by"]) == ("redriven", "operator")
    assert api.post(f"{path}:discard", json={"reason": "too late"}, headers=SHOP).status_code == 409


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "a\nb"}, {"reason": 7}, {"reason": "x", "by": "me"}])
def test_a_discard_needs_a_reason(api: FlaskClient, everything: FakeServices, body: dict[str, Any]) -> None:
    letter_id = lost(everything)
    assert api.post(f"/v1/dead-letters/{letter_id}:discard", json=body, headers=SHOP).status_code == 400


def test_a_job_that_was_not_lost_after_all_settles_its_letter(api: FlaskClient, everything: FakeServices) -> None:
    job = submitted(everything)
    change(everything, job.job_id, "leased", "succeeded")
    letter_id = keep(everything, job, "undeliverable")
    (letter,) = listed(api)
    assert letter["state"] == "settled"
    assert api.post(f"/v1/dead-letters/{letter_id}:redrive", headers=SHOP).status_code == 409


def test_a_letter_that_does_not_parse_hides_no_other(api: FlaskClient, everything: FakeServices) -> None:
    everything.objects.put("state", "dead-letters/2025-01-01/broken.json", b"{")
    letter_id = lost(everything)
    assert [(each["id"], each["code"]) for each in listed(api, headers=OPERATOR)] == [
        ("2025-01-01/broken", "unreadable"),
        (letter_id, "unavailable"),
    ]
