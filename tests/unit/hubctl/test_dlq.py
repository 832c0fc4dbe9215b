"""`hubctl dlq` on the real `ingest` behind a real socket, with fakes behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from shared.job import State
from shared.letters import KeptLetter
from tests.fakes.services import fake_services
from tests.functions.serving import change, record, submitted
from tests.unit.hubctl.desk import Desk, sitting


@pytest.fixture
def desk() -> Iterator[Desk]:
    with sitting(fake_services()) as desk:
        yield desk


def lost(desk: Desk, key: str) -> str:
    everything = desk.everything
    job = submitted(everything, key)
    change(everything, job.job_id, "leased", "dead_lettered")
    now = everything.now()
    letter = KeptLetter(job_id=job.job_id, submission=1, code="disk_full", reason="no room", kept_at=now)
    everything.letters.keep(f"{now.date()}/{job.job_id}", letter)
    everything.clock.advance(60)
    return f"{now.date()}/{job.job_id}"


def states(desk: Desk, *letters: str) -> list[State]:
    return [record(desk.everything, letter.partition("/")[2]).state for letter in letters]


def test_list_has_a_row_for_each_letter_that_waits(desk: Desk) -> None:
    letters = [lost(desk, "a"), lost(desk, "b")]
    rows = [row.split("\t") for row in desk.hubctl("dlq", "list").stdout.splitlines()]
    assert sorted(row[0] for row in rows) == sorted(letters)
    assert rows[0][1:] == ["waiting", rows[0][2], "disk_full", "mp4", "no room"]
    assert desk.hubctl("dlq", "list", "--code", "unavailable").stdout == ""
    assert len(json.loads(desk.hubctl("dlq", "list", "--json").stdout)["letters"]) == 2


def test_show_tells_the_attempts_and_where_the_log_is(desk: Desk) -> None:
    told = desk.hubctl("dlq", "show", lost(desk, "a")).stdout
    assert "no room" in told
    assert "the decoder said no (processing_failed)" in told
    assert "https://console.cloud.google.com/logs/query" in told


def test_redrive_takes_letters_by_name(desk: Desk) -> None:
    one, other = lost(desk, "a"), lost(desk, "b")
    assert "is queued" in desk.hubctl("dlq", "redrive", one).stdout
    assert states(desk, one, other) == [State.QUEUED, State.DEAD_LETTERED]


def test_of_several_by_name_one_that_cannot_be_keeps_no_other_from_it(desk: Desk) -> None:
    one, other = lost(desk, "a"), lost(desk, "b")
    result = desk.hubctl("dlq", "redrive", one, "2025-11-23/gone", other, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [each["state"] for each in told["redriven"]] == ["queued", "queued"]
    assert list(told["left"]) == ["2025-11-23/gone"]
    assert "2025-11-23/gone left:" in result.stderr
    assert states(desk, one, other) == [State.QUEUED, State.QUEUED]


def test_redrive_all_goes_on_until_nothing_matches(desk: Desk) -> None:
    letters = [lost(desk, str(number)) for number in range(5)]
    assert "5 would be redriven" in desk.hubctl("dlq", "redrive", "--all", "--dry-run").stdout
    told = desk.hubctl("dlq", "redrive", "--all", "--code", "disk_full", "--limit", "2")
    assert (told.exit_code, told.stdout.splitlines()[2:]) == (
        0,
        ["2 redriven, 0 left, 5 looked at", "there may be more: give the command again"],
    )
    assert "3 redriven, 0 left" in desk.hubctl("dlq", "redrive", "--all", "--since", "2025-11-23T00:00:00Z").stdout
    assert set(states(desk, *letters)) == {State.QUEUED}
    assert "0 redriven, 0 left" in desk.hubctl("dlq", "redrive", "--all", "--since", "9999d").stdout


def test_discard_wants_a_reason_and_keeps_it(desk: Desk) -> None:
    letter = lost(desk, "a")
    assert desk.hubctl("dlq", "discard", letter).exit_code == 2
    assert "by operator: sent anew" in desk.hubctl("dlq", "discard", letter, "--reason", "sent anew").stdout
    assert desk.hubctl("dlq", "list").stdout == ""
    assert [row.split("\t")[1] for row in desk.hubctl("dlq", "list", "--all").stdout.splitlines()] == ["discarded"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("redrive",), 2),
        (("redrive", "2025-11-23/x", "--all"), 2),
        (("redrive", "2025-11-23/x", "--code", "x"), 2),
        (("redrive", "2025-11-23/x", "--state", "failed"), 2),
        (("redrive", "2025-11-23/x", "--limit", "1"), 2),
        (("redrive", "2025-11-23/nothing"), 1),
        (("show", "\udcff"), 2),
        (("list", "--code", "\udcff"), 2),
        (("list", "--since", "yesterday"), 2),
        (("redrive", "--all", "--code", "a b"), 2),
        (("show", "2025-11-23/nothing"), 3),
        (("show", "a-job's-id"), 2),
        (("redrive", "2025-11-23/nothing", "a-job's-id"), 2),
        (("discard", "a-job's-id", "--reason", "x"), 2),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(desk: Desk, arguments: tuple[str, ...], status: int) -> None:
    result = desk.hubctl("dlq", *arguments)
    assert result.exit_code == status
    assert result.stderr.strip()
