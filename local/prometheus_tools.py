"""Prometheus and Alertmanager, for the rules' tests and the local cloud: python -m local.prometheus_tools

They are Debian's own packages, fetched by apt-get (which checks their signatures) and unpacked into `.cache/`, without
root and without installing anything: apt-get gets a state folder of its own. What is on the PATH already is taken.

Debian's Alertmanager reads its templates from /usr/share, where nothing is installed: in the copy that is kept, that
path is overwritten by one of the same length, below the folder it is started in.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.assets import CACHE
from local.processes import MissingTool

_PACKAGES: Final = ("prometheus", "prometheus-alertmanager")
#: What Debian calls it, what others do.
_PROGRAMS: Final = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
}
_FILES: Final = "usr/share/prometheus/alertmanager"
_MOVED: Final = "./" * 8 + "alertmanager-files"


@dataclass(frozen=True, slots=True)
class PrometheusTools:
    """Where the programs are."""

    prometheus: Path
    promtool: Path
    #: To be started in its own folder.
    alertmanager: Path


def ensure_prometheus(cache: Path = CACHE) -> PrometheusTools:
    """Fetch the programs if they are not there; instant when they are. Raises MissingTool."""
    folder = cache / "prometheus"
    found = _in(folder) or _installed()
    if found is not None:
        return found
    print("fetching Prometheus and Alertmanager from Debian's archive (40 MB to download) …", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="prometheus-") as name:
        unfinished = Path(name)
        _fetch(unfinished / "apt")
        programs = unfinished / "programs"
        programs.mkdir()
        unpacked = unfinished / "apt" / "unpacked"
        for program, (packed, *_) in _PROGRAMS.items():
            (unpacked / "usr" / "bin" / packed).rename(programs / program)
        (unpacked / _FILES).rename(programs / _MOVED)
        binary = programs / "alertmanager"
        binary.write_bytes(binary.read_bytes().replace(f"/{_FILES}".encode(), _MOVED.encode()))
        if _in(folder) is None:
            # Whole or not at all; nobody else was quicker.
            shutil.rmtree(folder, ignore_errors=True)
            programs.rename(folder)
    tools = _in(folder)
    if tools is None:
        raise MissingTool(f"Prometheus was fetched, and is not in {folder}")
    return tools


def _in(folder: Path) -> PrometheusTools | None:
    paths = {program: folder / program for program in _PROGRAMS}
    return PrometheusTools(**paths) if all(path.is_file() for path in paths.values()) else None


def _installed() -> PrometheusTools | None:
    paths = {
        program: next((Path(path) for name in names if (path := shutil.which(name))), None)
        for program, names in _PROGRAMS.items()
    }
    found = {program: path for program, path in paths.items() if path is not None}
    return PrometheusTools(**found) if len(found) == len(_PROGRAMS) else None


def _fetch(folder: Path) -> None:
    """Download both packages and unpack them to `folder`/unpacked."""
    for name in ("lists/partial", "archives/partial", "debs"):
        (folder / name).mkdir(parents=True)
    apt = [
        "apt-get",
        "--quiet=2",
        f"--option=Dir::State={folder}",
        f"--option=Dir::State::lists={folder / 'lists'}",
        "--option=Dir::State::status=/var/lib/dpkg/status",
        f"--option=Dir::Cache={folder}",
        # Else root's apt-get would download as a user that may not write here.
        "--option=APT::Sandbox::User=",
    ]
    _run([*apt, "update"], cwd=folder)
    _run([*apt, "download", *_PACKAGES], cwd=folder / "debs")
    for deb in (folder / "debs").glob("*.deb"):
        _run(["dpkg-deb", "--extract", str(deb), str(folder / "unpacked")], cwd=folder)


def _run(command: Sequence[str], *, cwd: Path) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except FileNotFoundError as cause:
        raise _missing(f"this is no Debian, it has no {command[0]}") from cause
    except subprocess.CalledProcessError as cause:
        last = (cause.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise _missing(f"{command[0]} failed: {last}") from cause


def _missing(why: str) -> MissingTool:
    return MissingTool(f"Prometheus and Alertmanager could not be fetched ({why}); put both on the PATH")


if __name__ == "__main__":
    try:
        tools = ensure_prometheus()
    except MissingTool as error:
        sys.exit(f"local: {error.message}")
    print(f"prometheus   {tools.prometheus}\npromtool     {tools.promtool}\nalertmanager {tools.alertmanager}")
