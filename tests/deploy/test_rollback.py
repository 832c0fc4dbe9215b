"""`rollback` to a revision that has lost since it served what it needs is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy import traffic
from deploy.faults import CannotDeploy
from deploy.live import Live
from deploy.situation import ROUTE_LABEL
from tests.deploy.projects import promoted, target, with_settings


def pinned(state: str) -> Live:
    live = promoted(target())
    env = [{"name": "ALERT_TOKEN", "valueFrom": {"secretKeyRef": {"name": "nca-alert-token", "key": "1"}}}]
    revisions = [
        {**each, "spec": {"containers": [{"env": env}]}} if each["metadata"]["name"] == "alert-relay-1" else each
        for each in live.lists["revisions"]
    ]
    versions = ({"name": "projects/1/secrets/nca-alert-token/versions/1", "state": state},)
    return Live({**live.lists, "revisions": tuple(revisions)}, versions={"nca-alert-token": versions})


def test_rollback_to_a_revision_that_could_not_read_its_secret_is_refused() -> None:
    assert traffic.rollback(target(), pinned("ENABLED"))
    with pytest.raises(CannotDeploy, match="alert-relay-1 could not start: version 1 of the secret nca-alert-token"):
        traffic.rollback(target(), pinned("DISABLED"))


def test_rollback_to_a_revision_whose_cluster_is_gone_is_refused() -> None:
    """It would route work to where no pod ever comes again."""
    live = with_settings(promoted(target()), {"v1": {"ENABLE_GKE_ROUTE": "true"}})
    going = {"name": "nca-auto-gpu", "resourceLabels": {ROUTE_LABEL: "off"}}
    for clusters in ((), (going,)):
        with pytest.raises(
            CannotDeploy, match="-1 sends work to GKE, whose cluster is gone or on its way: `gke up` it"
        ):
            traffic.rollback(target(), replace(live, lists={**live.lists, "clusters": clusters}))
    there = {"name": "nca-auto-gpu", "resourceLabels": {ROUTE_LABEL: "on"}}
    assert traffic.rollback(target(), replace(live, lists={**live.lists, "clusters": (there,)}))
    assert traffic.rollback(target(), with_settings(live, {"v1": {"ENABLE_GKE_ROUTE": "false"}}))
