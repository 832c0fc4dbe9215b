"""What a file is, by its first bytes; its name and declared type only choose where the bytes leave a choice."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from pydantic import BaseModel, ConfigDict

from shared.formats import FORMATS, Format, Kind, declared, named
from shared.sniff import HEAD_BYTES, sniff

__all__ = ["HEAD_BYTES", "FileFacts", "classify", "presume"]

#: Types that say nothing: what tools send when they do not know.
_GENERIC: Final = frozenset(
    {"", "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded", "application/unknown"}
)


class FileFacts(BaseModel):
    """What is known of a file; part of the job's record."""

    model_config = ConfigDict(frozen=True, extra="allow")

    #: "unknown" only for a source nobody has read yet.
    kind: Kind
    #: The content's type, lower case, no dot: a key of `formats.FORMATS`, or "unknown".
    file_type: str
    #: The canonical media type, whatever was declared.
    content_type: str
    #: Bytes; None when the source does not say.
    size: int | None = None
    #: Sentences: what in the name or the declared type contradicts the content.
    warnings: tuple[str, ...] = ()
    #: The content in words, as in "found a PDF document".
    found: str

    @property
    def is_empty(self) -> bool:
        return self.file_type == "empty"


def classify(name: str, declared_type: str | None, head: bytes, size: int | None) -> FileFacts:
    """Facts from a file's name, declared media type, first bytes (HEAD_BYTES, or all there are) and size in bytes."""
    if size == 0 or not head:
        return _facts(FORMATS["empty"], 0)
    extension, media_type = _extension(name), _media_type(declared_type)
    content = _choose(tuple(FORMATS[file_type] for file_type in sniff(head)), named(extension), declared(media_type))
    warnings = []
    if named(extension) and content not in named(extension):
        warnings.append(f"the name ends in .{extension}, but the content is {content.phrase}")
    if _is_contradicted(media_type, content):
        warnings.append(f"the file was declared as {media_type}, but the content is {content.phrase}")
    return _facts(content, size, tuple(warnings))


def presume(name: str, declared_type: str | None, size: int | None) -> FileFacts:
    """Facts about a source that could not be read yet: media if name or declared type say so, else "unknown"."""
    if size == 0:
        return _facts(FORMATS["empty"], 0)
    told = (*named(_extension(name)), *declared(_media_type(declared_type)))
    media = tuple(row for row in told if row.kind != "other")
    if not media:
        unknown = "a source that could not be read yet"
        return FileFacts(
            kind="unknown", file_type="unknown", content_type="application/octet-stream", size=size, found=unknown
        )
    return _facts(_choose(media, named(_extension(name)), declared(_media_type(declared_type))), size)


def _facts(content: Format, size: int | None, warnings: tuple[str, ...] = ()) -> FileFacts:
    return FileFacts(
        kind=content.kind,
        file_type=content.file_type,
        content_type=content.content_types[0],
        size=size,
        warnings=warnings,
        found=content.phrase,
    )


def _choose(possible: tuple[Format, ...], *opinions: tuple[Format, ...]) -> Format:
    """What is possible and preferred; an earlier opinion outweighs a later one, one that fits nothing is void."""
    for opinion in opinions:
        possible = tuple(row for row in opinion if row in possible) or possible
    return possible[0]


def _is_contradicted(media_type: str, content: Format) -> bool:
    if media_type in _GENERIC:
        return False
    if known := declared(media_type):
        return content not in known
    family, _, _ = media_type.partition("/")
    return family in ("video", "audio", "image", "text") and family != content.content_types[0].partition("/")[0]


def _extension(name: str) -> str:
    return PurePosixPath(name).suffix[1:].lower()


def _media_type(declared_type: str | None) -> str:
    return (declared_type or "").partition(";")[0].strip().lower()
