"""What the fuzzing starts from: our recorded events, good bodies, and the first bytes of files that we make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from tests.abuse import bombs
from tests.abuse.baits import BAITS
from tests.abuse.test_doors import DOORS
from tests.functions.serving import EVENTS
from tests.unit.muxed import encoded
from tests.unit.test_classify import HANDMADE, MUXED


def seeds(target: str) -> Iterator[bytes]:
    yield from {"classifier": _files, "parsers": _bodies}[target]()


def write(target: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds(target):
        (folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


def _files() -> Iterator[bytes]:
    heads = [(file_type, content) for file_type, content in HANDMADE]
    heads += [(file_type, encoded(**recipe)[:4096]) for file_type, _, recipe in MUXED]
    heads += [("mp4", bait("/a/b.mp4")) for bait in BAITS.values()]
    heads += [("mkv", bombs.mkv()), ("mov", bombs.mov()), ("png", bombs.png(9, 9)), ("wav", bombs.wav(8000, 1))]
    for name, content in heads:
        yield f"film.{name}\nvideo/{name}\n".encode() + content
        yield b"film\n\n" + content


def _bodies() -> Iterator[bytes]:
    for file in sorted(EVENTS.glob("*.json")):
        event = json.loads(file.read_text())
        yield json.dumps(event).encode()
        yield json.dumps(event.get("data", {})).encode()
    for door in DOORS.values():
        yield json.dumps(door.good).encode()
