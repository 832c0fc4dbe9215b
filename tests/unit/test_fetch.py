from __future__ import annotations

import errno
import socket
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from shared.errors import JobError, ResourceExhausted, SourceMissing, SourceRefused, TooLarge, Unavailable
from shared.fetch import Downloaded, FetchPolicy, GuardedClient, Peek
from tests.unit.guarded import LOCAL
from tests.unit.http_server import CHUNKED, LocalServer, Reply, Request, answer, local_server, raw, trickle


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with local_server() as running:
        yield running


def test_a_download_says_what_arrived_and_how_far_it_is(server: LocalServer, tmp_path: Path) -> None:
    body = bytes(range(256)) * 2500
    server.replies["/clip.mp4"] = answer(body=body, content_type="Video/MP4; codecs=avc1")
    seen: list[tuple[int, int | None]] = []

    downloaded = GuardedClient(LOCAL).download(
        server.url("/clip.mp4?sig=1"), tmp_path / "a", on_progress=lambda size, total: seen.append((size, total))
    )

    assert downloaded == Downloaded(640_000, "video/mp4", "clip.mp4")
    assert (tmp_path / "a").read_bytes() == body
    assert (seen[0], [size for size, _ in seen]) == ((0, None), sorted(size for size, _ in seen))
    assert seen[-1] == (640_000, 640_000)
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert "range" not in server.requests[0].headers


def test_a_download_without_a_length_is_whole_when_its_last_chunk_came(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/a"] = raw(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    seen: list[tuple[int, int | None]] = []

    GuardedClient(LOCAL).download(server.url("/a"), tmp_path / "a", on_progress=lambda *at: seen.append(at))

    assert (tmp_path / "a").read_bytes() == b"abcde"
    assert (seen[0], seen[-1]) == ((0, None), (5, None))


def test_a_large_download_is_never_held_in_memory(server: LocalServer, tmp_path: Path) -> None:
    size = 32 * 2**20

    def reply(_: Request, connection: socket.socket, __: Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // 2**16):
            connection.sendall(bytes(2**16))

    server.replies["/a"] = reply
    client = GuardedClient(FetchPolicy(allow_loopback=True))
    tracemalloc.start()
    try:
        assert client.download(server.url("/a"), tmp_path / "a").size == size
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "reply",
    [
        answer(content_length="1000001"),
        raw(CHUNKED + b"1e8480\r\n" + bytes(2_000_000)),
        raw(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1_000_001)),
    ],
    ids=["declared", "chunked", "until closed"],
)
def test_more_than_the_limit_is_too_large(server: LocalServer, tmp_path: Path, reply: Reply) -> None:
    server.replies["/a"] = reply

    with pytest.raises(TooLarge, match="1,000,000 bytes"):
        GuardedClient(LOCAL).download(server.url("/a"), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_exactly_the_limit_is_not_too_large(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/a"] = answer(body=bytes(1_000_000))

    assert GuardedClient(LOCAL).download(server.url("/a"), tmp_path / "a").size == 1_000_000


@pytest.mark.parametrize(
    "reply",
    [
        answer(body=b"half", content_length="8"),
        answer(content_length="8"),
        raw(CHUNKED + b"8\r\nhalf"),
        raw(CHUNKED + b"4\r\nhalf\r\n"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\n"),
        raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        raw(b""),
    ],
    ids=[
        "half",
        "nothing",
        "in a chunk",
        "no last chunk",
        "in the head",
        "a short head",
        "no HTTP",
        "closed at once",
    ],
)
def test_what_breaks_off_is_unavailable_and_leaves_no_file(server: LocalServer, tmp_path: Path, reply: Reply) -> None:
    server.replies["/a"] = reply

    with pytest.raises(Unavailable):
        GuardedClient(LOCAL).download(server.url("/a"), tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (404, SourceMissing, "source_missing"),
        (410, SourceMissing, "source_missing"),
        (401, SourceRefused, "source_forbidden"),
        (403, SourceRefused, "source_forbidden"),
        (408, Unavailable, "unavailable"),
        (429, Unavailable, "unavailable"),
        (500, Unavailable, "unavailable"),
        (503, Unavailable, "unavailable"),
        (400, SourceRefused, "unexpected_answer"),
        (418, SourceRefused, "unexpected_answer"),
        (204, SourceRefused, "unexpected_answer"),
        (206, SourceRefused, "unexpected_answer"),
        (304, SourceRefused, "unexpected_answer"),
    ],
)
def test_every_status_has_its_error(
    server: LocalServer, tmp_path: Path, status: int, error: type[JobError], code: str
) -> None:
    server.replies["/a"] = answer(status)

    with pytest.raises(error, match=str(status)) as caught:
        GuardedClient(LOCAL).download(server.url("/a"), tmp_path / "a")
    assert caught.value.reason_code == code
    assert not (tmp_path / "a").exists()


def test_whoever_watches_the_progress_may_stop_it(server: LocalServer, tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def stop(size: int, total: int | None) -> None:
        raise Cancelled

    server.replies["/a"] = answer(body=b"x")
    with pytest.raises(Cancelled):
        GuardedClient(LOCAL).download(server.url("/a"), tmp_path / "a", on_progress=stop)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: "])
def test_a_download_of_which_hardly_anything_comes_can_be_stopped(
    server: LocalServer, tmp_path: Path, start: bytes
) -> None:
    """Byte by byte a piece is long in coming; a cancelled job is to be over before."""

    class Cancelled(Exception):
        pass

    asked: list[int] = []

    def stop(size: int, total: int | None) -> None:
        asked.append(size)
        if len(asked) == 20:
            raise Cancelled

    server.replies["/a"] = trickle(start, b"x")
    with pytest.raises(Cancelled):
        GuardedClient(LOCAL).download(server.url("/a"), tmp_path / "a", on_progress=stop)
    assert set(asked) == {0}
    assert not (tmp_path / "a").exists()


def test_a_full_disk_is_this_machines_trouble(server: LocalServer, tmp_path: Path) -> None:
    def fill(size: int, total: int | None) -> None:
        if size:
            raise OSError(errno.ENOSPC, "no space left on device")

    server.replies["/a"] = answer(body=b"x")
    with pytest.raises(ResourceExhausted):
        GuardedClient(LOCAL).download(server.url("/a"), tmp_path / "a", on_progress=fill)
    assert not (tmp_path / "a").exists()


def test_threads_share_one_client(server: LocalServer, tmp_path: Path) -> None:
    bodies = {f"/{index}": bytes([index]) * 200_000 for index in range(8)}
    server.replies |= {path: answer(body=body) for path, body in bodies.items()}
    client = GuardedClient(LOCAL)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda path: client.download(server.url(path), tmp_path / path[1:]), bodies))

    assert all((tmp_path / path[1:]).read_bytes() == body for path, body in bodies.items())


@pytest.mark.parametrize(
    "reply", [answer(404), answer(500), answer(403), answer(302, location="ftp://x/?s3cret"), raw(b"")]
)
def test_no_error_repeats_what_a_url_may_hide(server: LocalServer, reply: Reply) -> None:
    server.replies["/token"] = reply

    with pytest.raises(JobError) as caught:
        GuardedClient(LOCAL).peek(server.url("/token?sig=s3cret"), limit_bytes=1, timeout_seconds=0.5)
    assert "s3cret" not in caught.value.message
    assert "token" not in caught.value.message


def test_a_peek_asks_for_no_more_than_it_needs(server: LocalServer) -> None:
    server.replies["/a.mov"] = answer(
        206, b"moov", content_range="bytes 0-3/123456", content_type="video/quicktime;x=y"
    )

    peek = GuardedClient(LOCAL).peek(server.url("/a.mov"), limit_bytes=4, timeout_seconds=5)

    assert peek == Peek("video/quicktime", 123_456, b"moov", "a.mov")
    assert server.requests[0].headers["range"] == "bytes=0-3"


@pytest.mark.parametrize(
    ("reply", "length", "first_bytes"),
    [
        (answer(body=b"0123456789"), 10, b"0123"),
        (answer(body=b"01"), 2, b"01"),
        (answer(body=b""), 0, b""),
        (raw(CHUNKED + b"6\r\n012345\r\n"), None, b"0123"),
        (raw(CHUNKED + b"2\r\n01\r\n0\r\n\r\n"), None, b"01"),
        (raw(b"HTTP/1.0 200 OK\r\n\r\n01"), None, b"01"),
        (answer(206, b"0123", content_range="bytes 0-3/*"), None, b"0123"),
        (answer(416, b"sorry", content_range="bytes */0"), 0, b""),
        (trickle(b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n0123", b"x"), 999_999, b"0123"),
    ],
)
def test_a_peek_takes_what_a_server_gives(
    server: LocalServer, reply: Reply, length: int | None, first_bytes: bytes
) -> None:
    server.replies["/a"] = reply

    peek = GuardedClient(LOCAL).peek(server.url("/a"), limit_bytes=4, timeout_seconds=5)

    assert (peek.content_length, peek.first_bytes) == (length, first_bytes)


def test_a_peek_finds_out_what_is_too_large(server: LocalServer) -> None:
    server.replies["/a"] = answer(206, b"x", content_range="bytes 0-0/1000001")

    with pytest.raises(TooLarge):
        GuardedClient(LOCAL).peek(server.url("/a"), limit_bytes=1, timeout_seconds=5)


@pytest.mark.parametrize(
    ("path", "disposition", "name"),
    [
        ("/clips/a%20b.mp4", "", "a b.mp4"),
        ("/clips/", "", "clips"),
        ("/", "", ""),
        ("/x", 'attachment; filename="talk.wav"', "talk.wav"),
        ("/x", "attachment; filename*=UTF-8''gr%C3%BC%C3%9Fe.mp4", "grüße.mp4"),
        ("/x", 'attachment; filename="../../etc/passwd"', "passwd"),
        ("/x", 'attachment; filename="C:\\\\temp\\\\a.mov"', "a.mov"),
        ("/x", f'attachment; filename="{"a" * 300}.mp4"', "a" * 251 + ".mp4"),
        ("/%2e%2e%2f%00b", "", "b"),
        ("/x.mp4", "attachment; filename*=nonsense''%ff", "ÿ"),
        ("/x.mp4", "attachment; filename*=a; filename*0=b", "x.mp4"),
        ("/x.mp4", f"attachment; filename*{'9' * 5000}=x", "x.mp4"),
        ("/x.mp4", "attachment; filename*=idna''x%20y", "x.mp4"),
        ("//[clip.mp4", "", "[clip.mp4"),
    ],
)
def test_the_name_is_one_part_of_a_path(server: LocalServer, path: str, disposition: str, name: str) -> None:
    server.replies[path] = answer(content_disposition=disposition)

    assert GuardedClient(LOCAL).peek(server.url(path), limit_bytes=1, timeout_seconds=5).name == name
