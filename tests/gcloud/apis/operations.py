"""Monitoring, logging, GKE, Compute, quotas: what they check and what they add."""

from __future__ import annotations

import re
from typing import Any

from tests.gcloud.apis.platform import agent
from tests.gcloud.call import Call
from tests.gcloud.store import Resource


def _numbered(call: Call, key: str, resource: Resource) -> None:
    """Policies, channels and budgets get names of the server's making."""
    resource["name"] = key.partition("/")[2]
    for number, condition in enumerate(resource.get("conditions", [])):
        condition.setdefault("name", f"{resource['name']}/conditions/{number}")


def _channel(call: Call, key: str, channel: Resource) -> None:
    """The first that goes to Pub/Sub brings the account that publishes."""
    _numbered(call, key, channel)
    channel["enabled"] = True
    if channel["type"] == "pubsub":
        call.require(f"pubsub/{channel['labels']['topic']}")
        agent(call, "gcp-sa-monitoring-notification")


def _metric(call: Call, key: str, metric: Resource) -> None:
    """Proto3's JSON leaves out an enum's zero: a label without a type is a STRING."""
    for label in metric.get("metricDescriptor", {}).get("labels", []):
        if label.get("valueType") == "STRING":
            del label["valueType"]


def _channels(call: Call) -> Resource:
    """Cloud Monitoring itself applies `--filter`, of which `a.b="c" AND …` is known here."""
    wanted = re.findall(r'([\w.]+)="([^"]*)"', call.request.query.get("filter", ""))
    channels = call.store.list(call.key)
    return {"notificationChannels": [each for each in channels if all(_field(each, *pair) for pair in wanted)]}


def _field(resource: Resource, path: str, value: str) -> bool:
    found: Any = resource
    for name in path.split("."):
        found = found.get(name, {})
    return bool(found == value)


def _create_cluster(call: Call) -> Resource:
    cluster = call.sent()
    added = {
        "status": "RUNNING",
        "location": call.key.split("/")[4],
        "endpoint": "192.0.2.1",
        "masterAuth": {"clusterCaCertificate": "bm8gY2VydGlmaWNhdGU="},
        "currentMasterVersion": "1.37.0-gke.1",
        "currentNodeVersion": "1.37.0-gke.1",
        "zone": call.key.split("/")[4],
        "labelFingerprint": "1",
    }
    call.store.create(f"{call.key}/{cluster['name']}", {**cluster, **added})
    return _cluster_operation(call)


def _cluster_operation(call: Call) -> Resource:
    place = call.key.partition("/clusters")[0]
    name = f"operation-{call.store.number()}"
    return call.store.create(
        f"{place}/operations/{name}",
        {"name": name, "status": "DONE", "operationType": "CREATE_CLUSTER", "zone": place.split("/")[-1]},
    )


def _label_cluster(call: Call) -> Resource:
    call.store.get(call.key)["resourceLabels"] = call.request.body["resourceLabels"]
    return _cluster_operation(call)


def _delete_cluster(call: Call) -> Resource:
    call.store.delete(call.key)
    return _cluster_operation(call)


def _query(call: Call) -> Resource:
    result = call.cloud.promql(call.request.query["query"])
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


QUIRKS = {
    "GET monitoring/projects/*/location/global/prometheus/api/v1/query": _query,
    "GET monitoring/projects/*/notificationChannels": _channels,
    "POST container/projects/*/locations/*/clusters": _create_cluster,
    "POST container/projects/*/locations/*/clusters/*:setResourceLabels": _label_cluster,
    "DELETE container/projects/*/locations/*/clusters/*": _delete_cluster,
}
COMPLETIONS = {
    "logging/projects/*/metrics/*": _metric,
    "monitoring/projects/*/alertPolicies/*": _numbered,
    "monitoring/projects/*/notificationChannels/*": _channel,
    "monitoring/projects/*/dashboards/*": _numbered,
    "billingbudgets/billingAccounts/*/budgets/*": _numbered,
}
