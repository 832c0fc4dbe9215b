"""python -m tests.chaos [--seeds N] [--seed N]…"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter

from tests.chaos import promises, seeds
from tests.chaos.hub import chaos_hub


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seed", type=int, action="append", default=[])
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--from", type=int, default=0, dest="first")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    bad = 0
    with chaos_hub() as hub:
        hub.points = Counter()
        print(hub.cloud.logs, flush=True)
        for seed in chosen.seed or range(chosen.first, chosen.first + chosen.seeds):
            report = seeds.run(hub, seed)
            print(report.seed, report.seconds, report.states, len(report.planned), report.struck, flush=True)
            for each in report.broken:
                print("   BROKEN", each, flush=True)
            bad += bool(report.broken)
            hub.points.update(hub.plan.points)
        for point, n in hub.points.most_common(): print(n, point)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
