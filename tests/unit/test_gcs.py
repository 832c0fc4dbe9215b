"""What Cloud Storage says, in this project's terms; the server here answers to order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from google.auth.exceptions import RefreshError

from shared import gcs
from shared.errors import JobError, Misconfigured, RateLimited, Unavailable
from shared.gcs import GcsObjects


@contextmanager
def storage(
    *statuses: int, headers: dict[str, str] | None = None, torn: int = 0, silent: int = 0, call_seconds: float = 10
) -> Iterator[tuple[GcsObjects, list[str]]]:
    """A client of a server that answers with these statuses, the last one for ever; and the requests it got.

    The first `torn` answers carry a checksum that is not theirs; the first `silent` requests get none.
    """
    asked: list[str] = []
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            status = statuses[min(len(asked), len(statuses) - 1)]
            asked.append(self.command)
            if len(asked) <= silent:
                is_over.wait(60)
                self.close_connection = True
                return
            body = b'{"generation": "7", "name": "a", "bucket": "b", "updated": "2026-01-02T03:04:05Z", "size": "2"}'
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if len(asked) <= torn:
                self.send_header("X-Goog-Hash", "crc32c=AAAAAA==")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield GcsObjects("p", emulator=f"http://127.0.0.1:{server.server_port}", call_seconds=call_seconds), asked
    finally:
        is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_write_refused_for_its_rate_is_told_at_once() -> None:
    with storage(429) as (objects, asked), pytest.raises(RateLimited):
        objects.write("b", "a", b"{}", if_generation=0)
    assert len(asked) == 1


def test_a_passing_fault_of_a_conditional_write_is_tried_again() -> None:
    with storage(503, 200) as (objects, asked):
        assert objects.write("b", "a", b"{}", if_generation=0) == 7
    assert len(asked) == 2


@pytest.mark.parametrize(("status", "error"), [(403, Misconfigured), (401, Misconfigured), (400, Unavailable)])
def test_what_no_second_try_mends_is_not_tried_twice(status: int, error: type[JobError]) -> None:
    with storage(status) as (objects, asked), pytest.raises(error):
        objects.read("b", "a")
    assert len(asked) == 1


def test_an_object_whose_age_the_answer_does_not_tell_is_asked_for_it() -> None:
    with storage(200, headers={"X-Goog-Generation": "7"}) as (objects, asked):
        stored = objects.read("b", "a")
    assert stored is not None
    assert stored.updated.isoformat() == "2026-01-02T03:04:05+00:00"
    assert len(asked) == 2


def test_an_answer_torn_by_a_write_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "_CORRUPT_RETRY", gcs._CORRUPT_RETRY.with_timeout(60))
    headers = {"X-Goog-Generation": "7", "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT"}
    with storage(200, headers=headers, torn=2) as (objects, asked):
        stored = objects.read("b", "a")
    assert stored is not None
    assert stored.generation == 7
    assert len(asked) == 3


def test_a_checksum_that_stays_wrong_is_a_passing_fault() -> None:
    with storage(200, torn=1000) as (objects, _), pytest.raises(Unavailable):
        objects.read("b", "a")


def test_a_token_that_could_not_be_had_is_a_passing_fault() -> None:
    with storage(200) as (objects, _):

        def refuse(*args: object, **kwargs: object) -> None:
            raise RefreshError("the metadata server is away")

        objects._session.request = refuse
        with pytest.raises(Unavailable):
            objects.read("b", "a")


def test_nothing_is_asked_but_what_was_wanted() -> None:
    """The client would look for the bucket at its first call, and again after whatever was not there."""
    with storage(404) as (objects, asked):
        for _ in range(3):
            assert objects.read("b", "a") is None
            assert objects.info("b", "a") is None
        assert [thread.name for thread in threading.enumerate() if "background" in thread.name] == []
    assert asked == ["GET"] * 6


HEADERS = {"X-Goog-Generation": "7", "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT"}


@pytest.mark.parametrize(
    "call",
    [
        lambda objects: objects.read("b", "a"),
        lambda objects: objects.info("b", "a"),
        lambda objects: objects.head("b", "a", length=9),
        lambda objects: objects.read_range("b", "a", 0, 9),
        lambda objects: objects.write("b", "a", b"{}", if_generation=6),
        lambda objects: objects.delete("b", "a"),
        lambda objects: list(objects.list("b", prefix="a")),
    ],
    ids=["read", "info", "head", "read_range", "write", "delete", "list"],
)
def test_a_call_that_gets_no_answer_is_made_again_in_time(call: Callable[[GcsObjects], object]) -> None:
    """A beat waits for it, and the lease for the beat."""
    with storage(200, headers=HEADERS, silent=1, call_seconds=0.2) as (objects, asked):
        began = time.monotonic()
        call(objects)
    # Without a limit the first would wait for as long as the server does: a minute.
    assert time.monotonic() - began < 30
    assert len(asked) >= 2


@pytest.mark.parametrize(
    "call",
    [
        lambda objects, file: objects.write("b", "a", b"{}", if_generation=0),
        lambda objects, file: objects.write("b", "a", b"{}"),
        lambda objects, file: objects.upload("b", "a", file, content_type="text/plain"),
        lambda objects, file: objects.upload_session("b", "a", content_type="text/plain", metadata={}),
        lambda objects, file: list(objects.list("b", prefix="a")),
    ],
    ids=["write if absent", "write", "upload", "upload_session", "list"],
)
def test_a_bucket_that_is_missing_is_an_operators_to_mend(
    call: Callable[[GcsObjects, Path], object], tmp_path: Path
) -> None:
    """And no fault of the job's."""
    file = tmp_path / "file"
    file.write_bytes(b"{}")
    with storage(404) as (objects, _), pytest.raises(Misconfigured, match="no bucket"):
        call(objects, file)
