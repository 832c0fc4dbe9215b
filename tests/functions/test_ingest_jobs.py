"""Who may see and change which jobs: keys, records, lists, artifacts, cancel, redrive."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from shared.job import State
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import OPERATOR, SHOP, change, on_the_cpu, record, serving, submitted

STRANGER = {"X-API-Key": "secret-stranger-key"}
KEYS = [
    {"name": "shop", "key": "secret-shop-key"},
    {"name": "stranger", "key": "secret-stranger-key"},
    {"name": "operator", "key": "secret-operator-key", "sees": "all"},
]


@pytest.fixture
def everything() -> FakeServices:
    return fake_services(api_keys=KEYS)


def get(api: FlaskClient, path: str, headers: dict[str, str] = SHOP) -> Any:
    return api.get(path, headers=headers)


def post(api: FlaskClient, path: str, headers: dict[str, str] = SHOP) -> Any:
    return api.post(path, headers=headers)


@pytest.mark.parametrize(
    "key", [None, "", "wrong", "secret-shop-ke", "secret-shop-key ", "secret-shop-key\u00e9", "null"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs"),
        ("GET", "/v1/jobs/{}"),
        ("GET", "/v1/jobs/{}/artifacts/transcript.json"),
        ("POST", "/v1/jobs/{}:cancel"),
        ("POST", "/v1/jobs/{}:redrive"),
        ("POST", "/v1/uploads"),
        ("GET", "/no/such/path"),
    ],
)
def test_without_a_known_key_nothing_is_read(
    api: FlaskClient, everything: FakeServices, key: str | None, method: str, path: str
) -> None:
    job = submitted(everything)
    before = len(everything.faults.calls)
    headers = {} if key is None else {"X-API-Key": key}
    answer = api.open(path.format(job.job_id), method=method, headers=headers)
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
    assert len(everything.faults.calls) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs/{}"),
        ("GET", "/v1/jobs/{}/artifacts/transcript.json"),
        ("POST", "/v1/jobs/{}:cancel"),
        ("POST", "/v1/jobs/{}:redrive"),
    ],
)
def test_anothers_job_is_as_good_as_none(api: FlaskClient, everything: FakeServices, method: str, path: str) -> None:
    job = submitted(everything)
    change(everything, job.job_id, "leased", "succeeded")
    before = record(everything, job.job_id)
    answers = [api.open(path.format(job_id), method=method, headers=STRANGER) for job_id in (job.job_id, "0" * 32)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].data.replace(job.job_id.encode(), b"0" * 32) == answers[1].data
    assert record(everything, job.job_id) == before
    assert everything.objects.names("state", "open/shop/00") == []


def test_operator_sees_uploads_and_everybodys_jobs(api: FlaskClient, everything: FakeServices) -> None:
    jobs = [submitted(everything, caller=caller) for caller in ("shop", "stranger", "upload")]
    assert [get(api, f"/v1/jobs/{job.job_id}", OPERATOR).status_code for job in jobs] == [200, 200, 200]
    assert [get(api, f"/v1/jobs/{job.job_id}").status_code for job in jobs] == [200, 404, 404]
    assert len(get(api, "/v1/jobs", OPERATOR).json["jobs"]) == 3
    assert [job["job_id"] for job in get(api, "/v1/jobs").json["jobs"]] == [jobs[0].job_id]


def test_record_is_shown_with_links_and_without_inner_names(api: FlaskClient, everything: FakeServices) -> None:
    job = submitted(everything)
    waiting = get(api, f"/v1/jobs/{job.job_id}")
    assert (waiting.status_code, waiting.headers["Retry-After"]) == (200, "2")
    change(everything, job.job_id, "leased", "succeeded")
    answer = get(api, f"/v1/jobs/{job.job_id}")
    assert "Retry-After" not in answer.headers
    shown = answer.json
    assert (shown["state"], shown["attempt"], shown["progress"]["percent"]) == ("succeeded", 1, 100.0)
    assert shown["artifacts"][1]["url"] == f"https://ingest.test/v1/jobs/{job.job_id}/artifacts/thumbnails/0001.jpg"
    assert shown["status_url"] == f"https://ingest.test/v1/jobs/{job.job_id}"
    assert {"owner", "key_hash", "request_hash", "caller", "outcome"} & set(shown) == set()
    assert b"gs://results" not in answer.data


def listed(api: FlaskClient, query: str = "") -> list[str]:
    return [job["job_id"] for job in get(api, f"/v1/jobs{query}").json["jobs"]]


def test_list_is_newest_first_and_pages_to_its_end(api: FlaskClient, everything: FakeServices) -> None:
    made = []
    for number in range(7):
        made.append(submitted(everything, f"k{number}").job_id)
        everything.clock.advance(1)
    pages: list[list[str]] = []
    query = "?limit=3"
    while query:
        page = get(api, f"/v1/jobs{query}").json
        pages.append([job["job_id"] for job in page["jobs"]])
        query = f"?limit=3&page_token={page['next_page_token']}" if page["next_page_token"] else ""
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [job_id for page in pages for job_id in page] == made[::-1]


def test_page_that_is_just_full_is_the_last(api: FlaskClient, everything: FakeServices) -> None:
    for number in range(3):
        submitted(everything, f"k{number}")
    assert get(api, "/v1/jobs?limit=3").json["next_page_token"] is None


def test_list_filters_by_state(api: FlaskClient, everything: FakeServices) -> None:
    jobs = [submitted(everything, f"k{number}") for number in range(3)]
    change(everything, jobs[1].job_id, "cancelled")
    assert listed(api, "?state=cancelled") == [jobs[1].job_id]
    assert sorted(listed(api, "?state=queued")) == sorted([jobs[0].job_id, jobs[2].job_id])
    assert listed(api, "?state=failed") == []


def test_one_call_scans_so_many_and_no_more(api: FlaskClient, everything: FakeServices) -> None:
    for number in range(510):
        submitted(everything, f"s{number}", caller="stranger")
        everything.clock.advance(0.01)
    everything.clock.advance(-3600)
    mine = submitted(everything)
    before = len(everything.faults.calls)
    first = get(api, "/v1/jobs").json
    assert first["jobs"] == []
    assert len(everything.faults.calls) - before <= 502
    assert listed(api, f"?page_token={first['next_page_token']}") == [mine.job_id]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("limit=0", ["limit"]),
        ("limit=101", ["limit"]),
        ("limit=-1", ["limit"]),
        ("limit=", ["limit"]),
        ("limit=1.5", ["limit"]),
        ("limit=ten", ["limit"]),
        ("limit=%D9%A3", ["limit"]),
        ("limit=000000001000", ["limit"]),
        ("limit=" + "9" * 5000, ["limit"]),
        ("state=done", ["state"]),
        ("state=", ["state"]),
        ("page_token=", ["page_token"]),
        ("page_token=../jobs", ["page_token"]),
        ("page_token=%00", ["page_token"]),
        ("limit=x&state=y&page_token=z", ["limit", "state", "page_token"]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_query_is_400_with_all_faults(api: FlaskClient, query: str, fields: list[str]) -> None:
    answer = get(api, f"/v1/jobs?{query}")
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json["errors"]] == fields


def test_artifact_redirects_to_a_signed_url_made_on_the_click(api: FlaskClient, everything: FakeServices) -> None:
    job = submitted(everything)
    change(everything, job.job_id, "leased", "succeeded")
    for name in ("transcript.json", "thumbnails/0001.jpg", "thumbnails%2F0001.jpg"):
        answer = get(api, f"/v1/jobs/{job.job_id}/artifacts/{name}")
        assert answer.status_code == 302
        path = f"{job.job_id}/1/{name.replace('%2F', '/')}"
        assert answer.headers["Location"].startswith(f"https://storage.example/results/{path}?expires=900&signature=")
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "name",
    [
        "other.json",
        "..%2F..%2Fsecret",
        "../transcript.json",
        "thumbnails/../transcript.json",
        "./transcript.json",
        "transcript.json%00",
        "transcript.json/",
        "transcript.json%0A",
        "%2Ftranscript.json",
        "TRANSCRIPT.JSON",
        "1/transcript.json",
        "%2e%2e/%2e%2e/state/jobs",
    ],
)
def test_name_that_is_not_in_the_record_is_404(api: FlaskClient, everything: FakeServices, name: str) -> None:
    job = submitted(everything)
    change(everything, job.job_id, "leased", "succeeded")
    answer = get(api, f"/v1/jobs/{job.job_id}/artifacts/{name}")
    assert answer.status_code == 404
    assert "objects.download_url" not in " ".join(everything.faults.calls)


@pytest.mark.parametrize("steps", [(), ("leased",), ("leased", "failed"), ("cancelled",)])
def test_artifacts_appear_with_success_only(api: FlaskClient, everything: FakeServices, steps: tuple[str, ...]) -> None:
    job = submitted(everything)
    change(everything, job.job_id, *steps)
    assert get(api, f"/v1/jobs/{job.job_id}/artifacts/transcript.json").status_code == 404


@pytest.mark.parametrize("steps", [(), ("leased",), ("leased", "retried"), ("cancelled",)])
def test_cancel_ends_a_waiting_or_running_job(
    api: FlaskClient, everything: FakeServices, steps: tuple[str, ...]
) -> None:
    job = submitted(everything, webhook_url="https://hooks.example.com/done")
    change(everything, job.job_id, *steps)
    answer = post(api, f"/v1/jobs/{job.job_id}:cancel")
    assert (answer.status_code, answer.json["state"]) == (202, "cancelled")
    assert record(everything, job.job_id).state is State.CANCELLED
    assert [task.name for task in everything.queues.on("webhooks")] == [f"{job.job_id}-1-1"]
    assert everything.objects.names("state", "open/") == []


@pytest.mark.parametrize("steps", [("leased", "succeeded"), ("leased", "failed"), ("dead_lettered",)])
def test_cancel_of_a_job_that_ended_is_409(api: FlaskClient, everything: FakeServices, steps: tuple[str, ...]) -> None:
    job = submitted(everything)
    before = change(everything, job.job_id, *steps)
    answer = post(api, f"/v1/jobs/{job.job_id}:cancel")
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert record(everything, job.job_id) == before


@pytest.mark.parametrize("steps", [("leased", "failed"), ("dead_lettered",), ("cancelled",)])
def test_redrive_starts_the_next_submission(api: FlaskClient, everything: FakeServices, steps: tuple[str, ...]) -> None:
    job = submitted(everything)
    change(everything, job.job_id, *steps)
    answer = post(api, f"/v1/jobs/{job.job_id}:redrive")
    assert (answer.status_code, answer.json["state"]) == (202, "queued")
    again = record(everything, job.job_id)
    assert (again.submission, again.attempts_counted, again.failure) == (2, 0, None)
    assert [message.attributes["submission"] for message in everything.topics.on("gpu-tasks")] == ["1", "2"]
    assert everything.objects.names("state", "open/") == [f"open/shop/{job.job_id}", f"open/shop/{job.job_id}-2"]


def test_redrive_of_a_queued_job_publishes_again(api: FlaskClient, everything: FakeServices) -> None:
    job = submitted(everything)
    assert post(api, f"/v1/jobs/{job.job_id}:redrive").status_code == 202
    assert [message.attributes["submission"] for message in everything.topics.on("gpu-tasks")] == ["1", "1"]


def test_redriven_task_has_a_name_that_the_queue_does_not_remember(api: FlaskClient, everything: FakeServices) -> None:
    job = on_the_cpu(everything)
    everything.queues.done("cpu-tasks", everything.queues.on("cpu-tasks")[0])
    change(everything, job.job_id, "leased", "failed")
    assert post(api, f"/v1/jobs/{job.job_id}:redrive").status_code == 202
    assert [task.name for task in everything.queues.on("cpu-tasks")] == [f"{job.job_id}-2"]


def test_health_and_the_document_need_no_key(api: FlaskClient, everything: FakeServices) -> None:
    answers = [api.get(path) for path in ("/health", "/healthz", "/openapi.json")]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].json == answers[1].json == {"status": "ok"}
    assert everything.faults.calls == []


def test_document_is_openapi_3_1_and_names_every_route(api: FlaskClient) -> None:
    document = api.get("/openapi.json").json
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "https://ingest.test"}]
    with serving("ingest", fake_services()) as client:
        for path, item in document["paths"].items():
            real = path.format(job_id="0" * 32, name="a", date="2025-11-23")
            allowed = client.open(real, method="TRACE", headers=SHOP).headers["Allow"]
            assert allowed == ", ".join(sorted(method.upper() for method in item if method != "parameters"))
