"""The repository's files as git sees them, and what each Python file imports."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Our own packages and modules.
OURS = frozenset(
    {"main", "functions", "shared", "workers", "hubctl", "deploy", "monitoring", "local", "tests", "bench"}
)


@cache
def files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed; relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return tuple(sorted({Path(name) for name in names if name and (ROOT / name).is_file()}))


def python_files(*tops: str) -> tuple[Path, ...]:
    """The Python files of these folders (or top-level modules); of all when none is named."""
    return tuple(file for file in files() if file.suffix == ".py" and (not tops or top(file) in tops))


def top(file: Path) -> str:
    return file.parts[0].removesuffix(".py")


def module(file: Path) -> str:
    """The file's dotted name."""
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(), filename=str(file))


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """All of them: walking through the whole product takes seconds."""
    return tuple(ast.walk(parsed(file)))


def imports(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Every dotted name that an import among `nodes` may load: `from a import b` is `a` and `a.b`."""
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            names.add(source)
            names.update(f"{source}.{alias.name}" for alias in node.names)
    return frozenset(names)


@cache
def imported(file: Path) -> frozenset[str]:
    return imports(nodes(file))


def imports_any(file: Path, libraries: frozenset[str]) -> set[str]:
    """Those of `libraries` (dotted prefixes) that the file imports."""
    return {
        library
        for library in libraries
        if any(name == library or name.startswith(f"{library}.") for name in imported(file))
    }


def reached(*starts: str) -> set[str]:
    """Our own modules that importing these modules loads, by any number of steps; the packages on the way included."""
    known = {module(file): file for file in python_files()}
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in known or name in found:
            continue
        found.add(name)
        waiting.extend(imported(known[name]))
        waiting.append(name.rpartition(".")[0])
    return found
