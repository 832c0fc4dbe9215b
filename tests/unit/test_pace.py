"""How long work is likely to take: by what it does with the recording, and by what was measured."""

from __future__ import annotations

import time

import pytest

from shared.errors import TooLong
from shared.operations import Loudness, Operation, Probe, Shots, Thumbnails, Transcribe, Waveform
from shared.time_limit import Need, OutOfTime, Pace, TimeLimit


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
    assert Pace(0.2).needs(100.0, operations).likely == pytest.approx(seconds)
    assert Pace(0.2).needs(None, operations) == Need(0.0, 0.0)


def test_quick_work_teaches_nothing_about_slow_work() -> None:
    pace = Pace(0.2)
    pace.learn(100.0, 1.0, (Loudness(), Probe()))
    assert pace.needs(1000.0, (Loudness(),)).likely == pytest.approx(12.5)
    assert pace.needs(1000.0, (Transcribe(),)).likely == pytest.approx(200.0)


def test_a_short_recording_teaches_nothing() -> None:
    pace = Pace(0.2)
    pace.learn(5.0, 5.0, (Transcribe(),))
    assert pace.needs(1000.0, (Transcribe(),)).likely == pytest.approx(200.0)


def test_one_slow_clip_ends_no_longer_recording() -> None:
    """The first of a process, which loaded its model; an hour's recording is not too long for that."""
    pace = Pace(0.2)
    pace.learn(60.0, 90.0, (Transcribe(),))
    assert pace.needs(3600.0, (Transcribe(),)) == Need(6750.0, 1.8)
    now = time.monotonic()
    with pytest.raises(OutOfTime):
        TimeLimit.of(now - 100, now + 3400, 3600).check_need(pace.needs(3600.0, (Transcribe(),)))
    TimeLimit.of(now, now + 3600, 3600).check_need(pace.needs(3600.0, (Transcribe(),)))


@pytest.mark.parametrize(("hours", "is_admitted"), [(3, True), (24, True), (24 * 60, False)])
def test_a_cpu_execution_refuses_a_long_hearing_only_when_no_machine_could_end_it(
    hours: float, is_admitted: bool
) -> None:
    """Whose pace nobody has measured: a CPU execution does one job."""
    now = time.monotonic()
    limit = TimeLimit.of(now, now + 1500, 1500)
    need = Pace(0.15).needs(hours * 3600, (Loudness(), Waveform()))
    if is_admitted:
        limit.check_need(need)
    else:
        with pytest.raises(TooLong):
            limit.check_need(need)
