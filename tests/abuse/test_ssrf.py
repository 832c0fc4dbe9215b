"""Places that a stranger's URL must not lead to, at every door that takes one, and on the way there."""

from __future__ import annotations

import json
from typing import Final

import pytest

from shared.errors import SourceRefused
from shared.fetch import FetchPolicy, GuardedClient
from shared.guard import check_url
from shared.job import Job
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import MP4, SHOP, change, event, record, serving, submitted
from tests.unit.guarded import Names
from tests.unit.http_server import answer, local_server

#: 169.254.169.254, 127.0.0.1 and 10.0.0.1 in every spelling that some resolver takes for them.
ADDRESSES: Final = (
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "0251.254.0xa9fe"),
    *("169.254.43518", "169.16689662", "0x00000000a9fea9fe", "169.254.169.254.", "\uff11\uff16\uff19.254.169.254"),
    *("127.0.0.1", "127.1", "2130706433", "017700000001", "0x7f.1", "0", "10.0.0.1", "0xa000001", "100.100.100.200"),
    *("[::1]", "[::]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::169.254.169.254]", "[fd00:ec2::254]"),
    *("[fd20:ce::254]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[fe80::1]"),
    *("[fe80::1%25eth0]", "[fe80::5efe:a9fe:a9fe]", "[2001:0:a9fe:a9fe::]", "[ff02::1]", "[::ffff:0:a9fe:a9fe]"),
)
NAMES: Final = (
    *("localhost", "LOCALHOST.", "a.localhost", "metadata", "metadata.google.internal", "METADATA.Google.Internal."),
    *("kubernetes", "kubernetes.default.svc.cluster.local", "printer.local", "vm.c.project.internal", "postgres"),
)
PORTS: Final = ("22", "25", "80", "6379", "8080", "0", "65536", "443x")
OTHERS: Final = (
    *(
        "http://a.example/",
        "https://u:p@a.example/",
        "https://a.example@169.254.169.254/",
        "https://a.example\\@10.0.0.1/",
    ),
    *("https:169.254.169.254/", "https://a.example#@169.254.169.254/".replace("a.example", "127.0.0.1")),
)
HOSTILE: Final = (
    *(f"https://{host}/x" for host in (*ADDRESSES, *NAMES)),
    *(f"https://a.example:{port}/x" for port in PORTS),
    *OTHERS,
)
STRICT: Final = FetchPolicy()


@pytest.fixture
def everything() -> FakeServices:
    made = fake_services(http=_client())
    made.objects.put("uploads", "talks/keynote.mp4", MP4)
    return made


def _client(**names: list[list[str]]) -> GuardedClient:
    return GuardedClient(STRICT, resolver=Names(**names))


def test_the_api_takes_none_of_them_as_source_or_webhook(everything: FakeServices) -> None:
    good = {"source": "gs://uploads/talks/keynote.mp4", "operations": ["probe"]}
    upload = {"filename": "a.mp4", "content_type": "video/mp4"}
    with serving("ingest", everything) as client:
        for url in HOSTILE:
            for path, body, field in (
                ("/v1/jobs", {**good, "source": url}, "source"),
                ("/v1/jobs", {**good, "webhook_url": url}, "webhook_url"),
                ("/v1/uploads", {**upload, "webhook_url": url}, "webhook_url"),
            ):
                told = client.post(path, json=body, headers=SHOP)
                assert told.status_code == 400, url
                assert [fault["field"] for fault in told.json["errors"]] == [field], url
    assert everything.objects.names("state") == []


def test_an_uploads_metadata_names_none_of_them() -> None:
    client = _client()
    for url in HOSTILE:
        everything = fake_services(http=client)
        made = event("storage_finalized.json")
        made["data"]["metadata"] = {"webhook_url": url, "operations": json.dumps(["probe"])}
        made["data"]["generation"] = str(everything.objects.put("uploads", made["data"]["name"], MP4))
        envelope = {f"ce-{key}": str(value) for key, value in made.items() if key != "data"}
        with serving("on_upload", everything) as function:
            assert function.post("/", json=made["data"], headers=envelope).status_code == 200
        (job,) = jobs(everything)
        assert job.failure is not None, url
        assert (job.webhook_url, job.state) == (None, "failed"), url
        assert job.failure.code in ("source_refused", "invalid_request"), url


def jobs(everything: FakeServices) -> list[Job]:
    names = everything.objects.names("state", "jobs/")
    return [record(everything, name.removeprefix("jobs/").removesuffix(".json")) for name in names]


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fd00:ec2::254", "fe80::1%1"])
def test_a_webhook_whose_name_means_something_else_by_then_is_not_posted(address: str) -> None:
    """The name was public when the job came; what counts is the address of the connection itself."""
    everything = fake_services(http=_client(hooks_example_com=[[address]]))
    job = submitted(everything, webhook_url="https://hooks.example.com/in")
    change(everything, job.job_id, "leased", "succeeded")
    task = {"job_id": job.job_id, "submission": 1, "number": 1}
    with serving("deliver", everything) as client:
        assert client.post("/", json=task).status_code == 204
    (made,) = record(everything, job.job_id).webhook_tries
    assert (made.status, made.error) == (None, "source_refused")
    assert everything.queues.on("webhooks") == []


def test_no_redirect_leads_there() -> None:
    """Each step is checked like the first; tests/unit/test_connection.py does it over the wire."""
    first = check_url("https://a.example/film.mp4", STRICT)
    for url in HOSTILE:
        if "://" not in url or not url.isascii():  # a header has no such letters; the other is a path on the same host
            assert check_url(first.join(url), STRICT).host == "a.example"
            continue
        with pytest.raises(SourceRefused):
            check_url(first.join(url), STRICT)


def test_a_webhooks_redirect_is_not_followed() -> None:
    with local_server() as server:
        server.replies["/hook"] = answer(307, location=server.url("/inside"))
        posted = GuardedClient(FetchPolicy(allow_loopback=True)).post(server.url("/hook"), b"{}", {}, timeout_seconds=5)
        assert posted.status == 307
        assert [request.path for request in server.requests] == ["/hook"]
