"""What `ingest` says of wrong requests: every fault at once, each code, and nothing left behind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.api import Problem
from shared.errors import Misconfigured, RateLimited, Unavailable
from shared.store import Marker
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import MP4, SHOP, TEXT, change, serving, submitted
from tests.unit.http_server import answer as replies
from tests.unit.http_server import local_server

SOURCE = "gs://uploads/talks/keynote.mp4"
BODY: dict[str, Any] = {"source": SOURCE, "operations": ["probe"]}


@pytest.fixture(autouse=True)
def objects(everything: FakeServices) -> None:
    everything.objects.put("uploads", "talks/keynote.mp4", MP4)
    everything.objects.put("uploads", "readme.mp4", TEXT)
    everything.objects.put("uploads", "empty.mp4", b"")
    everything.objects.put("state", "secret.mp4", MP4)


def problem(answer: Any) -> Problem:
    """Checked against the model that the OpenAPI document is made from."""
    assert answer.content_type == "application/problem+json"
    told = Problem.model_validate_json(answer.data)
    assert told.status == answer.status_code
    return told


def post(api: FlaskClient, body: Any, path: str = "/v1/jobs", **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.post(path, data=data, headers={**SHOP, **{k.replace("_", "-"): v for k, v in headers.items()}})


def fields(answer: Any) -> list[str]:
    return [fault.field for fault in problem(answer).errors]


def test_all_faults_of_body_and_headers_come_at_once(api: FlaskClient, everything: FakeServices) -> None:
    body = {
        "source": "ftp://a/b",
        "operations": ["dance", {"name": "thumbnails", "count": 0, "size": 1}, {"name": "transcribe", "language": "x"}],
        "webhook_url": "nowhere",
        "labels": {"a": 1},
        "id": "",
        "colour": "red",
    }
    answer = post(api, body, Idempotency_Key="k" * 256, X_Destination="moon")
    assert answer.status_code == 400
    assert fields(answer) == [
        "Idempotency-Key",
        "X-Destination",
        "webhook_url",
        "id",
        "labels.a",
        "source",
        "operations.0",
        "operations.1.count",
        "operations.1.size",
        "operations.2.language",
        "colour",
    ]
    assert everything.objects.names("state") == ["secret.mp4"]


def test_faults_of_places_and_headers_come_at_once(api: FlaskClient) -> None:
    body = {**BODY, "source": "gs://state/secret.mp4", "webhook_url": "https://10.0.0.1/"}
    answer = post(api, body, X_Destination="gke")
    assert fields(answer) == ["X-Destination", "webhook_url", "source"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"null", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"7", "body"),
        (b"\xff\xfe{}", "body"),
        (b'{"source": "\xff"}', "body"),
        (b"[" * 10_000, "body"),
        (b'{"labels":' * 10_000, "body"),
        (b'{"source": "gs://uploads/a", "source', "body"),
        ({**BODY, "source": None}, "source"),
        ({**BODY, "source": 7}, "source"),
        ({**BODY, "source": ["gs://uploads/a"]}, "source"),
        ({**BODY, "source": ""}, "source"),
        ({**BODY, "source": "gs://"}, "source"),
        ({**BODY, "source": "gs://uploads"}, "source"),
        ({**BODY, "source": "gs://uploads/"}, "source"),
        ({**BODY, "source": "gs:///keynote.mp4"}, "source"),
        ({**BODY, "source": "gs://results/a.mp4"}, "source"),
        ({**BODY, "source": "gs://state/secret.mp4"}, "source"),
        ({**BODY, "source": "gs://uploads/a\x00b"}, "source"),
        ({**BODY, "source": "https://media.example.com/\n"}, "source"),
        ({**BODY, "source": "https://[::1"}, "source"),
        ({**BODY, "source": "https://media.example.com:99999/"}, "source"),
        ({**BODY, "source": "gs://uploads/" + "a" * 3000}, "source"),
        ({**BODY, "source": "file:///etc/passwd"}, "source"),
        ({**BODY, "operations": None}, "operations"),
        ({**BODY, "operations": []}, "operations"),
        ({**BODY, "operations": ["probe", {"name": "probe"}]}, "operations"),
        ({**BODY, "operations": "probe"}, "operations"),
        ({**BODY, "operations": {"name": "probe"}}, "operations"),
        ({**BODY, "operations": ["probe"] * 17}, "operations"),
        ({**BODY, "operations": [None]}, "operations.0"),
        ({**BODY, "operations": [{}]}, "operations.0"),
        ({**BODY, "operations": [{"name": "probe", "deep": True}]}, "operations.0.deep"),
        ({**BODY, "operations": [{"name": "probe", "object": True}]}, "operations.0.object"),
        ({**BODY, "labels": {"probe": 1}}, "labels.probe"),
        ({**BODY, "operations": [{"name": "thumbnails", "count": 1, "seconds": [1]}]}, "operations.0"),
        ({**BODY, "operations": [{"name": "thumbnails", "count": "5"}]}, "operations.0.count"),
        ({**BODY, "operations": [{"name": "thumbnails", "count": True}]}, "operations.0.count"),
        ({**BODY, "operations": [{"name": "thumbnails", "count": 10**400}]}, "operations.0.count"),
        ({**BODY, "operations": [{"name": "thumbnails", "count": 1.5}]}, "operations.0.count"),
        ({**BODY, "operations": [{"name": "thumbnails", "seconds": [-1]}]}, "operations.0.seconds.0"),
        ({**BODY, "operations": [{"name": "thumbnails", "seconds": ["1"]}]}, "operations.0.seconds.0"),
        ({**BODY, "operations": [{"name": "thumbnails", "seconds": [float("nan")]}]}, "operations.0.seconds.0"),
        ({**BODY, "operations": [{"name": "thumbnails", "seconds": [float("inf")]}]}, "operations.0.seconds.0"),
        ({**BODY, "operations": [{"name": "transcribe", "words_per_line": 0}]}, "operations.0.words_per_line"),
        ({**BODY, "id": "a\x00b"}, "id"),
        ({**BODY, "id": "line\nbreak"}, "id"),
        ({**BODY, "id": 7}, "id"),
        ({**BODY, "id": "x" * 201}, "id"),
        ({**BODY, "labels": []}, "labels"),
        ({**BODY, "labels": {str(n): "x" for n in range(33)}}, "labels"),
        ({**BODY, "labels": {"a": "b\x7f"}}, "labels.a"),
        ({**BODY, "webhook_url": "mailto:a@b.example"}, "webhook_url"),
        ({**BODY, "webhook_url": "https://hooks.example.com/a b"}, "webhook_url"),
        ({**BODY, "job_id": "0" * 32}, "job_id"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_wrong_body_is_400_and_names_the_field(
    api: FlaskClient, everything: FakeServices, body: Any, field: str
) -> None:
    answer = post(api, body)
    assert (answer.status_code, problem(answer).code) == (400, "invalid_request")
    assert fields(answer) == [field]
    assert everything.objects.names("state") == ["secret.mp4"]


@pytest.mark.parametrize("name", ["readme.mp4", "empty.mp4"])
def test_source_that_is_not_media_is_415_with_what_was_found(
    api: FlaskClient, everything: FakeServices, name: str
) -> None:
    answer = post(api, {**BODY, "source": f"gs://uploads/{name}"})
    assert (answer.status_code, problem(answer).code) == (415, "unsupported_media")
    assert "found" in problem(answer).detail
    assert everything.objects.names("state") == ["secret.mp4"]


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (replies(200, MP4), 202, None),
        (replies(200, TEXT), 415, "unsupported_media"),
        (replies(200, b""), 415, "unsupported_media"),
        (replies(404), 404, "source_missing"),
        (replies(410), 404, "source_missing"),
        (replies(403), 400, "source_forbidden"),
        (replies(302, location="http://169.254.169.254/"), 400, "source_refused"),
        (replies(200, content_length=str(21 * 2**30)), 413, "too_large"),
        # What may pass is the worker's to judge.
        (replies(500), 202, None),
        (replies(429), 202, None),
    ],
)
def test_url_is_judged_by_what_it_answers(
    api: FlaskClient, reply: Any, status: int, code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How soon it answers is not what is asked here.
    monkeypatch.setattr("functions.api.sources._PEEK_SECONDS", 30.0)
    with local_server() as server:
        server.replies["/talk.mp4"] = reply
        answer = post(api, {**BODY, "source": server.url("/talk.mp4")})
    assert answer.status_code == status
    assert code is None or problem(answer).code == code


def test_missing_object_is_404(api: FlaskClient) -> None:
    answer = post(api, {**BODY, "source": "gs://uploads/other.mp4"})
    assert (answer.status_code, problem(answer).code) == (404, "source_missing")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/uploads"])
@pytest.mark.parametrize(("size", "status"), [(1_000_000, 400), (1_000_001, 413)])
@pytest.mark.parametrize("is_declared", [True, False])
def test_body_is_capped_at_one_megabyte(api: FlaskClient, path: str, size: int, status: int, is_declared: bool) -> None:
    chunked: Any = {} if is_declared else {"CONTENT_LENGTH": None, "wsgi.input_terminated": True}
    answer = api.post(path, data=b" " * size, headers=SHOP, environ_overrides=chunked)
    assert answer.status_code == status
    assert problem(answer).code == ("too_large" if status == 413 else "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/jobs", "GET, POST"),
        ("PUT", "/v1/uploads", "POST"),
        ("POST", "/v1/jobs/" + "0" * 32, "GET"),
        ("GET", "/v1/jobs/" + "0" * 32 + ":cancel", "POST"),
        ("GET", "/v1/jobs/" + "0" * 32 + ":redrive", "POST"),
        ("PATCH", "/v1/jobs/" + "0" * 32 + "/artifacts/a.json", "GET"),
        ("POST", "/healthz", "GET"),
        ("OPTIONS", "/openapi.json", "GET"),
    ],
)
def test_other_methods_are_405_and_told_which_would_do(api: FlaskClient, method: str, path: str, allow: str) -> None:
    answer = api.open(path, method=method, headers=SHOP)
    assert (answer.status_code, problem(answer).code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == allow


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/jobs/", "/v2/jobs", "/v1/jobs/" + "0" * 31, "/v1/jobs/" + "A" * 32, "/v1/jobs/%00", "/%ff"],
)
def test_other_paths_are_404(api: FlaskClient, path: str) -> None:
    answer = api.get(path, headers=SHOP)
    assert (answer.status_code, problem(answer).code) == (404, "not_found")


@pytest.mark.parametrize("error", [Unavailable("down"), RateLimited("too many writes"), Misconfigured("no permission")])
@pytest.mark.parametrize("path", ["/v1/jobs/{}", "/v1/jobs", "/v1/jobs/{}:cancel"])
def test_service_that_is_down_says_when_to_come_again(
    api: FlaskClient, everything: FakeServices, error: Any, path: str
) -> None:
    job = submitted(everything)
    everything.faults.fail_next("objects.read jobs/", error)
    answer = api.open(path.format(job.job_id), method="POST" if "cancel" in path else "GET", headers=SHOP)
    assert answer.status_code == error.status
    assert answer.headers["Retry-After"] == "5"
    assert problem(answer).code == error.code


def test_what_nobody_foresaw_is_a_problem_too_and_shows_nothing_of_it(
    api: FlaskClient, everything: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    everything.faults.fail_next("objects.read jobs/", ZeroDivisionError("s3cret"))
    answer = api.get("/v1/jobs/" + "0" * 32, headers=SHOP)
    assert (answer.status_code, problem(answer).code) == (500, "internal_error")
    assert b"s3cret" not in answer.data
    (line,) = [line for line in caplog.records if getattr(line, "event", None) == "api.crashed"]
    assert line.exc_info is not None


def test_record_that_does_not_parse_is_503_and_shows_nothing_of_it(api: FlaskClient, everything: FakeServices) -> None:
    job = submitted(everything)
    everything.objects.put("state", f"jobs/{job.job_id}.json", b'{"s3cret": 1}')
    answer = api.get(f"/v1/jobs/{job.job_id}", headers=SHOP)
    assert answer.status_code == 503
    assert b"s3cret" not in answer.data


@pytest.mark.parametrize("steps", [("leased",), ("leased", "succeeded")])
def test_redrive_of_a_job_that_runs_or_succeeded_is_409(
    api: FlaskClient, everything: FakeServices, steps: tuple[str, ...]
) -> None:
    job = submitted(everything)
    change(everything, job.job_id, *steps)
    everything.store.mark_closed(Marker.of(job))
    answer = api.post(f"/v1/jobs/{job.job_id}:redrive", headers=SHOP)
    assert (answer.status_code, problem(answer).code) == (409, "conflict")
    assert everything.objects.names("state", "open/") == []


def test_source_buckets_widen_what_may_be_named() -> None:
    everything = fake_services(source_buckets=("archive",))
    everything.objects.put("archive", "old.mp4", MP4)
    with serving("ingest", everything) as api:
        assert post(api, {**BODY, "source": "gs://archive/old.mp4"}).status_code == 202
