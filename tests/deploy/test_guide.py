"""docs/operations-guide.md says what is so: its table of rights, its commands, its numbers."""

from __future__ import annotations

import re

import pytest

from deploy.checks import GPU_QUOTA
from deploy.options import parser
from shared.resources import declared
from tests.deploy import guide

TEXT = guide.FILE.read_text()


def test_table_of_rights_is_the_declared_one() -> None:
    """After a change that is meant: `python -m tests.deploy.guide`."""
    assert guide.with_table(TEXT) == TEXT
    assert all(f"| `{name}` |" in TEXT for name in declared().accounts)


COMMANDS = sorted(set(re.findall(r"\./deploy\.sh ([^\n`|]*?) ?\"\$\{(?:STG|PROD)\[@\]\}\"([^\n`|&]*)", TEXT)))


@pytest.mark.parametrize(("command", "options"), COMMANDS)
def test_every_command_can_be_given_as_it_stands(command: str, options: str) -> None:
    where = ["--project", "p", "--region", "r", "--env", "prod", "--stg-project", "s"]
    given = [word for word in options.replace("…", "0A").split() if word]
    assert parser().parse_args([*command.split(), *where, *given]).command == command.split()[0]


def test_commands_are_met_at_all() -> None:
    assert {command.split()[0] for command, _ in COMMANDS} >= {
        "prepare", "up", "canary", "watch", "promote", "rollback", "cleanup", "status", "smoke", "gke", "destroy",
    }  # fmt: skip


def test_names_and_numbers_are_the_declared_ones() -> None:
    assert GPU_QUOTA in TEXT
    assert f"0 to {declared().gke.max_replicas} pods" in TEXT
    assert all(declared().secrets[name].name in TEXT for name in ("API_KEYS", "ALERT_TOKEN"))
