"""One HTTP/1.1 exchange with an address that was checked, before a deadline that nothing can stretch.

The host's addresses are looked up once, all of them are checked, and the connection goes to one of those very
addresses: a name that means something else a moment later (DNS rebinding) gains nothing. TLS and the header Host keep
the name. Every wait (look-up, connect, handshake, each single read) gets only the time that is left, so a server that
sends a byte now and then cannot hold the caller. The environment's proxies play no part.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from threading import Thread
from typing import Final, Protocol, cast

from typing_extensions import Buffer

from shared.errors import JobError, SourceMissing, SourceRefused, Unavailable
from shared.guard import FetchPolicy, Target, check_address

_USER_AGENT: Final = "media-hub/1"


class Resolver(Protocol):
    """From a name to all of its addresses."""

    def resolve(self, host: str, port: int) -> list[str]:
        """Raises SourceMissing when there is no such host, Unavailable when that cannot be told now."""


class SystemResolver:
    """The machine's own resolver."""

    def resolve(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as fault:
            if fault.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
                raise SourceMissing(f"There is no host {host}.", code="unknown_host") from fault
            raise Unavailable(f"The host {host} could not be looked up.") from fault
        return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Deadline:
    """A point in time; each wait until then takes `idle_seconds` at most, and begins with `look`, which may raise."""

    def __init__(self, seconds: float, idle_seconds: float, look: Callable[[], None] = lambda: None) -> None:
        self._end = time.monotonic() + seconds
        self._idle_seconds = idle_seconds
        self._look = look

    def wait_seconds(self) -> float:
        """How long the next wait may take; raises TimeoutError when there is no time left."""
        self._look()
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return min(left, self._idle_seconds)


class Answer:
    """A response whose head has arrived."""

    def __init__(self, target: Target, response: HTTPResponse) -> None:
        self.target = target
        self._response = response
        self.status = response.status
        #: Of the body, in bytes; None when the server does not say.
        self.length = response.length

    def header(self, name: str) -> str:
        return self._response.headers.get(name, "").strip()

    @property
    def content_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def filename(self) -> str | None:
        """From Content-Disposition, as the server sent it."""
        try:
            return self._response.headers.get_filename()
        except (ValueError, TypeError):  # numbers, encodings and mixtures that email.message takes for granted
            return None

    def read(self, size: int) -> bytes:
        """The next `size` bytes of the body, fewer only at its end; Unavailable when it breaks off or drags on."""
        with _explained(self.target):
            data = self._response.read(size)
        if len(data) < size and self._response.length:
            raise Unavailable(f"{self.target.origin} closed the connection before the end of the content.")
        return data


@contextmanager
def exchange(
    method: str,
    target: Target,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    policy: FetchPolicy,
    resolver: Resolver,
    tls: ssl.SSLContext,
    deadline: Deadline,
) -> Iterator[Answer]:
    """Send one request, answer with its response, close the connection afterwards.

    Raises SourceRefused for an address or a certificate that is not accepted, SourceMissing for an unknown host,
    Unavailable for anything that may pass.
    """
    with _explained(target):
        connected = _connect(target, policy, resolver, tls, deadline)
    with closing(connected):
        with _explained(target):
            connection, reader = HTTPConnection(target.host, target.port), _TimedReader(connected, deadline)
            # http.client needs no more of a socket than what _TimedSocket has.
            connection.sock = cast(socket.socket, _TimedSocket(connected, deadline, reader))
            all_headers = {"Host": target.authority, "User-Agent": _USER_AGENT, "Connection": "close", **headers}
            connection.request(method, target.path, body=body, headers=all_headers)
            response = connection.getresponse()
        # http.client takes a head that breaks off for a whole one, and what follows for an empty body.
        if reader.is_at_end:
            raise Unavailable(f"{target.origin} closed the connection in the middle of its answer.")
        with closing(response):
            yield Answer(target, response)


def _connect(
    target: Target, policy: FetchPolicy, resolver: Resolver, tls: ssl.SSLContext, deadline: Deadline
) -> socket.socket:
    addresses = [target.host] if target.is_address else _resolve(target, resolver, deadline)
    for address in addresses:
        check_address(target, address, policy)
    connected = _connect_first(addresses, target.port, deadline)
    if target.scheme == "http":
        return connected
    with ExitStack() as on_failure:
        on_failure.callback(connected.close)
        connected.settimeout(deadline.wait_seconds())
        secured = tls.wrap_socket(connected, server_hostname=target.host)
        on_failure.pop_all()
        return secured


def _connect_first(addresses: list[str], port: int, deadline: Deadline) -> socket.socket:
    """To the first address that answers; each one gets its share of the time."""
    *others, last = addresses
    for at, address in enumerate(others):
        try:
            return socket.create_connection((address, port), deadline.wait_seconds() / (len(addresses) - at))
        except OSError:
            continue
    return socket.create_connection((last, port), deadline.wait_seconds())


def _resolve(target: Target, resolver: Resolver, deadline: Deadline) -> list[str]:
    """In a thread of its own: the system's look-up knows no time limit. The thread dies with the look-up."""
    found: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            found.set_result(resolver.resolve(target.host, target.port))
        except (JobError, OSError) as fault:
            found.set_exception(fault)

    Thread(target=look_up, name="look-up", daemon=True).start()
    addresses = found.result(timeout=deadline.wait_seconds())
    if not addresses:
        raise SourceMissing(f"The host {target.host} has no address.", code="unknown_host")
    return addresses


class _TimedSocket:
    """What http.client asks of a socket, with each operation limited to the time left. Its owner closes it."""

    def __init__(self, connected: socket.socket, deadline: Deadline, reader: _TimedReader) -> None:
        self._socket = connected
        self._deadline = deadline
        self._reader = reader

    def sendall(self, data: Buffer) -> None:
        self._socket.settimeout(self._deadline.wait_seconds())
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return _Measured(self._reader)

    def close(self) -> None:
        pass


class _Measured(io.BufferedReader):
    """http.client takes a chunk's size as the server says it, a negative one too: -1 would read all there is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            raise HTTPException("a chunk of negative size")
        return super().read(size)


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._socket = connected
        self._deadline = deadline
        self.is_at_end = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        self._socket.settimeout(self._deadline.wait_seconds())
        size = self._socket.recv_into(buffer)
        self.is_at_end = size == 0
        return size


@contextmanager
def _explained(target: Target) -> Iterator[None]:
    """The network's and the protocol's faults, as ours."""
    try:
        yield
    except ssl.SSLCertVerificationError as fault:
        reason = fault.verify_message
        raise SourceRefused(
            f"{target.origin} has a certificate that is not valid: {reason}.", code="bad_certificate"
        ) from fault
    except TimeoutError as fault:
        raise Unavailable(f"{target.origin} did not answer in time.") from fault
    except (OSError, HTTPException) as fault:
        raise Unavailable(f"{target.origin} could not be reached or broke off: {type(fault).__name__}.") from fault
