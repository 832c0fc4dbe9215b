"""A Dockerfile and a .dockerignore as a builder reads them, as far as ours go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.wiring.tree import ROOT, files

Instruction = tuple[str, str]


def instructions(file: Path) -> list[Instruction]:
    """Instructions and their arguments, comments gone and continued lines joined."""
    lines = [line for line in (ROOT / file).read_text().splitlines() if not line.lstrip().startswith("#")]
    logical = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in logical) if word]


def stages(file: Path) -> list[list[Instruction]]:
    """The instructions from each FROM on; what stands before the first belongs to none."""
    found: list[list[Instruction]] = []
    for word, rest in instructions(file):
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def copied(stage: list[Instruction]) -> Iterator[tuple[list[str], str]]:
    """Each COPY from the build's context: its sources, its destination."""
    for word, rest in stage:
        if word == "COPY" and "--from=" not in rest:
            *sources, destination = rest.split()
            yield sources, destination


def ignored(path: Path, patterns: list[str]) -> bool:
    """Does a .dockerignore keep this file out? The last pattern that matches it, or a folder above it, decides.

    https://docs.docker.com/build/concepts/context/#dockerignore-files
    """
    names = [str(path), *(str(parent) for parent in path.parents if parent.parts)]
    out = False
    for pattern in patterns:
        expression = _regex(pattern.removeprefix("!"))
        if any(expression.fullmatch(name) for name in names):
            out = not pattern.startswith("!")
    return out


def context() -> list[Path]:
    """The repository's files that a build sees."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return [file for file in files() if not ignored(file, patterns)]


def _regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*)", pattern)
    return re.compile("".join({"**/": "(.*/)?", "*": "[^/]*"}.get(part) or re.escape(part) for part in parts))
