from __future__ import annotations

import pytest

from shared.alert_ledger import CLAIM_SECONDS, AlertLedger, Claim, Taken
from tests.fakes.memory_objects import MemoryObjects


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def ledger(objects: MemoryObjects) -> AlertLedger:
    return AlertLedger(objects, "state")


def test_live_claim_is_held_and_each_alert_has_its_own(ledger: AlertLedger) -> None:
    assert isinstance(ledger.claim("a"), Claim)
    assert ledger.claim("a") is Taken.HELD
    assert isinstance(ledger.claim("b"), Claim)


@pytest.mark.parametrize(("age", "is_taken_over"), [(0, False), (CLAIM_SECONDS, False), (CLAIM_SECONDS + 1, True)])
def test_claim_is_taken_over_when_it_is_stale(
    ledger: AlertLedger, objects: MemoryObjects, age: float, is_taken_over: bool
) -> None:
    ledger.claim("a")
    objects.advance(age)
    assert isinstance(ledger.claim("a"), Claim) is is_taken_over


def test_of_two_that_find_a_stale_claim_one_takes_it(ledger: AlertLedger, objects: MemoryObjects) -> None:
    ledger.claim("a")
    objects.advance(CLAIM_SECONDS + 1)
    writes: list[str] = []
    quicker: list[Claim | Taken] = []

    def be_overtaken(name: str) -> None:
        writes.append(name)
        if len(writes) == 2:  # the first asks whether there is no claim, the second takes the stale one
            objects.before_write = lambda name: None
            quicker.append(ledger.claim("a"))
            objects.advance(2)

    objects.before_write = be_overtaken
    assert ledger.claim("a") is Taken.HELD
    assert isinstance(quicker[0], Claim)


def test_release_after_a_takeover_leaves_the_new_claim_alone(ledger: AlertLedger, objects: MemoryObjects) -> None:
    stale = ledger.claim("a")
    assert isinstance(stale, Claim)
    objects.advance(CLAIM_SECONDS + 1)
    assert isinstance(ledger.claim("a"), Claim)
    objects.advance(2)
    ledger.release(stale)
    objects.advance(2)
    assert ledger.claim("a") is Taken.HELD


def test_slow_sender_whose_claim_was_taken_over_still_marks_the_alert_sent(
    ledger: AlertLedger, objects: MemoryObjects
) -> None:
    ledger.claim("a")
    objects.advance(CLAIM_SECONDS + 1)
    ledger.mark_sent("a")
    assert ledger.claim("a") is Taken.SENT


def test_claim_whose_answer_was_lost_is_ours(ledger: AlertLedger, objects: MemoryObjects) -> None:
    objects.loses_next_answer = True
    claim = ledger.claim("a")
    assert isinstance(claim, Claim)
    objects.advance(1)
    ledger.release(claim)
    assert isinstance(ledger.claim("a"), Taken)
    objects.advance(1)
    assert isinstance(ledger.claim("a"), Claim)
