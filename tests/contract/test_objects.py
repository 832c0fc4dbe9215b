"""What the code relies on of storage, by the fake and by GcsObjects on fake-gcs-server.

Preconditions on anything but uploads are not relied on (the server ignores them), nor is the rate limit (it has none).
"""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import SourceMissing
from shared.gcs import GcsObjects
from shared.objects import Objects
from tests.contract.conftest import BUCKET, PROJECT
from tests.fakes.objects import FakeObjects


@pytest.fixture(params=["fake", "emulator"])
def objects(request: pytest.FixtureRequest) -> Objects:
    if request.param == "fake":
        return FakeObjects(limits_rate=False)
    return GcsObjects(PROJECT, emulator=request.getfixturevalue("storage_url"))


@pytest.fixture
def folder() -> str:
    """A prefix of this test's own; with signs that a URL would want escaped."""
    return f"{uuid.uuid4().hex}/a+b c#ü"


class TestWrite:
    def test_a_write_answers_a_generation_that_grows(self, objects: Objects, folder: str) -> None:
        first = objects.write(BUCKET, folder, b"one")
        second = objects.write(BUCKET, folder, b"two")
        assert first is not None
        assert second is not None
        assert second > first > 0
        stored = objects.read(BUCKET, folder)
        assert stored is not None
        assert (stored.data, stored.generation) == (b"two", second)

    def test_only_if_absent(self, objects: Objects, folder: str) -> None:
        assert objects.write(BUCKET, folder, b"one", if_generation=0) is not None
        assert objects.write(BUCKET, folder, b"two", if_generation=0) is None
        stored = objects.read(BUCKET, folder)
        assert stored is not None
        assert stored.data == b"one"

    def test_only_over_the_generation_that_was_seen(self, objects: Objects, folder: str) -> None:
        first = objects.write(BUCKET, folder, b"one")
        second = objects.write(BUCKET, folder, b"two", if_generation=first)
        assert second is not None
        assert objects.write(BUCKET, folder, b"three", if_generation=first) is None
        objects.delete(BUCKET, folder)
        assert objects.write(BUCKET, folder, b"four", if_generation=second) is None
        assert objects.read(BUCKET, folder) is None

    def test_an_absent_object_may_be_written_again_after_its_deletion(self, objects: Objects, folder: str) -> None:
        objects.write(BUCKET, folder, b"one", if_generation=0)
        objects.delete(BUCKET, folder)
        assert objects.write(BUCKET, folder, b"two", if_generation=0) is not None

    @pytest.mark.parametrize("is_there", [False, True])
    def test_of_many_at_once_one_wins(self, objects: Objects, folder: str, is_there: bool) -> None:
        seen = objects.write(BUCKET, folder, b"seen") if is_there else 0
        number = 8
        start = threading.Barrier(number)

        def one(writer: int) -> int | None:
            start.wait(10)
            return objects.write(BUCKET, folder, b"%d" % writer, if_generation=seen)

        with ThreadPoolExecutor(number) as pool:
            answers = list(pool.map(one, range(number)))
        (winner,) = [writer for writer, answer in enumerate(answers) if answer is not None]
        stored = objects.read(BUCKET, folder)
        assert stored is not None
        assert (stored.data, stored.generation) == (b"%d" % winner, answers[winner])

    def test_an_object_may_be_empty(self, objects: Objects, folder: str) -> None:
        assert objects.write(BUCKET, folder, b"", if_generation=0) is not None
        assert objects.write(BUCKET, folder, b"", if_generation=0) is None
        stored = objects.read(BUCKET, folder)
        assert stored is not None
        assert stored.data == b""


class TestRead:
    def test_nothing_is_none(self, objects: Objects, folder: str) -> None:
        assert objects.read(BUCKET, folder) is None
        assert objects.head(BUCKET, folder, length=9) is None
        assert objects.info(BUCKET, folder) is None

    def test_ages_are_told_by_storages_own_clock(self, objects: Objects, folder: str) -> None:
        objects.write(BUCKET, folder, b"one")
        stored = objects.read(BUCKET, folder)
        assert stored is not None
        assert timedelta(seconds=-1.1) < stored.now - stored.updated < timedelta(seconds=60)
        assert stored.age_seconds == (stored.now - stored.updated).total_seconds()

    def test_the_head_of_an_object_comes_with_what_the_whole_is(self, objects: Objects, folder: str) -> None:
        generation = objects.write(BUCKET, folder, b"0123456789", content_type="video/mp4")
        for length, data in ((4, b"0123"), (10, b"0123456789"), (99, b"0123456789")):
            head = objects.head(BUCKET, folder, length=length)
            assert head is not None
            assert (head.data, head.size, head.generation, head.content_type) == (data, 10, generation, "video/mp4")

    def test_the_head_of_an_empty_object_is_empty(self, objects: Objects, folder: str) -> None:
        generation = objects.write(BUCKET, folder, b"", content_type="video/mp4")
        head = objects.head(BUCKET, folder, length=9)
        assert head is not None
        assert (head.data, head.size, head.generation) == (b"", 0, generation)

    def test_any_part_of_an_object_can_be_read(self, objects: Objects, folder: str) -> None:
        generation = objects.write(BUCKET, folder, b"0123456789")
        for start, length, data in ((0, 1, b"0"), (3, 4, b"3456"), (8, 99, b"89"), (10, 5, b""), (99, 1, b"")):
            assert objects.read_range(BUCKET, folder, start, length, generation=generation) == data

    def test_metadata_is_kept(self, objects: Objects, folder: str) -> None:
        generation = objects.write(BUCKET, folder, b"one", content_type="audio/wav", metadata={"id": "7", "x": "ü"})
        info = objects.info(BUCKET, folder)
        assert info is not None
        assert (info.bucket, info.name, info.generation, info.size) == (BUCKET, folder, generation, 3)
        assert (info.content_type, dict(info.metadata)) == ("audio/wav", {"id": "7", "x": "ü"})

    def test_another_generation_than_the_pinned_one_is_gone(
        self, objects: Objects, folder: str, tmp_path: Path
    ) -> None:
        old = objects.write(BUCKET, folder, b"one")
        assert old is not None
        objects.write(BUCKET, folder, b"two")
        assert objects.head(BUCKET, folder, length=9, generation=old) is None
        with pytest.raises(SourceMissing):
            objects.read_range(BUCKET, folder, 0, 1, generation=old)
        with pytest.raises(SourceMissing):
            objects.download(BUCKET, folder, tmp_path / "file", generation=old)


class TestFiles:
    def test_a_file_comes_back_as_it_went(self, objects: Objects, folder: str, tmp_path: Path) -> None:
        source, copy = tmp_path / "source", tmp_path / "copy"
        source.write_bytes(bytes(range(256)) * 4096)
        objects.upload(BUCKET, folder, source, content_type="image/jpeg")
        seen: list[int] = []
        assert objects.download(BUCKET, folder, copy, on_bytes=seen.append) == 2**20
        assert copy.read_bytes() == source.read_bytes()
        assert seen == sorted(seen)
        assert seen[-1] == 2**20
        info = objects.info(BUCKET, folder)
        assert info is not None
        assert (info.size, info.content_type) == (2**20, "image/jpeg")

    def test_an_upload_takes_the_place_of_what_was_there(self, objects: Objects, folder: str, tmp_path: Path) -> None:
        source = tmp_path / "source"
        for data in (b"one", b"another"):
            source.write_bytes(data)
            objects.upload(BUCKET, folder, source, content_type="text/plain")
        stored = objects.read(BUCKET, folder)
        assert stored is not None
        assert stored.data == b"another"

    def test_a_download_of_nothing_is_told(self, objects: Objects, folder: str, tmp_path: Path) -> None:
        with pytest.raises(SourceMissing):
            objects.download(BUCKET, folder, tmp_path / "file")

    def test_what_the_listener_raises_ends_a_download_and_comes_through(
        self, objects: Objects, folder: str, tmp_path: Path
    ) -> None:
        def stop(received: int) -> None:
            raise KeyError(received)

        objects.write(BUCKET, folder, b"one")
        with pytest.raises(KeyError):
            objects.download(BUCKET, folder, tmp_path / "file", on_bytes=stop)


class TestNames:
    def test_names_come_in_order_from_a_start_and_up_to_a_limit(self, objects: Objects, folder: str) -> None:
        names = [f"{folder}/{number:02}" for number in range(12)]
        for name in reversed(names):
            objects.write(BUCKET, name, b"")
        objects.write(BUCKET, f"{folder}-other", b"")
        prefix = f"{folder}/"
        assert list(objects.list(BUCKET, prefix=prefix)) == names
        assert list(objects.list(BUCKET, prefix=prefix, start=names[3])) == names[3:]
        assert list(objects.list(BUCKET, prefix=prefix, start=names[3], limit=2)) == names[3:5]
        assert list(objects.list(BUCKET, prefix=prefix, limit=99)) == names
        assert list(objects.list(BUCKET, prefix=f"{folder}/none")) == []

    def test_what_is_deleted_is_gone_and_may_be_deleted_again(self, objects: Objects, folder: str) -> None:
        objects.write(BUCKET, folder, b"one")
        objects.delete(BUCKET, folder)
        objects.delete(BUCKET, folder)
        assert objects.read(BUCKET, folder) is None
        assert list(objects.list(BUCKET, prefix=folder)) == []


def test_urls_for_browsers_name_the_object(objects: Objects, folder: str) -> None:
    objects.write(BUCKET, folder, b"one")
    assert objects.download_url(BUCKET, folder, expires_seconds=60).startswith("http")
    session = objects.upload_session(BUCKET, f"{folder}-up", content_type="video/mp4", metadata={"id": "7"})
    assert session.startswith("http")
