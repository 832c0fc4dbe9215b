"""The metrics that Cloud Logging counts from our logs, as log-metrics/*.yaml declare them.

A file is a LogMetric (https://cloud.google.com/logging/docs/reference/v2/rest/v2/projects.metrics#LogMetric) without
its name, which is the file's: `gcloud logging metrics create NAME --config-from-file=log-metrics/NAME.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

FOLDER: Final = Path(__file__).parent / "log-metrics"

#: The two shapes of filter used: one event, or one of several.
_FILTER: Final = re.compile(r'jsonPayload\.event=(?:"(?P<one>[\w.]+)"|\((?P<many>"[\w.]+"(?: OR "[\w.]+")+)\))')
_FIELD: Final = r"^EXTRACT\(jsonPayload\.\w+\)$"
Extractor = Annotated[str, Field(pattern=_FIELD)]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelDescriptor(_Declared):
    key: str
    valueType: Literal["STRING"]
    description: str


class Descriptor(_Declared):
    metricKind: Literal["DELTA"]
    valueType: Literal["INT64", "DISTRIBUTION"]
    unit: str
    labels: tuple[LabelDescriptor, ...] = ()


class LogMetric(_Declared):
    """One metric; its series also carry the labels of the resource that logged."""

    name: str
    description: str
    filter: str
    metricDescriptor: Descriptor
    labelExtractors: Mapping[str, Extractor] = {}
    valueExtractor: Extractor | None = None
    bucketOptions: dict[str, Any] | None = None

    @property
    def prometheus_name(self) -> str:
        """As PromQL calls it; a distribution's series end in _bucket, _sum and _count."""
        return f"logging_googleapis_com:user_{self.name}"

    @property
    def events(self) -> tuple[str, ...]:
        """The values of `event` that it counts. Raises ValueError for a filter of another shape."""
        found = _FILTER.fullmatch(self.filter)
        if found is None:
            raise ValueError(f"{self.name}: not a filter of events: {self.filter}")
        return (found["one"],) if found["one"] else tuple(re.findall(r'"([\w.]+)"', found["many"]))

    @property
    def label_fields(self) -> Mapping[str, str]:
        """Label → the field of the log line it is taken from."""
        return {label: _field(extractor) for label, extractor in self.labelExtractors.items()}

    @property
    def value_field(self) -> str | None:
        """The field a distribution is made of; None for a counter."""
        return _field(self.valueExtractor) if self.valueExtractor else None


def log_metrics() -> tuple[LogMetric, ...]:
    """All of them, by name."""
    return tuple(
        LogMetric(name=file.stem, **yaml.safe_load(file.read_text())) for file in sorted(FOLDER.glob("*.yaml"))
    )


def _field(extractor: str) -> str:
    return extractor.removeprefix("EXTRACT(jsonPayload.").removesuffix(")")
