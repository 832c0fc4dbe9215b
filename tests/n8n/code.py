"""A workflow's own code and expressions, run by this machine's Node.js in a context as bare as n8n's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

_RUNNER: Final = Path(__file__).with_name("code_node.js")

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")


def run(
    code: str,
    *,
    item: dict[str, Any] | None = None,
    nodes: dict[str, Any] | None = None,
    variables: dict[str, Any] | None = None,
) -> Any:
    """What the code returns for one item, the other nodes having put these out; AssertionError with what it throws."""
    given = {"code": code, "item": item or {}, "nodes": nodes or {}, "globals": variables or {}}
    done = subprocess.run(
        ["node", _RUNNER], input=json.dumps(given), capture_output=True, text=True, check=True, timeout=60
    )
    answered = json.loads(done.stdout)
    assert "error" not in answered, answered["error"]
    return answered.get("result")


def evaluate(expression: str, variables: dict[str, Any], *, nodes: dict[str, Any] | None = None) -> Any:
    """An expression that is one `={{ … }}` as a whole, with these variables (`$json` and the like)."""
    assert expression.startswith("={{")
    assert expression.endswith("}}")
    return run(f"return ({expression.removeprefix('={{').removesuffix('}}')});", nodes=nodes, variables=variables)
