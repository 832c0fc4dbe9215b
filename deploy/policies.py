"""Alert policies from Prometheus rules: what `gcloud alpha monitoring policies migrate` makes, but to be updated, too.

`migrate` itself can only add policies anew, and with --quiet it adds none and exits 0 (gcloud 528, default of its
question is "no"). A test compares this translation with gcloud's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.target import Target, as_json, digest
from monitoring import rules

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SEVERITIES: Final = {"critical": "CRITICAL", "warning": "WARNING"}
#: https://cloud.google.com/monitoring/alerts/doc-variables
_VARIABLES: Final = (
    (re.compile(r"\{\{ *(?:humanize )? *\$value *\}\}"), "${metric.label.value}"),
    (re.compile(r"\{\{ *(?:humanize )? *\$labels *\}\}"), "${metric_or_resource.labels}"),
    (re.compile(r"\{\{ *(?:humanize )? *\$labels\.([a-zA-Z_]\w*) *\}\}"), r"${metric_or_resource.label.\1}"),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule, as Cloud Monitoring takes it; without its channels, whose names only Cloud Monitoring knows."""

    name: str
    body: Mapping[str, Any]
    #: Mailed directly, since the relay cannot carry it.
    by_mail: bool

    @property
    def config(self) -> str:
        return digest(as_json(self.body))

    def text(self, labels: Mapping[str, str]) -> str:
        return as_json({**self.body, "userLabels": {**labels, "config": self.config}})


def policies(target: Target) -> Iterator[Policy]:
    for file in rules.FILES:
        yield from _policies(target, file)


def _policies(target: Target, file: Path) -> Iterator[Policy]:
    document = yaml.safe_load(rules.deployable(file.read_text(), env=target.env, repository=target.repository))
    for group in document["groups"]:
        for rule in group["rules"]:
            body = policy(group, rule)
            yield Policy(str(body["displayName"]), body, by_mail=file == rules.RELAY_DOWN)


def policy(group: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    """https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies#AlertPolicy"""
    condition = {
        "ruleGroup": group["name"],
        "alertRule": rule["alert"],
        "query": rule["expr"],
        "labels": rule["labels"],
        # On a new project there is no metric yet.
        "disableMetricValidation": True,
        "evaluationInterval": f"{_seconds(group['interval'])}s",
        **({"duration": f"{_seconds(rule['for'])}s"} if "for" in rule else {}),
    }
    return {
        "displayName": f"{group['name']}/{rule['alert']}",
        "combiner": "OR",
        "severity": _SEVERITIES[rule["labels"]["severity"]],
        "conditions": [{"displayName": rule["alert"], "conditionPrometheusQueryLanguage": condition}],
        "documentation": {
            "mimeType": "text/markdown",
            "subject": _documented(rule["annotations"]["subject"]),
            "content": _documented(rule["annotations"]["description"]),
        },
    }


def _seconds(duration: str) -> int:
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


def _documented(text: str) -> str:
    for pattern, variable in _VARIABLES:
        text = pattern.sub(variable, text)
    return text
