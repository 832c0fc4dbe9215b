"""The Eventarc shim: Cloud Storage's notifications become the CloudEvents that Eventarc would deliver.

fake-gcs-server publishes to one topic; a push subscription on it points here; each OBJECT_FINALIZE of a bucket
that has a trigger is posted to the trigger's function as `google.cloud.storage.object.v1.finalized`, binary mode.
Anything but 2xx from the function is answered with 500, so that Pub/Sub delivers again.
https://cloud.google.com/eventarc/docs/workflows/cloudevents and
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from local.ports import LOOPBACK
from shared.errors import InvalidRequest

EVENT_TYPE: Final = "google.cloud.storage.object.v1.finalized"
#: Printable ASCII that a header may carry as it is; the rest is percent-encoded, as the HTTP binding says.
_PLAIN: Final = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trigger:
    """Which bucket's finished uploads go to which function (its URL)."""

    bucket: str
    function: str


@dataclass(frozen=True, slots=True)
class Notification:
    """One Cloud Storage notification, out of a Pub/Sub push (https://cloud.google.com/storage/docs/pubsub-notifications)."""

    message_id: str
    event_type: str
    event_time: str
    bucket: str
    object_name: str
    resource: dict[str, Any]

    @classmethod
    def parse(cls, body: bytes) -> Notification:
        """From a push request's body; InvalidRequest when it is none."""
        try:
            message = json.loads(body)["message"]
            attributes = message["attributes"]
            return cls(
                message_id=message["messageId"],
                event_type=attributes["eventType"],
                event_time=attributes["eventTime"],
                bucket=attributes["bucketId"],
                object_name=attributes["objectId"],
                resource=json.loads(base64.b64decode(message["data"])),
            )
        except (ValueError, KeyError, TypeError) as cause:
            raise InvalidRequest(f"not a Cloud Storage notification: {cause!r}") from cause

    def headers(self) -> dict[str, str]:
        """The CloudEvent's attributes; its id is the message's, the same over redeliveries."""
        return {
            "ce-specversion": "1.0",
            "ce-id": self.message_id,
            "ce-source": f"//storage.googleapis.com/projects/_/buckets/{self.bucket}",
            "ce-type": EVENT_TYPE,
            "ce-subject": quote(f"objects/{self.object_name}", safe=_PLAIN),
            "ce-time": self.event_time,
            "ce-bucket": self.bucket,
            "Content-Type": "application/json",
        }

    def storage_object(self) -> dict[str, Any]:
        """The object as Cloud Storage describes it, with the fields that fake-gcs-server leaves out."""
        generation = str(self.resource["generation"])
        path = f"b/{self.bucket}/o/{quote(self.object_name, safe='')}"
        filled = {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.object_name}/{generation}",
            "metageneration": "1",
            "etag": base64.b64encode(f"{generation}/1".encode()).decode(),
            "selfLink": f"https://www.googleapis.com/storage/v1/{path}",
            "mediaLink": f"https://www.googleapis.com/download/storage/v1/{path}?generation={generation}&alt=media",
            "storageClass": "STANDARD",
            "timeStorageClassUpdated": self.resource.get("timeCreated", self.event_time),
        }
        present = {name: value for name, value in self.resource.items() if value not in (None, "")}
        return {**filled, **present, "generation": generation, "size": str(self.resource["size"])}


class EventarcShim:
    """Receives pushes on a loopback port (0: any), each in a thread of its own, and posts to the triggers' functions.

    `timeout_s` is how long a function may take to answer.
    """

    def __init__(self, triggers: Iterable[Trigger], *, port: int = 0, timeout_s: float = 60.0) -> None:
        self._triggers = tuple(triggers)
        self._client = httpx.Client(timeout=timeout_s, limits=httpx.Limits(max_connections=None), trust_env=False)
        self._server = _Server((LOOPBACK, port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="eventarc")
        self._thread.start()

    @property
    def url(self) -> str:
        """The push endpoint for the notifications' subscription."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/"

    def deliver(self, notification: Notification) -> bool:
        """Post to every trigger it matches; False when one of the functions did not take it."""
        if notification.event_type != "OBJECT_FINALIZE":
            return True
        matching = [trigger for trigger in self._triggers if trigger.bucket == notification.bucket]
        return all([self._post(trigger.function, notification) for trigger in matching])

    def close(self) -> None:
        """Stop receiving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, function: str, notification: Notification) -> bool:
        data = json.dumps(notification.storage_object()).encode()
        try:
            self._client.post(function, content=data, headers=notification.headers()).raise_for_status()
        except httpx.HTTPError as error:
            extra = {"event": "local_eventarc.not_taken", "message_id": notification.message_id}
            _log.warning("event not taken, to be delivered again: %r", error, extra=extra)
            return False
        return True


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], shim: EventarcShim) -> None:
        super().__init__(address, _Handler)
        self.shim = shim


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status = 204 if self.server.shim.deliver(Notification.parse(body)) else 500
        except InvalidRequest as error:
            _log.warning("push refused: %s", error, extra={"event": "local_eventarc.invalid_push"})
            status = 400
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """The standard library would print every request."""
