"""Put a file into the uploads bucket as people and tools do: with Google's client, its wishes in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from local.cloud import LocalCloud
from local.profile import PROJECT, UPLOADS
from shared.formats import named
from shared.job import job_id_for


def upload(cloud: LocalCloud, path: Path, *, name: str | None = None, metadata: Mapping[str, str] | None = None) -> str:
    """Upload `path` and answer the id of the job it becomes."""
    client = storage.Client(
        project=PROJECT,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": cloud.endpoints.url(cloud.endpoints.storage)},
    )
    blob = client.bucket(UPLOADS).blob(name or path.name)
    blob.metadata = dict(metadata or {})
    known = named(path.suffix[1:].lower())
    content_type = known[0].content_types[0] if known else "application/octet-stream"
    blob.upload_from_filename(str(path), content_type=content_type)
    client.close()
    return job_id_for(f"{UPLOADS}/{blob.name}#{blob.generation}")
