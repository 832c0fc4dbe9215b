from __future__ import annotations

import datetime
from collections.abc import Iterator
from email.utils import format_datetime

import pytest

from shared.errors import JobError, SourceRefused, Unavailable
from shared.fetch import GuardedClient, PostResult
from tests.unit.guarded import LOCAL, STRICT, Names, ends_soon
from tests.unit.http_server import CHUNKED, LocalServer, answer, hang, local_server, trickle


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with local_server() as running:
        yield running


def test_a_post_carries_its_body_and_headers(server: LocalServer) -> None:
    server.replies["/hook"] = answer(202, b"thanks")

    result = GuardedClient(LOCAL).post(
        server.url("/hook?k=1"), b'{"a":1}', {"webhook-id": "m1", "content-type": "application/json"}, timeout_seconds=5
    )

    [request] = server.requests
    assert result == PostResult(202)
    assert (request.method, request.path, request.body) == ("POST", "/hook?k=1", b'{"a":1}')
    assert (request.headers["webhook-id"], request.headers["content-type"]) == ("m1", "application/json")


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
def test_any_status_is_an_answer_and_post_does_not_follow_redirects(server: LocalServer, status: int) -> None:
    server.replies["/hook"] = answer(status, location="/elsewhere")

    assert GuardedClient(LOCAL).post(server.url("/hook"), b"", {}, timeout_seconds=5).status == status
    assert [request.path for request in server.requests] == ["/hook"]


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("0", 0), ("", None), ("soon", None), ("-5", None)])
def test_retry_after_in_seconds(server: LocalServer, value: str, seconds: float | None) -> None:
    server.replies["/hook"] = answer(503, retry_after=value)

    assert GuardedClient(LOCAL).post(server.url("/hook"), b"", {}, timeout_seconds=5).retry_after == seconds


def test_retry_after_as_a_date(server: LocalServer) -> None:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=100)
    server.replies["/hook"] = answer(503, retry_after=format_datetime(moment, usegmt=True))

    retry_after = GuardedClient(LOCAL).post(server.url("/hook"), b"", {}, timeout_seconds=5).retry_after

    assert retry_after == pytest.approx(100, abs=10)


@pytest.mark.parametrize(
    "value",
    [
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +9999",
    ],
)
def test_a_date_that_is_none_asks_for_no_pause(server: LocalServer, value: str) -> None:
    server.replies["/hook"] = answer(503, retry_after=value)

    result = GuardedClient(LOCAL).post(server.url("/hook"), b"", {}, timeout_seconds=5)

    assert result == PostResult(503)


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_the_first_and_the_last_moment_are_dates(server: LocalServer, year: str) -> None:
    server.replies["/hook"] = answer(503, retry_after=f"Mon, 01 Jan {year} 00:00:00 +2359")

    assert GuardedClient(LOCAL).post(server.url("/hook"), b"", {}, timeout_seconds=5).retry_after is not None


def test_an_answer_without_end_is_still_an_answer(server: LocalServer) -> None:
    server.replies["/hook"] = trickle(CHUNKED, b"1\r\nx\r\n")

    with ends_soon():
        assert GuardedClient(LOCAL).post(server.url("/hook"), b"", {}, timeout_seconds=3) == PostResult(200)


@pytest.mark.parametrize("size", [b"-1", b"-5"])
def test_an_answer_with_a_chunk_of_negative_size_is_read_no_further(server: LocalServer, size: bytes) -> None:
    """-1 would read all that comes, and a receiver may send for as long as it likes."""
    server.replies["/hook"] = trickle(CHUNKED + size + b"\r\n", b"x")

    with ends_soon():
        assert GuardedClient(LOCAL).post(server.url("/hook"), b"{}", {}, timeout_seconds=30) == PostResult(200)


def test_a_receiver_that_hangs_is_unavailable(server: LocalServer) -> None:
    server.replies["/hook"] = hang

    with pytest.raises(Unavailable), ends_soon():
        GuardedClient(LOCAL).post(server.url("/hook"), b"{}", {}, timeout_seconds=0.3)


@pytest.mark.parametrize(
    ("addresses", "error"), [(["10.0.0.1"], SourceRefused), (["127.0.0.1"], SourceRefused), ([], Unavailable)]
)
def test_a_receiver_inside_is_refused_and_one_unknown_is_tried_again(
    addresses: list[str], error: type[JobError]
) -> None:
    client = GuardedClient(STRICT, resolver=Names(hooks_example=[addresses]))

    with pytest.raises(error):
        client.post("https://hooks.example/", b"", {}, timeout_seconds=30)
