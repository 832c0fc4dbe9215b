from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.errors import SourceMissing, SourceRefused, Unavailable
from shared.fetch import FetchPolicy, GuardedClient
from tests.unit.guarded import LOCAL, STRICT, Names, ends_soon
from tests.unit.http_server import CHUNKED, LocalServer, Reply, answer, hang, local_server, trickle


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with local_server() as running:
        yield running


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
        "https://[",
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
            "https://media.example/", limit_bytes=1, timeout_seconds=30
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
