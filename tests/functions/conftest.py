"""Fakes of all services, and the clients of the functions on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import serving


@pytest.fixture
def everything() -> FakeServices:
    return fake_services()


@pytest.fixture
def api(everything: FakeServices) -> Iterator[FlaskClient]:
    """`ingest`."""
    with serving("ingest", everything) as client:
        yield client
