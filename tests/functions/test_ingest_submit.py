"""POST /v1/jobs: what is accepted, what is answered, and what the same key answers again."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.errors import Unavailable
from shared.fetch import FetchPolicy, GuardedClient
from shared.job import State, request_hash
from shared.operations import Probe, Thumbnails, Transcribe
from tests.fakes.http_target import http_target
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import MP4, OPERATOR, SHOP, change, record, serving
from tests.waiting import eventually

SOURCE = "gs://uploads/talks/keynote.mp4"
BODY = {"source": SOURCE, "operations": ["transcribe"]}


@pytest.fixture(autouse=True)
def keynote(everything: FakeServices) -> int:
    return everything.objects.put("uploads", "talks/keynote.mp4", MP4)


def post(api: FlaskClient, body: Any = BODY, **headers: str) -> Any:
    return api.post("/v1/jobs", json=body, headers={**SHOP, **{k.replace("_", "-"): v for k, v in headers.items()}})


def test_accepted_job_is_in_record_index_marker_and_queue(
    api: FlaskClient, everything: FakeServices, keynote: int
) -> None:
    answer = post(api, {**BODY, "id": "order-17", "labels": {"team": "press"}})
    assert answer.status_code == 202
    job_id = answer.json["job_id"]
    assert answer.json == {
        "job_id": job_id,
        "id": "order-17",
        "message": "processing",
        "state": "queued",
        "status_url": f"https://ingest.test/v1/jobs/{job_id}",
        "destination": "gpu-tasks",
        "reason": "gpu: transcribe on mp4",
    }
    assert answer.headers["Location"] == answer.json["status_url"]
    job = record(everything, job_id)
    assert (job.caller, job.labels, job.explicit) == ("shop", {"team": "press"}, True)
    assert (job.source.uri, job.source.generation) == (SOURCE, keynote)
    assert everything.objects.names("state", "open/") == [f"open/shop/{job_id}"]
    assert len(everything.objects.names("state", "index/")) == 1
    (sent,) = everything.topics.on("gpu-tasks")
    assert sent.attributes["fileType"] == "mp4"


def test_operations_may_be_names_or_objects(api: FlaskClient, everything: FakeServices) -> None:
    operations = ["probe", {"name": "thumbnails", "seconds": [1, 2.5]}, {"name": "transcribe", "language": "de"}]
    job_id = post(api, {**BODY, "operations": operations}).json["job_id"]
    assert record(everything, job_id).operations == (Probe(), Thumbnails(seconds=(1.0, 2.5)), Transcribe(language="de"))


def test_trace_goes_on_only_if_it_is_one(api: FlaskClient, everything: FakeServices) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for given, kept in ((trace, trace), ("x" * 2000, "")):
        assert post(api, traceparent=given).status_code == 202
        assert everything.topics.on("gpu-tasks")[-1].attributes["traceparent"] == kept


def test_same_key_and_request_is_the_same_job(api: FlaskClient, everything: FakeServices) -> None:
    first, second = post(api, Idempotency_Key="k"), post(api, Idempotency_Key="k")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json == second.json
    assert len(everything.objects.names("state", "jobs/")) == 1


def test_same_key_is_the_same_job_when_its_source_is_gone_by_now(api: FlaskClient, everything: FakeServices) -> None:
    first = post(api, Idempotency_Key="k")
    everything.objects.delete("uploads", "talks/keynote.mp4")
    assert post(api, Idempotency_Key="k").json == first.json


@pytest.mark.parametrize("changed", [{"id": "other"}, {"operations": ["probe"]}, {"webhook_url": "https://a.example"}])
def test_same_key_with_another_request_is_422(api: FlaskClient, everything: FakeServices, changed: Any) -> None:
    first = post(api, Idempotency_Key="k")
    answer = post(api, {**BODY, **changed}, Idempotency_Key="k")
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_mismatch")
    assert everything.objects.names("state", "jobs/") == [f"jobs/{first.json['job_id']}.json"]


def test_order_of_a_bodys_fields_makes_no_other_request(api: FlaskClient) -> None:
    body = {**BODY, "labels": {"a": "1", "b": "2"}}
    turned = {**dict(reversed(body.items())), "labels": {"b": "2", "a": "1"}}
    assert post(api, body, Idempotency_Key="k").json == post(api, turned, Idempotency_Key="k").json


def test_a_request_is_known_by_what_was_sent_alone(api: FlaskClient, everything: FakeServices) -> None:
    """A release that adds a parameter with a default takes the same body for the same request."""
    body = {**BODY, "operations": ["probe", {"name": "thumbnails", "count": 2}]}
    job_id = post(api, body, Idempotency_Key="k").json["job_id"]
    assert record(everything, job_id).request_hash == request_hash({**body, "X-Destination": None})


@pytest.mark.parametrize("priority", ["normal", "high"])
def test_a_record_that_an_earlier_release_made_knows_its_request(
    api: FlaskClient, everything: FakeServices, priority: str
) -> None:
    """Those hashed every default, too, but for the priority `normal`."""
    body = {**BODY, "priority": priority}
    job_id = post(api, body, Idempotency_Key="k").json["job_id"]
    defaults = {"webhook_url": None, "id": None, "labels": {}, "X-Destination": None}
    hashed = {**BODY, **defaults, **({"priority": "high"} if priority == "high" else {})}
    old = record(everything, job_id).model_copy(update={"request_hash": request_hash(hashed)})
    everything.objects.put("state", f"jobs/{job_id}.json", old.model_dump_json().encode())
    assert post(api, body, Idempotency_Key="k").json["job_id"] == job_id
    assert post(api, {**body, "id": "other"}, Idempotency_Key="k").status_code == 422


def test_same_key_of_another_caller_is_another_job(api: FlaskClient) -> None:
    first, second = post(api, Idempotency_Key="k"), post(api, Idempotency_Key="k", **OPERATOR)
    assert first.json["job_id"] != second.json["job_id"]


def test_without_a_key_each_request_is_a_job(api: FlaskClient, everything: FakeServices) -> None:
    assert post(api).json["job_id"] != post(api).json["job_id"]
    assert len(everything.objects.names("state", "jobs/")) == 2


@pytest.mark.parametrize(
    "broken", ["objects.head", "objects.write jobs/", "objects.write open/", "objects.write index/", "topics.publish"]
)
def test_service_that_is_down_is_503_and_the_same_key_then_finishes_the_job(
    api: FlaskClient, everything: FakeServices, broken: str
) -> None:
    everything.faults.fail_next(broken, Unavailable("down"))
    answer = post(api, Idempotency_Key="k")
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert post(api, Idempotency_Key="k").status_code == 202
    assert len(everything.objects.names("state", "jobs/")) == 1
    assert len({message.data for message in everything.topics.on("gpu-tasks")}) == 1


@pytest.mark.parametrize(
    ("wish", "destination"), [(None, "gpu-tasks"), ("cloud-run", "gpu-tasks"), ("gke", "gpu-tasks-gke")]
)
def test_x_destination_moves_gpu_work(wish: str | None, destination: str) -> None:
    everything = fake_services(enable_gke_route=True)
    everything.objects.put("uploads", "talks/keynote.mp4", MP4)
    with serving("ingest", everything) as api:
        answer = post(api, **({"X_Destination": wish} if wish else {}))
    assert (answer.status_code, answer.json["destination"]) == (202, destination)
    assert len(everything.topics.on(destination)) == 1


@pytest.mark.parametrize("wish", ["gke", "GKE", "cpu", "", "cloud-run,gke"])
def test_x_destination_that_cannot_be_granted_is_400(api: FlaskClient, everything: FakeServices, wish: str) -> None:
    answer = post(api, X_Destination=wish)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json["errors"]] == ["X-Destination"]
    assert everything.objects.names("state") == []


def test_busy_gpu_sends_work_to_gke() -> None:
    everything = fake_services(enable_gke_route=True)
    everything.objects.put("uploads", "talks/keynote.mp4", MP4)
    everything.backlog.number = 100
    with serving("ingest", everything) as client:
        assert post(client).json["destination"] == "gpu-tasks-gke"


def test_waiting_caller_gets_the_result_when_the_job_ends_meanwhile(api: FlaskClient, everything: FakeServices) -> None:
    def work() -> None:
        eventually(lambda: everything.topics.on("gpu-tasks"))
        job_id = everything.topics.on("gpu-tasks")[0].attributes["jobId"]
        change(everything, job_id, "leased", "succeeded")

    worker = threading.Thread(target=work)
    worker.start()
    answer = post(api, Prefer="respond-async, wait=20")
    worker.join()
    assert (answer.status_code, answer.json["state"]) == (200, "succeeded")
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert answer.json["result"] == {"transcribe": {"language": "en"}}


@pytest.mark.parametrize("prefer", ["wait=0", "wait=soon", "wait=-1", "wait=99999", "handling=strict", ",,", "wait"])
def test_waiting_caller_gets_202_when_it_does_not_end_or_the_preference_is_none(api: FlaskClient, prefer: str) -> None:
    assert post(api, Prefer=prefer).status_code == 202


def test_wait_has_a_limit_and_a_failed_look_does_not_hide_the_acceptance() -> None:
    everything = fake_services(max_wait_seconds=0.2)
    everything.objects.put("uploads", "talks/keynote.mp4", MP4)
    everything.faults.fail_next("objects.read jobs/", Unavailable("down"), times=5)
    with serving("ingest", everything) as api:
        answer = post(api, Prefer="wait=60")
    assert (answer.status_code, answer.json["state"]) == (202, "queued")


def test_repeated_request_of_a_finished_job_gets_its_result_at_once(api: FlaskClient, everything: FakeServices) -> None:
    job_id = post(api, Idempotency_Key="k").json["job_id"]
    change(everything, job_id, "leased", "succeeded")
    assert post(api, Idempotency_Key="k", Prefer="wait=5").status_code == 200
    assert post(api, Idempotency_Key="k").json["state"] == "succeeded"


def test_https_source_is_looked_at_and_a_slow_one_is_left_to_the_worker(
    api: FlaskClient, everything: FakeServices
) -> None:
    with http_target() as target:
        target.gate.clear()
        answer = post(api, {**BODY, "source": f"{target.url}talk.mp4"})
    assert (answer.status_code, answer.json["destination"]) == (202, "gpu-tasks")
    assert record(everything, answer.json["job_id"]).state is State.QUEUED


@pytest.mark.parametrize(
    "url",
    [
        "http://media.example.com/a.mp4",
        "http://127.0.0.1:8080/a.mp4",
        "https://127.0.0.1/a.mp4",
        "https://localhost/a.mp4",
        "https://10.1.2.3/a.mp4",
        "https://169.254.169.254/computeMetadata/v1/",
        "https://metadata.google.internal/",
        "https://[::1]/a.mp4",
        "https://[::ffff:10.0.0.1]/a.mp4",
        "https://2130706433/a.mp4",
        "https://user:pass@media.example.com/a.mp4",
        "https://media.example.com:8443/a.mp4",
    ],
)
@pytest.mark.parametrize("field", ["source", "webhook_url"])
def test_place_inside_a_network_is_400_outside_the_local_cloud(url: str, field: str) -> None:
    everything = fake_services(http=GuardedClient(FetchPolicy()))
    everything.objects.put("uploads", "talks/keynote.mp4", MP4)
    with serving("ingest", everything) as api:
        answer = post(api, {**BODY, field: url})
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_request")
    assert [fault["field"] for fault in answer.json["errors"]] == [field]
    assert everything.objects.names("state") == []
