"""What a chaos run shows: a line for each scenario and seed, and one table of faults put in and promises kept."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TypeVar

from local.functions import ROOT
from tests.chaos import promises
from tests.chaos.catalogue import FAULTS
from tests.chaos.hub import Hub
from tests.chaos.seeds import Seeded
from tests.chaos.table import Played
from tests.waiting import eventually

PATH = ROOT / "build" / "bench" / "chaos.json"

Result = TypeVar("Result", Played, Seeded)


def shown(result: Result) -> Result:
    """Print the line of what has just been played."""
    what = f"seed {result.seed}" if isinstance(result, Seeded) else result.name
    struck = len(result.struck) if isinstance(result, Seeded) else result.struck
    word = "BROKEN" if result.broken else "kept"
    print(f"{word:6} {result.seconds:6.1f} s {result.jobs:3} jobs {struck:3} faults  {what}", flush=True)
    for each in result.broken:
        print(f"       {each}", flush=True)
    if result.broken and isinstance(result, Seeded):
        print(f"       again: python -m tests.chaos --seed {result.seed}", *result.struck, sep="\n       ", flush=True)
    return result


def late(hub: Hub) -> list[str]:
    """Every promise once more, to every job there was: nothing that came late has undone anything."""
    hub.reset()
    hub.empty_gpu()
    found = promises.broken(hub, list(hub.asked.values()))
    try:
        eventually(lambda: not promises.slots_left(hub), within_s=30)
    except AssertionError:
        found.append("1: a slot is taken for ever")
    return found


def write(played: list[Played], ran: list[Seeded], late: list[str]) -> int:
    """Print the table, write build/bench/chaos.json; 1 when a promise was broken."""
    struck: Counter[str] = Counter(each for seed in ran for each in seed.struck)
    broken = [each for result in (*played, *ran) for each in result.broken] + late
    rows = [(number, title, [each for each in played if number in each.faults]) for number, title in FAULTS.items()]
    print(f"\n{'fault':70} scenarios  promises tried  kept")
    for number, title, of in rows:
        if of:
            tried = ",".join(map(str, sorted({promise for each in of for promise in each.promises})))
            kept = sum(not each.broken for each in of)
            print(f"{number:2} {title:68} {len(of):8}  {tried:14}  {kept} of {len(of)}")
    if ran:
        print(f"\n{len(ran)} seeds, {sum(each.jobs for each in ran)} jobs, {sum(struck.values())} faults struck")
    print("\n".join(f"at the end: {each}" for each in late))
    print("every promise kept" if not broken else f"{len(broken)} promises BROKEN")
    PATH.parent.mkdir(parents=True, exist_ok=True)
    seconds = [each.seconds for each in ran]
    document = {
        "scenarios": [asdict(each) for each in played],
        "seeds": {
            "count": len(ran),
            "jobs": sum(each.jobs for each in ran),
            "states": dict(sum((Counter(each.states) for each in ran), Counter())),
            "seconds": {"mean": sum(seconds) / len(seconds), "max": max(seconds)} if seconds else None,
            "slowest": [asdict(each) for each in sorted(ran, key=lambda each: -each.seconds)[:5]],
            "broken": [asdict(each) for each in ran if each.broken],
            "faults": dict(struck.most_common()),
        },
        "late": late,
        "kept": not broken,
    }
    PATH.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if broken else 0
