"""HTTP to one hub, and to the storage behind it, which never sees the key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Self, TypeVar

import httpx
from pydantic import BaseModel

from hubctl.answers import problem_of, reason, refusal
from hubctl.clock import Clock
from hubctl.errors import BadUsage, DownloadFailed, HubBusy, HubUnavailable

Answer = TypeVar("Answer")

#: Pauses between the tries of a call that is safe to repeat, in seconds.
_PAUSES: Final = (0.5, 1.5)
#: At least so long between two questions for room, in seconds.
_BUSY_PAUSE: Final = 1.0
#: Never through a proxy: the local cloud.
_LOOPBACK: Final[Mapping[str, None]] = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}


class Transport:
    """One hub and one key."""

    def __init__(self, url: str, key: str, *, timeout: float, clock: Clock = time) -> None:
        """`timeout` in seconds, of each step of a call. Raises BadUsage for a URL or key that cannot be one."""
        try:
            base = httpx.URL(url)
        except httpx.InvalidURL as cause:
            raise BadUsage(f"{url!r} is no hub's address: {cause}") from cause
        if base.scheme not in ("http", "https") or not base.host:
            raise BadUsage(f"{url!r} is no hub's address: it must be https://… (or http://127.0.0.1:…)")
        if not (key and key.isascii() and key.isprintable()):
            raise BadUsage("the API key is empty or has characters that no key has")
        self._hub = httpx.Client(base_url=base, headers={"X-API-Key": key}, timeout=timeout, mounts=_LOOPBACK)
        self.storage = httpx.Client(timeout=timeout, mounts=_LOOPBACK, follow_redirects=True)
        self.clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._hub.close()
        self.storage.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> httpx.Response:
        """The answer, when it is a success. Raises HubRefused, HubUnavailable, StrangeAnswer."""
        response = self._request(method, path, body, headers, query)
        if not response.is_success:
            raise refusal(response)
        return response

    def find(self, path: str) -> httpx.Response | None:
        """The answer, or None where the hub itself (and no other server) says that there is nothing."""
        response = self._request("GET", path)
        if response.status_code == 404 and problem_of(response):
            return None
        if not response.is_success:
            raise refusal(response)
        return response

    def location(self, path: str) -> str:
        """Where the hub redirects to: a signed URL, which is a secret."""
        response = self._request("GET", path)
        if not response.has_redirect_location:
            raise refusal(response)
        return response.headers["Location"]

    def stored(self, url: str, name: str) -> Iterator[bytes]:
        """What storage has at a signed URL, piece by piece; `name` is for people. Raises DownloadFailed."""
        try:
            # "identity", so that sizes are those of the record.
            with self.storage.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
                if not response.is_success:
                    raise DownloadFailed(
                        f"storage did not give {name}: {response.status_code} {response.reason_phrase}"
                    )
                yield from response.iter_bytes()
        except (httpx.RequestError, httpx.InvalidURL) as cause:
            raise DownloadFailed(f"the download of {name} was interrupted: {reason(cause)}") from cause

    def repeat(self, call: Callable[[], Answer], *, on_busy: Callable[[HubBusy], None] | None = None) -> Answer:
        """Make a call that is safe to repeat, up to three times while the hub is not available.

        A hub without room is asked again when it says, without end, where `on_busy` is told; else HubBusy is raised.
        """
        pauses = iter(_PAUSES)
        while True:
            try:
                return call()
            except HubBusy as busy:
                if on_busy is None:
                    raise
                on_busy(busy)
                self.clock.sleep(max(_BUSY_PAUSE, busy.retry_after))
            except HubUnavailable as error:
                pause = next(pauses, None)
                if pause is None:
                    raise
                self.clock.sleep(max(pause, error.retry_after))

    def _request(
        self,
        method: str,
        path: str,
        body: BaseModel | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> httpx.Response:
        content = body.model_dump_json(exclude_none=True) if body else None
        sent = {**(headers or {}), **({"Content-Type": "application/json"} if body else {})}
        try:
            return self._hub.request(method, path, content=content, headers=sent, params=query)
        except httpx.RequestError as cause:
            raise HubUnavailable(f"the hub at {self._hub.base_url} cannot be reached: {reason(cause)}") from cause
