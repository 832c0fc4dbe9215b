"""Every HTTP door against headers that no client of ours sends: its normal answer or a clear 4xx, and no echo.

They are put into the WSGI environment, past the test client's own checks; a server in front may refuse some before us.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

import pytest
from werkzeug.test import TestResponse

from tests.abuse.test_doors import DOORS, Door, harm, mess, stage, wrong
from tests.functions.serving import serving

#: Stands in each value, to be looked for in what comes back.
MARK: Final = "Evil-9f3"
VALUES: Final = {
    "a line end": f"a\r\nX-{MARK}: 1",
    "a line of log": f'{MARK}\n{{"severity": "EMERGENCY", "message": "forged"}}',
    "JSON": f'{{"severity": "EMERGENCY", "{MARK}": 1}}',
    "a quoted end": f'"}}{MARK}',
    "an encoded line end": f"%0d%0aX-{MARK}: 1",
    "NUL": f"a\0{MARK}",
    "an escape": f"\x1b[31m{MARK}",
    "Latin-1": f"\xe9\xff\x85{MARK}",
    "UTF-8": f"\u2028\u202e\U0001f600{MARK}".encode().decode("latin-1"),
    "no UTF-8": f"\xc3\x28\xed\xa0\x80{MARK}",
    "too long": MARK * 8_000,
    "nothing": "",
    "commas": ",;=" * 100 + MARK,
}
NAMES: Final = (
    "Idempotency-Key",
    "X-Destination",
    "Prefer",
    "traceparent",
    "X-Cloud-Trace-Context",
    "Origin",
    "X-API-Key",
    "Authorization",
    "Content-Type",
    "X-CloudTasks-TaskName",
)
#: The framework answers this with 400 before any code of ours, and quotes all of it; IAM lets Eventarc alone in.
FRAMEWORKS_OWN: Final = ("ce-specversion", "too long")
CLOUD_EVENTS: Final = ("ce-id", "ce-source", "ce-type", "ce-subject", "ce-time", "ce-traceparent", "ce-specversion")


@pytest.mark.parametrize("door", [door for door in DOORS.values() if not door.is_pushed], ids=lambda door: door.path)
def test_no_header_breaks_a_door(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    found = []
    for header in (*NAMES, *(CLOUD_EVENTS if door.function == "on_upload" else ())):
        for name, value in VALUES.items():
            if (header, name) == FRAMEWORKS_OWN:
                continue
            everything = stage(door)
            caplog.clear()
            variable = header.upper().replace("-", "_")
            environ = {variable if header == "Content-Type" else f"HTTP_{variable}": value}
            headers = {"Content-Type": "application/json", **door.headers}
            with serving(door.function, everything) as client:
                answer = client.post(door.path, json=door.good, headers=headers, environ_overrides=environ)
            whats = (*wrong(answer), *echoed(answer), *harm(everything), *mess(caplog.records))
            found += [f"{header}, {name}: {each}" for each in whats]
    assert not found, "\n".join(found[:40])


def echoed(answer: TestResponse) -> Iterator[str]:
    yield from (f"header {key} holds what was sent" for key, value in answer.headers if MARK in key + value)
