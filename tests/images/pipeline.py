"""cloudbuild.yaml as Cloud Build reads it, and its scripts run here with stand-ins for the tools they call."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.wiring.tree import ROOT

Step = dict[str, Any]

#: What Cloud Build defines itself, of that which we use. `SHORT_SHA` exists in builds that a trigger started.
BUILT_IN = {"PROJECT_ID": "project-of-the-trigger", "SHORT_SHA": "abc1234"}

#: Writes down how it was called; fails when the call begins with $FAILS (a pattern). When it begins with $STOPS, the
#: caller is told to end, and the call itself goes on: its process id is written down. What is not in the registry is
#: answered for as $SAYS.
_STAND_IN = """#!/bin/sh
call="$(basename "$0") $*"
echo "$call" >> "$CALLS"
case "$call" in
  "$STOPS"*) echo $$ > "$CALLS.lingers"; kill -TERM "$PPID"; exec sleep 60 ;;
  $FAILS*) exit 3 ;;
  *"imagetools inspect"*"-worker:"*)
    if [ -n "$BUILT" ]; then echo sha256:built; else echo "$SAYS" | sed "s|IMAGE|$4|" >&2; exit 1; fi ;;
  *"imagetools inspect"*) echo sha256:base ;;
esac
"""
#: docker's answer for an image that does not exist.
NOT_FOUND = "ERROR: IMAGE: not found"


@cache
def build() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())


def steps() -> dict[str, Step]:
    return {step["id"]: step for step in build()["steps"]}


def environment(**substitutions: str) -> dict[str, str]:
    """What a script finds: built-in and our own substitutions (ours may name built-in ones), and the build's own."""
    ours = {**build()["substitutions"], **substitutions}
    for name, value in BUILT_IN.items():
        ours = {key: text.replace(f"${name}", value) for key, text in ours.items()}
    return {**BUILT_IN, **ours, **dict(pair.split("=", 1) for pair in build()["options"]["env"])}


@dataclass(frozen=True)
class Workspace:
    """A folder as a step finds it, with stand-ins for all that would reach out."""

    root: Path

    @classmethod
    def at(cls, root: Path) -> Workspace:
        tools = root / "tools"
        tools.mkdir(parents=True)
        for name in ("docker", "gcloud", "make", "crane"):
            (tools / name).write_text(_STAND_IN)
        shutil.copytree(ROOT / "workers", root / "workers", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "deploy/toolbox", root / "deploy/toolbox")
        (root / "deploy.sh").write_text(_STAND_IN)
        for program in (*tools.iterdir(), root / "deploy.sh"):
            program.chmod(0o755)
        for command in ("init", "commit --allow-empty --message=one"):
            identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
            subprocess.run(["git", *identity, *command.split(), "--quiet"], cwd=root, check=True)
        return cls(root)

    def run(
        self, *command: str, fails: str = "-", stops: str = "-", built: bool = False, says: str = NOT_FOUND, **more: str
    ) -> int:
        """Exit status of a command in which calls beginning with `fails` fail, and with `stops` end the build."""
        path = f"{self.root / 'tools'}:{os.environ['PATH']}"
        own = {"FAILS": fails, "STOPS": stops, "BUILT": "yes" if built else "", "SAYS": says}
        own |= {"PATH": path, "HOME": str(self.root), "CALLS": str(self.root / "calls")}
        return subprocess.run(command, cwd=self.root, env={**own, **more}, check=False, timeout=15).returncode

    def run_step(self, name: str, fails: str = "-", stops: str = "-", **substitutions: str) -> int:
        script = self.root / "script"
        script.write_text(steps()[name]["script"])
        shell = "bash" if script.read_text().startswith("#!/usr/bin/env bash") else "sh"
        return self.run(shell, str(script), fails=fails, stops=stops, **environment(**substitutions))

    def calls(self, tool: str = "") -> list[str]:
        """Every call so far, or those of one tool without its name."""
        log = self.root / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.removeprefix(f"{tool} ") for line in lines if line.startswith(tool)]

    def lingers(self) -> bool:
        """Does the call that went on still run?"""
        number = (self.root / "calls.lingers").read_text().strip()
        return Path("/proc", number).exists()
