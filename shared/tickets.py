"""Tickets: what POST /v1/uploads promises of a file to come, and how `on_upload` knows it again.

An object's metadata is its uploader's word. Whose a ticket is stands there under a seal, which takes the holder's API
key to make, and is good for this ticket alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shared.api_keys import ApiKey
from shared.job import job_id_for

_NAME: Final = re.compile(r"tickets/([0-9a-f]{32})/[^/]+")
#: Fields of an upload's metadata.
_CALLER: Final = "caller"
_SEAL: Final = "seal"


@dataclass(frozen=True, slots=True)
class Ticket:
    bucket: str
    number: str

    @classmethod
    def new(cls, bucket: str) -> Ticket:
        return cls(bucket, secrets.token_hex(16))

    @classmethod
    def named(cls, bucket: str, object_name: str) -> Ticket | None:
        """The one that an object goes by the name of."""
        found = _NAME.fullmatch(object_name)
        return cls(bucket, found[1]) if found else None

    def object_name(self, filename: str) -> str:
        return f"tickets/{self.number}/{filename}"

    @property
    def idempotency_key(self) -> str:
        return f"{self.bucket}/tickets/{self.number}"

    @property
    def job_id(self) -> str:
        return job_id_for(self.idempotency_key)

    def held_by(self, key: ApiKey) -> dict[str, str]:
        """What the upload's metadata says of its holder."""
        return {_CALLER: key.name, _SEAL: self._seal(key)}

    def holder(self, metadata: Mapping[str, str], keys: Iterable[ApiKey]) -> ApiKey | None:
        """The key that the ticket was made for; None when the metadata names none, or none of these."""
        caller, seal = metadata.get(_CALLER), metadata.get(_SEAL, "").encode()
        found = [key for key in keys if key.name == caller and hmac.compare_digest(self._seal(key).encode(), seal)]
        return found[0] if found else None

    def _seal(self, key: ApiKey) -> str:
        text = f"ticket\0{self.idempotency_key}\0{key.name}".encode()
        return hmac.new(key.key.get_secret_value().encode(), text, hashlib.sha256).hexdigest()
