"""The commands of docs/images.md and of the pipeline, by gcloud's own linter and by deploy.sh's parser."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.options import parser
from tests.images.pipeline import Workspace, steps
from tests.wiring.tree import ROOT


def documented(tool: str) -> list[str]:
    """With a name for each variable: the linter takes them for text, and wants a project's name to look like one."""
    text = re.sub(r"\$[A-Za-z_]+", "some-name", (ROOT / "docs/images.md").read_text().replace("\\\n", " "))
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    lines = (" ".join(line.split()) for line in blocks.splitlines())
    return [line for line in lines if line.startswith(f"{tool} ")]


@pytest.mark.skipif(not shutil.which("gcloud"), reason="needs gcloud")
def test_gcloud_accepts_every_command(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path / "workspace")
    for prod in ("", "p-prod"):
        for name in steps():
            workspace.run_step(name, _STG_PROJECT="p-stg", _PROD_PROJECT=prod)
    called = [f"gcloud {call}" for call in workspace.calls("gcloud")]
    assert len(called) == 6
    commands = documented("gcloud") + called
    assert len(commands) >= 17
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


def test_deploy_accepts_every_command() -> None:
    asked = [parser().parse_args(shlex.split(line)[1:]) for line in documented("./deploy.sh")]
    # In this order for a new project: its first version wants stg's word for it.
    setting_up = [(each.command, each.env) for each in asked if each.command in ("prepare", "up")]
    assert setting_up == [("prepare", "stg"), ("prepare", "prod"), ("up", "prod")]
    assert all(each.stg_project and each.version for each in asked if each.command == "up")
