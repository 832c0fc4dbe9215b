"""What the code relies on of Cloud Run Jobs, by the fake and by the real clients on the local stand-in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from local.jobs import CloudRunJobs
from shared.errors import Misconfigured, Unavailable
from shared.executions import CloudRunExecutions, Executions, NotStarted
from tests.contract.conftest import JOB, PROJECT, REGION
from tests.fakes.executions import FakeExecutions
from tests.fakes.faults import Faults
from tests.waiting import eventually


@dataclass
class Platform:
    executions: Executions
    #: The container's own file: it ends when this is there.
    until: Path
    end: Callable[[str], None]
    #: The next start is answered with RESOURCE_EXHAUSTED; or with UNAVAILABLE, and may have worked.
    refuse_next: Callable[[], None]
    lose_next: Callable[[], None]
    running: Callable[[], int]

    def start(self) -> str:
        return self.executions.start(JOB, REGION, {"UNTIL": str(self.until)})


@pytest.fixture(params=["fake", "emulator"])
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Platform:
    until = tmp_path / "end"
    if request.param == "fake":
        faults = Faults()
        fake = FakeExecutions(faults, frozenset({(JOB, REGION)}))
        return Platform(
            fake,
            until,
            end=lambda execution: fake.ended.add(execution),
            refuse_next=lambda: faults.fail_next("executions.start", NotStarted("no room")),
            lose_next=lambda: faults.fail_next("executions.start", Unavailable("503"), happens=True),
            running=lambda: len(fake.started) - len(fake.ended),
        )
    cloud_run: CloudRunJobs = request.getfixturevalue("cloud_run")
    return Platform(
        CloudRunExecutions(PROJECT, emulator=cloud_run.address),
        until,
        end=lambda execution: until.touch(),
        refuse_next=lambda: cloud_run.fail_next(grpc.StatusCode.RESOURCE_EXHAUSTED, started=False),
        lose_next=lambda: cloud_run.fail_next(grpc.StatusCode.UNAVAILABLE, started=True),
        running=lambda: len(cloud_run.running()),
    )


def test_an_execution_runs_until_it_has_ended(platform: Platform) -> None:
    name = platform.start()
    assert platform.executions.has_ended(name) is False
    platform.end(name)
    eventually(lambda: platform.executions.has_ended(name))


def test_each_start_is_another_execution(platform: Platform) -> None:
    first, second = platform.start(), platform.start()
    assert first != second
    platform.end(first)
    platform.end(second)
    eventually(lambda: platform.running() == 0)


def test_an_execution_that_nobody_knows_has_ended(platform: Platform) -> None:
    name = platform.start()
    platform.end(name)
    assert platform.executions.has_ended(f"{name.rpartition('-')[0]}-other") is True
    eventually(lambda: platform.running() == 0)


def test_a_start_that_was_refused_started_nothing(platform: Platform) -> None:
    platform.refuse_next()
    with pytest.raises(NotStarted):
        platform.start()
    assert platform.running() == 0


def test_a_start_whose_answer_was_lost_may_have_started_one(platform: Platform) -> None:
    platform.lose_next()
    with pytest.raises(Unavailable) as caught:
        platform.start()
    assert not isinstance(caught.value, NotStarted)
    assert platform.running() == 1
    platform.until.touch()


@pytest.mark.parametrize(("job", "region"), [("no-such-job", REGION), (JOB, "europe-west9")])
def test_a_job_that_is_not_there_is_told_as_ours_to_mend(platform: Platform, job: str, region: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        platform.executions.start(job, region, {})
    assert caught.value.reason_code == "misconfigured"
