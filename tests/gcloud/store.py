"""Resources by REST path, as most Google APIs keep them, and the policies that say who may what on them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Resource = dict[str, Any]
#: Resources and policies.
Snapshot = tuple[dict[str, Resource], dict[str, Resource]]

_STATUS_OF = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
}


class ApiError(Exception):
    """What an API refuses, in Google's JSON form."""

    def __init__(self, code: int, message: str, status: str = "", details: tuple[Resource, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.json = {
            "error": {
                "code": code,
                "message": message,
                "status": status or _STATUS_OF[code],
                "details": list(details),
                "errors": [{"message": message, "reason": status or _STATUS_OF[code]}],
            }
        }


@dataclass
class Store:
    """Keys are `<api>/<resource name>`, e.g. `pubsub/projects/p/topics/t`; a policy has the key of its resource."""

    resources: dict[str, Resource] = field(default_factory=dict)
    policies: dict[str, Resource] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def number(self) -> int:
        """One that was never given before."""
        return next(self._numbers)

    def snapshot(self) -> Snapshot:
        return copy.deepcopy((self.resources, self.policies))

    def restore(self, snapshot: Snapshot) -> None:
        self.resources, self.policies = copy.deepcopy(snapshot)

    def get(self, key: str) -> Resource:
        if key not in self.resources:
            raise ApiError(404, f"{key} was not found")
        return self.resources[key]

    def list(self, collection: str) -> list[Resource]:
        """Direct children; a `-` in the collection's path stands for any one name."""
        wanted = collection.split("/")
        return [value for key, value in sorted(self.resources.items()) if _is_child(key.split("/"), wanted)]

    def create(self, key: str, resource: Resource) -> Resource:
        if key in self.resources:
            raise ApiError(409, f"{key} already exists")
        self.resources[key] = resource
        return resource

    def patch(self, key: str, change: Resource, mask: str) -> Resource:
        """`mask` names the fields to take over, dotted and by commas; empty: those that are in `change`."""
        resource = self.get(key)
        for path in filter(None, (mask or ",".join(change)).split(",")):
            _take_over(resource, change, [_camel(part) for part in path.split(".")])
        return resource

    def delete(self, key: str) -> None:
        """The resource with all that is below it."""
        self.get(key)
        for kept in (self.resources, self.policies):
            for name in [name for name in kept if name == key or name.startswith(f"{key}/")]:
                del kept[name]

    def policy(self, key: str) -> Resource:
        return self.policies.setdefault(key, {"bindings": [], "etag": "BwAAAAAAAAA="})

    def set_policy(self, key: str, policy: Resource) -> Resource:
        sent, etag = policy.get("etag"), self.policy(key)["etag"]
        if sent and sent != etag:
            raise ApiError(409, f"the policy of {key} has changed: {etag}, not {sent}", "ABORTED")
        bindings = [binding for binding in policy.get("bindings", []) if binding.get("members")]
        self.policies[key] = {**policy, "bindings": bindings, "etag": f"Bw{self.number():08}A="}
        return self.policies[key]

    def members(self, key: str, role: str) -> set[str]:
        """Who holds a role on a resource."""
        bindings = self.policies.get(key, {}).get("bindings", [])
        return {member for binding in bindings if binding["role"] == role for member in binding["members"]}


def _is_child(key: list[str], collection: list[str]) -> bool:
    pairs = zip(key, collection, strict=False)
    return len(key) == len(collection) + 1 and all(want in ("-", have) for have, want in pairs)


def _take_over(resource: Resource, change: Resource, path: list[str]) -> None:
    *parents, last = path
    for parent in parents:
        resource, change = resource.setdefault(parent, {}), change.get(parent, {})
    if last in change:
        resource[last] = change[last]
    else:
        resource.pop(last, None)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
