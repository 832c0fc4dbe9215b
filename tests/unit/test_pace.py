"""How long work is likely to take: by what it does with the recording, and by what was measured."""

from __future__ import annotations

import pytest

from shared.operations import Loudness, Operation, Probe, Shots, Thumbnails, Transcribe
from shared.time_limit import Pace


@pytest.mark.parametrize(
    ("operations", "seconds"),
    [
        ((Probe(), Thumbnails()), 0.0),
        ((Transcribe(),), 20.0),
        ((Shots(),), 20.0),
        ((Probe(), Loudness(), Thumbnails()), 20.0),
    ],
)
def test_only_what_goes_through_the_whole_recording_costs_its_length(
    operations: tuple[Operation, ...], seconds: float
) -> None:
    assert Pace(0.2).needs(100.0, operations) == pytest.approx(seconds)
    assert Pace(0.2).needs(None, operations) == 0.0


def test_quick_work_teaches_nothing_about_slow_work() -> None:
    pace = Pace(0.2)
    pace.learn(100.0, 1.0, (Loudness(), Probe()))
    assert pace.needs(1000.0, (Loudness(),)) == pytest.approx(12.5)
    assert pace.needs(1000.0, (Transcribe(),)) == pytest.approx(200.0)


def test_a_short_recording_teaches_nothing() -> None:
    pace = Pace(0.2)
    pace.learn(5.0, 5.0, (Transcribe(),))
    assert pace.needs(1000.0, (Transcribe(),)) == pytest.approx(200.0)
