"""Who may call the functions that queues and subscriptions call: OIDC tokens of our own service accounts.

https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol

import requests
from cachecontrol import CacheControl, CacheControlAdapter
from google.auth import exceptions as auth
from google.auth.transport import requests as transport
from google.oauth2 import id_token

from shared.errors import Unauthorized, Unavailable

#: How far the clocks of Google and of this machine may be apart.
_CLOCK_SKEW_SECONDS: Final = 10


class Callers(Protocol):
    def verify(self, authorization: str | None) -> None:
        """Raises Unauthorized unless the Authorization header proves one of our own service accounts."""


class OidcCallers:
    """Google-signed tokens, made out to one of `audiences`, by one of `accounts`.

    Google's certificates are fetched through `adapter`, which keeps them as long as Google allows
    (https://googleapis.dev/python/google-auth/latest/reference/google.oauth2.id_token.html).
    """

    def __init__(
        self,
        accounts: Collection[str],
        audiences: Sequence[str],
        adapter: type[CacheControlAdapter] = CacheControlAdapter,
    ) -> None:
        self._accounts = frozenset(accounts)
        self._audiences = list(audiences)
        self._transport = transport.Request(session=CacheControl(requests.Session(), adapter_class=adapter))

    def verify(self, authorization: str | None) -> None:
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("this endpoint takes calls with an OIDC bearer token only")
        try:
            claims = id_token.verify_oauth2_token(
                token, self._transport, audience=self._audiences, clock_skew_in_seconds=_CLOCK_SKEW_SECONDS
            )
        except auth.TransportError as cause:
            raise Unavailable("Google's signing keys could not be fetched") from cause
        except (ValueError, TypeError, auth.GoogleAuthError) as cause:  # TypeError: claims that are no numbers
            raise Unauthorized("the OIDC token is not valid here") from cause
        if not claims.get("email_verified") or claims.get("email") not in self._accounts:
            raise Unauthorized("the OIDC token is not from an account that may call this")


class AnyCaller:
    """The local cloud's stand-ins and emulator send no tokens; settings refuse this with a real project."""

    def verify(self, authorization: str | None) -> None:
        return
