from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import uuid4

import pytest

from shared.errors import PermanentError, Unavailable
from shared.slots import Slot, Slots
from tests.fakes.services import FakeServices, fake_services


@pytest.fixture
def slots(services: FakeServices) -> Slots:
    """Two of them."""
    return services.slots


def taken(services: FakeServices) -> list[str]:
    return services.objects.names("state", "slots/gpu/")


def take(slots: Slots, job_id: str | None = None) -> Slot:
    """For a job of its own, unless told otherwise."""
    slot = slots.take(job_id or uuid4().hex)
    assert slot is not None
    return slot


def test_there_are_as_many_slots_as_executions_allowed(services: FakeServices, slots: Slots) -> None:
    first, second = take(slots), take(slots)
    assert {first.number, second.number} == {0, 1}
    assert first.token != second.token
    assert slots.take(uuid4().hex) is None
    assert first.environment == {"GPU_SLOT": "0", "GPU_SLOT_TOKEN": first.token}


def test_of_ten_at_once_two_get_one(services: FakeServices, slots: Slots) -> None:
    start = threading.Barrier(10)

    def ring(_: int) -> Slot | None:
        start.wait(10)
        return slots.take(uuid4().hex)

    with ThreadPoolExecutor(10) as pool:
        answers = [slot for slot in pool.map(ring, range(10)) if slot]
    assert sorted(slot.number for slot in answers) == [0, 1]


def test_a_released_slot_is_free(services: FakeServices, slots: Slots) -> None:
    slot = take(slots)
    slots.release(slot)
    assert taken(services) == []
    services.clock.advance(1)
    assert take(slots).number == slot.number


def test_a_slot_is_released_by_its_holder_only(services: FakeServices, slots: Slots) -> None:
    stale = take(slots)
    services.clock.advance(services.settings.slot_start_seconds)
    holder = take(slots)
    assert holder.number == stale.number
    slots.release(stale)
    assert slots.held(holder.number, holder.token) == holder
    assert slots.held(stale.number, stale.token) is None


@pytest.mark.parametrize("is_renewed", [False, True])
def test_a_slot_not_renewed_in_time_may_be_taken_over(services: FakeServices, is_renewed: bool) -> None:
    """One whose execution has not begun lasts longer: image pull and start."""
    settings = fake_services(max_gpu_executions=1).settings
    slots = Slots(services.objects, settings)
    slot: Slot | None = take(slots)
    assert slot is not None
    lasts = settings.slot_start_seconds
    if is_renewed:
        services.clock.advance(1)
        slot = slots.renew(slot, has_taken_up=True)
        assert slot is not None
        lasts = settings.slot_seconds
    services.clock.advance(lasts - 0.1)
    assert slots.take(uuid4().hex) is None
    services.clock.advance(0.1)
    assert take(slots).token != slot.token
    assert slots.renew(slot, has_taken_up=True) is None


def test_renewing_keeps_a_slot(services: FakeServices, slots: Slots) -> None:
    slot: Slot | None = take(slots)
    for _ in range(100):
        services.clock.advance(services.settings.slot_seconds - 1)
        assert slot is not None
        slot = slots.renew(slot, has_taken_up=True)
    assert slot is not None
    assert slots.held(slot.number, slot.token) == slot


def test_a_slot_taken_with_a_lost_answer_is_ours_and_costs_no_second_one(services: FakeServices, slots: Slots) -> None:
    services.objects.lose_next_answer("slots/")
    slot = take(slots)
    assert taken(services) == [f"slots/gpu/{slot.number}"] == ["slots/gpu/0"]
    assert slots.held(0, slot.token) == slot


def test_a_renewal_with_a_lost_answer_does_not_lose_the_slot(services: FakeServices, slots: Slots) -> None:
    slot: Slot | None = take(slots)
    for lost in (True, False, True, False):
        services.clock.advance(4)
        if lost:
            services.objects.lose_next_answer("slots/")
        assert slot is not None
        slot = slots.renew(slot, has_taken_up=True)
    assert slot is not None
    assert slots.held(slot.number, slot.token) == slot


def test_a_renewal_that_fails_leaves_the_slot_for_the_next_beat(services: FakeServices, slots: Slots) -> None:
    slot = take(slots)
    services.clock.advance(4)
    services.faults.fail_next("objects.write slots/", Unavailable("storage is down"))
    assert slots.renew(slot, has_taken_up=True) == slot
    renewed = slots.renew(slot, has_taken_up=True)
    assert renewed is not None
    assert renewed.generation != slot.generation


def test_a_slot_that_was_swept_is_lost(services: FakeServices, slots: Slots) -> None:
    slot = take(slots)
    services.clock.advance(services.settings.slot_start_seconds)
    assert slots.sweep() == 1
    assert slots.renew(slot, has_taken_up=True) is None


class TestAnExecutionThatComesUpLate:
    """Its slot was given away, or swept, while it waited for a GPU."""

    @pytest.fixture
    def late(self, services: FakeServices, slots: Slots) -> Slot:
        slot = slots.take("a")
        assert slot is not None
        services.clock.advance(services.settings.slot_start_seconds)
        return slot

    def test_on_time_it_has_its_slot(self, slots: Slots) -> None:
        slot = take(slots)
        assert slots.claim(slot.number, slot.token) == slot

    def test_it_takes_its_slot_from_one_that_has_not_come_up_which_then_leaves(
        self, services: FakeServices, slots: Slots, late: Slot
    ) -> None:
        """Or, where all come up late, none would ever work."""
        following = slots.take("a")
        assert following is not None
        assert following.number == late.number
        services.clock.advance(services.settings.slot_start_seconds - 10)
        claimed = slots.claim(late.number, late.token)
        assert claimed is not None
        assert slots.held(late.number, late.token) == claimed
        services.clock.advance(10)
        assert slots.claim(following.number, following.token) is None
        assert slots.renew(following, has_taken_up=False) is None

    def test_it_takes_a_slot_that_was_swept(self, slots: Slots, late: Slot) -> None:
        assert slots.sweep() == 1
        claimed = slots.claim(late.number, late.token)
        assert claimed is not None
        assert slots.held(late.number, late.token) == claimed

    def test_it_leaves_a_slot_in_which_another_works(self, services: FakeServices, slots: Slots, late: Slot) -> None:
        following = slots.take("a")
        assert following is not None
        services.clock.advance(1)
        working = slots.claim(following.number, following.token)
        assert working is not None
        assert slots.renew(working, has_taken_up=True) is not None
        services.clock.advance(1)
        assert slots.claim(late.number, late.token) is None

    def test_its_own_claim_whose_answer_was_lost_is_its_own(
        self, services: FakeServices, slots: Slots, late: Slot
    ) -> None:
        services.objects.lose_next_answer("slots/")
        claimed = slots.claim(late.number, late.token)
        assert claimed is not None
        assert slots.held(late.number, late.token) == claimed


def test_only_expired_slots_are_swept(services: FakeServices, slots: Slots) -> None:
    take(slots)
    services.clock.advance(services.settings.slot_start_seconds - 1)
    fresh = take(slots)
    assert slots.sweep() == 0
    services.clock.advance(1)
    assert slots.sweep() == 1
    assert taken(services) == [f"slots/gpu/{fresh.number}"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"token": 1}', bytes([255])])
def test_what_no_execution_wrote_is_swept_when_it_is_old(content: bytes, services: FakeServices, slots: Slots) -> None:
    services.objects.write("state", "slots/gpu/0", content, if_generation=0)
    assert slots.held(0, "a-token") is None
    assert take(slots).number == 1
    assert slots.sweep() == 0
    services.clock.advance(services.settings.slot_seconds)
    assert slots.sweep() == 1


def test_the_number_taken_is_cached_for_a_second(
    services: FakeServices, slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.recent.time", SimpleNamespace(monotonic=lambda: 0.0))
    take(slots)
    assert slots.taken() == 1
    take(slots)
    listings = services.faults.calls.count("objects.list slots/gpu/")
    assert slots.taken() == 1
    assert services.faults.calls.count("objects.list slots/gpu/") == listings
    assert Slots(services.objects, services.settings).taken() == 2


@pytest.mark.parametrize("error", [Unavailable("down"), PermanentError("forbidden")])
def test_a_slot_that_cannot_be_taken_is_told(services: FakeServices, slots: Slots, error: Exception) -> None:
    services.faults.fail_next("objects.write slots/", error)
    with pytest.raises(type(error)):
        slots.take(uuid4().hex)


def test_a_slot_tells_whether_its_execution_has_begun(services: FakeServices, slots: Slots) -> None:
    slot = take(slots, "a")
    services.clock.advance(1)
    written = {"token": slot.token, "started": False, "job_id": "a"}
    assert json.loads(services.objects.data("state", "slots/gpu/0")) == written
    slots.renew(slot, has_taken_up=False)
    assert json.loads(services.objects.data("state", "slots/gpu/0")) == {**written, "started": True}


class TestOfOneJob:
    def test_a_job_with_a_slot_gets_no_second_one_while_its_execution_starts_and_looks_for_work(
        self, services: FakeServices, slots: Slots
    ) -> None:
        slot: Slot | None = take(slots, "a")
        assert slot is not None
        assert slots.take("a") is None
        for _ in range(3):
            services.clock.advance(services.settings.slot_seconds - 1)
            slot = slots.renew(slot, has_taken_up=False)
            assert slot is not None
            assert slots.take("a") is None
        assert take(slots, "b").number == 1

    def test_it_gets_another_one_when_the_execution_is_busy_with_another_job(
        self, services: FakeServices, slots: Slots
    ) -> None:
        first = take(slots, "a")
        services.clock.advance(2)
        slots.renew(first, has_taken_up=True)
        assert take(slots, "a").number == 1

    def test_it_gets_another_one_when_the_execution_never_came(self, services: FakeServices, slots: Slots) -> None:
        take(slots, "a")
        services.clock.advance(services.settings.slot_start_seconds)
        assert take(slots, "a").number == 0

    def test_of_ten_rings_at_once_one_gets_a_slot(self, services: FakeServices, slots: Slots) -> None:
        start = threading.Barrier(10)

        def ring(_: int) -> Slot | None:
            start.wait(10)
            return slots.take("a")

        with ThreadPoolExecutor(10) as pool:
            assert len([slot for slot in pool.map(ring, range(10)) if slot]) == 1
        assert taken(services) == ["slots/gpu/0"]

    def test_a_slot_written_by_an_older_revision_names_no_job(self, services: FakeServices, slots: Slots) -> None:
        services.objects.write("state", "slots/gpu/0", b'{"token": "t", "started": true}', if_generation=0)
        assert take(slots, "a").number == 1
        assert slots.held(0, "t") is not None
