"""The rule files, and the two other forms they are used in: deployed to Cloud Monitoring, and hurried by tests.

`gcloud alpha monitoring policies migrate --policies-from-prometheus-alert-rules-yaml` makes one policy of each rule,
and takes no more of the annotations than `subject` and `description` (googlecloudsdk/command_lib/monitoring/util.py,
gcloud 528): summary, severity and link are written into those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).parent
ALERTS: Final = FOLDER / "alerts.yaml"
#: The one alert that goes by mail.
RELAY_DOWN: Final = FOLDER / "relay-down.yaml"
FILES: Final = (ALERTS, RELAY_DOWN)

#: Stands in the files for the address below which the repository's files can be read.
REPOSITORY: Final = "REPOSITORY"

#: A range or a subquery: `[10m]`, `[1d:5m]`.
_RANGE: Final = re.compile(r"\[(\w+)(?::(\w+))?\]")
_DURATION: Final = re.compile(r"(\d+)(ms|[smhdw])")
_MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


#: What an expression wants to see absent.
_ABSENT: Final = re.compile(r"\babsent(?:_over_time)?\(\s*([\w:]+\{[^}]*\})")


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert, as it stands in its file."""

    group: str
    name: str
    expr: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def absent(self) -> str | None:
        """The selector whose silence it tells of, if any: such a condition holds where nothing is known, too."""
        found = _ABSENT.search(self.expr)
        return found[1] if found else None


def rules(*files: Path) -> Iterator[Rule]:
    """Every alert of these files, of both when none is named."""
    for file in files or FILES:
        for group, rule in _each(yaml.safe_load(file.read_text())):
            yield Rule(group["name"], rule["alert"], rule["expr"], rule["labels"], rule["annotations"])


def deployable(text: str, *, env: str, repository: str) -> str:
    """A rule file for one environment's Cloud Monitoring, with links below `repository`."""
    document = yaml.safe_load(text.replace(REPOSITORY, repository.rstrip("/")))
    for _, rule in _each(document):
        rule["labels"]["env"] = env
        notes, severity = rule["annotations"], rule["labels"]["severity"]
        notes["subject"] = f"[{env}] {severity}: {notes['summary']}"
        notes["description"] = f"{notes['summary']}\n\n{notes['description']}\n\nRunbook: {notes['runbook_url']}"
    return _dumped(document)


def hurried(text: str, *, speed: float, env: str, repository: str) -> str:
    """A rule file whose windows, intervals and patience are `speed` times shorter: Prometheus' own clock is ours."""
    document = yaml.safe_load(text.replace(REPOSITORY, repository.rstrip("/")))
    for group in document["groups"]:
        group["interval"] = _divided(group["interval"], speed)
    for _, rule in _each(document):
        rule["labels"]["env"] = env
        rule["expr"] = _RANGE.sub(lambda found: _shorter(found, speed), rule["expr"])
        if "for" in rule:
            rule["for"] = _divided(rule["for"], speed)
    return _dumped(document)


def _each(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in document["groups"]:
        for rule in group["rules"]:
            yield group, rule


def _shorter(found: re.Match[str], speed: float) -> str:
    return f"[{':'.join(_divided(duration, speed) for duration in found.groups() if duration)}]"


def _divided(duration: str, speed: float) -> str:
    milliseconds = sum(int(number) * _MILLISECONDS[unit] for number, unit in _DURATION.findall(duration))
    return f"{max(1, round(milliseconds / speed))}ms"


def _dumped(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)
