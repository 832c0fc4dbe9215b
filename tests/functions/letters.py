"""Letters of lost jobs, and what the API says of them."""

from __future__ import annotations

import base64
import json
from typing import Any

from flask.testing import FlaskClient

from shared.job import Job
from shared.letters import KeptLetter
from tests.fakes.services import FakeServices
from tests.functions.serving import (
    OPERATOR,
    SHOP,
    change,
    submitted,
)

KEYS = [
    {"name": "shop", "key": "secret-shop-key"},
    {"name": "stranger", "key": "secret-stranger-key"},
    {"name": "operator", "key": "secret-operator-key", "sees": "all"},
]
STRANGER = {"X-API-Key": "secret-stranger-key"}


def keep(everything: FakeServices, job: Job, code: str = "unavailable", submission: int = 1) -> str:
    letter = KeptLetter(
        job_id=job.job_id, submission=submission, code=code, reason="gave up after 5 attempts", kept_at=everything.now()
    )
    letter_id = f"{everything.now().date()}/{job.job_id}"
    everything.letters.keep(letter_id, letter)
    everything.clock.advance(60)
    return letter_id


def lost(everything: FakeServices, key: str = "example", **more: Any) -> str:
    """A job that was given up, and its letter's id."""
    job = submitted(everything, key, **more)
    change(everything, job.job_id, "leased", "dead_lettered")
    return keep(everything, job)


def listed(api: FlaskClient, query: str = "", headers: dict[str, str] = SHOP) -> list[Any]:
    answer = api.get(f"/v1/dead-letters{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    letters: list[Any] = answer.json["letters"]
    return letters


def redrive(api: FlaskClient, headers: dict[str, str] = OPERATOR, **body: Any) -> Any:
    answer = api.post("/v1/dead-letters:redrive", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json


def job_of(letter_id: str) -> str:
    return letter_id.partition("/")[2]


def letters(everything: FakeServices) -> dict[str, Any]:
    names = everything.objects.names("state", "dead-letters/")
    return {name: json.loads(everything.objects.data("state", name)) for name in names}


def alerts(everything: FakeServices) -> list[dict[str, Any]]:
    return [json.loads(message.data) for message in everything.topics.on("alerts")]


def push_of(data: bytes) -> dict[str, Any]:
    return {"message": {"data": base64.b64encode(data).decode(), "messageId": "7"}, "subscription": "s"}


def letter_of(job_id: str, submission: int = 1) -> bytes:
    content = {"job_id": job_id, "submission": submission, "code": "unavailable", "reason": "gave up"}
    return json.dumps(content).encode()
