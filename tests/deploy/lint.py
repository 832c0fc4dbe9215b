"""Command lines read by gcloud's own parser, all in one process: flags, groups, types, ranges."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from deploy.command import Command, Lookup

needs_gcloud = pytest.mark.skipif(shutil.which("gcloud") is None, reason="no gcloud on this machine")


def lines(command: Command) -> list[Sequence[str]]:
    """The command, with something in the place of each lookup, and the lookups themselves."""
    if command.tool != "gcloud":
        return []
    plain = [f"{each.prefix}found" if isinstance(each, Lookup) else each for each in command.arguments]
    return [plain, *(each.arguments for each in command.arguments if isinstance(each, Lookup))]


def faults(commands: Iterable[Sequence[str]], folder: Path) -> list[str]:
    """What gcloud does not understand, by its own words."""
    asked = [_line(command) for command in {_shape(command): command for command in commands}.values()]
    file = folder / "commands.json"
    file.write_text(json.dumps([{"command_string": line, "id": str(number)} for number, line in enumerate(asked, 1)]))
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={file}", "--serialize"],
        env={**os.environ, "CLOUDSDK_CONFIG": str(folder / "config")},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    answers = json.loads(done.stdout)
    assert len(answers) == len(asked), done.stderr
    return [
        f"{answer['command_string']}: {answer['error_type']} {answer['error_message']}"
        for (answer,) in answers.values()
        if not answer["success"]
    ]


def _shape(arguments: Sequence[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Twelve accounts are made by the same words and flags: one of them is enough to read."""
    words = [argument for argument in arguments if not argument.startswith("--")]
    return tuple(words[:-1]), frozenset(argument.partition("=")[0] for argument in arguments if argument[:2] == "--")


def _line(arguments: Sequence[str]) -> str:
    """The linter cuts a line at `#` and stumbles over an apostrophe."""
    assert not any("#" in argument for argument in arguments)
    return " ".join(["gcloud", *(_quoted(argument.replace("'", "")) for argument in arguments)])


def _quoted(argument: str) -> str:
    return f"'{argument}'" if set(argument) & set(' "*()[]$') else argument
