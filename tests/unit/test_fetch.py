from __future__ import annotations

import datetime
import errno
import socket
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.errors import JobError, ResourceExhausted, SourceMissing, SourceRefused, TooLarge, Unavailable
from shared.fetch import Downloaded, FetchPolicy, GuardedClient, Peek, PostResult, check_url
from shared.guard import is_public
from tests.unit.http_server import LocalServer, Reply, Request, answer, hang, local_server, raw, trickle

STRICT = FetchPolicy()
LOCAL = FetchPolicy(allow_loopback=True, max_bytes=1_000_000, timeout_seconds=10)
#: Far above the caps that the tests set, far below what a held-up test would take.
SOON_SECONDS = 3.0
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Names:
    """A resolver that knows a few names and hands out the next answer at each look-up."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(turns) for name, turns in answers.items()}
        self.asked: list[str] = []

    def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        turns = self.answers[host]
        return turns.pop(0) if len(turns) > 1 else turns[0]


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with local_server() as running:
        yield running


@contextmanager
def ends_soon() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < SOON_SECONDS


# At the door


@pytest.mark.parametrize(
    "url",
    [
        "",
        "media.example/a.mp4",
        "http://media.example/a.mp4",
        "ftp://media.example/a.mp4",
        "file:///etc/passwd",
        "gs://bucket/name",
        "https://",
        "https:///a.mp4",
        "https://?q",
        "https://user@media.example/",
        "https://user:password@media.example/",
        "https://@media.example/",
        "https://media.example\\@127.0.0.1/",
        "https://media.example:8443/",
        "https://media.example:0/",
        "https://media.example:x/",
        "https://media.example:99999/",
        "https://media example/",
        "https://media..example/",
        "https://%31%32%37.0.0.1/",
        "https://media.example/\x00",
        "https://media.example/a\r\nX-Evil: 1",
        "https://media.exa\tmple/",
        " https://media.example/",
        "https://media.example/" + "a" * 2048,
        "https://localhost/",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://metadata.google.internal./",
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://127.1/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.01/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://127。0。0。1/",
        "https://0/",
        "https://169.254.169.254/",
        "https://2852039166/",
        "https://4294967296/",
        "https://1.2.3.4.5/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1%25eth0]/",
        "https://[fd00:ec2::254]/",
        "https://[::1]media.example/",
        "https://media.example[::1]/",
        "https://[::1/",
    ],
)
def test_what_is_no_plain_https_url_to_a_public_place_is_refused_without_dns(url: str) -> None:
    with pytest.raises(SourceRefused):
        check_url(url, STRICT)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://media.example", "https://media.example", "/"),
        ("HTTPS://Media.Example:443/A.mp4?sig=1#t=5", "https://media.example", "/A.mp4?sig=1"),
        ("https://media.example/a b/ä?x=a@b|c", "https://media.example", "/a%20b/%C3%A4?x=a@b%7Cc"),
        ("https://media.example/a%20b%2Fc", "https://media.example", "/a%20b%2Fc"),
        ("https://media.example/\ud800", "https://media.example", "/?"),
        ("https://bücher.example/", "https://xn--bcher-kva.example", "/"),
        ("https://a_b.media.example./", "https://a_b.media.example", "/"),
        ("https://134744072/", "https://8.8.8.8", "/"),
        ("https://[2620:FE::FE]/", "https://[2620:fe::fe]", "/"),
    ],
)
def test_public_urls_pass_and_have_one_form(url: str, origin: str, path: str) -> None:
    target = check_url(url, STRICT)

    assert (target.origin, target.path.replace("%3F", "?")) == (origin, path)


@pytest.mark.parametrize(
    ("url", "passes"),
    [
        ("http://127.0.0.1:8080/", True),
        ("http://localhost:8080/", True),
        ("https://[::1]:8443/", True),
        ("https://8.8.8.8/", True),
        ("https://8.8.8.8:8443/", False),
        ("http://8.8.8.8/", False),
        ("http://10.0.0.1/", False),
        ("http://169.254.169.254/", False),
    ],
)
def test_a_local_cloud_may_go_to_loopback_besides_and_nowhere_else(url: str, passes: bool) -> None:
    if passes:
        check_url(url, LOCAL)
    else:
        with pytest.raises(SourceRefused):
            check_url(url, LOCAL)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("172.15.0.1", True),
        ("2620:fe::fe", True),
        ("2a00:1450:4001:80e::200e", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("100.100.100.200", False),
        ("127.255.255.254", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.0.0.9", False),
        ("192.0.2.1", False),
        ("192.88.99.1", False),
        ("192.168.0.1", False),
        ("198.18.0.1", False),
        ("203.0.113.1", False),
        ("224.0.0.1", False),
        ("239.255.255.250", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::1", False),
        ("100::1", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("2002:7f00:1::", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_only_addresses_of_single_public_hosts_count_as_public(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public


# Where a connection leads


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["fe80::1%1"]]
)
def test_a_name_with_any_address_that_is_not_public_is_refused_before_connecting(addresses: list[str]) -> None:
    client = GuardedClient(STRICT, resolver=Names(media_example=[addresses]))

    with pytest.raises(SourceRefused, match="not public"), ends_soon():
        client.peek("https://media.example/a.mp4", limit_bytes=10, timeout_seconds=5)


def test_a_name_that_turns_to_loopback_is_refused_although_a_server_waits_there(server: LocalServer) -> None:
    policy = FetchPolicy(ports=frozenset({server.port}))
    client = GuardedClient(policy, resolver=Names(rebind_example=[["127.0.0.1"]]))

    with pytest.raises(SourceRefused):
        client.peek(f"https://rebind.example:{server.port}/", limit_bytes=10, timeout_seconds=5)
    assert server.connections == 0


def test_each_connection_looks_its_name_up_once_and_uses_what_was_checked(server: LocalServer) -> None:
    names = Names(rebind_example=[["127.0.0.1"], ["169.254.169.254"]])
    server.replies["/a"] = answer(body=b"x")
    client = GuardedClient(LOCAL, resolver=names)

    assert client.peek(server.url("/a", "rebind.example"), limit_bytes=9, timeout_seconds=5).first_bytes == b"x"
    assert names.asked == ["rebind.example"]
    with pytest.raises(SourceRefused, match="not public"):
        client.peek(server.url("/a", "rebind.example"), limit_bytes=9, timeout_seconds=5)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/computeMetadata/v1/",
        "https://169.254.169.254/",
        "https://metadata.google.internal/computeMetadata/v1/",
        "//metadata.google.internal/",
        "http://[::ffff:169.254.169.254]/",
        "https://2852039166/",
        "http://media.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "https://user:password@media.example/",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_metadata_host_and_other_places_is_refused(
    server: LocalServer, tmp_path: Path, location: str, status: int
) -> None:
    server.replies["/a"] = answer(status, location=location)
    names = Names(metadata_google_internal=[["169.254.169.254"]], media_example=[["93.184.215.14"]])

    with pytest.raises(SourceRefused):
        GuardedClient(LOCAL, resolver=names).download(server.url("/a"), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_redirect_to_the_same_name_is_checked_anew(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/a"] = answer(302, location="/b")
    server.replies["/b"] = answer(body=b"secret")
    names = Names(rebind_example=[["127.0.0.1"], ["10.0.0.1"]])

    with pytest.raises(SourceRefused):
        GuardedClient(LOCAL, resolver=names).download(server.url("/a", "rebind.example"), tmp_path / "a")
    assert [request.path for request in server.requests] == ["/a"]


def test_redirects_are_followed_five_times_and_not_six(server: LocalServer, tmp_path: Path) -> None:
    server.replies |= {f"/{step}": answer(302, location=f"{step + 1}?sig=ä") for step in range(6)}
    server.replies["/6"] = answer(body=b"content")
    client = GuardedClient(LOCAL)

    assert client.download(server.url("/1"), tmp_path / "a").size == 7
    assert server.requests[-1].path == "/6?sig=%C3%A4"
    with pytest.raises(SourceRefused, match="more than 5 times"):
        client.download(server.url("/0"), tmp_path / "a")


def test_a_redirect_loop_ends(server: LocalServer) -> None:
    server.replies["/a"] = answer(302, location="/a")

    with pytest.raises(SourceRefused), ends_soon():
        GuardedClient(LOCAL).peek(server.url("/a"), limit_bytes=1, timeout_seconds=5)
    assert len(server.requests) == 6


def test_a_redirect_may_be_longer_than_what_the_door_takes(server: LocalServer) -> None:
    server.replies["/a"] = answer(302, location="/b?sig=" + "a" * 4000)
    server.replies["/b"] = answer(body=b"x")

    assert GuardedClient(LOCAL).peek(server.url("/a"), limit_bytes=1, timeout_seconds=5).first_bytes == b"x"


def test_proxies_of_the_environment_play_no_part(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.replies["/a"] = answer(body=b"direct")

    assert GuardedClient(LOCAL).peek(server.url("/a"), limit_bytes=6, timeout_seconds=5).first_bytes == b"direct"


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for media.example, and a client's that trusts who issued it."""
    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("media.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, encoding = folder / "both.pem", serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(encoding))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    return serving, ssl.create_default_context(cadata=certificate.public_bytes(encoding).decode())


def test_tls_and_host_keep_the_name_while_the_connection_goes_to_the_checked_address(
    authority: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    serving, trusting = authority
    asked_for: list[str | None] = []
    serving.sni_callback = lambda _, name, __: asked_for.append(name)
    with local_server(serving) as server:
        server.replies["/a"] = answer(body=b"over TLS")
        client = GuardedClient(LOCAL, resolver=Names(media_example=[["127.0.0.1"]]), tls=trusting)

        peek = client.peek(server.url("/a", "media.example"), limit_bytes=100, timeout_seconds=5)

        assert peek.first_bytes == b"over TLS"
        assert asked_for == ["media.example"]
        assert server.requests[0].headers["host"] == f"media.example:{server.port}"


@pytest.mark.parametrize("host", ["media.example", "other.example", "127.0.0.1"])
def test_a_bad_certificate_is_refused(authority: tuple[ssl.SSLContext, ssl.SSLContext], host: str) -> None:
    serving, trusting = authority
    with local_server(serving) as server:
        names = Names(media_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
        client = GuardedClient(LOCAL, resolver=names, tls=None if host == "media.example" else trusting)

        with pytest.raises(SourceRefused, match="certificate") as caught:
            client.post(server.url("/a", host), b"", {}, timeout_seconds=5)
        assert caught.value.reason_code == "bad_certificate"
        assert server.requests == []


def test_a_server_that_speaks_no_tls_is_unavailable(server: LocalServer) -> None:
    with pytest.raises(Unavailable), ends_soon():
        GuardedClient(LOCAL).peek(f"https://127.0.0.1:{server.port}/", limit_bytes=1, timeout_seconds=1)


# Downloads


def test_a_download_says_what_arrived_and_how_far_it_is(server: LocalServer, tmp_path: Path) -> None:
    body = bytes(range(256)) * 2500
    server.replies["/clip.mp4"] = answer(body=body, content_type="Video/MP4; codecs=avc1")
    seen: list[tuple[int, int | None]] = []

    downloaded = GuardedClient(LOCAL).download(
        server.url("/clip.mp4?sig=1"), tmp_path / "a", on_progress=lambda size, total: seen.append((size, total))
    )

    assert downloaded == Downloaded(640_000, "video/mp4", "clip.mp4")
    assert (tmp_path / "a").read_bytes() == body
    assert seen == sorted(seen)
    assert seen[-1] == (640_000, 640_000)
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert "range" not in server.requests[0].headers


def test_a_download_without_a_length_is_whole_when_its_last_chunk_came(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/a"] = raw(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    seen: list[tuple[int, int | None]] = []

    GuardedClient(LOCAL).download(server.url("/a"), tmp_path / "a", on_progress=lambda *at: seen.append(at))

    assert (tmp_path / "a").read_bytes() == b"abcde"
    assert seen == [(5, None)]


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
        "between head lines",
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


@pytest.mark.parametrize(
    "reply",
    [
        hang,
        trickle(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        trickle(b"HTTP/1.1 100 Continue\r\n", b"x: y\r\n"),
        trickle(b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n", b"x"),
        trickle(CHUNKED, b"1\r\nx\r\n"),
        trickle(CHUNKED + b"0\r\n", b"x: y\r\n"),
    ],
    ids=["hangs", "trickles its head", "trickles 100 Continue", "trickles its body", "chunks", "trailers"],
)
def test_no_server_holds_a_download_beyond_its_time(server: LocalServer, tmp_path: Path, reply: Reply) -> None:
    server.replies["/a"] = reply
    policy = FetchPolicy(allow_loopback=True, timeout_seconds=0.4)

    with pytest.raises(Unavailable), ends_soon():
        GuardedClient(policy).download(server.url("/a"), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_silence_ends_a_download_before_its_time(server: LocalServer, tmp_path: Path) -> None:
    server.replies["/a"] = hang
    policy = FetchPolicy(allow_loopback=True, timeout_seconds=60, idle_seconds=0.2)

    with pytest.raises(Unavailable, match="in time"), ends_soon():
        GuardedClient(policy).download(server.url("/a"), tmp_path / "a")


def test_a_name_server_that_hangs_does_not_hold_a_peek() -> None:
    done = Event()

    class Slow:
        def resolve(self, host: str, port: int) -> list[str]:
            done.wait()
            return []

    with pytest.raises(Unavailable, match="in time"), ends_soon():
        GuardedClient(STRICT, resolver=Slow()).peek("https://media.example/", limit_bytes=1, timeout_seconds=0.2)
    done.set()


def test_a_name_without_addresses_is_missing() -> None:
    with pytest.raises(SourceMissing) as caught:
        GuardedClient(STRICT, resolver=Names(media_example=[[]])).peek(
            "https://media.example/", limit_bytes=1, timeout_seconds=1
        )
    assert caught.value.reason_code == "unknown_host"


def test_the_next_address_is_tried_when_one_refuses(server: LocalServer) -> None:
    server.replies["/a"] = answer(body=b"x")
    client = GuardedClient(LOCAL, resolver=Names(media_example=[["127.0.0.9", "127.0.0.1"]]))

    assert client.peek(server.url("/a", "media.example"), limit_bytes=1, timeout_seconds=5).first_bytes == b"x"


def test_nobody_at_the_address_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(Unavailable):
        GuardedClient(LOCAL).download(f"http://127.0.0.1:{port}/", tmp_path / "a")


def test_whoever_watches_the_progress_may_stop_it(server: LocalServer, tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def stop(size: int, total: int | None) -> None:
        raise Cancelled

    server.replies["/a"] = answer(body=b"x")
    with pytest.raises(Cancelled):
        GuardedClient(LOCAL).download(server.url("/a"), tmp_path / "a", on_progress=stop)
    assert not (tmp_path / "a").exists()


def test_a_full_disk_is_this_machines_trouble(server: LocalServer, tmp_path: Path) -> None:
    def fill(size: int, total: int | None) -> None:
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


# Peeks


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
    ],
)
def test_the_name_is_one_part_of_a_path(server: LocalServer, path: str, disposition: str, name: str) -> None:
    server.replies[path] = answer(content_disposition=disposition)

    assert GuardedClient(LOCAL).peek(server.url(path), limit_bytes=1, timeout_seconds=5).name == name


# Posts


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


def test_an_answer_without_end_is_still_an_answer(server: LocalServer) -> None:
    server.replies["/hook"] = trickle(CHUNKED, b"1\r\nx\r\n")

    with ends_soon():
        assert GuardedClient(LOCAL).post(server.url("/hook"), b"", {}, timeout_seconds=0.4) == PostResult(200)


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
        client.post("https://hooks.example/", b"", {}, timeout_seconds=1)
