"""Which functions a function may call, by any number of steps, read from the source; generous where it cannot know."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.wiring import tree
from tests.wiring.tree import module, parsed, python_files

#: A module, and a function, class or constant at its top; None for what runs when it is imported.
Place = tuple[str, str | None]


@cache
def files() -> dict[str, Path]:
    return {module(file): file for file in python_files("functions", "shared", "workers")}


@cache
def bodies(name: str) -> dict[str | None, list[ast.stmt]]:
    """The statements of a module by the name that they define."""
    found: dict[str | None, list[ast.stmt]] = {None: []}
    for statement in parsed(files()[name]).body:
        match statement:
            case ast.FunctionDef() | ast.ClassDef():
                found.setdefault(statement.name, []).append(statement)
            case ast.Assign(targets=[ast.Name(id=target)]) | ast.AnnAssign(target=ast.Name(id=target)):
                found.setdefault(target, []).append(statement)
            case ast.Import() | ast.ImportFrom():
                continue
            case _:
                found[None].append(statement)
    return found


@cache
def meanings(name: str) -> dict[str, Place]:
    """What the names of a module stand for, as far as they are ours."""
    found: dict[str, Place] = {each: (name, each) for each in bodies(name) if each}
    for node in tree.nodes(files()[name]):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                meaning = (whole, None) if whole in files() else (str(node.module), alias.name)
                if meaning[0] in files():
                    found[alias.asname or alias.name] = meaning
    return found


@cache
def mentioned(place: Place) -> frozenset[Place]:
    """Everything of ours that the body of a place names."""
    known = meanings(place[0])
    found: set[Place] = set()
    for node in body(place):
        if isinstance(node, ast.Name) and node.id in known:
            found.add(known[node.id])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module_name, inside = known.get(node.value.id, ("", ""))
            if inside is None:
                found.add((module_name, node.attr))
    return frozenset(found)


def reached(*starts: Place) -> set[Place]:
    found: set[Place] = set()
    waiting = list(starts)
    while waiting:
        place = waiting.pop()
        if place not in found and place[0] in files():
            found.add(place)
            waiting.extend([*mentioned(place), (place[0], None)])
    return found


@cache
def body(place: Place) -> tuple[ast.AST, ...]:
    """All that stands in it."""
    name, what = place
    return tuple(node for statement in bodies(name).get(what, []) for node in ast.walk(statement))
