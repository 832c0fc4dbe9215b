"""`python -m tests.n8n.install`: a real n8n below .cache/n8n, by npm, as package.json pins it (1.8 GB, 3–7 minutes)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_WANTED: Final = Path(__file__).with_name("package.json")
HOME: Final = _ROOT / ".cache" / "n8n"
PROGRAM: Final = HOME / "node_modules" / ".bin" / "n8n"
#: npm takes of each package what was there on this day: the same 1,918 each time, without a lock file of them.
_BEFORE: Final = "2026-11-23"
#: A copy of what was installed, written when that is complete.
_INSTALLED: Final = HOME / "installed.json"


def is_installed() -> bool:
    return PROGRAM.exists() and _INSTALLED.exists() and _INSTALLED.read_bytes() == _WANTED.read_bytes()


def install() -> None:
    """Do nothing if that has been done. Raises CalledProcessError when npm fails."""
    if is_installed():
        return
    HOME.mkdir(parents=True, exist_ok=True)
    shutil.copy(_WANTED, HOME / "package.json")
    silent = {"DO_NOT_TRACK": "1", "SCARF_ANALYTICS": "false", "NO_UPDATE_NOTIFIER": "1"}
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", f"--before={_BEFORE}"]
    subprocess.run(command, cwd=HOME, env={**os.environ, **silent}, check=True)
    shutil.copy(_WANTED, _INSTALLED)


if __name__ == "__main__":
    if shutil.which("npm") is None:
        sys.exit("npm is missing: install Node.js 20 or newer")
    install()
