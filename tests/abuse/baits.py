"""Files that ask a careless reader to open others: each is harmless itself, and names one file or address."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

#: From what is to be opened, as a path or a URL, to the file's content.
Bait = Callable[[str], bytes]


def hls(place: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{place}\n#EXT-X-ENDLIST\n".encode()


def hls_master(place: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\n{place}\n".encode()


def hls_key(place: str) -> bytes:
    """A segment inside the playlist itself, encrypted with a key that is elsewhere."""
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="{place}"'
    segment = "data:video/mp2t;base64,Rw=="
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n{key}\n#EXTINF:9,\n{segment}\n#EXT-X-ENDLIST\n".encode()


def concat(place: str) -> bytes:
    return f"ffconcat version 1.0\nfile '{place}'\n".encode()


def concat_protocol(place: str) -> bytes:
    return f"ffconcat version 1.0\nfile 'concat:{place}|{place}'\n".encode()


def subfile(place: str) -> bytes:
    return f"ffconcat version 1.0\nfile 'subfile,,start,0,end,64,,:{place}'\n".encode()


def dash(place: str) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT9S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="9">'
        f"<BaseURL>{place}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ).encode()


def sdp(place: str) -> bytes:
    return f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns={place}\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n".encode()


def avisynth(place: str) -> bytes:
    return f'FFmpegSource2("{place}")\n'.encode()


def asx(place: str) -> bytes:
    return f'<asx version="3.0"><entry><ref href="{place}"/></entry></asx>'.encode()


def asf_reference(place: str) -> bytes:
    return f"[Reference]\nRef1={place}\n".encode()


def real_media(place: str) -> bytes:
    return f"{place}\n--stop--\n".encode()


def svg(place: str) -> bytes:
    href = f'xlink:href="{place}"'
    name = "http://www.w3.org/2000/svg"
    return f'<svg xmlns="{name}" xmlns:xlink="http://www.w3.org/1999/xlink"><image {href}/></svg>'.encode()


def imf(place: str) -> bytes:
    name = "http://www.smpte-ra.org/schemas/2067-3/2016"
    return f'<?xml version="1.0"?><CompositionPlaylist xmlns="{name}"><Id>{place}</Id></CompositionPlaylist>'.encode()


def mov_alias(place: str) -> bytes:
    """A QuickTime film whose sound lies in another file, as an alias record names it."""
    path = place.encode()
    name = path.rpartition(b"/")[2]
    record = bytes(10) + bytes(28) + bytes(12)
    record += bytes([len(name[:63])]) + name[:63].ljust(63, b"\0") + bytes(16) + bytes(4) + bytes(16)
    padded = path + b"\0" * (len(path) % 2)
    record += struct.pack(">HH", 2, len(path)) + padded + struct.pack(">HH", 0xFFFF, 0)
    return _film(_box(b"alis", bytes(4) + record))


def mov_url(place: str) -> bytes:
    """The same with a URL."""
    return _film(_box(b"url ", bytes(4) + place.encode() + b"\0"))


BAITS: Final[Mapping[str, Bait]] = {
    bait.__name__: bait
    for bait in (
        *(hls, hls_master, hls_key, concat, concat_protocol, subfile, dash, sdp, avisynth),
        *(asx, asf_reference, real_media, svg, imf, mov_alias, mov_url),
    )
}


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _film(reference: bytes) -> bytes:
    """One track of 100 samples of PCM, 8000 a second, that are all in the referenced file."""
    sound = struct.pack(">6xHHHIHHHHI", 1, 0, 0, 0, 1, 16, 0, 0, 8000 << 16)
    table = _box(
        b"stbl",
        _box(b"stsd", struct.pack(">II", 0, 1), _box(b"twos", sound)),
        _box(b"stts", struct.pack(">IIII", 0, 1, 100, 1)),
        _box(b"stsc", struct.pack(">IIIII", 0, 1, 1, 100, 1)),
        _box(b"stsz", struct.pack(">III", 0, 2, 100)),
        _box(b"stco", struct.pack(">III", 0, 1, 0)),
    )
    media = _box(
        b"mdia",
        _box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 8000, 100, 0, 0)),
        _box(b"hdlr", bytes(4) + b"mhlrsoun" + bytes(13)),
        _box(
            b"minf",
            _box(b"smhd", bytes(8)),
            _box(b"dinf", _box(b"dref", struct.pack(">II", 0, 1), reference)),
            table,
        ),
    )
    header = struct.pack(">IIIIIIHHIIHH", 7, 0, 0, 1, 0, 100, 0, 0, 0, 0, 0, 0) + bytes(36 + 8)
    duration = struct.pack(">IIIII", 0, 0, 0, 8000, 100) + bytes(80)
    return _box(b"ftyp", b"qt  " + bytes(8)) + _box(
        b"moov", _box(b"mvhd", duration), _box(b"trak", _box(b"tkhd", header), media)
    )
