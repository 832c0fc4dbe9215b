"""Where an API differs from the plain store, in tables of globs over `METHOD api/name` or `api/name`."""

from __future__ import annotations

from collections.abc import Callable

from tests.gcloud.apis import messaging, operations, platform, run, storage
from tests.gcloud.call import Call
from tests.gcloud.proxy import Answer
from tests.gcloud.store import Resource

#: Requests that the API answers in its own way.
QUIRKS: dict[str, Callable[[Call], Resource | Answer]] = {
    **platform.QUIRKS,
    **messaging.QUIRKS,
    **storage.QUIRKS,
    **run.QUIRKS,
    **operations.QUIRKS,
}

#: What a server checks and fills in when a resource is created, patched or replaced.
COMPLETIONS: dict[str, Callable[[Call, str, Resource], None]] = {
    **messaging.COMPLETIONS,
    **storage.COMPLETIONS,
    **run.COMPLETIONS,
    **operations.COMPLETIONS,
}

#: The field of a list's answer, where it is not the collection's name.
LISTED_AS = {
    "storage/**": "items",
    "run/projects/*/locations": "locations",
    "run/**": "items",
    "compute/**": "items",
}

#: Changes here answer a long-running operation.
OPERATIONS = (
    "POST artifactregistry/projects/*/locations/*/repositories",
    "DELETE artifactregistry/projects/*/locations/*/repositories/*",
    "POST eventarc/projects/*/locations/*/triggers",
    "PATCH eventarc/projects/*/locations/*/triggers/*",
)

#: PUT replaces here; elsewhere it creates.
REPLACED_BY_PUT = (
    "run/projects/*/locations/*/services/*",
    "run/projects/*/locations/*/jobs/*",
    "logging/projects/*/metrics/*",
    "iam/projects/*/serviceAccounts/*",
)

#: POSTs that only ask.
READING_VERBS = ("getIamPolicy", "testIamPermissions", "access")
