"""One request, as the quirks of the APIs see it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.gcloud.proxy import Request
from tests.gcloud.store import ApiError, Resource, Store

if TYPE_CHECKING:
    from tests.gcloud.cloud import Cloud


@dataclass(frozen=True)
class Call:
    cloud: Cloud
    request: Request
    #: `<api>/<resource or collection name>`.
    key: str
    #: What follows a colon in the path; mostly empty.
    verb: str

    @property
    def api(self) -> str:
        return self.key.partition("/")[0]

    @property
    def line(self) -> str:
        return f"{self.key}:{self.verb}" if self.verb else self.key

    @property
    def store(self) -> Store:
        return self.cloud.store

    @property
    def is_collection(self) -> bool:
        """Names alternate: a collection, a name in it, a collection below that."""
        return self.key.count("/") % 2 == 1

    @property
    def parent(self) -> str:
        return f"{self.api}/projects/{self.cloud.project}"

    def sent(self) -> Resource:
        """The resource in the body, unwrapped."""
        body = self.request.body
        wrapped = [body[name] for name in ("cluster", "serviceAccount") if isinstance(body.get(name), dict)]
        return wrapped[0] if wrapped else body

    def new_id(self) -> str:
        """The name that the caller wants, wherever the API has him put it, or one of the server's making."""
        sent = self.sent()
        asked = [value for name, value in self.request.query.items() if name.endswith("Id")]
        named = sent.get("name") or sent.get("metadata", {}).get("name") or self.request.body.get("accountId")
        return asked[0] if asked else str(named or self.store.number()).rpartition("/")[2]

    def existing(self) -> str:
        self.store.get(self.key)
        return self.key

    def operation(self, resource: Resource) -> Resource:
        """An operation that is done, which can be asked for again under its name."""
        place = re.match(r"[^/]+/((?:projects/[^/]+/)?(?:locations/[^/]+/)?)", self.key)
        name = f"{place[1] if place else ''}operations/op-{self.store.number()}"
        operation = {"name": name, "done": True, "response": {"@type": "type.googleapis.com/any", **resource}}
        return self.store.create(f"{self.api}/{name}", operation)

    def require_members_exist(self, policy: Resource) -> None:
        """IAM refuses a service account that does not exist, ours and Google's own alike."""
        for member in {member for binding in policy.get("bindings", []) for member in binding["members"]}:
            kind, _, email = member.partition(":")
            if kind == "serviceAccount" and ".svc.id.goog[" in email:
                self.require_cluster(email)
            elif kind == "serviceAccount":
                self.require_account(email)

    def require_account(self, email: str) -> None:
        if f"iam/projects/{self.cloud.project}/serviceAccounts/{email}" not in self.store.resources:
            raise ApiError(400, f"Service account {email} does not exist.")

    def require_cluster(self, identity: str) -> None:
        """A project's pool of Kubernetes identities comes with its first cluster."""
        if not self.store.list(f"container/projects/{self.cloud.project}/locations/-/clusters"):
            raise ApiError(400, f"Identity Pool does not exist ({identity.partition('[')[0]}).")

    def require(self, key: str) -> Any:
        """The resource that this call leans on."""
        if key not in self.store.resources:
            raise ApiError(404, f"{key} is named but was not found")
        return self.store.resources[key]
