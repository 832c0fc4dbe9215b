"""A look at the source while its caller waits: one ranged read of an object, at most 300 ms at a URL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from shared import classify
from shared.api import JobBody
from shared.classify import FileFacts
from shared.errors import Fault, RetryableError, SourceMissing, SourceRefused
from shared.job import Source
from shared.services import Services

_PEEK_SECONDS: Final = 0.3
#: https://cloud.google.com/storage/docs/objects#naming
_MAX_NAME_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class Inspected:
    source: Source
    file: FileFacts


def faults(body: JobBody, everything: Services) -> Iterator[Fault]:
    """What is wrong with the places that a request names, without asking for them."""
    if body.webhook_url is not None:
        yield from url_faults("webhook_url", body.webhook_url, everything)
    place = Source(uri=body.source).bucket_and_name
    if place is None:
        yield from url_faults("source", body.source, everything)
        return
    bucket, name = place
    if not name or name in (".", "..") or len(name.encode()) > _MAX_NAME_BYTES:
        yield Fault("source", "must be gs://bucket/name, with a name as storage takes it")
    elif bucket not in everything.settings.readable_buckets:
        yield Fault("source", "is in a bucket that is not read here")


def url_faults(field: str, url: str, everything: Services) -> Iterator[Fault]:
    try:
        everything.http.check(url)
    except SourceRefused as refused:
        yield Fault(field, refused.message)


def inspect(uri: str, everything: Services) -> Inspected:
    """What an allowed source is. Raises SourceMissing, SourceRefused, TooLarge, Unavailable."""
    place = Source(uri=uri).bucket_and_name
    return _object(uri, *place, everything) if place else _url(uri, everything)


def _object(uri: str, bucket: str, name: str, everything: Services) -> Inspected:
    head = everything.objects.head(bucket, name, length=classify.HEAD_BYTES)
    if head is None:
        raise SourceMissing(f"there is no object {uri}")
    facts = classify.classify(name, head.content_type, head.data, head.size)
    return Inspected(Source(uri=uri, generation=head.generation), facts)


def _url(url: str, everything: Services) -> Inspected:
    """The worker decides; here a server too slow to answer leaves only the URL's own name to go by."""
    name = urlsplit(url).path.rpartition("/")[2]
    try:
        peek = everything.http.peek(url, limit_bytes=classify.HEAD_BYTES, timeout_seconds=_PEEK_SECONDS)
    except RetryableError:
        return Inspected(Source(uri=url), classify.presume(name, None, None))
    facts = classify.classify(peek.name or name, peek.content_type, peek.first_bytes, peek.content_length)
    return Inspected(Source(uri=url), facts)
