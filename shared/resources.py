"""The declaration of all cloud resources (resources.toml), parsed once into frozen values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.lanes import Priority
from shared.routing import filter_text

_FILE: Final = Path(__file__).with_name("resources.toml")


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Topics(_Declared):
    names: tuple[str, ...]


class Subscription(_Declared):
    """A pull subscription, or a push subscription when `push_to` names a function."""

    topic: str
    push_to: str | None = None
    push_path: str = "/"
    filter: Literal["gpu-file-types"] | None = None
    #: The one lane it gets, where it has a filter; both when left out.
    priority: Priority | None = None
    ack_deadline: Annotated[int, Field(ge=10, le=600)]
    retry_min: Annotated[int, Field(ge=0, le=600)]
    retry_max: Annotated[int, Field(ge=0, le=600)]
    dead_letter_topic: str | None = None
    max_delivery_attempts: Annotated[int, Field(ge=5, le=100)] = 20

    def filter_for(self, gpu_file_types: frozenset[str]) -> str:
        """The filter's text; empty when everything passes."""
        return filter_text(gpu_file_types, self.priority) if self.filter else ""


class Queue(_Declared):
    dispatches_per_second: Annotated[float, Field(gt=0, le=500)]
    concurrent_dispatches: Annotated[int, Field(ge=1, le=5000)]
    max_attempts: int
    min_backoff: float
    max_backoff: float
    dispatch_deadline: Annotated[int, Field(ge=15, le=1800)]


class Function(_Declared):
    """One entry point; `name` with hyphens is its Cloud Run service."""

    account: str
    #: Callers prove who they are to the function itself, not to Cloud Run.
    public: bool = False
    #: Settings that come from Secret Manager.
    secrets: tuple[str, ...] = ()
    memory: str
    cpu: Annotated[int, Field(ge=1, le=8)] = 1
    #: Processes of one instance.
    workers: Annotated[int, Field(ge=1, le=8)] = 1
    timeout: Annotated[int, Field(ge=1, le=3600)]
    #: Requests one instance takes at once, and the threads of each of its processes.
    concurrency: Annotated[int, Field(ge=1, le=1000)]
    min_instances: int = 0
    max_instances: int
    #: Requests one process may hold open at once, for jobs to end.
    max_held: int = 0


class RunJob(_Declared):
    #: As it is known in the cloud.
    name: str
    account: str
    image: str
    command: tuple[str, ...]
    cpu: Annotated[int, Field(ge=1, le=8)]
    memory: str
    #: The accelerator's type, one of them; None for none.
    gpu: str | None = None
    #: Files one execution works on side by side.
    files_at_once: int = 1
    task_timeout: int
    max_retries: Annotated[int, Field(ge=0, le=10)]


class Schedule(_Declared):
    every: int
    calls: str
    path: str


class Trigger(_Declared):
    """An Eventarc trigger, and what becomes of events that it gives up."""

    bucket: str
    event: str
    calls: str
    account: str
    dead_letter_topic: str
    max_delivery_attempts: Annotated[int, Field(ge=5, le=100)]


class Expiry(_Declared):
    #: Empty: every object.
    prefix: str
    days: Annotated[int, Field(ge=1)]


class Bucket(_Declared):
    suffix: str
    expire: tuple[Expiry, ...] = ()
    #: Methods that pages of other origins may use with a signed URL.
    cors: tuple[Literal["GET", "PUT", "POST"], ...] = ()


class Secret(_Declared):
    name: str
    optional: bool = False


class Images(_Declared):
    repository: str
    names: tuple[str, ...]


class Gke(_Declared):
    cluster: str
    namespace: str
    deployment: str
    account: str
    max_replicas: Annotated[int, Field(ge=1)]


Verb = Literal["read", "list", "create", "overwrite", "delete"]
StorageRole = Literal["objectViewer", "objectCreator", "objectUser"]
#: As resources.toml has them: words in one text.
_Verbs = Annotated[frozenset[Verb], BeforeValidator(lambda words: words.split() if isinstance(words, str) else words)]


class Account(_Declared):
    """A service account and all that it touches; the heading in resources.toml says what each field grants."""

    does: str
    #: By bucket, or "bucket/first part of the name/".
    objects: Mapping[str, _Verbs] = {}
    topics: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    signs: bool = False
    project: tuple[str, ...] = ()
    #: Names of settings.
    settings: tuple[str, ...] = ()

    @property
    def buckets(self) -> dict[str, frozenset[StorageRole]]:
        """The least roles on each bucket that allow what is done there.

        Not only below the prefixes, which a condition on the role could say: whoever may not list a bucket is told
        403, and not 404, of an object that is not there (https://cloud.google.com/storage/docs/access-control/iam-roles).
        """
        verbs: dict[str, set[Verb]] = {}
        for place, done in self.objects.items():
            verbs.setdefault(place.partition("/")[0], set()).update(done)
        return {bucket: _roles(done) for bucket, done in verbs.items()}


def _roles(verbs: set[Verb]) -> frozenset[StorageRole]:
    if verbs & {"overwrite", "delete"}:
        return frozenset({"objectUser"})
    roles: dict[Verb, StorageRole] = {"read": "objectViewer", "list": "objectViewer", "create": "objectCreator"}
    return frozenset(roles[verb] for verb in verbs)


class Resources(_Declared):
    topics: Topics
    subscriptions: Mapping[str, Subscription]
    queues: Mapping[str, Queue]
    functions: Mapping[str, Function]
    jobs: Mapping[str, RunJob]
    scheduler: Mapping[str, Schedule]
    trigger: Mapping[str, Trigger]
    buckets: Mapping[str, Bucket]
    secrets: Mapping[str, Secret]
    images: Images
    gke: Gke
    accounts: Mapping[str, Account]


@cache
def declared(file: Path = _FILE) -> Resources:
    return Resources.model_validate(tomllib.loads(file.read_text()))
