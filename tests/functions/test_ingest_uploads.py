"""POST /v1/uploads: the ticket, and the upload that becomes exactly the job it announced."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from shared.errors import Unavailable
from shared.fetch import FetchPolicy, GuardedClient
from shared.job import State, job_id_for
from shared.sweep import sweep
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import OPERATOR, SHOP, TEXT, generation_of, record, serving, uploaded

BODY: dict[str, Any] = {"filename": "keynote.mp4", "content_type": "video/mp4"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def post(api: FlaskClient, body: Any, **headers: str) -> Any:
    return api.post("/v1/uploads", json=body, headers={**SHOP, **headers})


def test_upload_becomes_the_announced_job_with_all_that_was_asked(api: FlaskClient, everything: FakeServices) -> None:
    asked = {
        **BODY,
        "operations": ["probe", {"name": "thumbnails", "seconds": [1, 2.5]}],
        "webhook_url": "https://hooks.example.com/done",
        "id": "Auftrag \u2116 17",
        "labels": {"team": "Pr\u00e9sse", "0": "object"},
    }
    answer = post(api, asked, traceparent=TRACE)
    assert answer.status_code == 201
    ticket = answer.json
    assert ticket["status_url"] == f"https://ingest.test/v1/jobs/{ticket['job_id']}"
    job = uploaded(everything, ticket)
    assert (job.caller, job.id, job.labels) == ("shop", asked["id"], asked["labels"])
    assert (job.webhook_url, job.traceparent, job.explicit) == (asked["webhook_url"], TRACE, True)
    assert [operation.name for operation in job.operations] == ["probe", "thumbnails"]
    assert job.source.uri == ticket["object"]
    assert api.get(f"/v1/jobs/{ticket['job_id']}", headers=SHOP).json["state"] == "queued"


def test_without_operations_the_kinds_defaults_hold(api: FlaskClient, everything: FakeServices) -> None:
    job = uploaded(everything, post(api, BODY).json)
    assert [operation.name for operation in job.operations] == ["probe", "transcribe", "thumbnails"]
    assert (job.explicit, job.id, job.labels, job.webhook_url) == (False, None, {}, None)


def test_announced_job_that_turns_out_no_media_says_so(api: FlaskClient, everything: FakeServices) -> None:
    job = uploaded(everything, post(api, BODY).json, TEXT)
    assert job.failure is not None
    assert (job.state, job.failure.code, job.caller) == (State.FAILED, "unsupported_media", "shop")


def test_until_the_upload_there_is_no_job(api: FlaskClient) -> None:
    assert api.get(f"/v1/jobs/{post(api, BODY).json['job_id']}", headers=SHOP).status_code == 404


def test_each_ticket_is_another_job(api: FlaskClient) -> None:
    tickets = [post(api, BODY).json for _ in range(2)]
    assert len({ticket["job_id"] for ticket in tickets}) == 2
    assert len({ticket["object"] for ticket in tickets}) == 2


@pytest.mark.parametrize("header", [SHOP, OPERATOR])
def test_caller_cannot_name_another_as_the_owner(
    api: FlaskClient, everything: FakeServices, header: dict[str, str]
) -> None:
    assert post(api, {**BODY, "caller": "operator"}).status_code == 400
    ticket = post(api, BODY, **header).json
    assert uploaded(everything, ticket).caller == ("shop" if header is SHOP else "operator")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"filename": ""}, "filename"),
        ({"filename": "../keynote.mp4"}, "filename"),
        ({"filename": "a\\b.mp4"}, "filename"),
        ({"filename": "a\x00.mp4"}, "filename"),
        ({"filename": "a\r\nb.mp4"}, "filename"),
        ({"filename": "x" * 201}, "filename"),
        ({"filename": None}, "filename"),
        ({"content_type": ""}, "content_type"),
        ({"content_type": "video"}, "content_type"),
        ({"content_type": "video/mp4; a=b"}, "content_type"),
        ({"content_type": "vid\u00e9o/mp4"}, "content_type"),
        ({"content_type": "video/mp4\r\nX-Evil: 1"}, "content_type"),
        ({"operations": []}, "operations"),
        ({"operations": ["dance"]}, "operations.0"),
        ({"webhook_url": "nowhere"}, "webhook_url"),
        ({"labels": {"x" * 200: "y" * 200, **{f"{n}" * 90: "z" * 200 for n in range(10, 40)}}}, "body"),
        ({"source": "gs://uploads/a.mp4"}, "source"),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_wrong_body_is_400_and_names_the_field(
    api: FlaskClient, everything: FakeServices, changed: dict[str, Any], field: str
) -> None:
    answer = post(api, {**BODY, **changed})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json["errors"]] == [field]
    assert everything.objects.sessions == {}


def test_webhook_inside_a_network_is_refused_outside_the_local_cloud() -> None:
    everything = fake_services(http=GuardedClient(FetchPolicy()))
    with serving("ingest", everything) as api:
        answer = post(api, {**BODY, "webhook_url": "http://127.0.0.1:5678/webhook"})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json["errors"]] == ["webhook_url"]


def test_upload_url_is_never_logged(api: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    url = post(api, BODY).json["upload_url"]
    assert url not in str([vars(line) for line in caplog.records])


def test_priority_goes_with_the_upload(api: FlaskClient, everything: FakeServices) -> None:
    assert uploaded(everything, post(api, {**BODY, "priority": "high"}).json).priority == "high"
    assert uploaded(everything, post(api, BODY).json).priority == "normal"
    assert [each.attributes["priority"] for each in everything.topics.on("gpu-tasks")] == ["high", "normal"]


def test_an_upload_that_happened_is_never_refused_and_counts() -> None:
    """Its bytes are in the bucket: without a job they would lie there, and nobody would be told."""
    key = {"name": "shop", "key": "secret-shop-key", "allowance": 1}
    everything = fake_services(api_keys=(key,))
    with serving("ingest", everything) as api:
        tickets = []
        for _ in range(3):
            tickets.append(post(api, BODY).json)
            everything.clock.advance(everything.settings.ticket_seconds)
            sweep(everything)
        assert [uploaded(everything, ticket).state for ticket in tickets] == [State.QUEUED] * 3
        assert post(api, BODY).status_code == 429


def test_a_ticket_that_could_not_be_made_uses_up_no_allowance() -> None:
    everything = fake_services(api_keys=({"name": "shop", "key": "secret-shop-key", "allowance": 1},))
    with serving("ingest", everything) as api:
        everything.faults.fail_next("objects.upload_session", Unavailable("down"), times=2)
        assert [post(api, BODY).status_code for _ in range(3)] == [503, 503, 201]
        assert post(api, BODY).status_code == 429


def test_a_tickets_seal_is_good_for_its_first_file_alone(api: FlaskClient, everything: FakeServices) -> None:
    """Who may read the object's metadata and write to the bucket uses nobody's allowance up with it."""
    ticket = post(api, BODY).json
    first = uploaded(everything, ticket)
    everything.clock.advance(5)
    assert uploaded(everything, ticket) == first
    name = ticket["object"].removeprefix("gs://uploads/")
    second = record(everything, job_id_for(f"uploads/{name}#{generation_of(everything, name)}"))
    assert (first.caller, second.caller) == ("shop", "upload")


def test_a_ticket_of_a_key_that_was_taken_out_is_an_upload_like_any_other(
    api: FlaskClient, everything: FakeServices
) -> None:
    ticket = post(api, BODY).json
    (shop, *others) = everything.settings.api_keys
    changed = shop.model_copy(update={"key": SecretStr("another")})
    keys = everything.settings.model_copy(update={"api_keys": (changed, *others)})
    object.__setattr__(everything, "settings", keys)
    assert uploaded(everything, ticket).caller == "upload"
