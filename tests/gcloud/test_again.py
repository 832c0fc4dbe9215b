"""`up` a second time: nothing where nothing has changed, the difference where something has."""

from __future__ import annotations

import re
from pathlib import Path

from shared.resources import declared
from tests.gcloud.conftest import Past
from tests.gcloud.deployment import Deployment
from tests.gcloud.granted import held

RESOURCES = declared()
#: What a server counts up with every write.
_COUNTED = {"etag", "resourceVersion", "generation", "metageneration", "observedGeneration"}


def without_counters(value: object) -> object:
    if isinstance(value, dict):
        return {name: without_counters(each) for name, each in value.items() if name not in _COUNTED}
    return [without_counters(each) for each in value] if isinstance(value, list) else value


def test_a_second_up_changes_nothing(deployed: Deployment) -> None:
    outcome = deployed.run("up")
    assert outcome.code == 0, outcome
    assert not outcome.changes, outcome


def test_what_was_removed_or_altered_by_hand_is_mended(deployed: Deployment, first_up: Past) -> None:
    store = deployed.cloud.store
    removed = [
        deployed.key("pubsub/topics/alerts"),
        deployed.key("pubsub/subscriptions/gpu-gke-work"),
        deployed.key(f"cloudtasks/{deployed.region}/queues/webhooks"),
        deployed.key(f"cloudscheduler/{deployed.region}/jobs/sweep"),
        deployed.key("logging/metrics/job_failed"),
    ]
    for key in removed:
        store.delete(key)
    altered = {
        deployed.key(f"cloudtasks/{deployed.region}/queues/cpu-tasks"): {"rateLimits": {"maxDispatchesPerSecond": 500}},
        deployed.key("pubsub/subscriptions/gpu-work"): {"ackDeadlineSeconds": 10, "retryPolicy": {}},
        deployed.key("pubsub/subscriptions/gpu-sub"): {"pushConfig": {"pushEndpoint": "https://example.com/"}},
        deployed.key("pubsub/topics/gpu-tasks"): {"labels": {}},
        f"storage/b/{deployed.bucket('state')}": {"lifecycle": {}},
        f"storage/b/{deployed.bucket('results')}": {
            "iamConfiguration": {
                "publicAccessPrevention": "inherited",
                "uniformBucketLevelAccess": {"enabled": False},
            }
        },
    }
    for key, change in altered.items():
        store.get(key).update(change)
    bare = [f"storage/b/{deployed.bucket('uploads')}", deployed.key("secretmanager/secrets/nca-api-keys")]
    for key in bare:
        store.policies[key]["bindings"] = []

    outcome = deployed.run("up")

    assert outcome.code == 0, outcome
    before, policies = first_up.project
    for key in (*removed, *altered):
        assert without_counters(store.get(key)) == without_counters(before[key]), key
    store_policies = held(deployed)
    store.policies = policies
    assert store_policies == held(deployed)


def test_other_file_types_make_new_subscriptions_and_drain_the_old(deployed: Deployment) -> None:
    names = [name for name, each in RESOURCES.subscriptions.items() if each.filter]
    outcome = deployed.run("up", "--set=GPU_FILE_TYPES=mp4,mov,wav,mkv")
    assert outcome.code == 0, outcome
    present = deployed.names("pubsub/subscriptions")
    for name in names:
        (new,) = [each for each in present if re.fullmatch(f"{name}-[0-9a-f]{{6}}", each)]
        found, old = deployed.at(f"pubsub/subscriptions/{new}"), deployed.at(f"pubsub/subscriptions/{name}")
        assert found["filter"] == RESOURCES.subscriptions[name].filter_for(frozenset({"mp4", "mov", "wav", "mkv"}))
        assert old["filter"] == RESOURCES.subscriptions[name].filter_for(frozenset({"mp4", "mov", "wav"}))
        assert {**found, "name": "", "filter": ""} == {**old, "name": "", "filter": ""}
    (work,) = [each for each in present if re.fullmatch("gpu-work-[0-9a-f]{6}", each)]
    job = deployed.at(f"run/{deployed.gpu_region}/jobs/nca-toolkit-gpu-job")
    (container,) = job["spec"]["template"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "GPU_SUBSCRIPTION", "value": work} in container["env"]
    assert (
        deployed.key(f"pubsub/subscriptions/{work}"),
        "roles/pubsub.subscriber",
        deployed.member("nca-gpu-worker"),
    ) in held(deployed)
    drained = {
        variable["value"]
        for name in deployed.names(f"run/{deployed.gpu_region}/executions")
        for override in deployed.at(f"run/{deployed.gpu_region}/executions/{name}")["overrides"]["containerOverrides"]
        for variable in override["env"]
    }
    assert drained == {"gpu-work", "gpu-work-high", "gpu-gke-work", "gpu-gke-work-high"}


def test_a_new_secret_value_makes_a_version_and_restarts_who_reads_it(deployed: Deployment, tmp_path: Path) -> None:
    value = "https://n8n.example.com/webhook/not-to-be-seen"
    (tmp_path / "N8N_ALERT_URL").write_text(f"{value}\n")
    outcome = deployed.run("up", f"--secrets-dir={tmp_path}")
    assert outcome.code == 0, outcome
    assert deployed.secret("nca-n8n-alert-url", "1") == value
    assert value not in outcome.out
    assert not [call for call in outcome.calls if value in call]
    (container,) = deployed.at(f"run/{deployed.region}/services/alert-relay")["spec"]["template"]["spec"]["containers"]
    reference = {"secretKeyRef": {"name": "nca-n8n-alert-url", "key": "1"}}
    assert {"name": "N8N_ALERT_URL", "valueFrom": reference} in container["env"]
    restarted = {
        line.split()[1].rpartition("/")[2] for line in outcome.changes if "/services/" in line and "PUT" in line
    }
    assert restarted == {"alert-relay"}
