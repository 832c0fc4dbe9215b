"""Targets and projects that the tests deploy to, without any gcloud: only the answers it would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deploy.live import Live
from deploy.target import Environment, Target

NUMBER = "123456789012"


def target(env: Environment = "stg", **changes: Any) -> Target:
    wanted = Target(
        project=f"hub-{env}",
        number=NUMBER,
        region="asia-northeast1",
        gpu_region="asia-southeast1",
        env=env,
        version="v2",
        source="source",
        alert_email="ops@example.com",
        repository="https://example.com/nca-fanout/blob/main",
    )
    return replace(wanted, **changes)


def revision(
    name: str,
    version: str,
    *,
    created: str = "2026-11-01T00:00:00Z",
    ready: bool = True,
    settings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    labels = {"serving.knative.dev/service": name.rpartition("-")[0], "version": version}
    return {
        "metadata": {"name": name, "labels": labels, "creationTimestamp": created},
        "spec": {"containers": [{"env": variables(settings or {})}]},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def variables(settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """A container's, as Cloud Run lists them."""
    return [{"name": name, "value": value} for name, value in settings.items()]


def service(name: str, traffic: list[dict[str, Any]], latest: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"traffic": traffic},
        "status": {"traffic": traffic, "latestReadyRevisionName": latest, "latestCreatedRevisionName": latest},
    }


def subscription(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": f"projects/hub-stg/subscriptions/{name}", "labels": {"env": "stg", "app": "nca-fanout"}, **fields}


def on_trial(wanted: Target, percent: int = 10) -> Live:
    """Every function at v1, with v2 on trial."""
    services, revisions = [], []
    for function in wanted.resources.functions:
        name = wanted.service(function)
        traffic = [
            {"revisionName": f"{name}-1", "percent": 100 - percent},
            {
                "revisionName": f"{name}-2",
                "percent": percent,
                "tag": "canary",
                "url": f"https://canary---{name}.run.app",
            },
        ]
        services.append(service(name, traffic, f"{name}-2"))
        revisions += [revision(f"{name}-1", "v1"), revision(f"{name}-2", "v2")]
    return Live({"services": tuple(services), "revisions": tuple(revisions)})


def promoted(wanted: Target) -> Live:
    """Every function at v2, with v1 to go back to and v0 forgotten."""
    services, revisions = [], []
    for function in wanted.resources.functions:
        name = wanted.service(function)
        traffic = [
            {"revisionName": f"{name}-2", "percent": 100},
            {"revisionName": f"{name}-1", "tag": "previous"},
        ]
        services.append(service(name, traffic, f"{name}-2"))
        revisions += [revision(f"{name}-{number}", f"v{number}") for number in range(3)]
    return Live({"services": tuple(services), "revisions": tuple(revisions)})


def with_settings(live: Live, settings: Mapping[str, Mapping[str, str]]) -> Live:
    """Revisions of a version with these settings: version → settings."""
    changed = [
        each | {"spec": {"containers": [{"env": variables(settings.get(each["metadata"]["labels"]["version"], {}))}]}}
        for each in live.lists["revisions"]
    ]
    return replace(live, lists={**live.lists, "revisions": tuple(changed)})


def with_subscriptions(live: Live, *subscriptions: Mapping[str, Any]) -> Live:
    return replace(live, lists={**live.lists, "subscriptions": subscriptions})
