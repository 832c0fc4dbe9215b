"""What pods of ours may be: rules in the manner of kube-linter and checkov, on rendered documents.

Each rule answers what is wrong, in words; nothing when all is well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from shared.resources import declared
from shared.settings import Settings
from tests.k8s.rendering import Document, container, one, pod

Rule = Callable[[list[Document]], Iterator[str]]

RULES: list[Rule] = []

#: Pub/Sub's metric: sampled every 60 s, visible 120 s later.
METRIC_LAG_SECONDS = 180
PRIVATE = {"34.118.224.0/20", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}


def rule(check: Rule) -> Rule:
    RULES.append(check)
    return check


@rule
def image_is_named_by_digest(documents: list[Document]) -> Iterator[str]:
    if not re.search(r"@sha256:[0-9a-f]{64}$", container(documents)["image"]):
        yield f"{container(documents)['image']} may change under its name"


@rule
def pod_is_not_root(documents: list[Document]) -> Iterator[str]:
    context = pod(documents).get("securityContext", {})
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not true"
    if any(context.get(name, 0) < 10000 for name in ("runAsUser", "runAsGroup")):
        yield "a low user or group number may exist on the node, too"
    overridden = {"runAsNonRoot", "runAsUser", "runAsGroup"} & container(documents).get("securityContext", {}).keys()
    if overridden:
        yield f"the container overrides {sorted(overridden)}"


@rule
def container_cannot_rise(documents: list[Document]) -> Iterator[str]:
    context = container(documents).get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield "privilege escalation is allowed"
    if context.get("privileged"):
        yield "the container is privileged"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "capabilities are kept"


@rule
def system_calls_are_filtered(documents: list[Document]) -> Iterator[str]:
    contexts = (pod(documents).get("securityContext", {}), container(documents).get("securityContext", {}))
    types = {context["seccompProfile"].get("type") for context in contexts if "seccompProfile" in context}
    if types != {"RuntimeDefault"}:
        yield f"seccomp profiles: {sorted(map(str, types))}"


@rule
def root_file_system_is_read_only(documents: list[Document]) -> Iterator[str]:
    if container(documents).get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
        yield "the root file system can be written to"


@rule
def nothing_of_the_node_is_shared(documents: list[Document]) -> Iterator[str]:
    spec = pod(documents)
    yield from (f"{name} is set" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if kinds != {"emptyDir"}:
            yield f"volume {volume['name']} is a {kinds}"
        elif "sizeLimit" not in (volume["emptyDir"] or {}):
            yield f"volume {volume['name']} may fill the node's disk"
    if container(documents).get("ports"):
        yield "the container listens"


@rule
def resources_are_limited_to_what_is_asked_for(documents: list[Document]) -> Iterator[str]:
    resources = container(documents).get("resources", {})
    asked, limits = resources.get("requests", {}), resources.get("limits", {})
    missing = {"cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"} - limits.keys()
    if missing:
        yield f"no limit of {sorted(missing)}"
    if asked != limits:
        yield "requests and limits differ: the first to be evicted"


@rule
def hung_pod_is_noticed_and_soon_replaced(documents: list[Document]) -> Iterator[str]:
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        if name not in container(documents):
            yield f"no {name}"
    for name in ("startupProbe", "livenessProbe"):
        if container(documents).get(name, {}).get("terminationGracePeriodSeconds", 3600) > 60:
            yield f"after a failed {name} the pod may hang on for its whole grace period"


@rule
def busy_pod_may_finish_its_task(documents: list[Document]) -> Iterator[str]:
    grace = pod(documents).get("terminationGracePeriodSeconds", 30)
    if grace < declared().jobs["gpu"].task_timeout + 60:
        yield f"{grace} s are less than a task may take"
    told = [each["value"] for each in container(documents)["env"] if each["name"] == "TERMINATION_GRACE_SECONDS"]
    if told != [str(grace)]:
        yield f"the worker is told {told} and has {grace} s"
    annotations = one(documents, "Deployment")["spec"]["template"]["metadata"].get("annotations", {})
    if annotations.get("cluster-autoscaler.kubernetes.io/safe-to-evict") != "false":
        yield "the node autoscaler may move a busy pod"


@rule
def drains_go_one_by_one_and_are_never_blocked(documents: list[Document]) -> Iterator[str]:
    budgets = [each["spec"] for each in documents if each["kind"] == "PodDisruptionBudget"]
    selector = one(documents, "Deployment")["spec"]["selector"]
    if [budget["selector"] for budget in budgets] != [selector]:
        yield "no budget, or one of other pods"
    if any(budget.get("maxUnavailable") != 1 or "minAvailable" in budget for budget in budgets):
        yield "a node could never be drained, or all at once"


@rule
def number_of_pods_has_one_owner(documents: list[Document]) -> Iterator[str]:
    deployment, scaled = one(documents, "Deployment"), one(documents, "ScaledObject")["spec"]
    if "replicas" in deployment["spec"]:
        yield "the Deployment's number and KEDA's would alternate"
    if scaled["scaleTargetRef"]["name"] != deployment["metadata"]["name"]:
        yield "KEDA scales something else"
    if not 0 == scaled.get("minReplicaCount") < scaled["maxReplicaCount"]:
        yield "pods that nobody needs are paid for, or none is allowed"
    if scaled.get("fallback", {}).get("replicas") != 1:
        yield "with the metrics out, nobody or too many look after the queue"


@rule
def old_number_takes_no_pod_away(documents: list[Document]) -> Iterator[str]:
    scaled = one(documents, "ScaledObject")["spec"]
    down = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    if min(down["stabilizationWindowSeconds"], scaled["cooldownPeriod"]) <= METRIC_LAG_SECONDS:
        yield "scaling down looks back less than the metric lags"


@rule
def pod_holds_no_credentials(documents: list[Document]) -> Iterator[str]:
    if pod(documents).get("automountServiceAccountToken") is not False:
        yield "a token of the Kubernetes API is mounted"
    if one(documents, "ServiceAccount").get("automountServiceAccountToken") is not False:
        yield "a token of the Kubernetes API is mounted unless a pod says no"
    if pod(documents).get("serviceAccountName", "default") == "default":
        yield "the pod shares the namespace's default account"
    if any(document["kind"] == "Secret" for document in documents):
        yield "a secret lies in the cluster"
    secrets = {name for secret in declared().functions.values() for name in secret.secrets}
    if named := secrets & one(documents, "ConfigMap")["data"].keys():
        yield f"secrets in a ConfigMap: {sorted(named)}"


@rule
def namespace_refuses_worse_pods(documents: list[Document]) -> Iterator[str]:
    labels = one(documents, "Namespace")["metadata"].get("labels", {})
    if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "the namespace admits any pod"
    names = {each["metadata"].get("namespace") for each in documents if each["kind"] != "Namespace"}
    if names != {one(documents, "Namespace")["metadata"]["name"]}:
        yield f"documents lie in {names}"


@rule
def network_is_closed_but_for_names_metadata_and_https(documents: list[Document]) -> Iterator[str]:
    policies = [each["spec"] for each in documents if each["kind"] == "NetworkPolicy"]
    if len(policies) != 1 or policies[0]["podSelector"] != {}:
        yield "some pods have no policy"
        return
    if policies[0].get("ingress") != [] or set(policies[0]["policyTypes"]) != {"Ingress", "Egress"}:
        yield "others may call in"
    for way in policies[0]["egress"]:
        yield from _faults_of_way_out(way)
    if any(each["kind"] in ("Service", "Ingress", "Gateway") for each in documents):
        yield "pods are exposed"


def _faults_of_way_out(way: dict[str, Any]) -> Iterator[str]:
    ports = {port.get("port") for port in way.get("ports", [])}
    if not ports or not ports <= {53, 80, 988, 443}:
        yield f"ports {ports} are open"
    for peer in way.get("to") or [{}]:
        block = peer.get("ipBlock")
        if block and block["cidr"].endswith("/0"):
            if ports != {443} or not set(block.get("except", [])) >= PRIVATE:
                yield "private addresses can be reached"
        elif not block and not peer.get("podSelector"):
            yield "a whole namespace or everything can be reached"


@rule
def settings_are_known(documents: list[Document]) -> Iterator[str]:
    known = {name.upper() for name in Settings.model_fields} | {"HOME"}
    given = one(documents, "ConfigMap")["data"].keys() | {each["name"] for each in container(documents)["env"]}
    if unknown := given - known:
        yield f"nothing reads {sorted(unknown)}"
