"""Changes JSON as JSON: with bytes changed at random it hardly ever is JSON again, and gets no further than that."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final

from tests.abuse.json_bombs import VALUES

#: Texts and numbers that a parser of ours looks for.
_WORDS: Final = (
    *("open", "closed", "acknowledged", "firing", "resolved", "hub", "monitoring", "critical", "page", "probe"),
    *("transcribe", "thumbnails", "gs://uploads/a.mp4", "https://a.example/b", "tickets/x/y", "bm90aGluZw=="),
    *("2026-11-24T03:04:05Z", "0001-01-01T00:00:00Z", "0" * 32, "", 0, 1, -1, 2**63, 0.5, None, True, [], {}),
)
#: How often the bytes are changed instead.
_BYTES_SHARE: Final = 0.1
Mutate = Callable[[bytes, int], bytes]


def json_mutator(mutate: Mutate) -> Callable[[bytes, int, int], bytes]:
    """A custom mutator for libFuzzer; `mutate` is its own, for bytes."""

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        dice = random.Random(seed)
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return mutate(data, max_size)
        if dice.random() < _BYTES_SHARE or not isinstance(value, dict | list) or not value:
            return mutate(data, max_size)
        for _ in range(dice.randint(1, 3)):
            _spoil(value, dice, mutate)
        changed = json.dumps(value).encode()
        if dice.random() < _BYTES_SHARE:
            changed = changed.replace(b'"raw"', dice.choice([each for each in VALUES.values() if len(each) < 1000]))
        return changed if len(changed) <= max_size else mutate(data, max_size)

    return change


def _spoil(value: Any, dice: random.Random, mutate: Mutate) -> None:
    """Change something in this object or list, or deeper."""
    if not value:
        return
    key = dice.choice(list(value) if isinstance(value, dict) else range(len(value)))
    inside = value[key]
    if isinstance(inside, dict | list) and inside and dice.random() < 0.8:
        _spoil(inside, dice, mutate)
        return
    match dice.randrange(6):
        case 0:
            del value[key]
        case 1 if isinstance(value, list):
            value.append(inside)
        case 1:
            value[str(dice.choice(_WORDS))] = inside
        case 2 if isinstance(inside, str):
            value[key] = mutate(inside.encode("utf-8", "replace"), 200).decode("latin-1")
        case 3 if isinstance(inside, int):
            value[key] = inside + dice.choice((-1, 1, 2**31, -(2**31), 10**30))
        case 4:
            value[key] = "raw"
        case _:
            value[key] = dice.choice(_WORDS)
