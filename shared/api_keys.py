"""The API's callers, all in one secret: who they are, what each may see, how much each may have unfinished.

    [{"name": "n8n", "key": "…", "sees": "own", "allowance": 500}, …]

A name may stand there twice, with two keys, while its caller changes over from one to the other.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

#: The caller of uploads that no key announced.
UPLOADER: Final = "upload"


class ApiKey(BaseModel):
    """One caller of the API."""

    # Unknown fields are named by nobody: a key may stand where a name should.
    model_config = ConfigDict(frozen=True, extra="ignore")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    key: Annotated[SecretStr, Field(min_length=1)]
    #: "own": its own jobs. "all": an operator's, uploads' jobs, too.
    sees: Literal["own", "all"] = "own"
    #: Jobs that may be unfinished at once; no limit when left out.
    allowance: Annotated[int, Field(ge=1)] | None = None

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name == UPLOADER:
            raise ValueError(f"{UPLOADER!r} is who uploads that no key announced belong to")
        return name


def parse_keys(value: Any) -> tuple[ApiKey, ...]:
    """The secret's text, or what it parses to. Raises ValueError that tells every fault and no key."""
    entries = _entries(value)
    faults: list[str] = []
    keys: list[tuple[int, ApiKey]] = []
    for number, entry in enumerate(entries):
        if isinstance(entry, ApiKey):
            keys.append((number, entry))
            continue
        if isinstance(entry, dict) and (unknown := len(entry.keys() - ApiKey.model_fields.keys())):
            faults.append(f"{number}: {unknown} unknown fields besides {', '.join(ApiKey.model_fields)}")
        try:
            keys.append((number, ApiKey.model_validate(entry)))
        except ValidationError as error:
            faults += (
                ".".join(map(str, (number, *fault["loc"]))) + f": {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False, include_context=False)
            )
    faults += _contradictions(keys)
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(key for _, key in keys)


def _entries(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError("not JSON") from None  # whose error holds the text
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of objects with name and key")
    return value


def _contradictions(keys: Sequence[tuple[int, ApiKey]]) -> Iterator[str]:
    """Faults between entries: one key of two callers, one caller with two allowances."""
    same_key: dict[str, list[int]] = defaultdict(list)
    same_name: dict[str, list[int]] = defaultdict(list)
    for number, key in keys:
        same_key[key.key.get_secret_value()].append(number)
        same_name[key.name].append(number)
    known = dict(keys)
    for numbers in same_key.values():
        if len(numbers) > 1:
            yield f"{' and '.join(map(str, numbers))}: the same key"
    for name, numbers in same_name.items():
        if len({(known[number].sees, known[number].allowance) for number in numbers}) > 1:
            yield f"{' and '.join(map(str, numbers))}: {name} differs in sees or allowance"
