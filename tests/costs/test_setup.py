"""The commands and texts that put the views into BigQuery."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import sqlglot

from monitoring.costs.__main__ import main
from monitoring.costs.sql import FOLDER, VIEWS, names, view
from monitoring.log_metrics import log_metrics
from shared.costs import log_fields
from shared.job import State
from shared.machines import Machine
from shared.prices import tariff
from tests.unit.samples import job

README = (FOLDER / "README.md").read_text()
NAMES = names(dataset="p.costs", billing_export="b.billing.export", logs="p.nca_jobs", projects=["p"])


def commands(tool: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith(f"{tool} ")]


@pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed")
def test_gclouds_own_linter_finds_no_fault_in_the_documented_commands(tmp_path: Path) -> None:
    file = tmp_path / "commands.json"
    found = commands("gcloud")
    assert len(found) == 3
    file.write_text(json.dumps([{"command_string": command} for command in found]))
    run = ["gcloud", "meta", "lint-gcloud-commands", "--commands-file", str(file)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    answers, _ = json.JSONDecoder().raw_decode(done.stdout)
    assert [answer["error_message"] for answer in answers] == [None] * len(found)


def test_the_metric_counts_and_the_sink_takes_every_line_that_the_view_reads() -> None:
    (sink,) = [command for command in commands("gcloud") if " sinks create " in command]
    (metric,) = [metric for metric in log_metrics() if metric.name == "job_cost"]
    read = set(re.findall(r"'(job\.\w+)'", view("job_costs", NAMES)))
    assert set(re.findall(r'"(job\.\w+)"', sink)) == set(metric.events) == read


def test_every_state_in_which_a_job_has_ended_has_its_line() -> None:
    ended = {state for state in State if state.is_terminal}
    assert set(re.findall(r"'job\.(\w+)'", view("job_costs", NAMES))) == ended


def test_the_view_reads_the_seconds_of_every_machine_under_the_names_they_are_logged_by() -> None:
    text = view("job_costs", NAMES)
    logged = log_fields(job(), tariff("us-central1", "us-central1"))["machineSeconds"]
    assert isinstance(logged, dict)
    assert set(re.findall(r"\$\.machineSeconds\.(\w+)", text)) == set(logged)
    assert set(re.findall(r"'([\w-]+)' AS machine", text)) == set(Machine)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_one_statement_of_bigquerys_with_every_name_filled_in(name: str) -> None:
    text = view(name, NAMES)
    (statement,) = [each for each in sqlglot.parse(text, read="bigquery") if each is not None]
    assert statement.key == "create"
    assert re.findall(r"\$[A-Z_]+", text) == []


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(KeyError):
        view("bill", {"DATASET": "p.costs"})


def test_the_commands_print_what_bq_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "--region", "asia-northeast1", "--gpu-region", "us-central1"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    columns = {column["name"] for column in json.loads((FOLDER / "prices.schema.json").read_text())}
    assert {row["machine"] for row in rows} == set(Machine)
    assert all(set(row) == columns for row in rows)
    where = ["--dataset", "p.costs", "--billing-export", "b.e.t", "--logs", "p.nca_jobs"]
    assert main(["views", *where, "--project", "stg", "--project", "prod"]) == 0
    statements = capsys.readouterr().out
    assert len(sqlglot.parse(statements, read="bigquery")) == len(VIEWS)
    assert "IN ('stg', 'prod')" in statements
