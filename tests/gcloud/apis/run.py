"""Cloud Run as gcloud speaks to it: Knative-style services with revisions, jobs, and builds from source."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from urllib.parse import quote

from tests.gcloud.call import Call
from tests.gcloud.store import ApiError, Resource

_BUILD_TYPE = "type.googleapis.com/google.devtools.cloudbuild.v1.Build"
_READY = [{"type": "Ready", "status": "True"}]


def _service(call: Call, key: str, service: Resource) -> None:
    before = call.store.resources.get(key, {})
    template = service["spec"]["template"]
    _check(call, template["spec"], key)
    _identify(call, key, service, before)
    revision = before.get("status", {}).get("latestCreatedRevisionName", "")
    if template != before.get("spec", {}).get("template"):
        revision = _new_revision(call, key, service, before)
    traffic = service["spec"].setdefault("traffic", [{"percent": 100, "latestRevision": True}])
    host = f"{service['metadata']['name']}-abcdefghij-an.a.run.app"
    service["status"] = {
        "observedGeneration": service["metadata"]["generation"],
        "conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "ConfigurationsReady", "RoutesReady")],
        "latestCreatedRevisionName": revision,
        "latestReadyRevisionName": revision,
        "traffic": [_target(call, key, target, revision, host) for target in traffic],
        "url": f"https://{host}",
        "address": {"url": f"https://{host}"},
    }


def _target(call: Call, key: str, target: Resource, latest: str, host: str) -> Resource:
    target = {**target, "revisionName": target.get("revisionName", latest)}
    call.require(f"{_siblings(key, 'revisions')}/{target['revisionName']}")
    return target | ({"url": f"https://{target['tag']}---{host}"} if "tag" in target else {})


def _new_revision(call: Call, key: str, service: Resource, before: Resource) -> str:
    name, template = service["metadata"]["name"], service["spec"]["template"]
    generation = service["metadata"]["generation"]
    wanted = template.get("metadata", {}).get("name", f"{name}-{generation:05}-abc")
    meta = {"name": wanted, "generation": 1, "creationTimestamp": f"2026-11-01T00:{generation:02}:00.000000Z"}
    labels = {**template.get("metadata", {}).get("labels", {}), "serving.knative.dev/service": name}
    revision = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Revision",
        "metadata": meta | {"labels": labels, "annotations": template.get("metadata", {}).get("annotations", {})},
        "spec": copy.deepcopy(template["spec"]),
        "status": {"conditions": _READY, "imageDigest": f"image@sha256:{generation:064x}"},
    }
    call.store.create(f"{_siblings(key, 'revisions')}/{wanted}", revision)
    return str(wanted)


def _job(call: Call, key: str, job: Resource) -> None:
    _check(call, job["spec"]["template"]["spec"]["template"]["spec"], key)
    _identify(call, key, job, call.store.resources.get(key, {}))
    job["status"] = {"observedGeneration": job["metadata"]["generation"], "conditions": _READY, "executionCount": 0}


def _identify(call: Call, key: str, resource: Resource, before: Resource) -> None:
    resource.pop("name", None)
    meta, old = resource["metadata"], before.get("metadata", {})
    changed = resource["spec"] != before.get("spec")
    sent, held = meta.get("resourceVersion"), old.get("resourceVersion")
    if sent and sent != held:
        raise ApiError(409, f"{key} has changed meanwhile", "ABORTED")
    meta |= {
        "namespace": call.cloud.number,
        "uid": old.get("uid", f"uid-{call.store.number()}"),
        "generation": old.get("generation", 0) + changed,
        "resourceVersion": f"v{call.store.number()}",
        "creationTimestamp": "2026-11-01T00:00:00.000000Z",
        "labels": {**meta.get("labels", {}), "cloud.googleapis.com/location": key.split("/")[4]},
    }


def _check(call: Call, spec: Resource, key: str) -> None:
    """The account must exist and may read each secret, which must have a version."""
    account = spec.get("serviceAccountName", "")
    call.require_account(account)
    for secret in _secrets(spec):
        path = f"secretmanager/projects/{call.cloud.project}/secrets/{secret}"
        if not call.store.list(f"{path}/versions"):
            raise ApiError(400, f"{path}/versions/latest was not found")
        if f"serviceAccount:{account}" not in call.store.members(path, "roles/secretmanager.secretAccessor"):
            raise ApiError(400, f"Permission denied on secret {secret} for {account}")


def _secrets(spec: Resource) -> Iterator[str]:
    for container in spec["containers"]:
        for variable in container.get("env", []):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                yield reference["name"]


def _siblings(key: str, collection: str) -> str:
    return f"{key.rpartition('/')[0].rpartition('/')[0]}/{collection}"


def _delete_service(call: Call) -> Resource:
    name = call.key.rpartition("/")[2]
    for revision in call.store.list(_siblings(call.key, "revisions")):
        if revision["metadata"]["labels"]["serving.knative.dev/service"] == name:
            call.store.delete(f"{_siblings(call.key, 'revisions')}/{revision['metadata']['name']}")
    call.store.delete(call.key)
    return {}


def _delete_revision(call: Call) -> Resource:
    """Not while a share of the traffic, a tag, or "the latest" points at it."""
    revision, name = call.store.get(call.key), call.key.rpartition("/")[2]
    service = revision["metadata"]["labels"]["serving.knative.dev/service"]
    status = call.store.get(f"{_siblings(call.key, 'services')}/{service}")["status"]
    if name in {status["latestCreatedRevisionName"], *(target["revisionName"] for target in status["traffic"])}:
        raise ApiError(400, f"Revision {name} cannot be deleted: it is the latest one or has traffic or a tag")
    call.store.delete(call.key)
    return {}


def _listed(call: Call) -> Resource:
    """By label, as `--service` asks for revisions."""
    name, _, value = call.request.query.get("labelSelector", "").replace(" ", "").partition("=")
    found = call.store.list(call.key)
    wanted = [item for item in found if not name or item["metadata"].get("labels", {}).get(name) == value]
    return {"metadata": {}, "items": wanted}


def _execute(call: Call) -> Resource:
    job = call.store.get(call.key)
    name = f"{job['metadata']['name']}-{call.store.number()}"
    meta = {"name": name, "namespace": call.cloud.number, "labels": {"run.googleapis.com/job": job["metadata"]["name"]}}
    template = job["spec"]["template"]
    execution = {"apiVersion": "run.googleapis.com/v1", "kind": "Execution", "metadata": meta}
    execution |= {"spec": template["spec"], "status": {"conditions": [{"type": "Completed", "status": "True"}]}}
    execution["overrides"] = call.request.body.get("overrides", {})
    return call.store.create(f"{_siblings(call.key, 'executions')}/{name}", execution)


def _default_builder(call: Call) -> Resource:
    email = f"{call.cloud.number}-compute@developer.gserviceaccount.com"
    return {"serviceAccountEmail": f"projects/{call.cloud.project}/serviceAccounts/{email}"}


def _build(call: Call) -> Resource:
    """From source, done at once: the operation that gcloud then asks Cloud Build for holds the result."""
    place, number = call.key.removeprefix("run/").removesuffix("/builds"), call.store.number()
    account = call.request.body.get("serviceAccount", "")
    if account:
        call.require_account(account.rpartition("/")[2])
    source = call.request.body["storageSource"]
    call.require(f"storage/b/{source['bucket']}/o/{quote(source['object'], safe='')}")
    build = {
        "id": f"build-{number}",
        "name": f"{place}/builds/build-{number}",
        "projectId": call.cloud.project,
        "status": "SUCCESS",
        "logUrl": "https://console.cloud.google.com/build",
        "results": {"images": [{"name": call.request.body["imageUri"], "digest": f"sha256:{number:064x}"}]},
    }
    operation = {
        "name": f"{place}/operations/build-{number}",
        "done": True,
        "metadata": {
            "@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata",
            "build": build,
        },
        "response": {"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.Build", **build},
    }
    call.store.create(f"cloudbuild/{operation['name']}", operation)
    return {"buildOperation": operation, "baseImageUri": call.request.body["buildpackBuild"].get("baseImage", "")}


QUIRKS = {
    "POST run/projects/*/locations/*/builds:submit": _build,
    "DELETE run/projects/*/locations/*/services/*": _delete_service,
    "DELETE run/projects/*/locations/*/revisions/*": _delete_revision,
    "POST run/projects/*/locations/*/jobs/*:run": _execute,
    "GET cloudbuild/projects/*/locations/*/defaultServiceAccount": _default_builder,
    "GET run/projects/*/locations/*/revisions": _listed,
    "GET run/projects/*/locations/*/executions": _listed,
}
COMPLETIONS = {
    "run/projects/*/locations/*/services/*": _service,
    "run/projects/*/locations/*/jobs/*": _job,
}
