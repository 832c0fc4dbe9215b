"""The parts of a joined file, found by its packets: whatever their order about the joint, each part begins once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import pytest

from shared.media.clock import StreamClock
from shared.media.survey import Survey

PICTURES, SOUND = 0, 1
STEP = 0.04

#: Stream, and when it is decoded and presented.
Packet = tuple[int, float, float]


def _part(pictures: float, sound: float, starts: float = 0.0) -> list[Packet]:
    """Packets of both streams, as long as they last, by their times; pictures are shown after they are decoded."""
    packets = [(PICTURES, starts + at, starts + at + 2 * STEP) for at in _times(pictures)]
    packets += [(SOUND, starts + at, starts + at) for at in _times(sound)]
    return sorted(packets, key=lambda packet: packet[1])


def _times(seconds: float) -> Iterator[float]:
    return (index * STEP for index in range(round(seconds / STEP)))


def _survey(*parts: Sequence[Packet], jumps: bool = False) -> Survey:
    survey = Survey(jumps=jumps)
    for stream, decoded, shown in chain(*parts):
        survey.see(stream, decoded, shown, STEP)
    return survey


def _places(survey: Survey, stream: int) -> list[float]:
    """Where each stay of a stream begins, in seconds from the start of the file."""
    return [round(stay.first + stay.shift, 6) for stay in survey.stays()[stream]]


def test_a_file_of_one_clock_is_one_part() -> None:
    survey = _survey(_part(5, 5))
    assert survey.has_one_clock
    assert [len(stays) for stays in survey.stays().values()] == [1, 1]


@pytest.mark.parametrize("late", [1, 5, 20], ids="{} packets late".format)
@pytest.mark.parametrize("stream", [PICTURES, SOUND], ids=["pictures", "sound"])
def test_late_packets_of_the_part_before_belong_to_it(stream: int, late: int) -> None:
    before, after = _part(6, 6), _part(6, 6)
    held = [packet for packet in before if packet[0] == stream][-late:]
    mixed = [packet for packet in before if packet not in held]
    first = [packet for packet in after if packet[0] != stream][:late]
    rest = [packet for packet in after if packet not in first]
    survey = _survey(mixed, *zip(first, held, strict=True), rest)
    assert _places(survey, PICTURES) == pytest.approx([2 * STEP, 6 + 4 * STEP])
    assert _places(survey, SOUND) == pytest.approx([0.0, 6 + 2 * STEP])


@pytest.mark.parametrize(("pictures", "sound", "begins"), [(6, 4, 6 + 2 * STEP), (4, 6, 6.0), (0.48, 6, 6.0)])
def test_a_part_begins_behind_the_later_end(pictures: float, sound: float, begins: float) -> None:
    survey = _survey(_part(pictures, sound), _part(6, 6))
    assert _places(survey, SOUND) == pytest.approx([0.0, begins])
    assert survey.stays()[PICTURES][-1].shift == pytest.approx(begins)


@pytest.mark.parametrize("starts", [20.0, 3600.0])
def test_a_clock_that_jumps_ahead_began_anew_where_clocks_may_follow_each_other(starts: float) -> None:
    parts = _part(6, 4), _part(6, 6, starts)
    survey = _survey(*parts, jumps=True)
    assert _places(survey, PICTURES) == pytest.approx([2 * STEP, 6 + 4 * STEP])
    assert _places(survey, SOUND) == pytest.approx([0.0, 6 + 2 * STEP])
    assert _survey(*parts).has_one_clock


def test_a_stream_that_only_the_second_part_has_jumps_with_it() -> None:
    survey = _survey(_part(6, 0), _part(0, 6, 3600), _part(6, 0, 3606), jumps=True)
    assert _places(survey, PICTURES) == pytest.approx([2 * STEP, 12 + 4 * STEP])
    assert _places(survey, SOUND) == pytest.approx([6 + 2 * STEP])


@pytest.mark.parametrize("stream", [PICTURES, SOUND], ids=["pictures", "sound"])
def test_a_hole_in_one_stream_is_a_hole(stream: int) -> None:
    packets = [packet for packet in _part(90, 90) if packet[0] != stream or not 10 <= packet[1] < 70]
    assert _survey(packets, jumps=True).has_one_clock


def test_a_pause_of_a_few_seconds_is_a_pause() -> None:
    assert _survey(_part(6, 6), _part(6, 6, 15), jumps=True).has_one_clock


def test_each_of_many_parts_begins_once() -> None:
    survey = _survey(*[_part(6, 6)] * 4)
    assert _places(survey, SOUND) == pytest.approx([index * (6 + 2 * STEP) for index in range(4)])
    assert len(survey.stays()[PICTURES]) == 4


def test_a_part_without_pictures_moves_those_of_the_next() -> None:
    survey = _survey(_part(6, 6), _part(0, 30), _part(6, 6))
    assert _places(survey, PICTURES) == pytest.approx([2 * STEP, 36 + 4 * STEP])
    assert _places(survey, SOUND) == pytest.approx([0.0, 6 + 2 * STEP, 36 + 2 * STEP])


def test_a_stream_whose_own_clock_begins_anew_goes_on_where_it_was() -> None:
    reset = [(stream, *((time - 10 for time in times) if stream == SOUND and times[0] >= 10 else times))
             for stream, *times in _part(30, 30)]  # fmt: skip
    survey = _survey(reset)
    assert not survey.has_one_clock
    assert len(survey.stays()[PICTURES]) == 1
    assert _places(survey, SOUND) == pytest.approx([0.0, 10.0])


@pytest.mark.parametrize("wrong", [3.0, 5000.0])
def test_one_packet_with_a_time_of_its_own_moves_nothing_else(wrong: float) -> None:
    packets = _part(30, 30)
    at = next(index for index, packet in enumerate(packets) if packet[0] == SOUND and packet[1] >= 20)
    packets[at] = (SOUND, wrong, wrong)
    stays = _survey(packets, jumps=True).stays()
    assert [stay.shift for stay in (*stays[PICTURES], stays[SOUND][-1])] == pytest.approx([0.0, 0.0])


def test_frames_that_a_decoder_held_back_keep_to_their_part() -> None:
    survey = _survey(_part(6, 6), _part(6, 6))
    clock = StreamClock(0.0, survey.stays()[PICTURES])
    shown = [clock.moment(at + 2 * STEP) for at in (*_times(5.6), *_times(6))]  # the last ones were lost
    assert shown == sorted(shown)
    assert shown[140] == pytest.approx(6 + 4 * STEP)
    assert shown[-1] == pytest.approx(12 + 3 * STEP)
