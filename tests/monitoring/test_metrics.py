"""Metrics: counted from events that the code logs, used under names that exist, of resources that are declared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring import rules
from monitoring.log_metrics import LogMetric, log_metrics
from monitoring.review.questions import PANELS, Key
from monitoring.rules import Rule
from shared.resources import declared
from shared.settings import Settings
from tests.monitoring.dashboard import queries
from tests.monitoring.logged import events, fields, returned_keys
from tests.monitoring.promql import Selector, selectors
from tests.wiring.tree import reached

RESOURCES = declared()
METRICS = log_metrics()
BY_NAME = {metric.prometheus_name: metric for metric in METRICS}
PLATFORM: dict[str, dict[str, Any]] = yaml.safe_load((rules.FOLDER / "platform-metrics.yaml").read_text())
REVIEW = {f"review: {question.key}": question.expr for panel in PANELS for question in panel.questions}
EXPRESSIONS = {**{rule.name: rule.expr for rule in rules.rules()}, **queries(), **REVIEW}
USED = [selector for name, expr in EXPRESSIONS.items() if name not in REVIEW for selector in selectors(expr)]
#: What runs as each kind of resource.
PROGRAMS = {
    "cloud_run_revision": "main",
    "cloud_run_job": ("workers.gpu.main", "workers.cpu.main"),
    "k8s_container": "workers.gpu.main",
}
#: The labels that Cloud Run and GKE put on what they log.
RESOURCE_LABELS = {"monitored_resource", "service_name", "job_name", "cluster_name", "pod_name"}
#: What shared.costs.log_fields adds to the lines that tell of a job's end.
COMPUTED = {"cost"}


def test_reader_of_events_sees_those_of_the_relay_and_those_with_more_beside_them() -> None:
    assert events()["alert.undelivered"] == {"shared.relay"}
    assert "functions.dispatch" in events()["bell.malformed"]
    assert fields("letter.kept") >= {"event", "code"}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_log_metric_counts_events_that_are_logged_with_the_fields_it_takes(metric: LogMetric) -> None:
    for event in metric.events:
        assert event in events(), f"nobody logs {event}"
        taken = {*metric.label_fields.values(), *filter(None, [metric.value_field])}
        assert taken - fields(event) <= COMPUTED, f"{event} carries {sorted(fields(event))}"


def test_fields_that_are_added_to_a_line_are_those_of_the_function_that_adds_them() -> None:
    assert returned_keys(Path("shared/costs.py"), "log_fields") >= COMPUTED


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_log_metric_is_one_that_the_api_takes(metric: LogMetric) -> None:
    """Each label described and extracted; a distribution with its value and buckets, a counter with neither."""
    assert [label.key for label in metric.metricDescriptor.labels] == list(metric.labelExtractors)
    is_distribution = metric.metricDescriptor.valueType == "DISTRIBUTION"
    assert is_distribution == (metric.valueExtractor is not None) == (metric.bucketOptions is not None)
    assert re.fullmatch(r"[a-z_]{1,100}", metric.name)
    assert metric.description.endswith(".")
    # UCUM: what is no unit of physics is an annotation in braces (https://ucum.org/ucum#para-6).
    assert re.fullmatch(r"1|\{\w+\}", metric.metricDescriptor.unit)


def test_every_log_metric_is_used() -> None:
    assert {metric.prometheus_name for metric in METRICS} <= {selector.base for selector in USED}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_metric_is_counted_from_logs_or_documented_by_the_platform(name: str) -> None:
    found = selectors(EXPRESSIONS[name])
    assert found
    for selector in found:
        assert selector.base in BY_NAME or selector.base in PLATFORM, selector.metric


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_matchers_are_labels_that_the_metric_has(name: str) -> None:
    for selector in selectors(EXPRESSIONS[name]):
        if metric := BY_NAME.get(selector.base):
            labels = {label.key for label in metric.metricDescriptor.labels} | RESOURCE_LABELS
            assert set(selector.matchers) <= labels, selector


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_log_metric_names_one_kind_of_resource_that_can_log_its_event(name: str) -> None:
    """Cloud Monitoring answers no query that leaves it open, nor takes a pattern there."""
    for selector in selectors(EXPRESSIONS[name]):
        if metric := BY_NAME.get(selector.base):
            operator, kind = selector.matchers["monitored_resource"]
            assert operator == "="
            programs = PROGRAMS[kind]
            loaded = reached(*([programs] if isinstance(programs, str) else programs))
            assert {module for event in metric.events for module in events()[event]} & loaded, selector


@pytest.mark.parametrize("rule", list(rules.rules()), ids=lambda rule: rule.name)
def test_rule_covers_every_kind_of_resource_whose_programs_log_it(rule: Rule) -> None:
    """What a function logs and a worker, too, is asked of both; shared code counts as whose rule names it."""
    for base in {selector.base for selector in selectors(rule.expr)} & set(BY_NAME):
        modules = {module for event in BY_NAME[base].events for module in events()[event]}
        kinds = {each.matchers["monitored_resource"][1] for each in selectors(rule.expr) if each.base == base}
        if any(module.startswith("functions.") for module in modules):
            assert "cloud_run_revision" in kinds
        if any(module in ("shared.work", "shared.attempt_ends", "workers.gpu.drain") for module in modules):
            assert {"cloud_run_job", "k8s_container"} <= kinds


@pytest.mark.parametrize("selector", USED, ids=lambda selector: selector.metric)
def test_names_are_declared_ones(selector: Selector) -> None:
    names = {
        "subscription_id": {name + suffix for name in RESOURCES.subscriptions for suffix in ("", "(-.+)?")},
        "queue_id": set(RESOURCES.queues),
        "service_name": {name.replace("_", "-") for name in RESOURCES.functions},
        "job_name": {job.name for job in RESOURCES.jobs.values()},
        "cluster": {RESOURCES.gke.cluster},
        "cluster_name": {RESOURCES.gke.cluster},
        "pod": {f"{RESOURCES.gke.deployment}-.+"},
        "pod_name": {f"{RESOURCES.gke.deployment}-.+"},
    }
    for label in selector.matchers.keys() & names:
        assert set(selector.values(label)) <= names[label]


@pytest.mark.parametrize("base", sorted(BY_NAME))
def test_log_metric_is_asked_of_the_same_kinds_of_resource_wherever_it_is_added_up(base: str) -> None:
    """An alert, the dashboard and the weekly review would else mean different numbers by the same name."""
    kinds = {
        name: {each.matchers["monitored_resource"][1] for each in found}
        for name, expr in EXPRESSIONS.items()
        if (found := [each for each in selectors(expr) if each.base == base])
    }
    assert len(set(map(frozenset, kinds.values()))) == 1, kinds


def test_backlog_and_age_are_those_of_the_work_and_not_of_the_bell() -> None:
    work = {f"{Settings.model_fields[name].default}(-.+)?" for name in ("gpu_subscription", "gke_subscription")}
    for name in ("GpuBacklog", "OldestMessageWaits", f"review: {Key.BACKLOG}", f"review: {Key.OLDEST}"):
        [selector] = selectors(EXPRESSIONS[name])
        assert set(selector.values("subscription_id")) == work


def test_backlog_alert_and_router_mean_the_same_limit() -> None:
    assert EXPRESSIONS["GpuBacklog"].strip().endswith(f"> {Settings.model_fields['gpu_backlog_limit'].default}")


def test_errors_count_5xx_alone_for_every_function_but_the_relay() -> None:
    found = selectors(EXPRESSIONS["FunctionErrors"])
    functions = {name.replace("_", "-") for name in RESOURCES.functions} - {"alert-relay"}
    assert all(set(selector.values("service_name")) == functions for selector in found)
    assert {selector.values("response_code_class") for selector in found} == {("5xx",), ()}


def test_platform_metrics_are_mapped_as_documented_and_all_used() -> None:
    for name, known in PLATFORM.items():
        domain, _, path = known["metric"].partition("/")
        if domain == "prometheus.googleapis.com":
            assert name == path.rpartition("/")[0]
        else:
            assert name == f"{re.sub('[^a-z]', '_', domain)}:{re.sub('[^a-z0-9]', '_', path)}"
        assert known["page"].startswith("https://cloud.google.com/")
    assert set(PLATFORM) <= {selector.base for selector in USED}
