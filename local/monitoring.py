"""Prometheus and Alertmanager beside the local cloud: the deployed rules, evaluated, and sent to alert_relay.

Prometheus scrapes what stands for Cloud Monitoring's metrics; Alertmanager stands for its notification channels: one
message per alert and state to the relay, and none for the alert about the relay itself, which is mailed in the cloud.
A rule that is to fire within seconds needs its windows shortened: Prometheus cannot be given another clock, so it gets
a copy of the rules in which all times are `speed` times shorter (monitoring.rules.hurried).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from local.functions import ROOT
from local.ports import LOOPBACK
from local.processes import Child, Processes, http_ready, wait_ready
from local.prometheus_tools import PrometheusTools
from monitoring import rules

_SCRAPE_S: Final = 5.0
#: A rule group's own interval, which `speed` divides, too.
_SLOWEST_SCRAPE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class MonitoringPorts:
    prometheus: int
    alertmanager: int
    #: What is scraped.
    exporter: int


def start(
    processes: Processes,
    tools: PrometheusTools,
    ports: MonitoringPorts,
    *,
    relay_url: str,
    alert_token: str,
    speed: float,
    folder: Path,
    logs: Path,
) -> dict[str, Child]:
    """Start both and wait until they answer; their files are in `folder`. Raises StartFailed."""
    folder.mkdir(parents=True)
    for file in rules.FILES:
        text = rules.hurried(file.read_text(), speed=speed, env="local", repository=ROOT.as_uri())
        (folder / file.name).write_text(text)
    prometheus_config = _written(folder / "prometheus.yml", _prometheus(ports, speed))
    alertmanager_config = _written(folder / "alertmanager.yml", _alertmanager(relay_url, alert_token))
    children = {
        "alertmanager": processes.start(
            [
                tools.alertmanager,
                f"--config.file={alertmanager_config}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={LOOPBACK}:{ports.alertmanager}",
                # One of them is no cluster.
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            env={},
            log=logs / "alertmanager.log",
            name="alertmanager",
            cwd=tools.alertmanager.parent,
        ),
        "prometheus": processes.start(
            [
                tools.prometheus,
                f"--config.file={prometheus_config}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={LOOPBACK}:{ports.prometheus}",
                "--log.level=warn",
            ],
            env={},
            log=logs / "prometheus.log",
            name="prometheus",
        ),
    }
    for name, port in (("alertmanager", ports.alertmanager), ("prometheus", ports.prometheus)):
        wait_ready(children[name], http_ready(f"http://{LOOPBACK}:{port}/-/ready"), within_s=30)
    return children


def _prometheus(ports: MonitoringPorts, speed: float) -> Mapping[str, Any]:
    """https://prometheus.io/docs/prometheus/latest/configuration/configuration/"""
    scrape = f"{round(1000 * min(_SCRAPE_S, _SLOWEST_SCRAPE_S / speed))}ms"
    return {
        "global": {"scrape_interval": scrape, "scrape_timeout": scrape, "evaluation_interval": scrape},
        "rule_files": [file.name for file in rules.FILES],
        "alerting": {"alertmanagers": [{"static_configs": [_targets(ports.alertmanager)]}]},
        "scrape_configs": [
            {
                "job_name": "local-cloud",
                "static_configs": [_targets(ports.exporter)],
                # The labels are then those of Cloud Monitoring.
                "metric_relabel_configs": [{"action": "labeldrop", "regex": "job|instance"}],
            }
        ],
    }


def _targets(port: int) -> Mapping[str, Any]:
    return {"targets": [f"{LOOPBACK}:{port}"]}


def _alertmanager(relay_url: str, token: str) -> Mapping[str, Any]:
    """https://prometheus.io/docs/alerting/latest/configuration/"""
    relay = {
        "url": relay_url,
        "send_resolved": True,
        # Cut-off alerts could not be told; 0 is no limit.
        "max_alerts": 0,
        "http_config": {"authorization": {"type": "Bearer", "credentials": token}},
    }
    mailed = [f'alertname="{rule.name}"' for rule in rules.rules(rules.RELAY_DOWN)]
    return {
        "route": {
            "receiver": "alert-relay",
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "4h",
            "routes": [{"receiver": "mail", "matchers": [matcher]} for matcher in mailed],
        },
        "receivers": [{"name": "alert-relay", "webhook_configs": [relay]}, {"name": "mail"}],
    }


def _written(file: Path, config: Mapping[str, Any]) -> Path:
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    return file
