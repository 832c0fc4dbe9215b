"""What the rows of the media benchmark are measured with: candidates in turn, commands, ratios."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.assets import Assets
from shared.errors import PermanentError
from shared.media.process import MediaProcessor


class LeftOut(PermanentError):
    """A row cannot be measured here; the message says why."""

    code = "left_out"


@dataclass(frozen=True, slots=True)
class Setting:
    """What every row is measured on."""

    assets: Assets
    film: Path
    #: Of the film.
    seconds: float
    rounds: int
    #: How large the large object is, in bytes.
    large_bytes: int
    #: How long the long recording is, in seconds.
    long_seconds: int
    #: To write to; gone afterwards.
    folder: Path

    def engine(self, device: str = "cpu") -> MediaProcessor:
        """As a worker has it, without a GPU unless told."""
        return MediaProcessor(model=self.assets.model, weights=self.assets.weights, device=device, many_jobs=True)


def in_turn(rounds: int, candidates: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """What each candidate answers in each round; each once a round, so that a busy machine is busy for all."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            taken[name].append(candidate())
    return taken


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """The work as a candidate: its seconds on the wall clock."""

    def measure() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return measure


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Round by round."""
    return [one / other for one, other in zip(over, under, strict=True)]


def call(command: str, **places: object) -> str:
    """Run one command as a shell would split it and answer what it printed, errors included.

    `{name}` in a word stands for that place, `{out}` for a folder that is gone afterwards. Raises LeftOut when there is
    no such program, subprocess.CalledProcessError when it fails.
    """
    program, *words = shlex.split(command)
    found = shutil.which(program)
    if found is None:
        raise LeftOut(f"{program} is not installed")
    with tempfile.TemporaryDirectory() as out:
        filled = [word.format(out=out, **places) for word in words]
        done = subprocess.run(
            [found, *filled],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    return done.stdout
