from __future__ import annotations

from typing import Any

import flask
import pytest
from werkzeug.test import EnvironBuilder

from shared.errors import InvalidRequest, TooLarge
from shared.request_body import MAX_BODY_BYTES, read_body


def request(body: bytes, **environment: Any) -> flask.Request:
    return flask.Request({**EnvironBuilder(method="POST", data=body).get_environ(), **environment})


CHUNKED: dict[str, Any] = {"CONTENT_LENGTH": None, "wsgi.input_terminated": True}


@pytest.mark.parametrize("environment", [{}, CHUNKED], ids=["declared", "chunked"])
def test_body_is_whole_up_to_its_limit_and_refused_beyond(environment: dict[str, Any]) -> None:
    assert read_body(request(b"", **environment)) == b""
    assert len(read_body(request(b" " * MAX_BODY_BYTES, **environment))) == MAX_BODY_BYTES
    with pytest.raises(TooLarge):
        read_body(request(b" " * (MAX_BODY_BYTES + 1), **environment))


def test_body_that_breaks_off_is_the_callers_fault() -> None:
    with pytest.raises(InvalidRequest):
        read_body(request(b"{", CONTENT_LENGTH="5"))
