"""The dashboard, parsed by the types of Google's own client."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from google.cloud import monitoring_dashboard_v1
from google.protobuf import json_format

from monitoring import rules

FILE = rules.FOLDER / "dashboard.json"


@cache
def dashboard() -> Any:
    """A protobuf Dashboard; json_format.ParseError for a field or an enum's name that there is not."""
    return json_format.Parse(FILE.read_text(), monitoring_dashboard_v1.Dashboard.pb()())


@cache
def queries() -> Mapping[str, str]:
    """Every PromQL query on it, by its widget's title and a number."""
    found: dict[str, str] = {}
    for tile in dashboard().mosaic_layout.tiles:
        widget = tile.widget
        sets = [widget.scorecard] if widget.HasField("scorecard") else list(widget.xy_chart.data_sets)
        for number, each in enumerate(sets):
            found[f"{widget.title} #{number}"] = each.time_series_query.prometheus_query
    return found
