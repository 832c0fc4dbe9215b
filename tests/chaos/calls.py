"""One call between two parts of the hub, by a name that is the same in every run: these are the fault points.

storage write local-state jobs/<id>.json       pubsub Publish gpu-tasks       tasks CreateTask cpu-tasks
dispatch POST /task                            jobs RunJob nca-toolkit-gpu-job
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

_JOB_ID: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
#: Ids, times, and the files' own names.
_VARYING: Final = re.compile(r"[0-9a-f]{32,64}|[0-9]{5,}|(?<=/)[0-9]+(?=\.wav)")
_RESOURCE: Final = re.compile(rb"(?:topics|subscriptions|queues|jobs)/([A-Za-z][A-Za-z0-9-]+)")
_OBJECT: Final = re.compile(r"/b/([^/]+)/o(?:/([^?]+))?$")


@dataclass(frozen=True, slots=True)
class Call:
    """Who is asked for what; `job` is the one it is about, where that shows."""

    part: str
    verb: str
    target: str
    job: str | None
    #: The caller's end of the connection: a port on loopback.
    peer: int
    body: bytes = b""
    query: Mapping[str, str] | None = None

    @property
    def point(self) -> str:
        """The fault point: the call's name without the ids in it."""
        return _VARYING.sub("*", f"{self.part} {self.verb} {self.target}")


def storage_call(method: str, url: str, headers: Mapping[str, str], body: bytes, peer: int) -> Call:
    """A call of Cloud Storage's JSON API; a peek reads a range, as the classifier does."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    found = _OBJECT.search(parts.path)
    bucket, name = (unquote(found[1]), unquote(found[2] or "")) if found else ("", "")
    if parts.path.startswith("/upload/"):
        verb, name = "write", str(written(headers, body)[0].get("name", name))
    elif method == "DELETE":
        verb = "delete"
    elif not name:
        verb, name = "list", query.get("prefix", "")
    elif query.get("alt") == "media":
        verb = "peek" if _header(headers, "range") else "read"
    else:
        verb = "info"
    return Call("storage", verb, f"{bucket} {name}", _job_in(name), peer, body, query)


def written(headers: Mapping[str, str], body: bytes) -> tuple[dict[str, Any], bytes]:
    """The metadata and the content of a multipart upload."""
    kind = _header(headers, "content-type")
    if not kind.startswith("multipart/related"):
        return {}, body
    boundary = kind.partition("boundary=")[2].strip("\"'").encode()
    _, metadata, content, *_ = body.split(b"--" + boundary)
    resource: dict[str, Any] = json.loads(metadata.partition(b"\r\n\r\n")[2])
    return resource, content.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


def function_call(function: str, method: str, url: str, body: bytes, peer: int) -> Call:
    """A call of one of our own functions: a push, a task, an event, or a client's."""
    text = body.decode(errors="replace")
    if '"message"' in text:
        text += base64.b64decode(json.loads(body)["message"].get("data", "")).decode(errors="replace")
    return Call(function, method, urlsplit(url).path, _job_in(text + url), peer, body)


def rpc_call(part: str, method: str, message: bytes, peer: int) -> Call:
    """A unary gRPC call, as bytes: ids and resource names are plain text in protobuf."""
    found = _RESOURCE.search(message)
    target = found[1].decode() if found else ""
    return Call(part, method.rpartition("/")[2], target, _job_in(message.decode(errors="replace")), peer, message)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for known, value in headers.items() if known.lower() == name), "")


def _job_in(text: str) -> str | None:
    found = _JOB_ID.search(text)
    return found[0] if found else None
