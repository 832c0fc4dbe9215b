"""The claim on an alert that nobody took: whoever tries again is not to wait for it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from shared.alert_ledger import AlertLedger, Claim, Taken
from shared.alerts import Alert
from shared.errors import Unavailable
from shared.relay import Targets, relay
from tests.fakes.memory_objects import MemoryObjects
from tests.fakes.receivers import Receivers, always

N8N = "https://n8n.example.com/hook"
SLACK = "https://hooks.slack.example.com/services/x"
BOTH = Targets(SecretStr(N8N), SecretStr(SLACK))
ONLY_SLACK = Targets(None, SecretStr(SLACK))


def alert(number: int = 1) -> Alert:
    return Alert(
        id=f"hub:{number}", source="hub", title="It broke", state="open", severity="critical", summary="", labels={}
    )


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def ledger(objects: MemoryObjects) -> AlertLedger:
    return AlertLedger(objects, "state")


def test_what_both_refused_may_be_claimed_again_at_once(ledger: AlertLedger, objects: MemoryObjects) -> None:
    refusing = Receivers(always={N8N: always(500), SLACK: always(500)})
    with pytest.raises(Unavailable):
        relay([alert()], sender=refusing, ledger=ledger, targets=BOTH, wait=objects.advance)
    assert isinstance(ledger.claim("hub:1"), Taken)
    objects.advance(1)
    assert isinstance(ledger.claim("hub:1"), Claim)


def test_what_was_refused_within_a_second_may_be_claimed_again_at_once(
    ledger: AlertLedger, objects: MemoryObjects
) -> None:
    """Storage refuses a second write within a second, the release among them."""
    refusing = Receivers(always={SLACK: always(400)})
    with pytest.raises(Unavailable):
        relay([alert()], sender=refusing, ledger=ledger, targets=ONLY_SLACK, wait=objects.advance)
    objects.advance(1)
    assert isinstance(ledger.claim("hub:1"), Claim)


def test_while_all_targets_are_down_nothing_is_claimed(ledger: AlertLedger, objects: MemoryObjects) -> None:
    refusing = Receivers(always={N8N: always(500), SLACK: always(500)})
    with pytest.raises(Unavailable, match="2 of 2"):
        relay([alert(1), alert(2)], sender=refusing, ledger=ledger, targets=BOTH, wait=objects.advance)
    assert isinstance(ledger.claim("hub:2"), Claim)
