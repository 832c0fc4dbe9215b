"""What is there: one snapshot of a project, in gcloud's own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.access import Grant

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Live:
    """gcloud's own answers by kind; empty for a project in which nothing has been made."""

    lists: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)
    #: Secret → its versions.
    versions: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)
    #: Setting → its present value, where a file might bring another one.
    secret_texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Image → the digest of the wanted version.
    digests: Mapping[str, str] = field(default_factory=dict)
    grants: frozenset[Grant] = frozenset()

    def of(self, kind: str) -> dict[str, Json]:
        """The things of one kind by their short names."""
        return {short_name(each): each for each in self.lists.get(kind, ())}

    @property
    def apis(self) -> frozenset[str]:
        return frozenset(self.of("apis"))

    def has_labels(self, kind: str, name: str, labels: Mapping[str, str]) -> bool:
        return labels.items() <= dict(self.of(kind)[name].get("labels") or {}).items()

    def enabled_version(self, secret: str) -> int | None:
        """The newest version that can be read."""
        enabled = [_number(each) for each in self.versions.get(secret, ()) if each.get("state") == "ENABLED"]
        return max(enabled, default=None)

    def next_version(self, secret: str) -> int:
        """What the next one is going to be called: numbers are never used twice."""
        return max((_number(each) for each in self.versions.get(secret, ())), default=0) + 1


def _number(version: Json) -> int:
    return int(short_name(version))


def short_name(item: Json) -> str:
    name = item.get("email") or item.get("metadata", {}).get("name") or item.get("name", "")
    return str(name).rpartition("/")[2]


def is_as(found: Any, wanted: Any) -> bool:
    """Has it every wanted field? What Google adds of its own does not count."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(is_as(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(is_as, found, wanted))
    return bool(found == wanted)
