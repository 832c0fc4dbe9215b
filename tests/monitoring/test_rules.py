"""The rule files: what the real promtool makes of them, and what gcloud's translation would lose or refuse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.prometheus_tools import PrometheusTools
from monitoring import rules
from monitoring.rules import Rule
from tests.monitoring.promql import promtool

TESTS = rules.FOLDER / "tests"
ALL = tuple(rules.rules())


def named(rule: Rule) -> str:
    return rule.name


def test_promtool_accepts_the_rules_as_they_stand_as_deployed_and_hurried(
    tools: PrometheusTools, tmp_path: Path
) -> None:
    files = list(rules.FILES)
    for file in rules.FILES:
        text = file.read_text()
        deployed, hurried = tmp_path / f"deployed-{file.name}", tmp_path / f"hurried-{file.name}"
        deployed.write_text(rules.deployable(text, env="stg", repository="https://git.example/nca"))
        hurried.write_text(rules.hurried(text, speed=120, env="local", repository="https://git.example/nca"))
        files += [deployed, hurried]
    status, said = promtool(tools.promtool, "check", "rules", *files, cwd=rules.FOLDER)
    assert status == 0, said


@pytest.mark.parametrize("file", sorted(TESTS.glob("*.yaml")), ids=lambda file: file.name)
def test_promtool_finds_the_alerts_fire_stay_silent_and_resolve(tools: PrometheusTools, file: Path) -> None:
    status, said = promtool(tools.promtool, "test", "rules", file, cwd=TESTS)
    assert status == 0, said


def test_a_wrong_expectation_fails(tools: PrometheusTools, tmp_path: Path) -> None:
    text = (TESTS / "relay-down.yaml").read_text().replace("exp_samples: [{value: 1}]", "exp_samples: []")
    (tmp_path / "relay-down.yaml").write_text(text.replace("../relay-down.yaml", str(rules.RELAY_DOWN)))
    status, said = promtool(tools.promtool, "test", "rules", "relay-down.yaml", cwd=tmp_path)
    assert (status, "FAILED" in said) == (1, True), said


def looks() -> dict[str, list[list[bool]]]:
    """For each alert, in each test that looks at it: whether it is expected to fire, in the order of time."""
    found: dict[str, list[list[bool]]] = {}
    for file in TESTS.glob("*.yaml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for name in {found_name(each) for each in test["promql_expr_test"]}:
                mine = [each for each in test["promql_expr_test"] if found_name(each) == name]
                mine.sort(key=lambda each: minutes(each["eval_time"]))
                found.setdefault(name, []).append([bool(each.get("exp_samples")) for each in mine])
    return found


def found_name(look: dict[str, Any]) -> str:
    match = re.search(r'ALERTS\{alertname="(\w+)", alertstate="firing"\}', look["expr"])
    assert match, look
    return match[1]


def minutes(duration: str) -> int:
    return int(duration[:-1]) * {"m": 1, "h": 60}[duration[-1]]


@pytest.mark.parametrize("rule", ALL, ids=named)
def test_every_alert_is_seen_silent_then_firing_then_resolved(rule: Rule) -> None:
    courses = ["".join("!" if fires else "." for fires in course) for course in looks()[rule.name]]
    assert any(re.search(r"\.!+\.", course) for course in courses), courses


def test_no_test_is_of_an_alert_that_is_gone() -> None:
    assert set(looks()) == {rule.name for rule in ALL}


@pytest.mark.parametrize("rule", ALL, ids=named)
def test_alert_says_how_bad_it_is_in_a_sentence_and_where_to_read_on(rule: Rule) -> None:
    assert rule.labels == {"severity": rule.labels["severity"], "app": "nca-fanout"}
    assert rule.labels["severity"] in ("critical", "warning")
    assert set(rule.annotations) == {"summary", "description", "runbook_url"}
    summary = rule.annotations["summary"]
    assert re.fullmatch(r"[A-Z][^\n]{10,120}\.", summary)
    assert rule.annotations["runbook_url"] == f"{rules.REPOSITORY}/docs/runbooks.md#{rule.name.lower()}"


@pytest.mark.parametrize("rule", ALL, ids=named)
def test_templates_are_those_that_gcloud_translates_and_name_labels_the_alert_has(rule: Rule) -> None:
    """`$value` becomes a variable that Cloud Monitoring has no value for; other functions stay as they are written."""
    for text in rule.annotations.values():
        for template in re.findall(r"\{\{.*?\}\}", text):
            label = re.fullmatch(r"\{\{ \$labels\.(\w+) \}\}", template)
            assert label, template
            assert label[1] in re.split(r"\W+", " ".join(re.findall(r"\bby \(([^)]*)\)", rule.expr)))


@pytest.mark.parametrize("file", rules.FILES, ids=lambda file: file.name)
def test_gcloud_takes_names_and_intervals(file: Path) -> None:
    """googlecloudsdk/command_lib/monitoring/util.py: names are label names, intervals multiples of 30 seconds."""
    for group in yaml.safe_load(file.read_text())["groups"]:
        assert int(group["interval"].removesuffix("s")) % 30 == 0
        for name in (group["name"], *(rule["alert"] for rule in group["rules"])):
            assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        for rule in group["rules"]:
            assert re.fullmatch(r"\d+m", rule.get("for", "0m"))


def test_alerts_names_are_unique_and_the_relays_own_is_apart() -> None:
    names = [rule.name for rule in ALL]
    assert len(names) == len(set(names))
    assert [rule.name for rule in rules.rules(rules.RELAY_DOWN)] == ["AlertRelayDown"]
    assert "AlertRelayDown" not in {rule.name for rule in rules.rules(rules.ALERTS)}


def test_deployed_rule_tells_everything_in_the_two_texts_that_gcloud_keeps() -> None:
    text = rules.deployable(rules.ALERTS.read_text(), env="prod", repository="https://git.example/nca/")
    assert rules.REPOSITORY not in text
    [backlog] = [
        rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"] if rule["alert"] == "GpuBacklog"
    ]
    notes = backlog["annotations"]
    assert notes["subject"] == "[prod] warning: More than 100 messages wait on {{ $labels.subscription_id }}."
    assert notes["description"].startswith("More than 100 messages wait on")
    assert notes["description"].endswith("Runbook: https://git.example/nca/docs/runbooks.md#gpubacklog")
    assert backlog["labels"] == {"severity": "warning", "app": "nca-fanout", "env": "prod"}


def test_hurried_rules_keep_everything_but_their_times() -> None:
    text = rules.ALERTS.read_text()
    hurried = rules.hurried(text, speed=60, env="local", repository="file:///hub")
    was, now = (yaml.safe_load(each)["groups"] for each in (text, hurried))
    assert [group["interval"] for group in now] == ["1000ms"] * len(was)
    for before, after in zip(was, now, strict=True):
        for old, new in zip(before["rules"], after["rules"], strict=True):
            assert re.sub(r"\[[^]]*\]", "[]", old["expr"]) == re.sub(r"\[[^]]*\]", "[]", new["expr"])
            assert ("for" in old) == ("for" in new)
    [idle] = [rule for group in now for rule in group["rules"] if rule["alert"] == "GpuIdle"]
    assert "[1440000ms:5000ms]" in idle["expr"]
