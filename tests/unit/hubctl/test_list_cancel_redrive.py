from __future__ import annotations

import io
import json

from rich.console import Console

from hubctl import show
from hubctl.client import HubClient
from shared.api import JobPage
from tests.hubctl_jobs import ARTIFACTS, a_job, failed, running, succeeded
from tests.hubctl_run import hubctl
from tests.hubctl_server import Hub


def test_list_goes_over_as_many_pages_as_it_takes(hub: Hub) -> None:
    hub.add(*(a_job(number) for number in range(7)))
    newest = [a_job(number).job_id for number in reversed(range(7))]
    for args, expected in ((("--limit", "3"), newest[:3]), (("--all",), newest), (("--limit", "50"), newest)):
        page = JobPage.model_validate_json(hubctl(hub, "list", *args, "--json").stdout)
        assert [job.job_id for job in page.jobs] == expected
        assert (page.next_page_token is None) == (len(expected) == 7)
    rows = hubctl(hub, "list", "--all").stdout.splitlines()
    assert [row.split("\t")[0] for row in rows] == newest


def test_list_takes_a_state(hub: Hub) -> None:
    hub.add(a_job(1), failed(a_job(2)), a_job(3))
    rows = hubctl(hub, "list", "--state", "failed").stdout.splitlines()
    assert [row.split("\t")[:2] for row in rows] == [[a_job(2).job_id, "failed"]]
    assert hubctl(hub, "list", "--state", "lost").exit_code == 2


def test_list_on_a_terminal_is_a_table(hub: Hub, client: HubClient) -> None:
    screen = io.StringIO()
    hub.add(running(a_job()))
    show.listing(client.list(), Console(file=screen, force_terminal=True, color_system=None, width=160))
    head, row = screen.getvalue().splitlines()
    assert head.split() == ["job", "state", "created", "queue", "source"]
    assert row.split()[:4] == [a_job().job_id, "running", "42", "%"]


def test_cancel_ends_a_job_and_a_second_time_is_refused_in_a_sentence(hub: Hub) -> None:
    hub.add(running(a_job()))
    result = hubctl(hub, "cancel", a_job().job_id, "--json")
    assert (result.exit_code, json.loads(result.stdout)["state"]) == (0, "cancelled")
    again = hubctl(hub, "cancel", a_job().job_id)
    assert again.exit_code == 3
    assert again.stderr.strip() == "hubctl: the job is cancelled and cannot be cancelled (409 conflict)"


def test_redriven_job_is_followed_when_asked(hub: Hub) -> None:
    hub.add(failed(a_job()))
    assert json.loads(hubctl(hub, "redrive", a_job().job_id, "--json").stdout)["state"] == "queued"
    hub.add(failed(a_job()))
    hub.looks += [a_job(submission=2), succeeded(a_job(submission=2), ARTIFACTS)]
    result = hubctl(hub, "redrive", a_job().job_id, "--watch")
    assert (result.exit_code, "Yes no up" in result.stdout) == (0, True)
