"""What the first bytes of a file say it is: signatures as data, and a few containers that need a look inside."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from shared.dolby import is_ac3
from shared.mpeg_audio import is_adts, is_mpeg_audio

#: File types (keys of `formats.FORMATS`) that the bytes allow, the likeliest first.
Candidates = tuple[str, ...]

#: How many first bytes are worth fetching.
HEAD_BYTES: Final = 4096

#: Offset, bytes, meaning. None of them can begin a text.
_SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"fLaC", "flac"),
    (0, b"FLV\x01", "flv"),
    (0, b"riff\x2e\x91\xcf\x11", "wav"),  # Sony Wave64
    (0, b"caff\x00\x01", "caf"),
    (0, b".snd\x00\x00", "au"),
    (0, b"#!AMR", "amr"),
    (0, b"wvpk", "wv"),
    (0, b"TTA1", "tta"),
    (0, b"tBaK", "tak"),
    (0, b"MPCK", "mpc"),
    (0, b"MP+\x07", "mpc"),
    (0, b"\x7f\xfe\x80\x01", "dts"),
    (0, b"Creative Voice File\x1a", "voc"),
    (0, b".RMF\x00\x00\x00", "rm"),
    (0, b"DKIF\x00\x00", "ivf"),
    (0, b"YUV4MPEG2 ", "y4m"),
    (0, b"\x1f\x07\x00", "dv"),
    (0, b"\x00\x00\x01\xba", "mpg"),
    (0, b"\x00\x00\x01\xb3", "mpg"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01", "mxf"),
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"II*\x00", "tiff"),
    (0, b"MM\x00*", "tiff"),
    (0, b"II+\x00", "tiff"),
    (0, b"MM\x00+", "tiff"),
    (0, b"%PDF-", "pdf"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (0, b"\x1f\x8b\x08", "gz"),
    (0, b"BZh", "bz2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zst"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\x07", "rar"),
    (257, b"ustar", "tar"),
    (0, b"\x7fELF", "exe"),
    (0, b"\xcf\xfa\xed\xfe", "exe"),
    (0, b"\xca\xfe\xba\xbe", "exe"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc"),
    (0, b"SQLite format 3\x00", "sqlite"),
    (0, b"MThd\x00\x00\x00\x06", "mid"),
    (0, b"8BPS\x00\x01", "psd"),
)

#: Form types of `RIFF`, `RF64`, `BW64` and `FORM` chunks.
_CHUNKS: Final = {b"WAVE": "wav", b"AVI ": "avi", b"AVIX": "avi", b"WEBP": "webp", b"AIFF": "aiff", b"AIFC": "aiff"}

#: Major brands that settle it (https://mp4ra.org/registered-types/brands); any other one is MP4.
_BRANDS: Final = {
    **dict.fromkeys((b"qt  ",), "mov"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "), "m4a"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "heic"),
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    b"crx ": "bin",  # Canon's raw photographs
}
_ASF: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_VIDEO: Final = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_ASF_AUDIO: Final = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_OGG_VIDEO: Final = (b"\x80theora", b"BBCD\x00", b"\x01video\x00", b"OVP80")
_OGG_AUDIO: Final = (b"OpusHead", b"\x01vorbis", b"\x7fFLAC", b"Speex   ")


def sniff(head: bytes) -> Candidates:
    """The file types that `head`, a file's first bytes, allows; `("bin",)` when nothing is recognised."""
    for offset, magic, file_type in _SIGNATURES:
        if head.startswith(magic, offset):
            return (file_type,)
    return next((found for look in _LOOKS if (found := look(head))), ("bin",))


def _chunk(head: bytes) -> Candidates:
    form = _CHUNKS.get(head[8:12]) if head[:4] in (b"RIFF", b"RF64", b"BW64", b"FORM") else None
    return (form,) if form else ()


def _iso_media(head: bytes) -> Candidates:
    """MP4 and its kin; a file from before there was `ftyp` is QuickTime, one that begins with `moof` is a segment."""
    is_padded = False
    for name, size, body in _boxes(head):
        if name == b"ftyp" and size < 2**16:
            return _brand(head, body)
        if name in (b"styp", b"moof", b"sidx"):
            return ("mp4", "m4a")
        if name in (b"moov", b"mdat", b"pnot"):
            return ("mov",)
        # A size beyond 16 MiB here is text: "The free …".
        if name not in (b"free", b"skip", b"wide") or size >= 2**24:
            return ()
        is_padded = True
    return ("mov",) if is_padded else ()


def _boxes(head: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    start = 0
    while start + 8 <= len(head):
        size, name = int.from_bytes(head[start : start + 4]), head[start + 4 : start + 8]
        if size == 1:
            size = int.from_bytes(head[start + 8 : start + 16])
        elif size == 0:
            size = len(head) - start
        if size < 8:
            return
        yield name, size, head[start + 8 : start + size]
        start += size


def _brand(head: bytes, body: bytes) -> Candidates:
    major, compatible = body[:4], {body[at : at + 4] for at in range(8, len(body), 4)}
    if major in (b"mif1", b"msf1", b"miaf"):
        return ("avif",) if compatible & {b"avif", b"avis"} else ("heic",)
    if major.startswith((b"3gp", b"3g2", b"3ge", b"3gr", b"3gs")):
        return ("3gp",)
    if major in _BRANDS:
        return (_BRANDS[major],)
    return ("mp4",) if re.search(rb"hdlr.{8}vide", head, re.DOTALL) else ("mp4", "m4a")


def _matroska(head: bytes) -> Candidates:
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return ()
    video, audio = ("webm", "weba") if b"webm" in head[:80] else ("mkv", "mka")
    # TrackType elements; the tracks are all seen once the first cluster has begun.
    if b"\x83\x81\x01" in head:
        return (video,)
    if b"\x83\x81\x02" in head and b"\x1f\x43\xb6\x75" in head:
        return (audio,)
    return (video, audio)


def _ogg(head: bytes) -> Candidates:
    if not head.startswith(b"OggS\x00"):
        return ()
    if any(codec in head for codec in _OGG_VIDEO):
        return ("ogv",)
    return ("ogg",) if any(codec in head for codec in _OGG_AUDIO) else ("ogg", "ogv")


def _asf(head: bytes) -> Candidates:
    if not head.startswith(_ASF):
        return ()
    if _ASF_VIDEO in head:
        return ("wmv",)
    return ("wma", "wmv") if _ASF_AUDIO in head else ("wmv", "wma")


def _transport_stream(head: bytes) -> Candidates:
    """Packets of 188 bytes; with a time code in front (m2ts) or error correction behind, 192 or 204."""
    for packet, first in ((188, 0), (192, 4), (204, 0)):
        marks = head[first::packet]
        if len(marks) >= 3 and marks.strip(b"\x47") == b"":
            return ("ts",)
    return ()


def _mpeg_audio(head: bytes) -> Candidates:
    if is_adts(head):
        return ("aac",)
    return ("mp3",) if is_mpeg_audio(head) else ()


def _ac3(head: bytes) -> Candidates:
    return ("ac3",) if is_ac3(head) else ()


def _id3(head: bytes) -> Candidates:
    """An ID3v2 tag goes before several formats, and with a picture in it reaches beyond the head."""
    if not head.startswith(b"ID3") or len(head) < 10 or head[3] > 15 or any(byte > 127 for byte in head[6:10]):
        return ()
    size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    content = head[10 + size + (10 if head[5] & 0x10 else 0) :].lstrip(b"\x00")
    if content.startswith(b"fLaC"):
        return ("flac",)
    return _mpeg_audio(content) or ("mp3", "aac", "flac")


def _monkeys_audio(head: bytes) -> Candidates:
    """By its version, 3.80 to 3.99, too: a text may begin with the same letters."""
    return ("ape",) if head.startswith(b"MAC ") and 3800 <= int.from_bytes(head[4:6], "little") <= 4000 else ()


def _bmp(head: bytes) -> Candidates:
    known_header = int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)
    return ("bmp",) if head.startswith(b"BM") and known_header else ()


_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_TEXTS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), file_type)
    for pattern, file_type in (
        (rb"\s*<(!doctype html|html|head|body)\b", "html"),
        (rb"\s*(<\?xml[^>]*>\s*)?(<!doctype svg[^>]*>\s*)?<svg\b", "svg"),
        (rb"\s*<\?xml\b", "xml"),
        (rb"\{\\rtf", "rtf"),
        (rb"WEBVTT\b", "vtt"),
        (rb"#EXTM3U", "m3u8"),
        (rb"#!", "sh"),
        (rb"\s*\d+\s*\n\d+:\d\d:\d\d[,.]\d+ -->", "srt"),
        (rb"\s*(\{\s*[\"}]|\[\s*[\[{\"\]\d-])", "json"),
    )
)


def _text(head: bytes) -> Candidates:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[: len(head) // 2 * 2].decode("utf-16", "ignore").encode()
    head = head.removeprefix(b"\xef\xbb\xbf")
    if not head or _CONTROL.search(head) or not _mostly_letters(head):
        return ()
    return next(((file_type,) for pattern, file_type in _TEXTS if pattern.match(head)), ("txt",))


def _mostly_letters(head: bytes) -> bool:
    """UTF-8 (but for a character cut at the end), or an 8-bit code in which ASCII prevails."""
    try:
        head.decode()
    except UnicodeDecodeError as fault:
        return fault.end == len(head) or sum(byte > 127 for byte in head) < 0.3 * len(head)
    return True


def _program(head: bytes) -> Candidates:
    return ("exe",) if head.startswith(b"MZ") and len(head) >= 64 else ()


_LOOKS: Final[tuple[Callable[[bytes], Candidates], ...]] = (
    _chunk,
    _iso_media,
    _matroska,
    _ogg,
    _asf,
    _id3,
    _transport_stream,
    _mpeg_audio,
    _ac3,
    _monkeys_audio,
    _bmp,
    _text,
    _program,
)
