"""HTTPS without a library: the few calls that gcloud has no command for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from deploy.faults import CannotDeploy, NoGoodAnswer

_TIMEOUT_SECONDS: Final = 60
_JSON: Final = "application/json"


def call(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> bytes:
    """What the server answers with 2xx. Raises NoGoodAnswer; the address's query is never part of the message."""
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise CannotDeploy(f"{url.partition('?')[0]} is no HTTPS address.")
    request = Request(url, data=body, headers=dict(headers or {}), method=method)  # noqa: S310 looked at above
    place = request.host
    try:
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 looked at above
            return bytes(answer.read())
    except HTTPError as cause:
        said = cause.read(500).decode(errors="replace").strip()
        raise NoGoodAnswer(f"{method} {place}: {cause.code} {cause.reason}. {said}", cause.code) from cause
    except (URLError, TimeoutError, ConnectionError, HTTPException) as cause:
        raise NoGoodAnswer(f"{method} {place}: no answer ({getattr(cause, 'reason', cause)}).") from cause


def call_json(url: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Any:
    """POST with a body, else GET. Raises CannotDeploy."""
    sent = {"Accept": _JSON, **(headers or {}), **({"Content-Type": _JSON} if body is not None else {})}
    text = json.dumps(body).encode() if body is not None else None
    answer = call(url, method="GET" if body is None else "POST", headers=sent, body=text)
    try:
        return json.loads(answer)
    except ValueError as cause:
        raise CannotDeploy(f"{url.partition('?')[0]} did not answer with JSON.") from cause


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
