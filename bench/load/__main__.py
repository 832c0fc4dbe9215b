"""python -m bench.load [uploads] [gke] [small] [soak]: all when none is named; exit 1 for a broken promise."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, fields

from bench.load.drawing import draw
from bench.load.parts import PARTS, Size
from bench.report import OUT, Figure, machine, publish


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[], metavar="PART", help=", ".join(PARTS))
    for each in fields(Size):
        parser.add_argument(f"--{each.name}", type=type(each.default), default=each.default, metavar="N")
    asked = vars(parser.parse_args())
    parts = asked.pop("parts") or list(PARTS)
    size = Size(**asked)
    OUT.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    for part in parts:
        outcome = PARTS[part](size)
        figures += outcome.figures
        draw(OUT / f"load-{part}.png", f"{part} ({machine()})", outcome.moments, outcome.marks)
        moments = [asdict(moment) for moment in outcome.moments]
        (OUT / f"load-{part}.json").write_text(json.dumps(moments) + "\n")
        print(f"drawn: {OUT / f'load-{part}.png'}", flush=True)
    return 0 if publish("load", "Load on one local cloud for each part", figures) else 1


if __name__ == "__main__":
    sys.exit(main())
