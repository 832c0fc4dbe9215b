from __future__ import annotations

import io

import pytest
from rich.console import Console

from hubctl import show
from hubctl.client import HubClient
from hubctl.errors import HubUnavailable
from shared.api import JobView
from shared.job import Job
from tests.hubctl_jobs import ARTIFACTS, a_job, failed, running, succeeded
from tests.hubctl_run import Clock, hubctl
from tests.hubctl_server import Hub


def test_watch_shows_each_change_once_and_ends_with_the_result(hub: Hub) -> None:
    job = a_job()
    hub.looks += [job, job, running(job), running(job, percent=60), running(job, "upload", 95)]
    hub.looks += [succeeded(job, ARTIFACTS)]
    result = hubctl(hub, "watch", job.job_id)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "queued",
        "running · transcribe · 42 % · 1 min 5 s left",
        "running · upload · 95 % · 1 min 5 s left",
        "succeeded · 100 %",
    ]
    assert "Yes no up down left right" in result.stdout


def test_watch_survives_passing_faults(hub: Hub) -> None:
    hub.looks += [503, "cut", running(a_job()), 500, 429, succeeded(a_job())]
    result = hubctl(hub, "watch", a_job().job_id)
    assert result.exit_code == 0
    assert "asking again" in result.stderr


def test_hub_that_stays_silent_is_given_up_after_five_minutes(hub: Hub, client: HubClient, clock: Clock) -> None:
    hub.looks += [503] * 500
    with pytest.raises(HubUnavailable, match="a service is down"):
        client.wait_for(a_job().job_id)
    assert 300 <= clock.now < 310


def test_looks_become_less_frequent_until_the_state_changes(hub: Hub, client: HubClient, clock: Clock) -> None:
    hub.looks += [*[a_job()] * 9, *[running(a_job())] * 2, succeeded(a_job())]
    client.wait_for(a_job().job_id)
    waiting, working = clock.slept[:9], clock.slept[9:]
    assert (waiting[0], max(waiting), waiting) == (1, 3, sorted(waiting))
    assert working == [1, 1.25]


@pytest.mark.parametrize(
    ("job", "code"),
    [
        (succeeded(a_job()), 0),
        (failed(a_job()), 1),
        (a_job().cancelled(a_job().created_at), 1),
        (a_job().dead_lettered(a_job().exhausted(), a_job().created_at), 1),
    ],
)
def test_exit_code_says_how_the_job_ended(hub: Hub, job: Job, code: int) -> None:
    hub.looks += [job]
    assert hubctl(hub, "watch", a_job().job_id).exit_code == code
    hub.looks += [job]
    result = hubctl(hub, "watch", a_job().job_id, "--json")
    assert (result.exit_code, JobView.model_validate_json(result.stdout).job_id) == (code, a_job().job_id)


def test_failure_is_told_with_its_reason(hub: Hub) -> None:
    hub.add(failed(a_job()))
    result = hubctl(hub, "watch", a_job().job_id)
    assert "moov atom not found (processing_failed)" in result.stdout


def test_unknown_job_is_one_sentence(hub: Hub) -> None:
    for command in ("watch", "get"):
        result = hubctl(hub, command, "0" * 32)
        assert result.exit_code == 3
        assert result.stderr.strip() == f"hubctl: the hub has no job {'0' * 32}, or it is another key's"


def test_something_that_is_no_job_id_is_bad_usage(hub: Hub) -> None:
    for command in ("watch", "get", "cancel", "redrive"):
        assert hubctl(hub, command, "../healthz").exit_code == 2
    assert hub.requests == []


def test_terminal_shows_a_bar_with_stage_percent_and_time_left(hub: Hub, client: HubClient) -> None:
    screen = io.StringIO()
    hub.looks += [running(a_job()), succeeded(a_job())]
    job = show.follow(client, a_job().job_id, Console(file=screen, force_terminal=True, width=120))
    assert job.state == "succeeded"
    for shown in ("running · transcribe", "42%", "1 min 5 s left"):
        assert shown in screen.getvalue()


def test_interrupt_says_that_the_job_goes_on(hub: Hub) -> None:
    class Impatient(Clock):
        def sleep(self, seconds: float, /) -> None:
            raise KeyboardInterrupt

    hub.add(running(a_job()))
    result = hubctl(hub, "watch", a_job().job_id, clock=Impatient())
    assert result.exit_code == 130
    assert f"hubctl watch {a_job().job_id}" in result.stderr
