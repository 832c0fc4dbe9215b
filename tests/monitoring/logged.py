"""Every event that the code logs, and where, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.wiring.tree import module, parsed, python_files

#: What logs an event that it is given by name: the position of that name among its arguments.
_LOGGERS = {"_note": 1}


@cache
def events() -> Mapping[str, frozenset[str]]:
    """Event → the modules that log it."""
    found: dict[str, set[str]] = {}
    for file in python_files("functions", "shared", "workers"):
        for event in _events(parsed(file)):
            found.setdefault(event, set()).add(module(file))
    return {event: frozenset(modules) for event, modules in found.items()}


@cache
def fields(event: str) -> frozenset[str]:
    """The keys that stand beside this event wherever it is logged, as far as they are written there."""
    written = {
        key
        for file in python_files("functions", "shared", "workers")
        for given in _extras(parsed(file))
        if given.get("event") == event
        for key in given
    }
    return frozenset(written | {"event"} if event in events() else written)


def returned_keys(file: Path, function: str) -> set[str]:
    """The keys of the dictionaries that a function of this file writes out."""
    [found] = [node for node in ast.walk(parsed(file)) if isinstance(node, ast.FunctionDef) and node.name == function]
    dictionaries = [node for node in ast.walk(found) if isinstance(node, ast.Dict)]
    return {key.value for each in dictionaries for key in each.keys if isinstance(key, ast.Constant)}


def _events(tree: ast.AST) -> Iterator[str]:
    yield from (given["event"] for given in _extras(tree) if given["event"])
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _LOGGERS:
            name = node.args[_LOGGERS[node.func.id]]
            if isinstance(name, ast.Constant):
                yield name.value


def _extras(tree: ast.AST) -> Iterator[Mapping[str, str]]:
    """Each dictionary with the key `event`: its keys, with the values that are constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            given = {
                key.value: value.value if isinstance(value, ast.Constant) else ""
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
            if "event" in given:
                yield given
