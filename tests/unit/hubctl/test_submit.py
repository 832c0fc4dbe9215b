from __future__ import annotations

from pathlib import Path

import pytest

from shared.api import Accepted, Problem
from tests.hubctl_jobs import ARTIFACTS, a_job, running, succeeded
from tests.hubctl_run import Clock, hubctl
from tests.hubctl_server import Hub, unavailable


def test_address_is_submitted_as_asked(hub: Hub) -> None:
    result = hubctl(
        hub, "submit", "gs://media/a.mp4", "-o", "probe,transcribe", "-o", '{"name": "thumbnails", "count": 3}',
        "--webhook", "https://example.com/hook", "--id", "mine", "--label", "team=media", "--label", "q=a=b",
        "--destination", "gke", "--idempotency-key", "once", "--no-watch", "--json",
    )  # fmt: skip
    assert result.exit_code == 0
    (sent,) = hub.of("POST", "/v1/jobs")
    assert sent.json == {
        "source": "gs://media/a.mp4",
        "operations": ["probe", "transcribe", {"name": "thumbnails", "count": 3, "width": 640}],
        "webhook_url": "https://example.com/hook",
        "id": "mine",
        "labels": {"team": "media", "q": "a=b"},
        "priority": "normal",
    }
    assert (sent.headers["x-destination"], sent.headers["idempotency-key"]) == ("gke", "once")
    assert Accepted.model_validate_json(result.stdout).id == "mine"


def test_submitted_job_is_followed_to_its_result(hub: Hub) -> None:
    hub.looks += [a_job(), running(a_job()), succeeded(a_job(), ARTIFACTS)]
    result = hubctl(hub, "submit", "https://example.com/a.mp4", "-o", "transcribe")
    assert result.exit_code == 0
    assert "running · transcribe · 42 % · 1 min 5 s left" in result.stderr
    assert "running" not in result.stdout
    for shown in ("succeeded", "Yes no up down", "thumbnails/0001.jpg", "text/plain", "4.1 s"):
        assert shown in result.stdout


def test_lost_answer_of_a_submit_is_asked_for_again_under_the_same_key(hub: Hub) -> None:
    hub.problems += [unavailable(), unavailable()]
    assert hubctl(hub, "submit", "gs://media/a.mp4", "-o", "probe", "--no-watch").exit_code == 0
    keys = {sent.headers["idempotency-key"] for sent in hub.of("POST", "/v1/jobs")}
    assert len(hub.of("POST", "/v1/jobs")) == 3
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("gs://media/a.mp4",), "needs operations"),
        (("gs://media/a.mp4", "-o", "paint"), "  operations.0: "),
        (("gs://media/a.mp4", "-o", '{"name": "thumbnails", "count": 0}'), "  operations.0.count: "),
        (("gs://media/a.mp4", "-o", "{name"), "is not JSON"),
        (("gs://media/a.mp4", "-o", "[" * 100_000), "is not JSON"),
        (("gs://media/a.mp4", "-o", "probe", "--label", "team"), "key=value"),
        (("gs://media/a.mp4", "-o", "probe", "--label", f"probe={'x' * 201}"), "  labels.probe: "),
        (("gs://media/a.mp4", "-o", "probe", "--webhook", "example.com"), "webhook_url"),
        (("gs://media/a.mp4", "-o", "probe", "--destination", "mars"), "mars"),
        (("gs://media/a.mp4", "-o", "probe", "--idempotency-key", "ключ"), "ASCII"),
        (("ftp://media/a.mp4", "-o", "probe"), "source"),
        (("no-such-file.mp4",), "neither a file nor"),
        (("/dev/null",), "neither a file nor"),
        ((".",), "neither a file nor"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_2(hub: Hub, args: tuple[str, ...], sentence: str) -> None:
    result = hubctl(hub, "submit", *args)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stdout == ""
    assert hub.requests == []


def test_options_that_uploads_do_not_have_are_refused(hub: Hub, film: Path) -> None:
    assert hubctl(hub, "submit", film, "--destination", "gke").exit_code == 2
    assert hubctl(hub, "submit", film, "--idempotency-key", "once").exit_code == 2
    assert hub.requests == []


def test_empty_file_is_not_uploaded(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    result = hubctl(hub, "submit", tmp_path / "empty.mp4")
    assert (result.exit_code, "is empty" in result.stderr) == (2, True)


def full(code: str = "allowance_used") -> Problem:
    return Problem(title="Too Many Requests", status=429, detail="shop has 2 unfinished jobs", code=code)


@pytest.mark.parametrize("code", ["allowance_used", "backlog_full"])
def test_hub_without_room_is_told_at_once_with_its_reason(hub: Hub, code: str) -> None:
    hub.problems += [full(code)]
    clock = Clock()
    result = hubctl(hub, "submit", "gs://media/a.mp4", "-o", "probe", clock=clock)
    assert (result.exit_code, clock.slept) == (3, [])
    assert f"takes no more for now: shop has 2 unfinished jobs (429 {code})" in result.stderr


@pytest.mark.parametrize("source", ["gs://media/a.mp4", "film"])
def test_who_asks_for_it_waits_for_room_as_long_as_the_hub_says(hub: Hub, tmp_path: Path, source: str) -> None:
    hub.problems += [full()] * 5
    hub.looks += [succeeded(a_job())]
    if source == "film":
        (tmp_path / "film.mp4").write_bytes(b"film")
        source = str(tmp_path / "film.mp4")
    clock = Clock()
    result = hubctl(hub, "submit", source, "-o", "probe", "--wait-for-room", clock=clock)
    assert result.exit_code == 0
    assert clock.slept[:5] == [7.0] * 5
    assert result.stderr.count("asking again in 7.0 s") == 5


def test_job_of_high_priority_is_asked_for_as_such(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"film")
    for source in ("gs://media/a.mp4", tmp_path / "film.mp4"):
        assert hubctl(hub, "submit", source, "-o", "probe", "--priority", "high", "--no-watch").exit_code == 0
    assert [sent.json["priority"] for sent in hub.of("POST", "/v1/(jobs|uploads)")] == ["high", "high"]
    assert hubctl(hub, "submit", "gs://media/a.mp4", "-o", "probe", "--priority", "urgent").exit_code == 2
