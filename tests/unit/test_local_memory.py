from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local.memory import remove_leftovers, storage_folder


def test_objects_are_kept_in_memory_while_a_cloud_lives(tmp_path: Path) -> None:
    with storage_folder(tmp_path / "disk", memory=tmp_path) as folder:
        assert folder.parent == tmp_path
        assert f"-{os.getpid()}-" in folder.name
        (folder / "object").touch()
    assert not folder.exists()


def test_what_memory_has_no_room_for_goes_to_disk(tmp_path: Path) -> None:
    with storage_folder(tmp_path / "disk", upload_bytes=2**60, memory=tmp_path) as folder:
        assert folder == tmp_path / "disk"
    with storage_folder(tmp_path / "disk", memory=tmp_path / "no-such-place") as folder:
        assert folder == tmp_path / "disk"


def test_a_killed_cloud_s_memory_is_given_back_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive = tmp_path / f"nca-fanout-{ended.pid}-x", tmp_path / f"nca-fanout-{os.getpid()}-x"
    for folder in (dead, alive):
        folder.mkdir()
    remove_leftovers(tmp_path)
    assert (dead.exists(), alive.exists()) == (False, True)
