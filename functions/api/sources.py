"""A look at the source while its caller waits: one ranged read of an object, at most 300 ms at a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from shared import classify
from shared.api import JobBody
from shared.classify import FileFacts
from shared.errors import Fault, InvalidRequest, PermanentError, RetryableError, SourceMissing, SourceRefused
from shared.job import Source
from shared.services import Services

_PEEK_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True)
class Inspected:
    source: Source
    file: FileFacts


def inspect(body: JobBody, everything: Services) -> Inspected:
    """What the source is. Raises InvalidRequest for a place that is not allowed, SourceMissing, Unavailable."""
    if body.webhook_url is not None:
        _allowed("webhook_url", body.webhook_url, everything)
    if body.source.startswith("gs://"):
        return _object(body.source, everything)
    _allowed("source", body.source, everything)
    return _url(body.source, everything)


def _allowed(field: str, url: str, everything: Services) -> None:
    try:
        everything.http.check(url)
    except SourceRefused as refused:
        raise InvalidRequest(refused.message, (Fault(field, refused.message),), code=refused.reason_code) from refused


def _object(uri: str, everything: Services) -> Inspected:
    source = Source(uri=uri)
    bucket, name = source.bucket_and_name or ("", "")
    if not name:
        raise InvalidRequest("source names no object", (Fault("source", "must be gs://bucket/name"),))
    if bucket not in everything.settings.readable_buckets:
        raise InvalidRequest("source is in a bucket this hub does not read", (Fault("source", "bucket not allowed"),))
    head = everything.objects.head(bucket, name, length=classify.HEAD_BYTES)
    if head is None:
        raise SourceMissing(f"there is no object {uri}")
    facts = classify.classify(name, head.content_type, head.data, head.size)
    return Inspected(Source(uri=uri, generation=head.generation), facts)


def _url(url: str, everything: Services) -> Inspected:
    """The worker decides; here a slow or unfriendly server leaves only the URL's own name to go by."""
    name = urlsplit(url).path.rpartition("/")[2]
    try:
        peek = everything.http.peek(url, limit_bytes=classify.HEAD_BYTES, timeout_seconds=_PEEK_SECONDS)
    except SourceMissing:
        raise
    except (RetryableError, PermanentError):
        return Inspected(Source(uri=url), classify.presume(name, None, None))
    facts = classify.classify(peek.name or name, peek.content_type, peek.first_bytes, peek.content_length)
    return Inspected(Source(uri=url), facts)
