"""Publishing and unary pulling: the one file that imports Pub/Sub's client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import grpc
from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_exception_type
from google.pubsub_v1 import PublisherClient, PubsubMessage, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from shared.errors import Misconfigured, Unavailable

#: Seconds a publish or an acknowledgement may take, its retries included.
_TIMEOUT_SECONDS = 10.0
#: The client's own retries go on for ten minutes, whatever the timeout of a call, and hold the thread that waits.
_RETRY = Retry(
    initial=0.1,
    multiplier=2.0,
    maximum=2.0,
    timeout=_TIMEOUT_SECONDS,
    predicate=if_exception_type(
        api.Aborted,
        api.Cancelled,
        api.DeadlineExceeded,
        api.InternalServerError,
        api.ResourceExhausted,
        api.ServiceUnavailable,
        api.Unknown,
    ),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of one message; `ack_id` is good until the ack deadline."""

    ack_id: str
    message_id: str
    data: bytes
    attributes: Mapping[str, str]


class Topics(Protocol):
    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        """Durable when it returns. Raises Unavailable."""


class Subscription(Protocol):
    """One pull subscription. Every method raises Unavailable for a passing fault."""

    def pull(self, limit: int, *, timeout_seconds: float) -> Sequence[Delivery]:
        """At most `limit` messages; none when nothing came in time."""

    def ack(self, ack_id: str) -> None: ...

    def nack(self, ack_id: str) -> None:
        """Back at once; the subscription's retry policy says when it comes again."""

    def extend(self, ack_ids: Sequence[str], seconds: int) -> None:
        """New ack deadlines, counted from now. Not tried twice: whoever extends does so with every beat."""


class PubSubTopics:
    def __init__(self, project: str, *, emulator: str | None = None) -> None:
        self._project = project
        transport = PublisherGrpcTransport(channel=grpc.insecure_channel(emulator)) if emulator else None
        self._client = PublisherClient(transport=transport)

    def publish(self, topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        path = self._client.topic_path(self._project, topic)
        message = PubsubMessage(data=data, attributes=dict(attributes))
        with _translated(topic):
            self._client.publish(topic=path, messages=[message], timeout=_TIMEOUT_SECONDS, retry=_RETRY)


class PubSubSubscription:
    def __init__(self, project: str, name: str, *, emulator: str | None = None, call_seconds: float = 10.0) -> None:
        self._call_seconds = call_seconds
        transport = SubscriberGrpcTransport(channel=grpc.insecure_channel(emulator)) if emulator else None
        self._client = SubscriberClient(transport=transport)
        self._path = self._client.subscription_path(project, name)

    def pull(self, limit: int, *, timeout_seconds: float) -> Sequence[Delivery]:
        try:
            with _translated(self._path):
                answer = self._client.pull(
                    subscription=self._path, max_messages=limit, timeout=timeout_seconds, retry=None
                )
        except _DeadlineExceeded:
            return ()
        return tuple(
            Delivery(
                received.ack_id,
                received.message.message_id,
                received.message.data,
                dict(received.message.attributes),
            )
            for received in answer.received_messages
        )

    def ack(self, ack_id: str) -> None:
        with _translated(self._path):
            self._client.acknowledge(subscription=self._path, ack_ids=[ack_id], timeout=_TIMEOUT_SECONDS, retry=_RETRY)

    def nack(self, ack_id: str) -> None:
        with _translated(self._path):
            self._client.modify_ack_deadline(
                subscription=self._path,
                ack_ids=[ack_id],
                ack_deadline_seconds=0,
                timeout=_TIMEOUT_SECONDS,
                retry=_RETRY,
            )

    def extend(self, ack_ids: Sequence[str], seconds: int) -> None:
        with _translated(self._path):
            # The next beat is the next try; this one has the lease to renew, too.
            self._client.modify_ack_deadline(
                subscription=self._path,
                ack_ids=list(ack_ids),
                ack_deadline_seconds=seconds,
                timeout=self._call_seconds,
                retry=None,
            )


class _DeadlineExceeded(Unavailable):
    pass


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Pub/Sub's errors in this project's terms."""
    try:
        yield
    except api.DeadlineExceeded as cause:
        raise _DeadlineExceeded(f"Pub/Sub did not answer for {name} in time") from cause
    except (api.PermissionDenied, api.Unauthenticated, api.NotFound) as cause:
        raise Misconfigured(f"Pub/Sub refused {name}: {type(cause).__name__}") from cause
    except (api.GoogleAPICallError, api.RetryError) as cause:
        raise Unavailable(f"Pub/Sub did not serve {name}: {type(cause).__name__}") from cause
