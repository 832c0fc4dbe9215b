"""The gcloud commands of docs/images.md and of the pipeline, by gcloud's own linter."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.images.pipeline import Workspace, steps
from tests.wiring.tree import ROOT


def documented() -> list[str]:
    """With a name for each variable: the linter takes them for text, and wants a project's name to look like one."""
    text = re.sub(r"\$[A-Z]+", "some-name", (ROOT / "docs/images.md").read_text().replace("\\\n", " "))
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    return [" ".join(line.split()) for line in blocks.splitlines() if line.startswith("gcloud ")]


@pytest.mark.skipif(not shutil.which("gcloud"), reason="needs gcloud")
def test_gcloud_accepts_every_command(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path / "workspace")
    for name in steps():
        workspace.run_step(name, _STG_PROJECT="p-stg", _PROD_PROJECT="p-prod")
    called = [f"gcloud {call}" for call in workspace.calls("gcloud")]
    assert len(called) == 6
    commands = documented() + called
    assert len(commands) >= 11
    (tmp_path / "commands.json").write_text(json.dumps([{"command_string": command} for command in commands]))
    linted = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={tmp_path / 'commands.json'}"],
        env={**os.environ, "CLOUDSDK_CONFIG": str(tmp_path / "gcloud")},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = json.loads(linted.stdout)
    assert len(answers) == len(commands)
    assert [answer for answer in answers if not answer["success"]] == []
