"""Where models' weights come from: the speech model's from a folder or gs://, the small ones' from the image."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path

from shared.errors import Misconfigured
from shared.objects import Objects

_log = logging.getLogger(__name__)


def model_folder(setting: str | None, objects: Objects) -> Path:
    """A local folder with the model that the setting MODEL names.

    Raises Misconfigured when there is none, Unavailable when storage does not serve it.
    """
    if not setting:
        raise Misconfigured("MODEL is not set: a folder, or gs://bucket/prefix")
    if not setting.startswith("gs://"):
        folder = Path(setting)
        if not (folder / "model.bin").is_file():
            raise Misconfigured(f"MODEL names {folder.name}, which holds no model.bin")
        return folder
    return _fetch(setting, objects)


def weights_file(folder: Path | None, name: str) -> Path:
    """A small model's weights, in the folder that the setting WEIGHTS names. Raises Misconfigured when they are not."""
    if folder is None:
        raise Misconfigured("WEIGHTS is not set: the folder that `python -m workers.weights` fills")
    if not (folder / name).is_file():
        raise Misconfigured(f"WEIGHTS names {folder.name}, which holds no {name}")
    return folder / name


def _fetch(uri: str, objects: Objects) -> Path:
    started = time.monotonic()
    bucket, _, prefix = uri.removeprefix("gs://").rstrip("/").partition("/")
    folder = Path(tempfile.mkdtemp(prefix="model-")) / (prefix.rpartition("/")[2] or bucket)
    folder.mkdir()
    names = [name for name in objects.list(bucket, prefix=f"{prefix}/" if prefix else "") if not name.endswith("/")]
    if not any(name.endswith("/model.bin") or name == "model.bin" for name in names):
        raise Misconfigured("MODEL names a gs:// folder without model.bin")
    for name in names:
        # A model is flat: CTranslate2 reads files, not folders.
        objects.download(bucket, name, folder / name.rpartition("/")[2])
    _log.info("model fetched", extra={"event": "model.fetched", "seconds": round(time.monotonic() - started, 1)})
    return folder
