"""Where this service may go: which URLs, and which addresses behind their names.

A URL that a stranger gives must not reach what only this machine can reach: its own services, the network around it,
the cloud's metadata server (https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html).
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from shared.errors import SourceRefused

MAX_URL_LENGTH: Final = 2048

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
#: Everything RFC 3986 lets stand in a path or a query; the rest is percent-encoded.
_SAFE: Final = "/%?:@!$&'()*+,;=~[]"
_NAME: Final = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?")
_BRACKETED: Final = re.compile(r"\[[0-9A-Fa-f:.]+\](?::\d*)?")
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*")
#: Names that no public DNS answers (RFC 6761, RFC 6762, ICANN's .internal).
_INSIDE: Final = ("localhost", "local", "internal")
#: IPv6 in public use at all; what is left out of it below embeds an IPv4 address or is set aside.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NOT_PUBLIC: Final = (
    # GKE's own for Services (https://cloud.google.com/kubernetes-engine/docs/concepts/alias-ips#cluster_sizing).
    IPv4Network("34.118.224.0/20"),
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv6Network("2001::/23"),  # Teredo and other protocol assignments
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
)


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What one guarded client may do."""

    #: The local cloud only: loopback addresses as well, there with http and any port.
    allow_loopback: bool = False
    ports: frozenset[int] = frozenset({443})
    #: Of one download.
    max_bytes: int = 20 * 2**30
    #: Of one download, from the first name look-up to the last byte.
    timeout_seconds: float = 600
    #: Longest silence within that.
    idle_seconds: float = 30
    max_redirects: int = 5


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed `check_url`, taken apart."""

    scheme: str
    #: Lower case, ASCII; an address in its usual form, without brackets.
    host: str
    #: Is the host an address rather than a name?
    is_address: bool
    port: int
    #: With the query: may hold secrets, so neither logged nor put into errors.
    path: str

    @property
    def authority(self) -> str:
        """As in the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The part of the URL that is no secret."""
        return f"{self.scheme}://{self.authority}"

    def join(self, location: str) -> str:
        """The URL that a `Location` header (as http.client decodes it) means here."""
        try:
            return urljoin(self.origin + self.path, location.encode("latin-1", "replace").decode("utf-8", "replace"))
        except ValueError as fault:
            raise SourceRefused(f"{self.origin} redirects to what is no URL.") from fault


def check_url(url: str, policy: FetchPolicy, *, max_length: int = MAX_URL_LENGTH) -> Target:
    """Take a URL apart, without asking DNS; a name's addresses are checked by `check_address` when connecting.

    Raises SourceRefused for anything but a plain https URL to a public place.
    """
    if len(url) > max_length:
        raise SourceRefused(f"The URL is longer than {max_length} characters.")
    if re.search(r"[\x00-\x1f\x7f]", url) or url != url.strip():
        raise SourceRefused("The URL holds control characters or begins or ends with a space.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host, is_address = _host(parts.hostname or "", parts.netloc)
    except ValueError as fault:
        raise SourceRefused("The URL has no valid host or port.") from fault
    if parts.scheme not in ("https", "http") or (parts.scheme == "http" and not policy.allow_loopback):
        raise SourceRefused("Only https URLs are fetched.")
    if "@" in parts.netloc:
        raise SourceRefused("The URL holds a user name or password; give a signed URL instead.")

    path = quote(parts.path or "/", safe=_SAFE, errors="replace")
    query = f"?{quote(parts.query, safe=_SAFE, errors='replace')}" if parts.query else ""
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    target = Target(parts.scheme, host, is_address, port, path + query)
    if is_address:
        check_address(target, host, policy)
    elif not policy.allow_loopback:
        _check_port(target, policy)
        # A name of one part is completed by the resolver, with what its network is called.
        if "." not in host or host.rpartition(".")[2] in _INSIDE:
            raise SourceRefused(f"{target.origin} is a name inside a network, not a public one.")
    return target


def check_address(target: Target, address: str, policy: FetchPolicy) -> None:
    """May `target` be fetched from this address of its host? Raises SourceRefused if not."""
    ip = ip_address(address)
    if ip.is_loopback and policy.allow_loopback:
        return
    if not is_public(ip):
        raise SourceRefused(f"{target.origin} leads to an address that is not public.")
    if target.scheme != "https":
        raise SourceRefused("Only https URLs are fetched.")
    _check_port(target, policy)


def is_public(ip: IPv4Address | IPv6Address) -> bool:
    """Is it one host's address on the public internet, with no other address hidden in it?"""
    if ip.is_multicast or ip.is_reserved or not ip.is_global or any(ip in network for network in _NOT_PUBLIC):
        return False
    return isinstance(ip, IPv4Address) or ip in _GLOBAL_UNICAST


def _check_port(target: Target, policy: FetchPolicy) -> None:
    if target.port not in policy.ports:
        raise SourceRefused(f"{target.origin} is not on an allowed port.")


def _host(text: str, netloc: str) -> tuple[str, bool]:
    """The host in one form, and whether it is an address, as whatever a resolver takes for one is (RFC 3493)."""
    if "[" in netloc:
        if not _BRACKETED.fullmatch(netloc):
            raise ValueError("not an IPv6 address")
        return str(IPv6Address(text)), True
    name = text.encode("idna").decode("ascii").lower().removesuffix(".")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        try:
            return str(IPv4Address(socket.inet_aton(name))), True
        except OSError as fault:
            raise ValueError("neither a name nor an address") from fault
    if not _NAME.fullmatch(name):
        raise ValueError("not a host name")
    return name, False
