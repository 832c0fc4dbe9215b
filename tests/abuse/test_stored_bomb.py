"""An object stored with `Content-Encoding: gzip` is looked at as it lies: nothing undoes its compression."""

from __future__ import annotations

import gzip
import tracemalloc

from shared.gcs import GcsObjects
from tests.unit.http_server import LocalServer, Request, answer, local_server

#: 50 MB that arrive as 50 KB.
BOMB = gzip.compress(bytes(50_000_000))
PLACE = "/download/storage/v1/b/uploads/o/film.mp4"


def stored(server: LocalServer) -> GcsObjects:
    server.replies[PLACE] = answer(body=BOMB, content_encoding="gzip", content_type="video/mp4", x_goog_generation="7")
    return GcsObjects("p", emulator=server.url(""))


def test_the_first_bytes_are_the_stored_ones_and_cost_no_memory() -> None:
    with local_server() as server:
        objects = stored(server)
        tracemalloc.start()
        try:
            head = objects.head("uploads", "film.mp4", length=4096)
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()
        assert head is not None
        assert head.data == BOMB[:4096]
        assert accepted(server.requests[-1]) == "gzip"  # or storage itself would undo it


def accepted(request: Request) -> str:
    return request.headers["accept-encoding"]
