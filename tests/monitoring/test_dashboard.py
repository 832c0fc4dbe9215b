"""The dashboard: valid by its API's types, with queries that Prometheus parses, and nothing on top of another."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
import yaml
from google.cloud import monitoring_dashboard_v1
from google.protobuf import json_format

from local.prometheus_tools import PrometheusTools
from tests.monitoring.dashboard import FILE, dashboard, queries
from tests.monitoring.promql import promtool

#: What the client asked to see, by a word of the title.
ASKED = (
    *("backlog", "oldest", "throughput", "job failures", "gpu utilisation", "executions", "5xx", "202"),
    *("tasks in the queues", "dead letters", "cost"),
)


@pytest.mark.parametrize("wrong", [('"xyChart"', '"xychart"'), ('"SPARK_LINE"', '"SPARKLE"'), ('"columns"', '"cols"')])
def test_types_of_the_client_refuse_what_the_api_would_not_know(wrong: tuple[str, str]) -> None:
    with pytest.raises(json_format.ParseError):
        json_format.Parse(FILE.read_text().replace(*wrong), monitoring_dashboard_v1.Dashboard.pb()())


def test_everything_asked_for_is_shown() -> None:
    titles = [tile.widget.title.lower() for tile in dashboard().mosaic_layout.tiles]
    assert [word for word in ASKED if not any(word in title for title in titles)] == []
    assert len(titles) == len(set(titles))


def test_tiles_lie_side_by_side_within_the_columns() -> None:
    layout = dashboard().mosaic_layout
    for tile in layout.tiles:
        assert tile.x_pos + tile.width <= layout.columns
        assert tile.height > 0
    for one, other in combinations(layout.tiles, 2):
        apart_x = one.x_pos + one.width <= other.x_pos or other.x_pos + other.width <= one.x_pos
        apart_y = one.y_pos + one.height <= other.y_pos or other.y_pos + other.height <= one.y_pos
        assert apart_x or apart_y, (one.widget.title, other.widget.title)


def test_prometheus_parses_every_query(tools: PrometheusTools, tmp_path: Path) -> None:
    assert len(queries()) >= 20
    recorded = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries().values())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    status, said = promtool(tools.promtool, "check", "rules", file, cwd=tmp_path)
    assert (status, f"{len(recorded)} rules found" in said) == (0, True), said
