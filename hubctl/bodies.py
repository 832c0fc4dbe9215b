"""What people type, as the API's bodies: checked by the API's own models before anything is sent."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from hubctl.errors import BadUsage
from shared.api import FieldFault, JobBody, UploadBody
from shared.faults import faults_of

#: Characters of what is no JSON.
_SHOWN: Final = 200

Body = TypeVar("Body", bound=BaseModel)


def job_body(source: str, operations: Sequence[Any] | None, **asked: Any) -> JobBody:
    """The body for a source that the hub can reach. Raises BadUsage with every fault."""
    if not operations:
        raise BadUsage("a gs:// or https:// source needs operations: -o probe,transcribe")
    return checked(JobBody, source=source, operations=operations, **asked)


def upload_body(path: Path, operations: Sequence[Any] | None = None, **asked: Any) -> UploadBody:
    """The body for a local file. Raises BadUsage with every fault."""
    content_type, _ = mimetypes.guess_type(path.name)
    return checked(
        UploadBody,
        filename=path.name,
        content_type=content_type or "application/octet-stream",
        operations=operations,
        **asked,
    )


def operations(given: Sequence[str]) -> list[Any] | None:
    """`probe,transcribe`, or JSON objects (or lists) with parameters; None for none. Raises BadUsage."""
    asked: list[Any] = []
    for text in given:
        if not text.lstrip().startswith(("{", "[")):
            asked.extend(name.strip() for name in text.split(",") if name.strip())
            continue
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as cause:
            raise BadUsage(f"--operations {text[:_SHOWN]} is not JSON: {cause}") from cause
        asked.extend(parsed if isinstance(parsed, list) else [parsed])
    return asked or None


def labels(given: Sequence[str]) -> dict[str, str]:
    """`key=value` each. Raises BadUsage."""
    pairs = [text.partition("=") for text in given]
    for text, (name, sign, value) in zip(given, pairs, strict=True):
        if not (name and sign and value):
            raise BadUsage(f"--label {text} must be key=value")
    return {name: value for name, _, value in pairs}


def checked(model: type[Body], **fields: Any) -> Body:
    """The body with what is given. Raises BadUsage with every fault."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return model.model_validate_json(json.dumps(given))
    except ValidationError as cause:
        faults = tuple(FieldFault(field=fault.field, detail=fault.detail) for fault in faults_of(cause))
        raise BadUsage("this cannot be asked for", faults) from cause
