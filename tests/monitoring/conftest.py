"""The real promtool and Prometheus, or a reason why there is none."""

from __future__ import annotations

import pytest

from local.processes import MissingTool
from local.prometheus_tools import PrometheusTools, ensure_prometheus


@pytest.fixture(scope="session")
def tools() -> PrometheusTools:
    try:
        return ensure_prometheus()
    except MissingTool as missing:
        pytest.skip(missing.message)
