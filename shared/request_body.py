"""A request's body, of a size that one process can hold."""

from __future__ import annotations

from typing import Final

import flask
from werkzeug.exceptions import ClientDisconnected

from shared.errors import InvalidRequest, TooLarge

#: Largest request body, in bytes.
MAX_BODY_BYTES: Final = 1_000_000


def read_beginning(request: flask.Request, length: int) -> bytes:
    """The first bytes of a body that `read_body` refused by its Content-Length; what is left of any other.

    Raises InvalidRequest when the caller went away in the middle of it.
    """
    try:
        return request.stream.read(length)
    except ClientDisconnected as cause:
        raise InvalidRequest("the body is shorter than its Content-Length") from cause


def read_body(request: flask.Request) -> bytes:
    """The whole body. Raises TooLarge, InvalidRequest when the caller went away in the middle of it."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BODY_BYTES} bytes")
    body = b""
    try:
        # One byte more than allowed is enough to know, whatever Content-Length said; a read may fall short.
        while len(body) <= MAX_BODY_BYTES and (part := request.stream.read(MAX_BODY_BYTES + 1 - len(body))):
            body += part
    except ClientDisconnected as cause:
        raise InvalidRequest("the body is shorter than its Content-Length") from cause
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"the body is larger than {MAX_BODY_BYTES} bytes")
    return body
