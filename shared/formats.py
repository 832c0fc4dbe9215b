"""Every file format this service knows, as a table: its kind, and how it is named and declared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["video", "audio", "image", "other", "unknown"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format. `content_types[0]` is canonical; the rest, and all extensions, are other true names for it."""

    #: Lower case, no dot; the `fileType` that messages carry.
    file_type: str
    kind: Kind
    #: How a sentence names it: "found …".
    phrase: str
    content_types: tuple[str, ...]
    extensions: tuple[str, ...]


def _table(kind: Kind, *rows: tuple[str, str, str, str]) -> tuple[Format, ...]:
    return tuple(
        Format(name, kind, phrase, tuple(types.split()), tuple(exts.split())) for name, phrase, types, exts in rows
    )


_VIDEO = _table(
    "video",
    ("mp4", "MP4 video", "video/mp4 video/x-m4v audio/mp4 application/mp4", "mp4 m4v mp4v f4v"),
    ("mov", "QuickTime video", "video/quicktime", "mov qt"),
    ("3gp", "3GPP video", "video/3gpp video/3gpp2 audio/3gpp audio/3gpp2", "3gp 3gpp 3g2 3gpp2"),
    ("webm", "WebM video", "video/webm", "webm"),
    ("mkv", "Matroska video", "video/x-matroska video/matroska video/webm", "mkv mk3d"),
    ("avi", "AVI video", "video/x-msvideo video/avi video/msvideo video/vnd.avi", "avi divx"),
    ("ts", "MPEG transport stream", "video/mp2t video/mpeg video/vnd.dlna.mpeg-tts", "ts m2ts mts m2t"),
    ("mpg", "MPEG video", "video/mpeg video/mp2p video/x-mpeg video/mpg", "mpg mpeg mpe m1v m2v m2p vob"),
    ("wmv", "Windows Media video", "video/x-ms-wmv video/x-ms-asf application/vnd.ms-asf", "wmv asf"),
    ("flv", "Flash video", "video/x-flv video/flv", "flv"),
    ("ogv", "Ogg video", "video/ogg application/ogg", "ogv ogg ogx"),
    ("mxf", "MXF video", "application/mxf video/mxf", "mxf"),
    ("dv", "DV video", "video/dv video/x-dv", "dv dif"),
    ("rm", "RealMedia video", "video/vnd.rn-realvideo application/vnd.rn-realmedia audio/x-pn-realaudio", "rm rmvb ra"),
    ("ivf", "IVF video", "video/x-ivf", "ivf"),
    ("y4m", "uncompressed video", "video/x-yuv4mpeg", "y4m"),
)
_AUDIO = _table(
    "audio",
    ("mp3", "MPEG audio", "audio/mpeg audio/mp3 audio/x-mp3 audio/mpeg3 audio/x-mpeg", "mp3 mp2 mpga"),
    ("wav", "WAV audio", "audio/wav audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav", "wav wave bwf rf64 w64"),
    ("m4a", "MPEG-4 audio", "audio/mp4 audio/m4a audio/x-m4a audio/mp4a-latm audio/aac", "m4a m4b m4p m4r"),
    ("aac", "AAC audio", "audio/aac audio/aacp audio/x-aac audio/vnd.dlna.adts audio/x-hx-aac-adts", "aac adts"),
    ("flac", "FLAC audio", "audio/flac audio/x-flac", "flac"),
    ("ogg", "Ogg audio", "audio/ogg audio/opus audio/vorbis application/ogg audio/x-vorbis+ogg", "ogg oga opus spx"),
    ("weba", "WebM audio", "audio/webm", "weba webm"),
    ("mka", "Matroska audio", "audio/x-matroska audio/matroska", "mka mkv"),
    ("wma", "Windows Media audio", "audio/x-ms-wma application/vnd.ms-asf", "wma asf"),
    ("aiff", "AIFF audio", "audio/aiff audio/x-aiff", "aiff aif aifc"),
    ("caf", "Core Audio", "audio/x-caf audio/caf", "caf"),
    ("au", "AU audio", "audio/basic audio/au audio/x-au", "au snd"),
    ("amr", "AMR audio", "audio/amr audio/amr-wb audio/x-amr", "amr awb"),
    ("wv", "WavPack audio", "audio/x-wavpack audio/wavpack", "wv"),
    ("tta", "True Audio", "audio/x-tta audio/tta", "tta"),
    ("ape", "Monkey's Audio", "audio/x-ape audio/ape audio/x-monkeys-audio", "ape"),
    ("tak", "TAK audio", "audio/x-tak", "tak"),
    ("mpc", "Musepack audio", "audio/x-musepack audio/musepack", "mpc mpp mp+"),
    ("dts", "DTS audio", "audio/vnd.dts audio/x-dts", "dts"),
    ("voc", "Creative Voice audio", "audio/x-voc", "voc"),
    ("ac3", "AC-3 audio", "audio/ac3 audio/eac3 audio/vnd.dolby.dd-raw", "ac3 eac3 ec3"),
)
_IMAGE = _table(
    "image",
    ("jpg", "JPEG image", "image/jpeg image/jpg image/pjpeg", "jpg jpeg jpe jfif"),
    ("png", "PNG image", "image/png image/apng image/x-png", "png apng"),
    ("gif", "GIF image", "image/gif", "gif"),
    ("webp", "WebP image", "image/webp", "webp"),
    ("bmp", "BMP image", "image/bmp image/x-ms-bmp image/x-bmp", "bmp dib"),
    ("tiff", "TIFF image", "image/tiff image/tif", "tif tiff"),
    ("heic", "HEIF image", "image/heic image/heif image/heic-sequence image/heif-sequence", "heic heif hif"),
    ("avif", "AVIF image", "image/avif", "avif avifs"),
)
_OTHER = _table(
    "other",
    ("empty", "an empty file", "application/x-empty", ""),
    ("bin", "unknown binary data", "application/octet-stream", ""),
    ("txt", "plain text", "text/plain text/csv text/markdown text/tab-separated-values", "txt text csv tsv md log"),
    ("html", "an HTML page", "text/html application/xhtml+xml", "html htm xhtml"),
    ("json", "JSON", "application/json text/json application/x-ndjson", "json jsonl ndjson"),
    ("xml", "XML", "application/xml text/xml", "xml"),
    ("svg", "an SVG drawing", "image/svg+xml", "svg"),
    ("rtf", "an RTF document", "application/rtf text/rtf", "rtf"),
    ("vtt", "WebVTT subtitles", "text/vtt", "vtt"),
    ("srt", "SubRip subtitles", "application/x-subrip text/srt", "srt"),
    ("m3u8", "a playlist", "application/vnd.apple.mpegurl application/x-mpegurl audio/x-mpegurl", "m3u8 m3u"),
    ("sh", "a script", "text/x-shellscript application/x-sh", "sh"),
    ("pdf", "a PDF document", "application/pdf", "pdf"),
    (
        "zip",
        "a ZIP archive",
        "application/zip application/x-zip-compressed application/epub+zip application/java-archive"
        " application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        " application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
        " application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "zip docx xlsx pptx odt ods odp epub jar apk",
    ),
    ("gz", "a gzip archive", "application/gzip application/x-gzip", "gz tgz"),
    ("bz2", "a bzip2 archive", "application/x-bzip2", "bz2"),
    ("xz", "an XZ archive", "application/x-xz", "xz"),
    ("zst", "a Zstandard archive", "application/zstd", "zst"),
    ("7z", "a 7-Zip archive", "application/x-7z-compressed", "7z"),
    ("rar", "a RAR archive", "application/vnd.rar application/x-rar-compressed", "rar"),
    ("tar", "a tar archive", "application/x-tar", "tar"),
    ("exe", "a program", "application/x-executable application/vnd.microsoft.portable-executable", "exe dll so"),
    (
        "doc",
        "an old Office document",
        "application/msword application/vnd.ms-excel application/x-ole-storage",
        "doc xls ppt msi",
    ),
    ("sqlite", "an SQLite database", "application/vnd.sqlite3", "sqlite db"),
    ("mid", "a MIDI file", "audio/midi audio/x-midi", "mid midi"),
    ("psd", "a Photoshop image", "image/vnd.adobe.photoshop", "psd"),
)

#: By file type, every format that content can turn out to be.
FORMATS: Final = {row.file_type: row for row in (*_VIDEO, *_AUDIO, *_IMAGE, *_OTHER)}


def named(extension: str) -> tuple[Format, ...]:
    """The formats whose files carry this extension (lower case, no dot), the likeliest first."""
    return _first_true_name((row for row in FORMATS.values() if extension in row.extensions), extension)


def declared(content_type: str) -> tuple[Format, ...]:
    """The formats this media type (lower case, no parameters) stands for, the likeliest first."""
    return _first_true_name((row for row in FORMATS.values() if content_type in row.content_types), content_type)


def _first_true_name(rows: Iterable[Format], name: str) -> tuple[Format, ...]:
    return tuple(sorted(rows, key=lambda row: name not in (row.file_type, row.content_types[0])))
