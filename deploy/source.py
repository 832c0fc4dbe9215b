"""What is deployed: the version it is called by, and a digest of what functions are built from."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: What .gcloudignore lets through; a test compares.
_UPLOADED: Final = ("main.py", "requirements.txt", "functions", "shared")
_LEFT_OUT: Final = ("shared/media", "__pycache__")


def source_digest(root: Path) -> str:
    sum_ = hashlib.sha256()
    for file in uploaded(root):
        sum_.update(f"{file}\0".encode())
        sum_.update(hashlib.sha256((root / file).read_bytes()).digest())
    return sum_.hexdigest()[:12]


def uploaded(root: Path) -> Iterator[Path]:
    """The files that a build from source is given, relative to the root."""
    for top in _UPLOADED:
        found = [root / top] if (root / top).is_file() else sorted((root / top).rglob("*"))
        for file in found:
            relative = file.relative_to(root)
            name = relative.as_posix()
            if file.is_file() and file.suffix != ".pyc" and not any(each in name for each in _LEFT_OUT):
                yield relative


def current_version(root: Path) -> str:
    """The commit, as Cloud Build calls it; with a digest where there are changes that no commit holds."""
    commit = _git(root, "rev-parse", "--short=7", "HEAD")
    if commit is None:
        return f"dev-{source_digest(root)}"
    if _git(root, "status", "--porcelain", "--", *_UPLOADED):
        return f"{commit}-{source_digest(root)[:6]}"
    return commit


def web_address(root: Path) -> str:
    """Where the repository's files can be read: its remote's, or a relative path where it has none."""
    remote = _git(root, "remote", "get-url", "origin") or ""
    found = re.fullmatch(r"(?:https://(?:[^@/]+@)?|git@|ssh://git@)([^:/]+)[:/](.+?)(?:\.git)?/?", remote)
    return f"https://{found[1]}/{found[2]}/blob/main" if found else "."


def _git(root: Path, *arguments: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    done = subprocess.run([program, *arguments], cwd=root, capture_output=True, text=True, check=False)  # noqa: S603 a list and no shell
    return done.stdout.strip() if done.returncode == 0 else None
