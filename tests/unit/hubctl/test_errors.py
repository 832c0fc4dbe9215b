from __future__ import annotations

import pytest

from tests.hubctl_run import hubctl
from tests.hubctl_server import KEY, Hub, faulty, serving


def test_problem_is_a_sentence_with_its_fields(hub: Hub) -> None:
    hub.problems += [faulty("source", "bucket not allowed")]
    result = hubctl(hub, "submit", "gs://other/a.mp4", "-o", "probe")
    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        "hubctl: the request has 1 fault: source (400 invalid_request)",
        "  source: bucket not allowed",
    ]
    assert result.stdout == ""


def test_wrong_key_is_one_sentence(hub: Hub) -> None:
    result = hubctl(hub, "list", key="wrong")
    assert (result.exit_code, result.stderr) == (
        3,
        "hubctl: X-API-Key is missing or not known (401 unauthorized)\n",
    )


@pytest.mark.parametrize("key", [None, "", "  "])
def test_missing_key_is_one_sentence(hub: Hub, key: str | None) -> None:
    result = hubctl(hub, "list", key=key)
    assert (result.exit_code, result.stderr) == (2, "hubctl: there is no API key: set HUB_API_KEY or give --key\n")


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines"])
def test_key_that_no_header_can_carry_is_bad_usage(hub: Hub, key: str) -> None:
    result = hubctl(hub, "list", "--key", key)
    assert result.exit_code == 2
    assert key not in result.output


@pytest.mark.parametrize("url", ["", "hub.example.com", "ftp://hub", "http://", "http://[::1"])
def test_address_of_no_hub_is_bad_usage(hub: Hub, url: str) -> None:
    assert hubctl(Hub(url=url), "list").exit_code == 2


def test_hub_that_is_down_is_one_sentence() -> None:
    with serving() as gone:
        pass
    result = hubctl(gone, "list")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"hubctl: the hub at {gone.url}")
    assert result.stderr.count("\n") == 1


def test_another_server_is_not_taken_for_a_hub(hub: Hub) -> None:
    result = hubctl(hub, "list", "--url", f"{hub.url}/storage/transcript.txt?")
    assert (result.exit_code, "another version, or no hub" in result.stderr) == (3, True)


def test_url_and_key_may_stand_before_or_after_the_command(hub: Hub) -> None:
    nowhere = Hub(url="http://127.0.0.1:1")
    assert hubctl(nowhere, "--url", hub.url, "--key", KEY, "list", key=None).exit_code == 0
    assert hubctl(nowhere, "list", "--url", hub.url, "--key", KEY, key=None).exit_code == 0
