"""`python -m tests.deploy.golden`: writes plan.txt anew, for a reviewer to read what a change does to a deployment."""

from __future__ import annotations

import re
from pathlib import Path

from deploy import phases
from deploy.command import typed
from deploy.live import Live
from tests.deploy.projects import target

FILE = Path(__file__).with_name("plan.txt")


def plan_text() -> str:
    """`up` of prod from nothing; digests of content are blotted out, since they say nothing to a reader."""
    lines = []
    for phase in phases.up(target("prod", billing_account="0A0A0A-0B0B0B-0C0C0C", budget=300), Live()):
        lines += [f"# {phase.title}", *(typed(command) for command in phase.commands)]
    text = re.sub(r"config=[0-9a-f]{10}", "config=…", "\n".join(lines)) + "\n"
    return re.sub(r"(build/deploy/\S+)\.[0-9a-f]{10}\.json", r"\1.json", text)


if __name__ == "__main__":
    FILE.write_text(plan_text())
