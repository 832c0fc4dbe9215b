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
_WHOLE: Final = BeforeValidator(_whole)


class _Operation(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Probe(_Operation):
    """Container, streams, duration, codecs, bit rates, frame rate, rotation, tags → probe.json."""

    name: Literal["probe"] = "probe"


class Transcribe(_Operation):
    """Speech to text → transcript.json, .txt, .srt, .vtt."""

    name: Literal["transcribe"] = "transcribe"
    #: Spoken language; found by the model when left out.
    language: Language | None = None
    #: `translate` turns any language into English text.
    task: Literal["transcribe", "translate"] = "transcribe"
    #: Most words on one subtitle line; by line length when left out.
    words_per_line: Annotated[int, Field(ge=1, le=50), _WHOLE] | None = None


class Thumbnails(_Operation):
    """Pictures from the video → thumbnails/NNNN.jpg, by count or at given seconds."""

    name: Literal["thumbnails"] = "thumbnails"
    #: How many, evenly spread over the video (5 when neither this nor `seconds` is given).
    count: Annotated[int, Field(ge=1, le=100), _WHOLE] | None = None
    #: At which times, in seconds from the start.
    seconds: (
        # JSON's arrays arrive as lists, which a strict tuple would refuse.
        Annotated[tuple[Annotated[float, Field(ge=0, le=1e6)], ...], Field(min_length=1, max_length=100, strict=False)]
        | None
    ) = None
    #: Longest width in pixels; never enlarged.
    width: Annotated[int, Field(ge=16, le=3840), _WHOLE] = 640

    @model_validator(mode="after")
    def _count_or_seconds(self) -> Thumbnails:
        if self.count is not None and self.seconds is not None:
            raise ValueError("give count or seconds, not both")
        return self


class Storyboard(_Operation):
    """Small pictures on one sheet for players' seek bars → storyboard.jpg, storyboard.vtt."""

    name: Literal["storyboard"] = "storyboard"
    #: How many, evenly spread over the video (one for each second, 100 at most, when left out).
    count: Annotated[int, Field(ge=1, le=100), _WHOLE] | None = None
    #: Width of each in pixels; never enlarged.
    width: Annotated[int, Field(ge=16, le=320), _WHOLE] = 160


class Shots(_Operation):
    """Hard cuts, and the shots between them → shots.json."""

    name: Literal["shots"] = "shots"
    #: How much a cut must change the picture: mean difference of luma, of 255.
    threshold: Annotated[float, Field(ge=1, le=255)] = 12.0


class Loudness(_Operation):
    """EBU R128: integrated loudness, range, true peak, momentary curve → loudness.json."""

    name: Literal["loudness"] = "loudness"


class Waveform(_Operation):
    """The shape of the sound → waveform.json as audiowaveform writes it, waveform.png."""

    name: Literal["waveform"] = "waveform"
    #: Points for each second in waveform.json.
    pixels_per_second: Annotated[int, Field(ge=1, le=100), _WHOLE] = 20
    #: Of the picture, in pixels.
    width: Annotated[int, Field(ge=16, le=4096), _WHOLE] = 1800
    height: Annotated[int, Field(ge=16, le=1024), _WHOLE] = 280


AnyOperation = Probe | Transcribe | Thumbnails | Storyboard | Shots | Loudness | Waveform
OperationName = Literal["probe", "transcribe", "thumbnails", "storyboard", "shots", "loudness", "waveform"]

#: All operations there are.
BY_NAME: Final[Mapping[OperationName, type[AnyOperation]]] = {
    "probe": Probe,
    "transcribe": Transcribe,
    "thumbnails": Thumbnails,
    "storyboard": Storyboard,
    "shots": Shots,
    "loudness": Loudness,
    "waveform": Waveform,
}


def _from_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


#: An operation by its bare name ("probe"), or an object with its name and parameters.
Operation = Annotated[Annotated[AnyOperation, Field(discriminator="name")], BeforeValidator(_from_name)]


def each_once(operations: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operations (or bare names) as given; ValueError when one is asked for twice: its artifacts would be lost."""
    names = [each if isinstance(each, str) else each.name for each in operations]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{' and '.join(twice)} may be asked for once only")
    return operations


#: A job's operations.
Operations = Annotated[tuple[Operation, ...], AfterValidator(each_once)]

#: Operations that want the GPU route.
GPU_OPERATIONS: Final = frozenset({"transcribe"})
