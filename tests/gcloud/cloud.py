"""A stand-in of the Google APIs that gcloud talks to: routes each request to a quirk of its API or to the store."""

from __future__ import annotations

import copy
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.gcloud.call import Call
from tests.gcloud.paths import matches
from tests.gcloud.proxy import READING, Answer, Request
from tests.gcloud.quirks import COMPLETIONS, LISTED_AS, OPERATIONS, QUIRKS, READING_VERBS, REPLACED_BY_PUT
from tests.gcloud.store import ApiError, Resource, Store

_HOST = re.compile(r"(?:(?P<region>[a-z]+-[a-z]+\d+)-)?(?P<api>[a-z]+)\.")
_VERSION = re.compile(r"/(?:(?:resumable/)?upload/)?(?:storage/v1|compute/v1|apis/[\w.]+/v1|v\d\w*)/")
_VERB = re.compile(r":([a-z]+[A-Za-z]*)$")
#: Answer without being enabled first, as on a new project.
_ALWAYS_ON = {"serviceusage", "cloudresourcemanager", "storage", "cloudbilling", "logging", "monitoring"}


@dataclass
class Cloud:
    """One project with billing, and nothing else, until a test or gcloud puts something there."""

    project: str = "nca-test-stg"
    number: str = "100200300400"
    store: Store = field(default_factory=Store)
    requests: list[Request] = field(default_factory=list)
    #: What was uploaded, by object name.
    uploads: dict[str, bytes] = field(default_factory=dict)
    #: (glob over `METHOD api/name`, the error it gets).
    faults: list[tuple[str, ApiError]] = field(default_factory=list)
    #: What Cloud Monitoring answers to a query in PromQL: samples, as Prometheus gives them.
    promql: Callable[[str], list[Resource]] = lambda query: []
    #: Permissions that the caller lacks, where he asks for them.
    denied: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            try:
                return _as_answer(self._act(self._call(request)))
            except ApiError as error:
                return Answer(error.json, error.code)
            except Exception:
                # gcloud would try a broken connection again and again: it must fail with the reason in its output.
                return Answer(ApiError(400, f"the stand-in failed: {traceback.format_exc()}").json, 400)

    def changes(self) -> list[str]:
        """The requests that were meant to change something, in order."""
        return [str(request) for request in self.requests if self._changes(request)]

    @contextmanager
    def fault(self, glob: str, error: ApiError) -> Iterator[None]:
        """Requests like `POST pubsub/projects/*/topics/x:setIamPolicy` get this error while the block runs."""
        self.faults.append((glob, error))
        try:
            yield
        finally:
            self.faults.remove((glob, error))

    def _changes(self, request: Request) -> bool:
        return request.method not in READING and request.path.rpartition(":")[2] not in READING_VERBS

    def _call(self, request: Request) -> Call:
        host, version = _HOST.match(request.host), _VERSION.match(request.path)
        if not host or not version:
            raise ApiError(404, f"no API at {request.host}{request.path}")
        name = request.path[version.end() :].replace("projects/-/", f"projects/{self.project}/")
        name = name.replace(f"projects/{self.number}", f"projects/{self.project}")
        # Cloud Run's Knative form names the region in the host only.
        name = re.sub(r"^namespaces/([^/]+)", rf"projects/\1/locations/{host['region']}", name)
        verb = _VERB.search(name)
        return Call(self, request, f"{host['api']}/{name[: verb.start()] if verb else name}", verb[1] if verb else "")

    def _act(self, call: Call) -> Resource | Answer:
        line = f"{call.request.method} {call.line}"
        for glob, error in self.faults:
            if matches(line, glob):
                raise error
        self._refuse_when_disabled(call)
        for glob, quirk in QUIRKS.items():
            if matches(line, glob):
                return quirk(call)
        return _generic(call)

    def _refuse_when_disabled(self, call: Call) -> None:
        service = f"{call.api}.googleapis.com"
        if call.api not in _ALWAYS_ON and f"serviceusage/projects/{self.project}/services/{service}" not in (
            self.store.resources
        ):
            raise ApiError(403, f"{service} has not been used in project {self.project} before or it is disabled.")


def _generic(call: Call) -> Resource | Answer:
    store, key, body = call.store, call.key, call.request.body
    match call.request.method, call.verb, call.is_collection:
        case "GET", "", True:
            return {_list_field(key): store.list(key)}
        case "GET", "", False:
            return store.get(key)
        case "POST", "", True:
            return _changed(call, _create(call, f"{key}/{call.new_id()}"))
        case "PUT", "", False if any(matches(key, glob) for glob in REPLACED_BY_PUT):
            store.get(key)
            call.store.resources[key] = _completed(call, key, copy.deepcopy(body))
            return _changed(call, store.get(key))
        case "PUT", "", False:
            return _create(call, key)
        case "PATCH", "", False:
            # Pub/Sub wraps the resource together with its mask.
            wrapped = [value for value in body.values() if isinstance(value, dict) and "updateMask" in body]
            mask = body.get("updateMask") or call.request.query.get("updateMask", "")
            changed = store.patch(key, copy.deepcopy(wrapped[0] if wrapped else body), mask)
            return _changed(call, _completed(call, key, changed))
        case "DELETE", "", False:
            store.delete(key)
            return _changed(call, {})
        case _, "getIamPolicy", _:
            return store.policy(call.existing())
        case "POST", "setIamPolicy", _:
            call.require_members_exist(body["policy"])
            return store.set_policy(call.existing(), body["policy"])
        case "POST", "testIamPermissions", _:
            return {"permissions": [each for each in body["permissions"] if each not in call.cloud.denied]}
    raise ApiError(404, f"the stand-in does not know {call.request}")


def _create(call: Call, key: str) -> Resource:
    if key in call.store.resources:
        raise ApiError(409, f"{key} already exists")
    resource = _completed(call, key, copy.deepcopy(call.sent()))
    return resource if "dryRun" in call.request.query else call.store.create(key, resource)


def _completed(call: Call, key: str, resource: Resource) -> Resource:
    """The resource with what the server adds; ApiError when it would refuse it."""
    resource.setdefault("name", key.partition("/")[2])
    for glob, complete in COMPLETIONS.items():
        if matches(key, glob):
            complete(call, key, resource)
    return resource


def _changed(call: Call, resource: Resource) -> Resource:
    """The resource, or where the API answers so an operation that is done."""
    line = f"{call.request.method} {call.line}"
    return call.operation(resource) if any(matches(line, glob) for glob in OPERATIONS) else resource


def _list_field(key: str) -> str:
    return next((name for glob, name in LISTED_AS.items() if matches(key, glob)), key.rpartition("/")[2])


def _as_answer(result: Resource | Answer) -> Answer:
    return result if isinstance(result, Answer) else Answer(result)
