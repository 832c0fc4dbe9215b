"""Cloud Logging's log-based metrics, counted from the JSON lines that the local processes write.

Like the real ones: the same declarations (monitoring/log-metrics), the same labels, with those of the resource that
logged. Not like them: a distribution has its sum and count, and no buckets.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from local.exposition import Sample
from monitoring.log_metrics import LogMetric
from shared.resources import Resources

_Series = tuple[str, tuple[tuple[str, str], ...]]
_SUFFIX: Final = r"-[a-z0-9]{5}"


class LogCounters:
    """Reads on, at each call, from where it stopped in each log of one folder."""

    def __init__(self, metrics: Iterable[LogMetric], resources: Resources, folder: Path) -> None:
        self._by_event: dict[str, list[LogMetric]] = {}
        for metric in metrics:
            for event in metric.events:
                self._by_event.setdefault(event, []).append(metric)
        self._resources = resources
        self._folder = folder
        self._read: Counter[Path] = Counter()
        self._values: dict[_Series, float] = {}
        self._shown: set[_Series] = set()

    def samples(self) -> list[Sample]:
        """Every series so far. A new one is shown as 0 first: Prometheus sees no increase in what begins at 1."""
        for log in sorted(self._folder.glob("*.log")):
            if resource := monitored_resource(log.stem, self._resources):
                for line in self._new_lines(log):
                    self._count(line, resource)
        samples = [
            Sample(name, value if (name, labels) in self._shown else 0.0, dict(labels))
            for (name, labels), value in self._values.items()
        ]
        self._shown.update(self._values)
        return samples

    def _new_lines(self, log: Path) -> Iterator[bytes]:
        with log.open("rb") as file:
            file.seek(self._read[log])
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read[log] += len(line)
                yield line

    def _count(self, line: bytes, resource: Mapping[str, str]) -> None:
        if b'"event"' not in line:
            return
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            return
        for metric in self._by_event.get(str(entry.get("event")), ()):
            labels = {label: str(entry.get(field, "")) for label, field in metric.label_fields.items()}
            series = tuple(sorted({**labels, **resource}.items()))
            if metric.value_field is None:
                self._add(metric.prometheus_name, series, 1.0)
            elif isinstance(value := entry.get(metric.value_field), int | float):
                self._add(f"{metric.prometheus_name}_sum", series, value)
                self._add(f"{metric.prometheus_name}_count", series, 1.0)

    def _add(self, name: str, labels: tuple[tuple[str, str], ...], value: float) -> None:
        self._values[name, labels] = self._values.get((name, labels), 0.0) + value


def monitored_resource(log: str, resources: Resources) -> Mapping[str, str] | None:
    """What stands in the cloud for the process that writes this log; None for the stand-ins' own."""
    if log in resources.functions:
        return {"monitored_resource": "cloud_run_revision", "service_name": log.replace("_", "-")}
    for job in resources.jobs.values():
        if re.fullmatch(job.name + _SUFFIX, log):
            return {"monitored_resource": "cloud_run_job", "job_name": job.name}
    gke = resources.gke
    if log.startswith(f"{gke.deployment}-"):
        return {
            "monitored_resource": "k8s_container",
            "cluster_name": gke.cluster,
            "namespace_name": gke.namespace,
            "pod_name": log,
        }
    return None
