from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.processes import MissingTool
from local.prometheus_tools import PrometheusTools, ensure_prometheus
from tests.review.prometheus import prometheus
from tests.review.world import Recorder, two_weeks


@pytest.fixture(scope="session")
def tools() -> PrometheusTools:
    try:
        return ensure_prometheus()
    except MissingTool as missing:
        pytest.skip(missing.message)


@pytest.fixture(scope="session")
def recorded() -> Recorder:
    return two_weeks()


@pytest.fixture(scope="session")
def hub_url(tools: PrometheusTools, recorded: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that knows both weeks."""
    with prometheus(tools, tmp_path_factory.mktemp("hub"), recorded) as url:
        yield url
