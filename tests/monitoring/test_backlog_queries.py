"""What routing and admission ask for, answered by promtool's own evaluation."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from local.prometheus_tools import PrometheusTools
from shared.backlog import query, work_query
from tests.fakes.services import FakeServices

UNDELIVERED = "pubsub_googleapis_com:subscription_num_undelivered_messages"
SERIES = {
    f'{UNDELIVERED}{{subscription_id="gpu-work"}}': 1,
    f'{UNDELIVERED}{{subscription_id="gpu-work-high"}}': 2,
    f'{UNDELIVERED}{{subscription_id="gpu-gke-work"}}': 4,
    f'{UNDELIVERED}{{subscription_id="gpu-gke-work-high"}}': 8,
    'cloudtasks_googleapis_com:queue_depth{queue_id="cpu-tasks"}': 16,
    'cloudtasks_googleapis_com:queue_depth{queue_id="cpu-tasks-high"}': 32,
    # Of other things.
    f'{UNDELIVERED}{{subscription_id="gpu-sub"}}': 64,
    f'{UNDELIVERED}{{subscription_id="dead-letters-sub"}}': 128,
    'cloudtasks_googleapis_com:queue_depth{queue_id="webhooks"}': 256,
}


@pytest.mark.parametrize(
    ("missing", "gpu", "whole"),
    [((), 3, 63), (("cloudtasks",), 3, 15), (("pubsub",), None, 48), (("pubsub", "cloudtasks"), None, None)],
)
def test_backlog_is_that_of_the_lanes_and_a_missing_series_adds_nothing(
    tools: PrometheusTools,
    services: FakeServices,
    tmp_path: Path,
    missing: tuple[str, ...],
    gpu: int | None,
    whole: int | None,
) -> None:
    settings = services.settings
    series = [{"series": name, "values": str(value)} for name, value in SERIES.items() if not name.startswith(missing)]
    asked = ((query(*settings.gpu_lanes), gpu), (work_query(settings), whole))
    expected = [
        {"expr": text, "eval_time": "0m", "exp_samples": [] if value is None else [{"labels": "{}", "value": value}]}
        for text, value in asked
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(json.dumps({"tests": [{"input_series": series, "promql_expr_test": expected}]}))
    ran = subprocess.run([tools.promtool, "test", "rules", file], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
