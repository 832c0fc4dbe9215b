"""The operations a job may ask for, and their parameters, validated at the door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

#: A language as Whisper names it: ISO 639-1, or 639-2/3 where there is no shorter one.
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: An integer as JSON Schema has it: 8.0 is one, "8" and true are none. Last in a type, or its limits become no schema.
WHOLE: Final = BeforeValidator(_whole)


#: Which of a file's streams of one kind, as in ffmpeg's `0:a:1`.
StreamNumber = Annotated[int, Field(ge=0, le=99), WHOLE]


class _Operation(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Hearing(_Operation):
    #: Which audio stream, counted from 0; the one ffmpeg would choose when left out.
    stream: StreamNumber | None = None


class _Seeing(_Operation):
    #: Which video stream, counted from 0; the one ffmpeg would choose when left out.
    stream: StreamNumber | None = None


class Probe(_Operation):
    """Container, streams, duration, codecs, bit rates, frame rate, rotation, tags → probe.json."""

    name: Literal["probe"] = "probe"


class Speech(_Hearing):
    """Where there is speech, and where the file is quiet → speech.json."""

    name: Literal["speech"] = "speech"
    #: Speech begins where its probability reaches this.
    threshold: Annotated[float, Field(ge=0.05, le=0.95)] = 0.5
    #: Speech not longer than this is none, in seconds.
    speech_seconds: Annotated[float, Field(ge=0, le=60)] = 0.25
    #: A shorter pause belongs to the speech around it, in seconds.
    pause_seconds: Annotated[float, Field(ge=0.032, le=60)] = 0.1
    #: Added to speech before and after, in seconds.
    pad_seconds: Annotated[float, Field(ge=0, le=5)] = 0.03
    #: How long a pause or a silence must be to be listed, in seconds.
    silence_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 2.0
    #: A silence is quieter than this in all channels: the peak, in dB of full scale.
    noise_db: Annotated[float, Field(ge=-120, le=0)] = -30.0


class _SpeechToText(_Hearing):
    #: Spoken language; found by the model when left out.
    language: Language | None = None
    #: Most words on one subtitle line; by line length when left out.
    words_per_line: Annotated[int, Field(ge=1, le=50), WHOLE] | None = None


class Transcribe(_SpeechToText):
    """Speech to text → transcript.json, .txt, .srt, .vtt."""

    name: Literal["transcribe"] = "transcribe"


class Translate(_SpeechToText):
    """Speech in any language to English text → transcript.json, .txt, .srt, .vtt."""

    name: Literal["translate"] = "translate"


class Thumbnails(_Seeing):
    """Pictures from the video → thumbnails/NNNN.jpg, by count, at given seconds or one for each shot."""

    name: Literal["thumbnails"] = "thumbnails"
    #: How many, evenly spread over the video (5 when nothing is said).
    count: Annotated[int, Field(ge=1, le=100), WHOLE] | None = None
    #: At which times, in seconds from the start.
    seconds: (
        # JSON's arrays arrive as lists, which a strict tuple would refuse.
        Annotated[tuple[Annotated[float, Field(ge=0, le=1e6)], ...], Field(min_length=1, max_length=100, strict=False)]
        | None
    ) = None
    #: One picture for each shot; of the 100 longest ones where there are more.
    per: Literal["shot"] | None = None
    #: Longest width in pixels; never enlarged.
    width: Annotated[int, Field(ge=16, le=3840), WHOLE] = 640

    @model_validator(mode="after")
    def _one_way(self) -> Thumbnails:
        if self.count is not None and self.seconds is not None:
            raise ValueError("give count or seconds, not both")
        if self.per is not None and (self.count is not None or self.seconds is not None):
            raise ValueError("give per or count or seconds, not several")
        return self


class Storyboard(_Seeing):
    """Small pictures on one sheet for players' seek bars → storyboard.jpg, storyboard.vtt."""

    name: Literal["storyboard"] = "storyboard"
    #: How many, evenly spread over the video (one for each second, 100 at most, when left out).
    count: Annotated[int, Field(ge=1, le=100), WHOLE] | None = None
    #: Width of each in pixels; never enlarged.
    width: Annotated[int, Field(ge=16, le=320), WHOLE] = 160


class Shots(_Seeing):
    """Cuts, and the shots between them → shots.json."""

    name: Literal["shots"] = "shots"
    #: `transnetv2`, a network, also finds dissolves and fades; it is meant for a GPU.
    model: Literal["luma", "transnetv2"] = "luma"
    #: How much a cut must change the picture: mean difference of luma, of 255 (12 when left out). For `luma` only.
    threshold: Annotated[float, Field(ge=1, le=255)] | None = None

    @model_validator(mode="after")
    def _threshold_of_luma(self) -> Shots:
        if self.model != "luma" and self.threshold is not None:
            raise ValueError("threshold is for the model luma only")
        return self


class Loudness(_Hearing):
    """EBU R128: integrated loudness, range, true peak, momentary curve → loudness.json."""

    name: Literal["loudness"] = "loudness"


class Waveform(_Hearing):
    """The shape of the sound → waveform.json as audiowaveform writes it, waveform.png."""

    name: Literal["waveform"] = "waveform"
    #: Points for each second in waveform.json.
    pixels_per_second: Annotated[int, Field(ge=1, le=100), WHOLE] = 20
    #: Of the picture, in pixels.
    width: Annotated[int, Field(ge=16, le=4096), WHOLE] = 1800
    height: Annotated[int, Field(ge=16, le=1024), WHOLE] = 280


class Fingerprint(_Operation):
    """SHA-256 of the file, and a perceptual hash of each shot that survives re-encoding → fingerprint.json."""

    name: Literal["fingerprint"] = "fingerprint"


class Contact(_Operation):
    """One self-contained page of the result → contact.html; brings probe, shots, storyboard and waveform along."""

    name: Literal["contact"] = "contact"


AnyOperation = (
    Probe
    | Speech
    | Transcribe
    | Translate
    | Thumbnails
    | Storyboard
    | Shots
    | Loudness
    | Waveform
    | Fingerprint
    | Contact
)
OperationName = Literal[
    "probe",
    "speech",
    "transcribe",
    "translate",
    "thumbnails",
    "storyboard",
    "shots",
    "loudness",
    "waveform",
    "fingerprint",
    "contact",
]

#: All operations there are.
BY_NAME: Final[Mapping[OperationName, type[AnyOperation]]] = {
    "probe": Probe,
    "speech": Speech,
    "transcribe": Transcribe,
    "translate": Translate,
    "thumbnails": Thumbnails,
    "storyboard": Storyboard,
    "shots": Shots,
    "loudness": Loudness,
    "waveform": Waveform,
    "fingerprint": Fingerprint,
    "contact": Contact,
}

#: What listens to speech and writes it down.
SpeechToText = Transcribe | Translate
#: What goes by one audio stream, and by one video stream.
Hearing = Speech | Transcribe | Translate | Loudness | Waveform
Seeing = Thumbnails | Storyboard | Shots


def _from_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


#: An operation by its bare name ("probe"), or an object with its name and parameters.
Operation = Annotated[Annotated[AnyOperation, Field(discriminator="name")], BeforeValidator(_from_name)]


def each_once(operations: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operations (or bare names) as given; ValueError when two would write the same artifacts."""
    names = [each if isinstance(each, str) else each.name for each in operations]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{' and '.join(twice)} may be asked for once only")
    if {"transcribe", "translate"} <= set(names):
        raise ValueError("transcribe and translate write the same files: ask for them in two jobs")
    return operations


#: A job's operations.
Operations = Annotated[tuple[Operation, ...], AfterValidator(each_once)]

#: Operations that want the GPU route, whatever their parameters.
GPU_OPERATIONS: Final = frozenset({"transcribe", "translate"})


def wants_gpu(operation: AnyOperation) -> bool:
    """Whether an operation wants the GPU route."""
    is_network = isinstance(operation, Shots) and operation.model == "transnetv2"
    return is_network or operation.name in GPU_OPERATIONS
