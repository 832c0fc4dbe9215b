"""Secrets' values: from files, or made up here; they pass from here to a command's standard input and nowhere else."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deploy.command import SecretValue
from deploy.faults import CannotDeploy


def _operator_key() -> str:
    """One API key that sees every job: an operator's, to begin with."""
    return json.dumps([{"name": "operator", "key": secrets.token_urlsafe(32), "sees": "all"}])


def _signing_key() -> str:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme"""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


_MADE_UP: Final[Mapping[str, Callable[[], str]]] = {
    "API_KEYS": _operator_key,
    "WEBHOOK_SECRET": _signing_key,
    "ALERT_TOKEN": lambda: secrets.token_urlsafe(32),
}


def secret_value(value: SecretValue) -> str:
    """The text itself; raises CannotDeploy."""
    if value.file is None:
        return _MADE_UP[value.setting]()
    return read_secret(value.file)


def read_secret(file: Path) -> str:
    """A file's text without the newline that editors add; raises CannotDeploy."""
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as cause:
        raise CannotDeploy(f"the secret's file {file} cannot be read: {cause}.") from cause
    if not text:
        raise CannotDeploy(f"the secret's file {file} is empty.")
    return text
