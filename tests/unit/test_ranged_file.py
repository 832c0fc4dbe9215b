"""A file read by ranges: the right bytes, few requests, and not much more than was asked for."""

from __future__ import annotations

import random

import pytest

from shared.ranged_file import BLOCK_BYTES, Blocks, RangedFile

SIZE = 40 * 2**20 + 12_345
DATA = random.Random(0).randbytes(SIZE)


class Storage:
    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.blocks = Blocks(SIZE, self.fetch)

    def fetch(self, start: int, length: int) -> bytes:
        assert 0 <= start < start + length <= SIZE
        self.asked.append((start, length))
        return DATA[start : start + length]

    @property
    def fetched(self) -> int:
        return sum(length for _, length in self.asked)


@pytest.fixture
def storage() -> Storage:
    return Storage()


def test_any_way_of_reading_gives_the_bytes_that_are_there(storage: Storage) -> None:
    dice = random.Random(1)
    file = RangedFile(storage.blocks)
    for _ in range(300):
        start, length = dice.randrange(SIZE + 1000), dice.choice([1, 100, BLOCK_BYTES, 300_000])
        file.seek(start)
        assert file.read(length) == DATA[start : start + length]
        assert file.tell() == min(start + length, max(SIZE, start))


def test_places_are_told_as_files_tell_them(storage: Storage) -> None:
    file = RangedFile(storage.blocks)
    assert file.seek(0, 2) == SIZE
    assert file.read(1) == b""
    assert file.seek(-5, 2) == SIZE - 5
    assert file.read() == DATA[-5:]
    file.seek(10)
    assert file.seek(7, 1) == 17
    assert file.read(3) == DATA[17:20]


def test_going_on_takes_few_requests(storage: Storage) -> None:
    file = RangedFile(storage.blocks)
    read = [file.read(BLOCK_BYTES) for _ in range(SIZE // BLOCK_BYTES + 1)]
    assert b"".join(read) == DATA
    assert storage.fetched == SIZE
    assert len(storage.asked) < 15


def test_two_that_read_side_by_side_do_not_spoil_each_others_pace(storage: Storage) -> None:
    one, other = RangedFile(storage.blocks), RangedFile(storage.blocks)
    other.seek(20 * 2**20)
    for _ in range(100):
        one.read(BLOCK_BYTES)
        other.read(BLOCK_BYTES)
    assert len(storage.asked) < 20


def test_a_jump_costs_little(storage: Storage) -> None:
    file = RangedFile(storage.blocks)
    for start in range(0, SIZE, 2**21):
        file.seek(start)
        file.read(100)
    assert storage.fetched <= 2 * BLOCK_BYTES * len(storage.asked)


def test_what_was_read_lately_is_not_fetched_again_by_anybody(storage: Storage) -> None:
    RangedFile(storage.blocks).read(2**20)
    before = storage.fetched
    again = RangedFile(storage.blocks)
    assert again.read(2**20) == DATA[: 2**20]
    assert storage.fetched == before


def test_an_object_that_is_shorter_than_it_was_said_to_be_ends_early() -> None:
    file = RangedFile(
        Blocks(10 * BLOCK_BYTES, lambda start, length: DATA[start : start + length][: max(100 - start, 0)])
    )
    assert file.read() == DATA[:100]
