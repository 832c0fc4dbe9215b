"""Buckets and the few objects that gcloud uploads on the way."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from tests.gcloud.apis.platform import agent
from tests.gcloud.call import Call
from tests.gcloud.proxy import Answer
from tests.gcloud.store import ApiError, Resource


def _bucket(call: Call, key: str, bucket: Resource) -> None:
    bucket |= {"kind": "storage#bucket", "id": bucket["name"], "projectNumber": call.cloud.number}
    bucket["location"] = bucket.get("location", "US").upper()
    bucket.setdefault("storageClass", "STANDARD")
    bucket.setdefault("softDeletePolicy", {"retentionDurationSeconds": "604800"})
    bucket["metageneration"] = str(int(bucket.get("metageneration", 0)) + 1)
    access = bucket.setdefault("iamConfiguration", {})
    access.setdefault("publicAccessPrevention", "inherited")
    access.setdefault("uniformBucketLevelAccess", {"enabled": False})


def _patch(call: Call) -> Resource:
    """Without a mask: what is named is taken over, what is null is dropped."""
    bucket = call.store.get(call.key)
    for name, value in call.request.body.items():
        if name == "labels":
            labels = bucket.get("labels", {}) | (value or {})
            bucket["labels"] = {label: text for label, text in labels.items() if text is not None}
        elif value is None:
            bucket.pop(name, None)
        elif isinstance(value, dict) and name == "iamConfiguration":
            bucket[name] |= value
        else:
            bucket[name] = value
    _bucket(call, call.key, bucket)
    return bucket


def _get_policy(call: Call) -> Resource:
    return {"kind": "storage#policy", **call.store.policy(_bucket_key(call))}


def _set_policy(call: Call) -> Resource:
    call.require_members_exist(call.request.body)
    return call.store.set_policy(_bucket_key(call), call.request.body)


def _bucket_key(call: Call) -> str:
    key = call.key.rpartition("/")[0]
    call.store.get(key)
    return key


def _service_agent(call: Call) -> Resource:
    return {"kind": "storage#serviceAccount", "email_address": agent(call, "gs-project-accounts")}


def _upload(call: Call) -> Resource | Answer:
    """In one request, in one with parts, or begun and then sent to a place of its own."""
    query, content = call.request.query, call.request.raw
    bucket = call.key.split("/")[2]
    call.store.get(f"storage/b/{bucket}")
    name = query.get("name") or call.request.body.get("name", "")
    if query.get("uploadType") == "resumable" and "upload_id" not in query:
        place = f"https://storage.googleapis.com{call.request.path}"
        return Answer(headers={"Location": f"{place}?uploadType=resumable&upload_id=1&name={quote(name, safe='')}"})
    if query.get("uploadType") == "multipart":
        description, content = _parts(content, call.request.headers["content-type"])
        name = name or json.loads(description)["name"]
    made = {"kind": "storage#object", "name": name, "bucket": bucket, "generation": str(call.store.number())}
    call.store.resources[f"{call.key}/{quote(name, safe='')}"] = made | {"size": str(len(content))}
    call.cloud.uploads[name] = content
    return made | {"size": str(len(content))}


def _parts(body: bytes, content_type: str) -> list[bytes]:
    """What is between the boundaries, each without its headers."""
    boundary = content_type.partition("boundary=")[2].strip("'\"")
    _, *parts, _ = body.split(f"--{boundary}".encode())
    return [re.split(rb"\r?\n\r?\n", part, maxsplit=1)[1].removesuffix(b"\n").removesuffix(b"\r") for part in parts]


def _delete_bucket(call: Call) -> Resource:
    if call.store.list(f"{call.key}/o"):
        raise ApiError(409, "The bucket you tried to delete is not empty.")
    call.store.delete(call.key)
    return {}


QUIRKS = {
    "PATCH storage/b/*": _patch,
    "DELETE storage/b/*": _delete_bucket,
    "GET storage/b/*/iam": _get_policy,
    "PUT storage/b/*/iam": _set_policy,
    "GET storage/projects/*/serviceAccount": _service_agent,
    "POST storage/b/*/o": _upload,
    "PUT storage/b/*/o": _upload,
}
COMPLETIONS = {"storage/b/*": _bucket}
