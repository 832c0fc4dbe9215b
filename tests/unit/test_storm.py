"""Dead letters as alerts: the first at once, the others together, however many come and whatever dies."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from shared.errors import Unavailable
from shared.job import job_id_for
from shared.letters import KeptLetter
from shared.objects import StoredObject
from shared.storm import WINDOW, summarise, tell
from tests.fakes.faults import Crash
from tests.fakes.objects import FakeObjects
from tests.fakes.services import FakeServices, fake_services
from tests.unit.samples import NO_LUCK, job

SECONDS = WINDOW.total_seconds()


@pytest.fixture
def services() -> FakeServices:
    return fake_services()


def kept(services: FakeServices, number: int, code: str = "unavailable") -> tuple[str, KeptLetter]:
    """A letter of a job that is lost."""
    record = job(f"lost-{number}").dead_lettered(NO_LUCK, services.now())
    services.store.create(record)
    letter = KeptLetter(
        job_id=record.job_id, submission=1, code=code, reason="gave up after 5 attempts", kept_at=services.now()
    )
    letter_id = f"{services.now().date()}/{record.job_id}"
    services.letters.keep(letter_id, letter)
    return letter_id, letter


def come(services: FakeServices, *numbers: int, code: str = "unavailable") -> None:
    for number in numbers:
        tell(*kept(services, number, code), services)
        services.clock.advance(1)


def alerts(services: FakeServices) -> list[dict[str, Any]]:
    return [json.loads(message.data) for message in services.topics.on("alerts")]


def test_fifty_letters_are_one_alert_and_then_one_summary_with_counts_per_code(services: FakeServices) -> None:
    come(services, *range(40))
    come(services, *range(40, 50), code="out_of_memory")
    (first,) = alerts(services)
    assert (first["title"], first["labels"]["job_id"]) == ("A job is dead-lettered", job_id_for("lost-0"))
    for _ in range(20):
        services.clock.advance(60)
        summarise(services)
    (_, summary) = alerts(services)
    assert summary["title"] == "49 more dead letters"
    assert summary["labels"] == {"unavailable": "39", "out_of_memory": "10"}
    assert summary["summary"].endswith("unavailable 39, out_of_memory 10")


def test_of_the_very_first_two_letters_the_one_that_was_not_told_at_once_is_summed_up(
    services: FakeServices,
) -> None:
    first = kept(services, 1)
    services.clock.advance(1)
    second = kept(services, 2)
    tell(*second, services)
    tell(*first, services)
    for _ in range(20):
        services.clock.advance(60)
        summarise(services)
    assert [alert["title"] for alert in alerts(services)] == ["A job is dead-lettered", "1 more dead letter"]


def test_a_storm_that_goes_on_is_told_once_in_each_window(services: FakeServices) -> None:
    for number in range(61):
        come(services, number)
        services.clock.advance(59)
        summarise(services)
    titles = [alert["title"] for alert in alerts(services)]
    assert titles[0] == "A job is dead-lettered"
    # The last minute's letter may not have been there to be listed yet: it is told with the next.
    assert [title.split()[0] for title in titles[1:]] == ["13", "15", "15", "15"]
    assert len({alert["id"] for alert in alerts(services)}) == len(titles)


@pytest.mark.parametrize("pause", [5, 10, 20, 30, 90])
def test_a_storm_is_summed_up_while_it_lasts_however_its_letters_fall_between_the_sweeps(
    services: FakeServices, pause: int
) -> None:
    for second in range(5400):
        if second % pause == 0:
            tell(*kept(services, second), services)
        if second % 60 == 59:
            summarise(services)
        services.clock.advance(1)
    titles = [alert["title"] for alert in alerts(services)]
    assert titles.count("A job is dead-lettered") == 1
    assert 5 <= len(titles) <= 6
    told = 1 + sum(int(title.split()[0]) for title in titles[1:])
    assert told >= (5400 - 2 * SECONDS) / pause


def test_the_first_letter_is_told_though_the_answer_that_noted_it_was_lost(services: FakeServices) -> None:
    first = kept(services, 1)
    # The client tries again, and meets its own write.
    services.faults.fail_next("objects.write storms/", None, happens=True)
    tell(*first, services)
    assert [alert["labels"]["job_id"] for alert in alerts(services)] == [job_id_for("lost-1")]


def test_a_letter_in_a_lull_is_told_within_two_minutes(services: FakeServices) -> None:
    come(services, 1)
    services.clock.advance(1.5 * SECONDS)
    come(services, 2)
    services.clock.advance(60)
    assert summarise(services) == 1


def test_a_cause_that_follows_a_thousand_letters_of_another_is_told(services: FakeServices) -> None:
    for number in range(1100):
        kept(services, number)
    come(services, 1100)
    services.clock.advance(SECONDS)
    assert summarise(services) == 1100
    for number in range(1101, 1104):
        kept(services, number, code="decoder_crashed")
    services.clock.advance(SECONDS)
    assert summarise(services) == 3
    assert alerts(services)[-1]["labels"] == {"decoder_crashed": "3"}


def test_a_letter_that_is_being_kept_while_others_are_counted_is_told_with_the_next(services: FakeServices) -> None:
    come(services, 1, 2)
    services.clock.advance(SECONDS)
    on_its_way = services.now()
    assert summarise(services) == 1
    letter_id, letter = kept(services, 3)
    services.objects.put(
        "state",
        f"dead-letters/{letter_id}.json",
        letter.model_copy(update={"kept_at": on_its_way}).model_dump_json().encode(),
    )
    services.clock.advance(SECONDS)
    assert summarise(services) == 1


def test_one_letter_alone_is_one_alert_and_the_next_one_after_a_while_is_told_at_once(services: FakeServices) -> None:
    come(services, 1)
    for _ in range(40):
        services.clock.advance(60)
        assert summarise(services) == 0
    come(services, 2)
    assert [alert["labels"]["job_id"] for alert in alerts(services)] == [job_id_for("lost-1"), job_id_for("lost-2")]


def test_a_letter_that_comes_while_its_storm_ends_is_told_when_it_comes_again(services: FakeServices) -> None:
    """The sweep has listed the letters before this one was kept, and ends the storm after this one has looked at it."""
    come(services, 1)
    services.clock.advance(2 * SECONDS + 60)
    late = kept(services, 2)
    name_of_late = f"dead-letters/{late[0]}.json"
    letter = services.objects.data("state", name_of_late)
    services.objects.delete("state", name_of_late)

    class Meanwhile(FakeObjects):
        def read(self, bucket: str, name: str) -> StoredObject | None:
            return services.objects.read(bucket, name)

        def write(self, bucket: str, name: str, data: bytes, **more: Any) -> int | None:
            summarise(services)
            services.objects.put("state", name_of_late, letter)
            return services.objects.write(bucket, name, data, **more)

    with pytest.raises(Unavailable):
        tell(*late, replace(services, objects=Meanwhile()))
    assert len(alerts(services)) == 1
    services.clock.advance(1)
    tell(*late, services)
    assert [alert["labels"]["job_id"] for alert in alerts(services)] == [job_id_for("lost-1"), job_id_for("lost-2")]


def test_a_storm_does_not_end_before_every_letter_that_trusts_it_can_be_seen(services: FakeServices) -> None:
    """Letters are kept a little after the time they bear."""
    come(services, 1)
    services.clock.advance(2 * SECONDS - 2)
    bears = services.now()
    services.clock.advance(2)
    summarise(services)
    letter_id, letter = kept(services, 2)
    letter = letter.model_copy(update={"kept_at": bears})
    services.objects.put("state", f"dead-letters/{letter_id}.json", letter.model_dump_json().encode())
    tell(letter_id, letter, services)
    for _ in range(3):
        services.clock.advance(60)
        summarise(services)
    assert [alert["title"] for alert in alerts(services)] == ["A job is dead-lettered", "1 more dead letter"]


def test_when_the_storm_is_over_the_sweep_reads_one_object_only(services: FakeServices) -> None:
    come(services, 1)
    services.clock.advance(2 * SECONDS + 60)
    summarise(services)
    before = len(services.faults.calls)
    services.clock.advance(60)
    summarise(services)
    assert services.faults.calls[before:] == ["objects.read storms/dead-letters"]


def test_letters_whose_jobs_are_not_lost_any_more_are_not_counted(services: FakeServices) -> None:
    come(services, 1, 2, 3, 4)
    services.store.update(job_id_for("lost-2"), lambda seen: seen.job.redriven(services.now()))
    services.clock.advance(SECONDS)
    assert summarise(services) == 2


def test_letter_that_comes_again_is_told_again_under_the_same_name_if_it_was_the_first(services: FakeServices) -> None:
    first, second = kept(services, 1), kept(services, 2)
    for letter in (first, second, first, second):
        tell(*letter, services)
    assert len({alert["id"] for alert in alerts(services)}) == 1
    assert len(alerts(services)) == 2


def test_first_letter_whose_alert_could_not_go_out_is_told_when_it_comes_again(services: FakeServices) -> None:
    first = kept(services, 1)
    services.faults.fail_next("topics.publish", Unavailable("down"))
    with pytest.raises(Unavailable):
        tell(*first, services)
    come(services, 2)
    assert alerts(services) == []
    tell(*first, services)
    assert [alert["labels"]["job_id"] for alert in alerts(services)] == [job_id_for("lost-1")]


@pytest.mark.parametrize("happens", [False, True])
@pytest.mark.parametrize("call", ["topics.publish", "objects.write storms/"])
def test_a_summary_that_died_is_told_again_under_the_same_name(
    services: FakeServices, call: str, happens: bool
) -> None:
    come(services, 1, 2, 3)
    services.clock.advance(SECONDS)
    services.faults.fail_next(call, Crash(), happens=happens)
    with pytest.raises(Crash):
        summarise(services)
    services.faults.revive()
    services.clock.advance(60)
    summarise(services)
    names = [alert["id"] for alert in alerts(services)]
    assert len(set(names)) == 2
    assert alerts(services)[-1]["title"] == "2 more dead letters"


def test_a_summary_that_died_and_has_one_more_letter_when_it_is_told_again_is_another(services: FakeServices) -> None:
    """Who has passed the first on would take it for the same."""
    come(services, 1, 2)
    services.clock.advance(SECONDS - 30)
    kept(services, 3)
    services.clock.advance(30)
    services.faults.fail_next("objects.write storms/", Crash())
    with pytest.raises(Crash):
        summarise(services)
    services.faults.revive()
    services.clock.advance(60)
    summarise(services)
    _, first, second = alerts(services)
    assert (first["title"], second["title"]) == ("1 more dead letter", "2 more dead letters")
    assert first["id"] != second["id"]


def test_while_the_sweep_is_down_nothing_is_forgotten(services: FakeServices) -> None:
    come(services, 1, 2, 3)
    services.clock.advance(5 * SECONDS)
    come(services, 4, 5)
    services.clock.advance(SECONDS)
    assert summarise(services) == 3
    assert [alert["title"] for alert in alerts(services)] == ["A job is dead-lettered"] * 2 + ["3 more dead letters"]


def test_a_letter_that_names_no_job_counts_too(services: FakeServices) -> None:
    come(services, 1)
    letter = KeptLetter(code="unreadable", reason="no JSON", kept_at=services.now())
    services.letters.keep(f"{services.now().date()}/message-7", letter)
    tell(f"{services.now().date()}/message-7", letter, services)
    services.clock.advance(SECONDS)
    assert summarise(services) == 1
