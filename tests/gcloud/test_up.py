"""What one `up` on an empty project leaves there: everything that resources.toml declares, and nothing more."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import pytest
import yaml

from shared.resources import declared
from shared.settings import parse
from tests.gcloud.conftest import Past
from tests.gcloud.deployment import ROOT, Deployment
from tests.gcloud.granted import declared_rights, held

RESOURCES = declared()
LABELS = {"env": "stg", "app": "nca-fanout"}


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def secrets(container: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"] if "valueFrom" in each}


def events_subscription(deployment: Deployment) -> str:
    trigger = deployment.at(f"eventarc/{deployment.region}/triggers/uploads")
    return str(trigger["transport"]["pubsub"]["subscription"]).rpartition("/")[2]


def test_accounts_are_the_declared_ones(deployed: Deployment) -> None:
    found = {name for name in deployed.names("iam/serviceAccounts") if not name.startswith("service-")}
    assert found == {deployed.account(name) for name in RESOURCES.accounts}


def test_rights_are_the_declared_table_and_nothing_more(deployed: Deployment) -> None:
    assert held(deployed) == declared_rights(deployed, RESOURCES, events_subscription(deployed))


def test_topics_are_the_declared_ones(deployed: Deployment) -> None:
    found = {name for name in deployed.names("pubsub/topics") if not name.startswith("eventarc-")}
    assert found == set(RESOURCES.topics.names)
    assert all(deployed.at(f"pubsub/topics/{name}")["labels"] == LABELS for name in found)


@pytest.mark.parametrize("name", RESOURCES.subscriptions)
def test_subscription_is_as_declared(deployed: Deployment, name: str) -> None:
    wanted, found = RESOURCES.subscriptions[name], deployed.at(f"pubsub/subscriptions/{name}")
    project = f"projects/{deployed.cloud.project}"
    assert found["topic"] == f"{project}/topics/{wanted.topic}"
    assert found["labels"] == LABELS
    assert found["ackDeadlineSeconds"] == wanted.ack_deadline
    assert found["retryPolicy"] == {"minimumBackoff": f"{wanted.retry_min}s", "maximumBackoff": f"{wanted.retry_max}s"}
    assert found["expirationPolicy"] == {}
    assert found.get("filter", "") == wanted.filter_for(frozenset({"mp4", "mov", "wav"}))
    dead = {
        "deadLetterTopic": f"{project}/topics/{wanted.dead_letter_topic}",
        "maxDeliveryAttempts": wanted.max_delivery_attempts,
    }
    assert found.get("deadLetterPolicy") == (dead if wanted.dead_letter_topic else None)
    url = deployed.url(wanted.push_to) if wanted.push_to else ""
    token = {"serviceAccountEmail": deployed.account("nca-invoker"), "audience": url}
    push = {"pushEndpoint": f"{url}{wanted.push_path}", "oidcToken": token}
    assert found["pushConfig"] == (push if wanted.push_to else {})


def test_events_that_on_upload_refuses_for_good_go_to_dead_letters(deployed: Deployment) -> None:
    (trigger,) = RESOURCES.trigger.values()
    found = deployed.at(f"pubsub/subscriptions/{events_subscription(deployed)}")
    assert found["deadLetterPolicy"]["deadLetterTopic"].endswith(f"/topics/{trigger.dead_letter_topic}")
    assert found["deadLetterPolicy"]["maxDeliveryAttempts"] == trigger.max_delivery_attempts


def test_trigger_sends_uploads_to_on_upload(deployed: Deployment) -> None:
    (name, wanted), *_ = RESOURCES.trigger.items()
    found = deployed.at(f"eventarc/{deployed.region}/triggers/{name}")
    assert {each["attribute"]: each["value"] for each in found["eventFilters"]} == {
        "type": wanted.event,
        "bucket": deployed.bucket(wanted.bucket),
    }
    assert found["destination"]["cloudRun"] == {"service": "on-upload", "region": deployed.region}
    assert found["serviceAccount"].endswith(deployed.account(wanted.account))
    assert found["labels"] == LABELS


@pytest.mark.parametrize("name", RESOURCES.queues)
def test_queue_is_as_declared(deployed: Deployment, name: str) -> None:
    wanted, found = RESOURCES.queues[name], deployed.at(f"cloudtasks/{deployed.region}/queues/{name}")
    assert found["rateLimits"]["maxDispatchesPerSecond"] == wanted.dispatches_per_second
    assert found["rateLimits"]["maxConcurrentDispatches"] == wanted.concurrent_dispatches
    assert found["retryConfig"]["maxAttempts"] == wanted.max_attempts
    assert found["retryConfig"]["minBackoff"] == f"{wanted.min_backoff:g}s"
    assert found["retryConfig"]["maxBackoff"] == f"{wanted.max_backoff:g}s"


@pytest.mark.parametrize("name", RESOURCES.buckets)
def test_bucket_is_as_declared(deployed: Deployment, name: str) -> None:
    wanted, found = RESOURCES.buckets[name], deployed.cloud.store.get(f"storage/b/{deployed.bucket(name)}")
    assert found["location"] == deployed.region.upper()
    assert found["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"] is True
    assert found["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    assert found["labels"] == LABELS
    rules = found.get("lifecycle", {}).get("rule", [])
    assert all(rule["action"] == {"type": "Delete"} for rule in rules)
    expiry = {(tuple(rule["condition"].get("matchesPrefix", [""])), rule["condition"]["age"]) for rule in rules}
    assert expiry == {((each.prefix,), each.days) for each in wanted.expire}
    assert {method for cors in found.get("cors", []) for method in cors["method"]} == set(wanted.cors)


@pytest.mark.parametrize("name", RESOURCES.functions)
def test_function_runs_as_declared(deployed: Deployment, name: str) -> None:
    wanted = RESOURCES.functions[name]
    service = deployed.at(f"run/{deployed.region}/services/{name.replace('_', '-')}")
    spec = service["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["serviceAccountName"] == deployed.account(wanted.account)
    assert spec["containerConcurrency"] == wanted.concurrency
    assert int(spec["timeoutSeconds"]) == wanted.timeout
    assert container["resources"]["limits"] == {"cpu": str(wanted.cpu), "memory": wanted.memory}
    annotations = service["metadata"]["annotations"] | service["spec"]["template"]["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/maxScale"] == str(wanted.max_instances)
    least = annotations.get("run.googleapis.com/minScale") or annotations.get("autoscaling.knative.dev/minScale")
    assert int(least or 0) == wanted.min_instances
    assert annotations["run.googleapis.com/build-function-target"] == name
    assert service["metadata"]["labels"].items() >= LABELS.items()


@pytest.mark.parametrize("name", RESOURCES.functions)
def test_function_reads_settings_that_it_accepts_and_only_its_own_secrets(deployed: Deployment, name: str) -> None:
    wanted = RESOURCES.functions[name]
    service = deployed.at(f"run/{deployed.region}/services/{name.replace('_', '-')}")
    (container,) = service["spec"]["template"]["spec"]["containers"]
    given = environment(container)
    assert given["THREADS"] == str(wanted.concurrency)
    assert given["WORKERS"] == str(wanted.workers)
    optional = {setting for setting, secret in RESOURCES.secrets.items() if secret.optional}
    read = secrets(container)
    assert read.keys() == set(wanted.secrets) - optional
    assert {each["name"] for each in read.values()} == {RESOURCES.secrets[setting].name for setting in read}
    values = {setting: deployed.secret(each["name"], each["key"]) for setting, each in read.items()}
    settings = parse(given | values | {"K_SERVICE": name.replace("_", "-")})
    assert settings.project == deployed.cloud.project
    assert settings.gpu_region == deployed.gpu_region
    assert settings.uploads_bucket == deployed.bucket("uploads")


@pytest.mark.parametrize("name", RESOURCES.jobs)
def test_job_runs_as_declared(deployed: Deployment, name: str) -> None:
    wanted = RESOURCES.jobs[name]
    where = deployed.gpu_region if wanted.gpu else deployed.region
    job = deployed.at(f"run/{where}/jobs/{wanted.name}")
    task = job["spec"]["template"]["spec"]["template"]["spec"]
    (container,) = task["containers"]
    assert task["serviceAccountName"] == deployed.account(wanted.account)
    assert int(task["timeoutSeconds"]) == wanted.task_timeout
    assert task["maxRetries"] == wanted.max_retries
    assert task.get("nodeSelector", {}).get("run.googleapis.com/accelerator") == wanted.gpu
    one_zone = job["spec"]["template"]["metadata"]["annotations"].get(
        "run.googleapis.com/gpu-zonal-redundancy-disabled"
    )
    assert one_zone == ("True" if wanted.gpu else None)
    limits = {"cpu": str(wanted.cpu), "memory": wanted.memory} | ({"nvidia.com/gpu": "1"} if wanted.gpu else {})
    assert container["resources"]["limits"] == limits
    assert (*container["command"], *container["args"]) == wanted.command
    repository = f"{deployed.region}-docker.pkg.dev/{deployed.cloud.project}/{RESOURCES.images.repository}"
    assert re.fullmatch(rf"{re.escape(repository)}/{wanted.image}@sha256:[0-9a-f]{{64}}", container["image"])
    assert not secrets(container)
    assert parse(environment(container)).require_gpu is bool(wanted.gpu)
    assert job["metadata"]["labels"].items() >= LABELS.items()


def test_sweep_is_called_every_minute(deployed: Deployment) -> None:
    (name, wanted), *_ = RESOURCES.scheduler.items()
    found = deployed.at(f"cloudscheduler/{deployed.region}/jobs/{name}")
    assert (found["schedule"], wanted.every) == ("* * * * *", 60)
    assert found["httpTarget"]["uri"] == f"{deployed.url(wanted.calls)}{wanted.path}"
    token = {"serviceAccountEmail": deployed.account("nca-invoker"), "audience": deployed.url(wanted.calls)}
    assert found["httpTarget"]["oidcToken"] == token


def test_every_alert_rule_has_a_policy_that_tells_the_relay(deployed: Deployment) -> None:
    files = (ROOT / "monitoring" / "alerts.yaml", ROOT / "monitoring" / "relay-down.yaml")
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    wanted = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    policies = [deployed.at(f"monitoring/alertPolicies/{name}") for name in deployed.names("monitoring/alertPolicies")]
    queries = [
        each["conditionPrometheusQueryLanguage"]["alertRule"] for policy in policies for each in policy["conditions"]
    ]
    assert sorted(queries) == sorted(wanted)
    channels = {name: deployed.at(f"monitoring/notificationChannels/{name}") for name in
                deployed.names("monitoring/notificationChannels")}  # fmt: skip
    relay = next(each["name"] for each in channels.values() if each["type"] == "pubsub")
    mail = next(each["name"] for each in channels.values() if each["type"] == "email")
    told = {policy["conditions"][0]["conditionPrometheusQueryLanguage"]["alertRule"]: policy["notificationChannels"]
            for policy in policies}  # fmt: skip
    by_mail = {rule["alert"] for group in yaml.safe_load(files[1].read_text())["groups"] for rule in group["rules"]}
    assert told == {name: [mail if name in by_mail else relay] for name in wanted}


def test_there_are_the_log_metrics_the_dashboard_and_the_budget(deployed: Deployment) -> None:
    files = (ROOT / "monitoring" / "log-metrics").glob("*.yaml")
    assert deployed.names("logging/metrics") == {file.stem for file in files}
    assert len(deployed.names("monitoring/dashboards")) == 1
    budgets = [each for key, each in deployed.cloud.store.resources.items() if "/budgets/" in key]
    assert [each["amount"]["specifiedAmount"]["units"] for each in budgets] == ["300"]


def test_sources_that_are_built_hold_the_functions_and_no_tests_or_secrets(deployed: Deployment) -> None:
    archive = zipfile.ZipFile(io.BytesIO(next(iter(deployed.cloud.uploads.values()))))
    names = set(archive.namelist())
    assert {"main.py", "requirements.txt", "functions/ingest.py", "shared/resources.toml"} <= names
    kept = {name.split("/")[0] for name in names}
    assert not kept & {".git", ".venv", "tests", "build", "bench", "docs", "k8s"}


def test_secrets_stand_in_no_command_line_and_no_output(first_up: Past, deployed: Deployment) -> None:
    outcome = first_up.outcome
    given = [secret.name for secret in RESOURCES.secrets.values() if not secret.optional]
    assert {call for call in outcome.calls if call.startswith("secrets versions add")}
    for value in (deployed.secret(name, "1") for name in given):
        assert len(value) > 20
        assert value not in outcome.out
        assert not [call for call in outcome.calls if value in call]
