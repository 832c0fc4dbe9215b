"""Projects, APIs, service accounts, secrets, quotas, billing."""

from __future__ import annotations

from tests.gcloud.call import Call
from tests.gcloud.store import ApiError, Resource

#: Google's own accounts that come into being when they are asked for.
AGENTS = {
    "pubsub.googleapis.com": "gcp-sa-pubsub",
    "eventarc.googleapis.com": "gcp-sa-eventarc",
    "cloudtasks.googleapis.com": "gcp-sa-cloudtasks",
    "cloudscheduler.googleapis.com": "gcp-sa-cloudscheduler",
    "run.googleapis.com": "serverless-robot-prod",
}
_GKE = "container.googleapis.com"


def agent(call: Call, domain: str) -> str:
    """Makes the service agent of that domain exist; its e-mail."""
    email = f"service-{call.cloud.number}@{domain}.iam.gserviceaccount.com"
    call.store.resources.setdefault(f"iam/projects/{call.cloud.project}/serviceAccounts/{email}", {"agent": True})
    return email


def _service(call: Call, name: str) -> str:
    return f"serviceusage/projects/{call.cloud.project}/services/{name}"


def _enable(call: Call) -> Resource:
    services = call.request.body.get("serviceIds") or [call.key.rpartition("/")[2]]
    for name in services:
        entry = {"name": _service(call, name), "config": {"name": name}, "state": "ENABLED"}
        call.store.resources[_service(call, name)] = entry
    if _GKE in services:
        # Compute Engine is turned on with it, and brings its default account.
        email = f"{call.cloud.number}-compute@developer.gserviceaccount.com"
        call.store.resources.setdefault(f"iam/projects/{call.cloud.project}/serviceAccounts/{email}", {"agent": True})
    return call.operation({})


def _describe_service(call: Call) -> Resource:
    name = call.key.rpartition("/")[2]
    return call.store.resources.get(call.key, {"config": {"name": name}, "state": "DISABLED"})


def _identity(call: Call) -> Resource:
    service = call.key.rpartition("/")[2]
    call.require(call.key)
    return call.operation({"email": agent(call, AGENTS[service]), "uniqueId": "1"})


def _accounts(call: Call) -> Resource:
    return {"accounts": [account for account in call.store.list(call.key) if "agent" not in account]}


def _add_version(call: Call) -> Resource:
    versions = f"{call.existing()}/versions"
    name = f"{versions}/{len(call.store.list(versions)) + 1}"
    version = {"name": name.partition("/")[2], "state": "ENABLED", "createTime": "2026-11-01T00:00:00Z"}
    call.store.create(name, {**version, "payload": call.request.body["payload"]})
    return version | {"clientSpecifiedPayloadChecksum": True}


def _versions(call: Call) -> Resource:
    call.require(call.key.rpartition("/")[0])
    return {"versions": [_without_payload(version) for version in reversed(call.store.list(call.key))]}


def _access(call: Call) -> Resource:
    version = _version(call)
    return {"name": version["name"], "payload": version["payload"]}


def _describe_version(call: Call) -> Resource:
    return _without_payload(_version(call))


def _version(call: Call) -> Resource:
    versions, _, wanted = call.key.rpartition("/")
    found = call.store.list(versions)
    return found[-1] if wanted == "latest" and found else call.store.get(call.key)


def _without_payload(version: Resource) -> Resource:
    return {name: value for name, value in version.items() if name != "payload"}


def _billing(call: Call) -> Resource:
    return call.store.resources.get(call.key, {"billingAccountName": "", "billingEnabled": False})


def _new_account(call: Call, key: str, account: Resource) -> None:
    name = account["name"].rpartition("/")[2].partition("@")[0]
    email = f"{name}@{call.cloud.project}.iam.gserviceaccount.com"
    if not 6 <= len(name) <= 30:
        raise ApiError(400, f"{name}: an account's name has 6 to 30 characters")
    path = f"projects/{call.cloud.project}/serviceAccounts/{email}"
    account |= {"name": path, "email": email, "uniqueId": "1"}


def _create_account(call: Call) -> Resource:
    account = {"name": call.new_id(), **call.sent()}
    _new_account(call, call.key, account)
    return call.store.create(f"iam/{account['name']}", account)


def _delete_account(call: Call) -> Resource:
    """Policies keep it under a name that another account of the same name does not get."""
    member = f"serviceAccount:{call.key.rpartition('/')[2]}"
    call.store.delete(call.key)
    for policy in call.store.policies.values():
        for binding in policy["bindings"]:
            binding["members"] = [f"deleted:{each}?uid=1" if each == member else each for each in binding["members"]]
    return {}


QUIRKS = {
    "POST serviceusage/projects/*/services:batchEnable": _enable,
    "POST serviceusage/projects/*/services/*:enable": _enable,
    "POST serviceusage/projects/*/services/*:generateServiceIdentity": _identity,
    "GET serviceusage/projects/*/services/*": _describe_service,
    "GET iam/projects/*/serviceAccounts": _accounts,
    "POST iam/projects/*/serviceAccounts": _create_account,
    "DELETE iam/projects/*/serviceAccounts/*": _delete_account,
    "POST secretmanager/projects/*/secrets/*:addVersion": _add_version,
    "GET secretmanager/projects/*/secrets/*/versions/*:access": _access,
    "GET secretmanager/projects/*/secrets/*/versions/*": _describe_version,
    "GET secretmanager/projects/*/secrets/*/versions": _versions,
    "GET cloudbilling/projects/*/billingInfo": _billing,
}
