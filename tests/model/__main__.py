"""python -m tests.model [--only TEXT] | --play SCENARIO < SCHEDULE

Look at all schedules of all scenarios, deep ones included, and of small ones apart, too: without what makes the looking
quick; or play one, a move a line, as a failure printed it.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.model.explore import Explorer, Failed
from tests.model.scenario import APART, APART_LONG, DEEP, SMALL

SCENARIOS = {**SMALL, **DEEP}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--only", default="", help="scenarios with this text in their name")
    parser.add_argument("--play", choices=SCENARIOS, metavar="SCENARIO", help="play the schedule on standard input")
    asked = parser.parse_args()
    return _play(asked.play) if asked.play else _explore(asked.only)


def _explore(only: str) -> int:
    broken = 0
    for name in (name for name in SCENARIOS if only in name):
        begun = time.monotonic()
        try:
            explored = Explorer.of(SCENARIOS[name]).explore()
            told = str(explored)
            if name in APART | APART_LONG:
                is_same = Explorer.of(SCENARIOS[name], apart=True).explore().ends == explored.ends
                broken += not is_same
                told += ", and apart the same" if is_same else " BROKEN: apart it has other ends"
        except Failed as failed:
            broken += 1
            told = f"BROKEN {failed}"
        print(f"{name}: {told}, in {time.monotonic() - begun:.0f} s", flush=True)
    return broken


def _play(name: str) -> int:
    schedule = [line.strip() for line in sys.stdin if line.strip()]
    try:
        for move, job in Explorer.of(SCENARIOS[name]).play(schedule):
            record = job and f"{job.state}, submission {job.submission}, attempt {job.attempt}, owner {job.owner}"
            print(f"{move}\n    {record}")
    except Failed as failed:
        print(f"BROKEN {failed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
