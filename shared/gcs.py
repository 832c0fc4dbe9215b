"""Objects in Cloud Storage: the one file that imports its client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import google.auth
import google.auth.transport.requests
import requests
from google.api_core import exceptions as api
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from shared.errors import JobError, Misconfigured, RateLimited, SourceMissing, Unavailable
from shared.objects import ObjectHead, ObjectInfo, StoredObject
from shared.received import Received

#: (connect, silence) seconds while a file goes up, and how long the client's own retries may go on.
_UPLOAD_TIMEOUT = (5, 60)
_RETRY = DEFAULT_RETRY.with_timeout(20.0)
#: Without end: what is received knows when no further try helps.
_RESUME = DEFAULT_RETRY.with_timeout(None).with_delay(initial=0.2, maximum=8.0)


def _is_passing(error: Exception) -> bool:
    """What a write tries again by itself: not 429, since the caller knows whether waiting for that is worth it."""
    if isinstance(error, InvalidResponse):
        status: int = error.response.status_code
        return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT
    return isinstance(error, api.ServerError | requests.ConnectionError | requests.Timeout)


_WRITE_RETRY = Retry(predicate=_is_passing, initial=0.2, maximum=2.0, timeout=8.0)
#: A small object whose checksum is wrong was hurt on the way, or read by an emulator in the midst of a write.
_CORRUPT_RETRY = Retry(predicate=lambda error: isinstance(error, DataCorruption), initial=0.02, timeout=2.0)


class GcsObjects:
    """Cloud Storage through google-cloud-storage; `emulator` is a base URL such as http://127.0.0.1:4443.

    An answer that is silent for `call_seconds` is given up, and asked for again.
    """

    def __init__(
        self, project: str, *, emulator: str | None = None, connections: int = 64, call_seconds: float = 10.0
    ) -> None:
        self._emulator = emulator
        self._timeout = (min(5.0, call_seconds), call_seconds)
        self._answer = threading.local()
        session = _session(emulator)
        session.hooks["response"].append(self._note_headers)
        adapter = requests.adapters.HTTPAdapter(pool_connections=8, pool_maxsize=connections)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        options = {"api_endpoint": emulator} if emulator else None
        credentials = getattr(session, "credentials", None) or google.auth.credentials.AnonymousCredentials()
        self._client = storage.Client(project=project, credentials=credentials, _http=session, client_options=options)
        # It would ask for each bucket's metadata, and again after each 404, in threads of its own: for the spans of a
        # tracing that is off, and by a right to look at buckets that no account of ours has.
        del self._client._bucket_metadata_cache
        self._session = session

    def _note_headers(self, response: requests.Response, *args: Any, **kwargs: Any) -> None:
        # The client keeps neither Date nor Last-Modified, and leases are measured on storage's clock alone.
        self._answer.headers = response.headers

    def read(self, bucket: str, name: str) -> StoredObject | None:
        blob = self._blob(bucket, name)
        try:
            with _translated(name):
                data: bytes = _CORRUPT_RETRY(blob.download_as_bytes)(timeout=self._timeout, retry=_RETRY)
        except SourceMissing:
            return None
        headers: Mapping[str, str] = self._answer.headers
        now = parsedate_to_datetime(headers["Date"])
        generation = int(headers["X-Goog-Generation"])
        if "Last-Modified" in headers:
            return StoredObject(data, generation, parsedate_to_datetime(headers["Last-Modified"]), now)
        found = self.info(bucket, name, generation=generation)
        # Overwritten since: what was read is as old as the next write, and that one fails whoever builds on it.
        return StoredObject(data, generation, found.updated if found else now, now)

    def head(self, bucket: str, name: str, *, length: int, generation: int | None = None) -> ObjectHead | None:
        blob = self._blob(bucket, name, generation)
        try:
            with _translated(name):
                # As stored: an object may say that it is compressed, and be a thousand times larger when it is not.
                data: bytes = blob.download_as_bytes(
                    start=0, end=length - 1, timeout=self._timeout, retry=_RETRY, checksum=None, raw_download=True
                )
        except SourceMissing:
            return None
        except _EmptyRange:
            found = self.info(bucket, name, generation=generation)
            return ObjectHead(b"", found.generation, found.size, found.content_type) if found else None
        headers: Mapping[str, str] = self._answer.headers
        # "bytes 0-4095/12345"; an object shorter than the range may come whole, without the header.
        size = int(headers.get("Content-Range", f"/{len(data)}").rpartition("/")[2])
        return ObjectHead(data[:length], int(headers["X-Goog-Generation"]), size, headers.get("Content-Type", ""))

    def read_range(self, bucket: str, name: str, start: int, length: int, *, generation: int | None = None) -> bytes:
        blob = self._blob(bucket, name, generation)
        end = start + length - 1
        try:
            with _translated(name):
                data: bytes = blob.download_as_bytes(
                    start=start, end=end, timeout=self._timeout, retry=_RETRY, checksum=None, raw_download=True
                )
        except _EmptyRange:
            return b""
        return data

    def info(self, bucket: str, name: str, *, generation: int | None = None) -> ObjectInfo | None:
        with _translated(name):
            blob = self._client.bucket(bucket).get_blob(
                name, generation=generation, timeout=self._timeout, retry=_RETRY
            )
        return _info(blob) if blob is not None else None

    def write(
        self,
        bucket: str,
        name: str,
        data: bytes,
        *,
        if_generation: int | None = None,
        content_type: str = "application/json",
        metadata: Mapping[str, str] | None = None,
    ) -> int | None:
        blob = self._blob(bucket, name)
        blob.metadata = dict(metadata) if metadata else None
        try:
            with _translated(name, needs_bucket_only=True):
                blob.upload_from_string(
                    data,
                    content_type=content_type,
                    if_generation_match=if_generation,
                    timeout=self._timeout,
                    retry=_WRITE_RETRY if if_generation is not None else None,
                )
        except _PreconditionFailed:
            return None
        return int(blob.generation)

    def delete(self, bucket: str, name: str, *, if_generation: int | None = None) -> None:
        try:
            with _translated(name):
                self._blob(bucket, name).delete(if_generation_match=if_generation, timeout=self._timeout, retry=_RETRY)
        except (SourceMissing, _PreconditionFailed):
            return

    def list(self, bucket: str, *, prefix: str, start: str | None = None, limit: int | None = None) -> Iterator[str]:
        with _translated(prefix, needs_bucket_only=True):
            found = self._client.list_blobs(
                bucket,
                prefix=prefix,
                start_offset=start,
                max_results=limit,
                page_size=min(limit, 1000) if limit else None,
                fields="items(name),nextPageToken",
                timeout=self._timeout,
                retry=_RETRY,
            )
            for blob in found:
                yield blob.name

    def download(
        self,
        bucket: str,
        name: str,
        path: Path,
        *,
        generation: int | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> int:
        blob = self._blob(bucket, name, generation)
        with path.open("wb") as file, _translated(name):
            received = Received(file, lambda: self._answer.headers, on_bytes)
            retry = partial(_RESUME, on_error=received.broke_off)
            blob.download_to_file(received, timeout=self._timeout, retry=retry, checksum=None, raw_download=True)
            received.check()
        return path.stat().st_size

    def upload(self, bucket: str, name: str, path: Path, *, content_type: str) -> None:
        with _translated(name, needs_bucket_only=True):
            # Unconditional and yet safe to repeat: an attempt's folder has one writer.
            self._blob(bucket, name).upload_from_filename(
                str(path), content_type=content_type, timeout=_UPLOAD_TIMEOUT, retry=_RETRY, checksum="crc32c"
            )

    def upload_session(
        self, bucket: str, name: str, *, content_type: str, metadata: Mapping[str, str], origin: str | None = None
    ) -> str:
        blob = self._blob(bucket, name)
        blob.metadata = dict(metadata)
        with _translated(name, needs_bucket_only=True):
            # Only if absent: whoever holds the URL makes one object, once.
            url: str = blob.create_resumable_upload_session(
                content_type=content_type, origin=origin, timeout=self._timeout, if_generation_match=0
            )
        return url

    def download_url(self, bucket: str, name: str, *, expires_seconds: int) -> str:
        if self._emulator:
            return f"{self._emulator}/download/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media"
        credentials = self._session.credentials
        with _translated(name):
            # No key on a function: the signature is IAM's signBlob, made on the click.
            credentials.refresh(google.auth.transport.requests.Request())
            url: str = self._blob(bucket, name).generate_signed_url(
                version="v4",
                expiration=expires_seconds,
                method="GET",
                service_account_email=credentials.service_account_email,
                access_token=credentials.token,
            )
        return url

    def _blob(self, bucket: str, name: str, generation: int | None = None) -> Any:
        return self._client.bucket(bucket).blob(name, generation=generation)


class _PreconditionFailed(JobError):
    pass


class _EmptyRange(JobError):
    pass


def _session(emulator: str | None) -> Any:
    if emulator:
        return requests.Session()
    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return google.auth.transport.requests.AuthorizedSession(credentials)


def _info(blob: Any) -> ObjectInfo:
    return ObjectInfo(
        bucket=blob.bucket.name,
        name=blob.name,
        generation=int(blob.generation),
        size=int(blob.size or 0),
        content_type=blob.content_type or "",
        updated=blob.updated or datetime.now(UTC),
        metadata=dict(blob.metadata or {}),
    )


@contextmanager
def _translated(name: str, *, needs_bucket_only: bool = False) -> Iterator[None]:
    """Storage's errors in this project's terms. Where the bucket alone is asked for, it alone can be missing."""
    try:
        yield
    except api.PreconditionFailed as cause:
        raise _PreconditionFailed("the object changed meanwhile") from cause
    except api.NotFound as cause:
        if needs_bucket_only:
            raise Misconfigured(f"no bucket for {name}") from cause
        raise SourceMissing(f"no object {name}, or not in that generation") from cause
    except api.RequestRangeNotSatisfiable as cause:
        raise _EmptyRange(f"{name} is empty") from cause
    except api.TooManyRequests as cause:
        raise RateLimited(f"storage refused a write to {name}: too many a second") from cause
    except (api.Forbidden, api.Unauthorized) as cause:
        raise Misconfigured(f"storage does not allow this service to use {name}") from cause
    except (
        api.GoogleAPICallError,
        api.RetryError,
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        GoogleAuthError,
        DataCorruption,
    ) as cause:
        raise Unavailable(f"storage did not serve {name}: {type(cause).__name__}") from cause
