"""python -m tests.chaos [table [WORD…]] [--seeds N] [--first N] [--seed N]…

The table of scenarios (those whose name holds a WORD, or whose fault has that number), then seeds. Without any of it,
what `make chaos` runs: the whole table and 200 seeds. Exit 1 when a promise was broken, a
fault of the table was never struck, or 100 seeds and more never came to a point where they put faults in.
"""

from __future__ import annotations

import argparse
import logging
import sys

from tests.chaos import report, seeds, table
from tests.chaos.starting import chaos_hub

SEEDS = 200


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.partition("\n\n")[2])
    parser.add_argument("table", nargs="*")
    parser.add_argument("--seed", type=int, action="append", help="this seed alone, or with others given likewise")
    parser.add_argument("--seeds", type=int, help="so many seeds")
    parser.add_argument("--first", type=int, default=0, help="from this one on")
    asked = parser.parse_args(words)
    logging.basicConfig(level=logging.CRITICAL)
    is_all = not words
    count = SEEDS if is_all else asked.seeds or 0
    # Each once: a seed's receivers are its own, and would hear of its jobs twice.
    numbers = tuple(dict.fromkeys(asked.seed or range(asked.first, asked.first + count)))
    scenarios = table.chosen(asked.table[1:]) if asked.table or is_all else []
    played: list[table.Played] = []
    ran: list[seeds.Seeded] = []
    late: list[str] = []
    points: set[str] = set()
    for gke in (False, True):
        mine = [number for number in numbers if seeds.has_gke(number) is gke]
        todo = [each for each in scenarios if each.has_gke is gke]
        if not (mine or todo):
            continue
        with chaos_hub(enable_gke_route=gke) as hub:
            print(f"logs: {hub.cloud.logs}", flush=True)
            played += [report.shown(table.play(hub, each)) for each in todo]
            for number in mine:
                ran.append(report.shown(seeds.run(hub, number)))
                points |= set(hub.plan.points)
            late += report.late(hub)
    unmet = [f"no call ever came to {at}" for at in seeds.unmet(points, count=len(ran))]
    return report.write(played, ran, late + unmet)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
