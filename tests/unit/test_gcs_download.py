"""Downloads whose connection breaks: resumed while bytes come, and checked as a whole."""

from __future__ import annotations

import base64
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import google_crc32c
import pytest

from shared import received
from shared.errors import Unavailable
from shared.gcs import GcsObjects

MIB = 2**20
STORED = random.Random(7).randbytes(3 * MIB)
HASH = base64.b64encode(google_crc32c.Checksum(STORED).digest()).decode()


@dataclass
class Storage:
    """A server of one object, whose answers break off after so many bytes; those after the last one do not."""

    breaks: list[int]
    #: What the object is from the second answer on.
    later: bytes = STORED
    headers: dict[str, str] = field(default_factory=lambda: {"X-Goog-Hash": f"crc32c={HASH},md5=AAAA"})
    #: Called before each answer.
    before: Callable[[], None] = lambda: None
    #: Where each answer began.
    starts: list[int] = field(default_factory=list)

    @contextmanager
    def client(self) -> Iterator[GcsObjects]:
        storage = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                storage.before()
                start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
                body = (storage.later if storage.starts else STORED)[start:]
                length = storage.breaks.pop(0) if storage.breaks else len(body)
                storage.starts.append(start)
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Goog-Generation", "7")
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(STORED) - 1}/{len(STORED)}")
                else:
                    for name, value in storage.headers.items():
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body[:length])
                self.close_connection = length < len(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield GcsObjects("p", emulator=f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which a download's patience is measured."""
    now = [0.0]
    monkeypatch.setattr(received, "monotonic", lambda: now[0])
    return now


def test_a_download_that_broke_off_is_resumed_and_whole(tmp_path: Path) -> None:
    storage, seen = Storage([MIB]), list[int]()
    with storage.client() as objects:
        assert objects.download("b", "a", tmp_path / "a", on_bytes=seen.append) == len(STORED)
    assert (tmp_path / "a").read_bytes() == STORED
    assert storage.starts == [0, MIB]
    assert all(before <= after for before, after in pairwise(seen))


@pytest.mark.parametrize("breaks", [[MIB], [MIB, MIB], []])
def test_a_byte_that_differs_is_found_however_many_answers_brought_the_file(breaks: list[int], tmp_path: Path) -> None:
    flipped = bytearray(STORED)
    flipped[-10] ^= 0xFF
    storage = Storage(breaks, later=bytes(flipped))
    if not breaks:
        storage.starts.append(0)
    with storage.client() as objects, pytest.raises(Unavailable, match="checksum"):
        objects.download("b", "a", tmp_path / "a")


def test_what_has_no_checksum_is_taken_as_it_comes(tmp_path: Path) -> None:
    storage = Storage([MIB], headers={})
    with storage.client() as objects:
        assert objects.download("b", "a", tmp_path / "a") == len(STORED)


def test_a_download_goes_on_for_as_long_as_bytes_come(tmp_path: Path, now: list[float]) -> None:
    """However long it takes in all."""
    storage = Storage([MIB // 2] * 5)

    def minutes_pass() -> None:
        now[0] += received.PATIENCE_SECONDS - 1

    storage.before = minutes_pass
    with storage.client() as objects:
        assert objects.download("b", "a", tmp_path / "a") == len(STORED)
    assert len(storage.starts) == 6


def test_a_download_of_which_nothing_more_comes_is_given_up(tmp_path: Path, now: list[float]) -> None:
    storage = Storage([MIB, *[0] * 1000])

    def minutes_pass() -> None:
        now[0] += received.PATIENCE_SECONDS / 3

    storage.before = minutes_pass
    with storage.client() as objects, pytest.raises(Unavailable, match="stands still"):
        objects.download("b", "a", tmp_path / "a")
    assert storage.starts == [0, MIB, MIB, MIB]


def test_a_job_that_is_over_is_not_downloaded_further_though_nothing_comes(tmp_path: Path) -> None:
    storage, is_over = Storage([MIB, *[0] * 1000]), threading.Event()

    def report(received: int) -> None:
        if is_over.is_set():
            raise KeyError("cancelled")
        if received == MIB:
            is_over.set()

    with storage.client() as objects, pytest.raises(KeyError):
        objects.download("b", "a", tmp_path / "a", on_bytes=report)
    assert storage.starts == [0]
