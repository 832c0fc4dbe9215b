"""The cluster for what the GPU Job has no room for: made, given its pods, told to functions; and taken down again."""

from __future__ import annotations

from dataclasses import replace

from deploy import environment, functions, jobs, manifests, phases
from deploy.access import Grant, Resource
from deploy.command import Command, File, Phase, Plan, kubectl
from deploy.grants import bind
from deploy.live import Live
from deploy.situation import ROUTE_LABEL, Situation, situation
from deploy.target import Target

_API = "container.googleapis.com"


def up(target: Target, live: Live, *, image: str, max_replicas: int | None) -> Plan:
    """Functions hear of it last, when pods can come. `image` is the worker's, by digest."""
    now = replace(situation(target, live), gke_route=True)
    return (
        *_phase("API", [] if _API in live.apis else [target.gcloud("services", "enable", _API)]),
        *_phase("Cluster (ten minutes)", _create(target, live)),
        *_phase("Access", [_credentials(target)]),
        *_phase(f"KEDA {manifests.KEDA_VERSION}", _keda(target)),
        *_phase("Identities", bind(target, _grants(target) - live.grants)),
        *_phase("Pods and their scaling", _pods(target, now, image, max_replicas)),
        *_phase("The way back", functions.keep_way_back(target, live, now)),
        *_phase("Functions and Jobs send work", _tell(target, live, now)),
        *_phase("Traffic", functions.send_all_traffic(target, live, now)),
    )


def down(target: Target, live: Live) -> Plan:
    """Functions hear of it first; what still waits for the pods goes to the GPU Job."""
    if target.resources.gke.cluster not in live.of("clusters"):
        return ()
    now = replace(situation(target, live), gke_route=False)
    namespace = target.resources.gke.namespace
    waiting = target.resources.accounts[target.resources.gke.account].subscriptions
    return (
        *_phase("The way back", functions.keep_way_back(target, live, now)),
        *_phase("Functions and Jobs send no more work", _tell(target, live, now)),
        *_phase("Traffic", functions.send_all_traffic(target, live, now)),
        *_phase("Access", [_credentials(target)]),
        # While KEDA's operator lives, which takes its finalizer off the ScaledObject. By its name alone, which any
        # machine knows; done when the last pod is gone.
        *_phase("Pods", [_kubectl(target, "delete", "namespace", namespace, "--ignore-not-found", "--timeout=20m")]),
        *_phase(
            "Messages that are left",
            [command for name in waiting for command in phases.drain_one(target, live, now.subscription(name))],
        ),
        *_phase(
            "Cluster (five minutes)",
            [
                target.gcloud(
                    "container", "clusters", "delete", target.resources.gke.cluster, region=target.region
                )
            ],
        ),
    )  # fmt: skip


def pulls(live: Live, now: Situation) -> bool:
    """Are the subscriptions that workers are told of there already, so that pods may know them?"""
    known = live.of("subscriptions")
    return all(name in known for name in now.subscriptions.values())


def _create(target: Target, live: Live) -> list[Command]:
    """Autopilot: nodes, GPUs and their drivers come with the pods."""
    name = target.resources.gke.cluster
    if name in live.of("clusters"):
        return []
    return [
        target.gcloud(
            "container", "clusters", "create-auto", name,
            region=target.region, release_channel="regular", labels=target.labels,
        )
    ]  # fmt: skip


def _credentials(target: Target) -> Command:
    return target.gcloud("container", "clusters", "get-credentials", target.resources.gke.cluster, region=target.region)


def _keda(target: Target) -> list[Command]:
    """Its webhook must answer before a ScaledObject can be applied."""
    return [
        _kubectl(target, "apply", "--server-side", "--force-conflicts", f"--filename={manifests.KEDA_MANIFEST}"),
        _kubectl(
            target, "wait", "deployment", "--all", f"--namespace={manifests.KEDA_NAMESPACE}",
            "--for=condition=Available", "--timeout=300s",
        ),
    ]  # fmt: skip


def _grants(target: Target) -> set[Grant]:
    """Nodes run as the project's default account, which newer organisations leave without any right."""
    pods = Resource("account", target.account(target.resources.gke.account))
    project = Resource("project", target.project)
    images = Resource("repository", target.resources.images.repository, target.region)
    nodes = f"serviceAccount:{target.number}-compute@developer.gserviceaccount.com"
    return {
        Grant(pods, "roles/iam.workloadIdentityUser", manifests.identity_member(target.project)),
        Grant(project, "roles/monitoring.viewer", manifests.keda_member(target.project, target.number)),
        # https://cloud.google.com/kubernetes-engine/docs/how-to/service-accounts
        Grant(project, "roles/container.defaultNodeServiceAccount", nodes),
        Grant(images, "roles/artifactregistry.reader", nodes),
    }


def _pods(target: Target, now: Situation, image: str, max_replicas: int | None) -> list[Command]:
    release = manifests.Release(target.env, target.project, image, environment.of_pod(target, now), max_replicas)
    folder = manifests.folder(target.env)
    file = File(folder / "kustomization.yaml", manifests.kustomization(release))
    return [
        _kubectl(target, "apply", "--kustomize", str(folder), files=(file,)),
        # It is Ready once KEDA has made an autoscaler of it: with no work waiting there is no pod to wait for.
        _kubectl(
            target, "wait", "scaledobject", "--all", f"--namespace={target.resources.gke.namespace}",
            "--for=condition=Ready", "--timeout=300s",
        ),
    ]  # fmt: skip


def _tell(target: Target, live: Live, now: Situation) -> list[Command]:
    """Functions, which route, and Jobs, which hand on what is too long; later deployments go by the cluster's label."""
    name = target.resources.gke.cluster
    known = dict((live.of("clusters").get(name) or {}).get("resourceLabels") or {})
    # gcloud calls it an update and replaces all of them.
    labels = {**known, **target.labels, ROUTE_LABEL: "on" if now.gke_route else "off"}
    update = target.gcloud("container", "clusters", "update", name, region=target.region, update_labels=labels)
    return [
        *([update] if labels != known else []),
        *functions.deploy(target, live, now),
        *jobs.deploy(target, live, now),
    ]


def _kubectl(target: Target, *arguments: str, files: tuple[File, ...] = ()) -> Command:
    """Never whatever cluster happens to be the current one."""
    context = f"--context=gke_{target.project}_{target.region}_{target.resources.gke.cluster}"
    return kubectl(*arguments, context, files=files)


def _phase(title: str, commands: list[Command]) -> Plan:
    return (Phase(title, tuple(commands)),) if commands else ()
