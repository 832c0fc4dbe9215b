"""`ingest` against its own OpenAPI document: schemathesis makes right and wrong requests and checks the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, reject, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.errors import InvalidSchema
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from shared.errors import Unavailable
from shared.fetch import FetchPolicy, GuardedClient, Peek
from shared.letters import KeptLetter
from shared.services import use
from tests.fakes.services import FakeServices, fake_services
from tests.functions.serving import MP4, SHOP, app, change, submitted

#: All but those that follow one caller's requests: who sees which job is test_ingest_jobs.py's.
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
    allow_header_conformance,
    missing_required_header,
    ignored_auth,
]
SOURCE: Final = "gs://uploads/talks/keynote.mp4"
STEPS: Final = [("leased", "succeeded"), (), ("leased",), ("leased", "failed"), ("dead_lettered",), ("cancelled",)]
SUCCEEDED: Final = 0
LETTER_DAY: Final = "2025-11-23"


class NoNetwork(GuardedClient):
    """Checks URLs and asks none: what the requests name is made up."""

    def peek(self, url: str, *, limit_bytes: int, timeout_seconds: float) -> Peek:
        raise Unavailable("no network here")


def services() -> Any:
    everything = fake_services(
        http=NoNetwork(FetchPolicy(allow_loopback=True)), enable_gke_route=True, max_wait_seconds=0.01
    )
    everything.objects.put("uploads", SOURCE.removeprefix("gs://uploads/"), MP4)
    return everything


def loaded() -> Any:
    generation = GenerationConfig(deterministic=True, with_security_parameters=False, database="none")
    project = ProjectConfig(headers=SHOP, generation=generation)
    with use(services()):
        return schemathesis.openapi.from_wsgi(
            "/openapi.json", app("ingest"), config=SchemathesisConfig(projects=ProjectsConfig(default=project))
        )


schema = loaded()


def jobs(everything: FakeServices) -> list[str]:
    """Jobs in every state."""
    made = [submitted(everything, f"job-{number}").job_id for number in range(len(STEPS))]
    for job_id, names in zip(made, STEPS, strict=True):
        change(everything, job_id, *names)
        letter = KeptLetter(job_id=job_id, submission=1, code="unavailable", kept_at=everything.now())
        everything.letters.keep(f"{LETTER_DAY}/{job_id}", letter)
    return made


operations = [result.ok() for result in schema.get_all_operations()]


@schema.parametrize()
@settings(
    database=None, deadline=None, phases=[Phase.explicit], suppress_health_check=list(HealthCheck), derandomize=True
)
def test_every_answer_at_the_edges_is_as_documented(case: Any) -> None:
    """What schemathesis makes of each constraint: just inside, just outside, other methods, no parameters."""
    check(case)


# What another thread of this process (a client's, that other tests left) draws meanwhile is taken for the strategy's.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.label)
@settings(
    max_examples=30, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(data=st.data())
def test_every_answer_is_as_documented(operation: Any, data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from(GenerationMode))
    try:
        case = data.draw(operation.as_strategy(generation_mode=mode))
    except InvalidSchema:
        # Wrong on purpose in ways that contradict each other: schemathesis notices when it has no such value.
        reject()
    check(case)


def check(case: Any) -> None:
    # Werkzeug itself answers a path with a line's end in it, before any function is asked.
    assume("\n" not in unquote("".join(map(str, (case.path_parameters or {}).values()))))
    with use(services()) as everything:
        if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
            make_real(case, jobs(everything))
        case.call_and_validate(checks=CHECKS, headers=SHOP)


def make_real(case: Any, jobs: list[str]) -> None:
    """A right request names things that exist; those that are made up would only ever be 404."""
    if case.path_parameters and case.path_parameters.get("job_id"):
        case.path_parameters["job_id"] = jobs[int(case.path_parameters["job_id"], 16) % len(jobs)]
    if case.path_parameters and "date" in case.path_parameters:
        name = jobs[len(case.path_parameters["name"]) % len(jobs)]
        case.path_parameters |= {"date": LETTER_DAY, "name": name}
    elif case.path_parameters and len(case.path_parameters.get("name", "")) % 2:
        case.path_parameters |= {"job_id": jobs[SUCCEEDED], "name": "transcript.json"}
    if isinstance(case.body, Mapping):
        real = {"source": SOURCE, "webhook_url": "https://hooks.example.com/done"}
        case.body = {**case.body, **{name: value for name, value in real.items() if case.body.get(name)}}
        if operations := case.body.get("operations"):
            # A schema cannot say that each may be there once only, whatever its parameters, nor what excludes what.
            by_name = {each if isinstance(each, str) else each["name"]: each for each in operations}
            if "transcribe" in by_name:
                by_name.pop("translate", None)
            if isinstance(shots := by_name.get("shots"), dict) and shots.get("model") == "transnetv2":
                by_name["shots"] = {name: each for name, each in shots.items() if name != "threshold"}
            if isinstance(thumbnails := by_name.get("thumbnails"), dict):
                given = [name for name in ("per", "count", "seconds") if thumbnails.get(name) is not None]
                by_name["thumbnails"] = {name: each for name, each in thumbnails.items() if name not in given[1:]}
            case.body["operations"] = list(by_name.values())
