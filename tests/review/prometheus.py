"""A real Prometheus with made-up weeks in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from local.ports import Ports
from local.prometheus_tools import PrometheusTools
from tests.review.world import Recorder
from tests.waiting import eventually


@contextmanager
def prometheus(tools: PrometheusTools, folder: Path, recorded: Recorder) -> Iterator[str]:
    """Its URL."""
    data, text, config = folder / "tsdb", folder / "metrics.txt", folder / "prometheus.yml"
    data.mkdir()
    config.write_text("global: {scrape_interval: 1m}\n")
    if recorded.samples:
        with text.open("w") as file:
            file.writelines(recorded.openmetrics())
        create = [tools.promtool, "tsdb", "create-blocks-from", "--max-block-duration=1000h", "openmetrics", text, data]
        subprocess.run(create, check=True, capture_output=True, timeout=60)
    with Ports() as ports:
        port = ports.take()
        process = subprocess.Popen(
            [
                tools.prometheus,
                f"--config.file={config}",
                f"--storage.tsdb.path={data}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
            ],
            cwd=folder,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            eventually(lambda: _is_ready(url), "Prometheus is ready", within_s=30)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
