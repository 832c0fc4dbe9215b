"""Who may call the functions that queues and subscriptions call: OIDC tokens of our own service accounts.

https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from google.auth import exceptions as auth
from google.auth.transport import requests as transport
from google.oauth2 import id_token

from shared.errors import Unauthorized, Unavailable


class Callers(Protocol):
    def verify(self, authorization: str | None) -> None:
        """Raises Unauthorized unless the Authorization header proves one of our own service accounts."""


class OidcCallers:
    """Google-signed tokens, made out to one of `audiences`, by one of `accounts`."""

    def __init__(self, accounts: Collection[str], audiences: Sequence[str]) -> None:
        self._accounts = frozenset(accounts)
        self._audiences = list(audiences)
        self._transport = transport.Request()

    def verify(self, authorization: str | None) -> None:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("this endpoint takes calls with an OIDC bearer token only")
        try:
            claims = id_token.verify_oauth2_token(token, self._transport, audience=self._audiences)
        except auth.TransportError as cause:
            raise Unavailable("Google's signing keys could not be fetched") from cause
        except (ValueError, auth.GoogleAuthError) as cause:
            raise Unauthorized("the OIDC token is not valid here") from cause
        if not claims.get("email_verified") or claims.get("email") not in self._accounts:
            raise Unauthorized("the OIDC token is not from an account that may call this")


class AnyCaller:
    """The local cloud's stand-ins and emulator send no tokens; settings refuse this with a real project."""

    def verify(self, authorization: str | None) -> None:
        return
