"""Who is let in by an OIDC token; Google's certificates come from a stand-in below the cache."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import cache
from http.client import HTTPResponse
from typing import Any, ClassVar

import pytest
import requests
import urllib3
from cachecontrol import CacheControlAdapter
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.auth import crypt, jwt
from requests.adapters import HTTPAdapter

from shared.callers import OidcCallers
from shared.errors import Unauthorized, Unavailable

ACCOUNT, AUDIENCE = "invoker@p.iam.gserviceaccount.com", "https://dispatch.test"


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate() -> str:
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "google.test")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key().public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class Wire:
    """A connection on which one answer lies ready."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _: str) -> io.BytesIO:
        return io.BytesIO(self._answer)


class Google(HTTPAdapter):
    """Answers every request with the certificates, good for an hour."""

    asked: ClassVar[list[str]] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.asked.append(str(request.url))
        body = json.dumps({"k1": certificate()})
        head = f"HTTP/1.1 200 OK\r\nDate: {formatdate(usegmt=True)}\r\nCache-Control: public, max-age=3600\r\n"
        raw = HTTPResponse(Wire(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()))  # type: ignore[arg-type]
        raw.begin()
        answer = urllib3.HTTPResponse(raw, dict(raw.getheaders()), raw.status, preload_content=False)
        return self.build_response(request, answer)  # type: ignore[no-untyped-call]


class CachedGoogle(CacheControlAdapter, Google):
    """The real cache, and below it the stand-in instead of the network."""


class NoGoogle(CacheControlAdapter):
    def send(self, *_: Any, **__: Any) -> requests.Response:
        raise requests.ConnectionError("no network here")


@pytest.fixture
def callers() -> OidcCallers:
    Google.asked.clear()
    return OidcCallers([ACCOUNT], [AUDIENCE], CachedGoogle)


def bearer(*, issued_in: float = 0, expires_in: float = 3600, **claims: Any) -> str:
    now = time.time()
    payload = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "email": ACCOUNT,
        "email_verified": True,
        "iat": int(now + issued_in),
        "exp": int(now + expires_in),
        **claims,
    }
    pem = key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return "Bearer " + jwt.encode(crypt.RSASigner.from_string(pem, "k1"), payload).decode()


def test_certificates_are_fetched_once_for_many_calls(callers: OidcCallers) -> None:
    for _ in range(3):
        callers.verify(bearer())
    assert len(Google.asked) == 1


@pytest.mark.parametrize("times", [{"issued_in": 5}, {"issued_in": -3600, "expires_in": -1}])
def test_clocks_may_be_some_seconds_apart(callers: OidcCallers, times: dict[str, float]) -> None:
    callers.verify(bearer(**times))


@pytest.mark.parametrize(
    "wrong",
    [
        {"issued_in": 60},
        {"issued_in": -3600, "expires_in": -60},
        {"aud": "https://elsewhere.test"},
        {"iss": "https://elsewhere.test"},
        {"email": "stranger@p.iam.gserviceaccount.com"},
        {"email_verified": False},
    ],
    ids=str,
)
def test_token_that_is_not_right_in_everything_is_refused(callers: OidcCallers, wrong: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized):
        callers.verify(bearer(**wrong))


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer junk", "Basic YTpi"])
def test_what_is_no_token_is_refused(callers: OidcCallers, header: str | None) -> None:
    with pytest.raises(Unauthorized):
        callers.verify(header)


def test_without_googles_certificates_the_caller_comes_again() -> None:
    with pytest.raises(Unavailable):
        OidcCallers([ACCOUNT], [AUDIENCE], NoGoogle).verify(bearer())
