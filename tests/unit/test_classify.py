from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.classify import HEAD_BYTES, FileFacts, classify, presume
from shared.formats import FORMATS
from tests.unit.muxed import encoded
from tests.unit.samples import MEDIA_TYPES

H264_AAC = {"video": "libx264", "audio": "aac"}
MUXED = [
    ("mp4", "video", {"muxer": "mp4", **H264_AAC}),
    ("mp4", "video", {"muxer": "mp4", **H264_AAC, "movflags": "frag_keyframe+empty_moov"}),
    ("mov", "video", {"muxer": "mov", **H264_AAC}),
    ("m4a", "audio", {"muxer": "ipod", "audio": "aac"}),
    ("3gp", "video", {"muxer": "3gp", **H264_AAC}),
    ("3gp", "video", {"muxer": "3g2", **H264_AAC}),
    ("webm", "video", {"muxer": "webm", "video": "libvpx", "audio": "libopus"}),
    ("weba", "audio", {"muxer": "webm", "audio": "libopus"}),
    ("mkv", "video", {"muxer": "matroska", **H264_AAC}),
    ("mka", "audio", {"muxer": "matroska", "audio": "libopus"}),
    ("avi", "video", {"muxer": "avi", "video": "mpeg4", "audio": "libmp3lame"}),
    ("ts", "video", {"muxer": "mpegts", **H264_AAC}),
    ("ts", "video", {"muxer": "mpegts", **H264_AAC, "mpegts_m2ts_mode": "1"}),
    ("mpg", "video", {"muxer": "mpeg", "video": "mpeg1video", "audio": "mp2"}),
    ("mpg", "video", {"muxer": "mpeg1video", "video": "mpeg1video"}),
    ("wmv", "video", {"muxer": "asf", "video": "wmv2", "audio": "wmav2"}),
    ("wma", "audio", {"muxer": "asf", "audio": "wmav2"}),
    ("flv", "video", {"muxer": "flv", **H264_AAC}),
    ("mxf", "video", {"muxer": "mxf", "video": "mpeg2video"}),
    ("ogg", "audio", {"muxer": "ogg", "audio": "libopus"}),
    ("ogg", "audio", {"muxer": "ogg", "audio": "flac"}),
    ("mp3", "audio", {"muxer": "mp3", "audio": "libmp3lame"}),
    ("mp3", "audio", {"muxer": "mp3", "audio": "libmp3lame", "id3v2_version": "0", "write_xing": "0"}),
    ("mp3", "audio", {"muxer": "mp3", "audio": "libmp3lame", "id3v2_version": "0", "rate": 22050}),
    ("mp3", "audio", {"muxer": "mp2", "audio": "mp2"}),
    ("wav", "audio", {"muxer": "wav", "audio": "pcm_s16le"}),
    ("wav", "audio", {"muxer": "wav", "audio": "pcm_s16le", "rf64": "always"}),
    ("wav", "audio", {"muxer": "w64", "audio": "pcm_s16le"}),
    ("aac", "audio", {"muxer": "adts", "audio": "aac"}),
    ("aac", "audio", {"muxer": "adts", "audio": "aac", "write_id3v2": "1"}),
    ("flac", "audio", {"muxer": "flac", "audio": "flac"}),
    ("aiff", "audio", {"muxer": "aiff", "audio": "pcm_s16be"}),
    ("aiff", "audio", {"muxer": "aiff", "audio": "pcm_s16le"}),
    ("caf", "audio", {"muxer": "caf", "audio": "pcm_s16le"}),
    ("au", "audio", {"muxer": "au", "audio": "pcm_s16be"}),
    ("wv", "audio", {"muxer": "wv", "audio": "wavpack"}),
    ("tta", "audio", {"muxer": "tta", "audio": "tta"}),
    ("voc", "audio", {"muxer": "voc", "audio": "pcm_u8"}),
    ("ivf", "video", {"muxer": "ivf", "video": "libvpx"}),
    ("y4m", "video", {"muxer": "yuv4mpegpipe", "video": "rawvideo"}),
    ("ac3", "audio", {"muxer": "ac3", "audio": "ac3"}),
    ("ac3", "audio", {"muxer": "eac3", "audio": "eac3"}),
    ("jpg", "image", {"muxer": "mjpeg", "video": "mjpeg"}),
]


@pytest.mark.parametrize(("file_type", "kind", "recipe"), MUXED, ids=lambda value: str(value))
def test_what_a_real_muxer_writes_is_recognised_without_name_or_declared_type(
    file_type: str, kind: str, recipe: dict[str, Any]
) -> None:
    data = encoded(**recipe)

    facts = classify("upload", None, data[:HEAD_BYTES], len(data))

    assert (facts.file_type, facts.kind, facts.warnings) == (file_type, kind, ())
    assert facts.content_type == FORMATS[file_type].content_types[0]
    assert facts.size == len(data)
    assert facts.file_type in MEDIA_TYPES


def box(name: bytes, body: bytes = b"") -> bytes:
    return (8 + len(body)).to_bytes(4) + name + body


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    return box(b"ftyp", major + bytes(4) + b"".join(compatible))


def id3(size: int, content: bytes = b"") -> bytes:
    syncsafe = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + syncsafe + bytes(min(size, HEAD_BYTES)) + content


#: MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes.
MP3_FRAME = b"\xff\xfb\x90\x00" + bytes(413)
BMP = b"BM" + bytes(12) + (40).to_bytes(4, "little") + bytes(36)

HANDMADE = [
    ("mov", moov := box(b"moov", bytes(100))),
    ("mov", box(b"wide") + box(b"mdat", bytes(100))),
    ("mov", (1).to_bytes(4) + b"mdat" + (2**33).to_bytes(8) + bytes(50)),
    ("mov", box(b"free", bytes(HEAD_BYTES))),
    ("mp4", box(b"free", bytes(8)) + ftyp(b"isom")),
    ("mp4", box(b"styp", b"msdh" + bytes(4)) + box(b"moof")),
    ("mp4", box(b"moof", bytes(40))),
    ("mp4", ftyp(b"M4V ", b"mp42")),
    ("mp4", ftyp(b"XAVC", b"mp42")),
    ("m4a", ftyp(b"M4B ", b"mp42")),
    ("3gp", ftyp(b"3gp5", b"isom")),
    ("heic", ftyp(b"heic", b"mif1")),
    ("heic", ftyp(b"mif1", b"heic")),
    ("avif", ftyp(b"mif1", b"avif", b"miaf")),
    ("avif", ftyp(b"avif", b"mif1")),
    ("bin", ftyp(b"crx ", b"isom")),
    ("mp3", id3(300, MP3_FRAME * 2)),
    ("mp3", id3(50_000)),
    ("mp3", MP3_FRAME),
    ("flac", id3(300, b"fLaC\x00")),
    ("bin", MP3_FRAME + b"not a frame"),
    ("bin", b"\xff\xfb\x90\x00" + bytes(30)),
    ("amr", b"#!AMR\n" + bytes(30)),
    ("ape", b"MAC \x96\x0f\x00\x00" + bytes(60)),
    ("txt", b"MAC addresses are written with colons"),
    ("tak", b"tBaK\x01\x07\x00" + bytes(60)),
    ("mpc", b"MPCKSH\x0e" + bytes(60)),
    ("mpc", b"MP+\x07" + bytes(60)),
    ("dts", b"\x7f\xfe\x80\x01\xfc\x3c" + bytes(60)),
    ("dv", b"\x1f\x07\x00\x3f\x78\x78\x78\x3f" + bytes(72)),
    ("rm", b".RMF\x00\x00\x00\x12\x00\x01" + bytes(60)),
    ("amr", b"#!AMR-WB\n" + bytes(30)),
    ("aiff", b"FORM\x00\x00\x00\x10AIFC" + bytes(8)),
    ("wav", b"RIFF\xff\xff\xff\xffWAVEfmt "),
    ("ts", (b"\x47" + bytes(187)) * 5),
    ("ts", (b"\x47" + bytes(203)) * 5),
    ("bin", (b"\x47" + bytes(187)) * 2),
    ("ogg", b"OggS\x00\x02" + bytes(22) + b"\x01vorbis"),
    ("ogv", b"OggS\x00\x02" + bytes(22) + b"\x80theora\x03"),
    ("mkv", b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska"),
    ("png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    ("gif", b"GIF89a\x01\x00"),
    ("webp", b"RIFF\x00\x00\x00\x00WEBPVP8 "),
    ("tiff", b"II*\x00\x08\x00"),
    ("tiff", b"MM\x00*\x00\x00"),
    ("bmp", BMP),
    ("txt", b"BM is not always a bitmap, and this is a sentence."),
    ("txt", "nicht nur ASCII: äöü €".encode()),
    ("txt", "cut in the middle: €".encode()[:-1]),
    ("txt", "Latin-1: äöü, mostly ASCII".encode("latin-1")),
    ("txt", "zwei Byte je Zeichen".encode("utf-16")),
    ("txt", b"The free and the wide, the skip and the moof"),
    ("txt", b"ID3 tags are explained here"),
    ("txt", b"MZ is a state of mind, and GIF a format; " * 3),
    ("txt", b"caffeine"),
    ("html", b"\n  <!DOCTYPE html><html>"),
    ("svg", b'<?xml version="1.0"?>\n<svg xmlns="">'),
    ("xml", b'<?xml version="1.0"?><rss/>'),
    ("json", b'{"error": "not found"}'),
    ("json", b"[1, 2]"),
    ("txt", b"[Music] some lyrics"),
    ("vtt", b"\xef\xbb\xbfWEBVTT\n\n00:00.000 --> 00:01.000\n"),
    ("srt", b"1\r\n00:00:01,000 --> 00:00:02,000\r\nHi\r\n"),
    ("m3u8", b"#EXTM3U\n#EXT-X-VERSION:3\n"),
    ("sh", b"#!/bin/sh\necho\n"),
    ("rtf", b"{\\rtf1 hello}"),
    ("pdf", b"%PDF-1.7\n%\xe2\xe3"),
    ("zip", b"PK\x03\x04\x14\x00"),
    ("gz", b"\x1f\x8b\x08\x00"),
    ("tar", b"a.txt" + bytes(252) + b"ustar\x00"),
    ("exe", b"\x7fELF\x02\x01"),
    ("exe", b"MZ\x90\x00" + bytes(60)),
    ("bin", b"\x00\x01\x02\x03"),
    ("bin", bytes(range(256)) * 16),
    ("bin", b"\xff\xd8"),
]


@pytest.mark.parametrize(("file_type", "head"), HANDMADE, ids=lambda value: value if isinstance(value, str) else "")
def test_the_bytes_decide(file_type: str, head: bytes) -> None:
    facts = classify("upload", None, head[:HEAD_BYTES], None)

    assert facts.file_type == file_type
    assert facts.found == FORMATS[file_type].phrase
    assert (facts.kind != "other") == (file_type in MEDIA_TYPES)


@pytest.mark.parametrize(
    ("name", "declared_type", "head", "file_type"),
    [
        ("talk.m4a", None, ftyp(b"isom", b"mp42"), "m4a"),
        ("talk", "audio/mp4", ftyp(b"isom", b"mp42"), "m4a"),
        ("talk.mp4", "audio/mp4", ftyp(b"isom", b"mp42"), "mp4"),
        ("talk.m4a", None, ftyp(b"isom") + b"hdlr" + bytes(8) + b"vide", "mp4"),
        ("voice.webm", "audio/webm; codecs=opus", b"\x1a\x45\xdf\xa3\x42\x82\x84webm", "weba"),
        ("voice.webm", "video/webm", b"\x1a\x45\xdf\xa3\x42\x82\x84webm", "webm"),
        ("song.aac", None, id3(50_000), "aac"),
        ("song", "audio/flac", id3(50_000), "flac"),
        ("song.wav", "audio/wav", id3(50_000), "mp3"),
    ],
)
def test_name_then_declared_type_choose_only_among_what_the_bytes_allow(
    name: str, declared_type: str | None, head: bytes, file_type: str
) -> None:
    assert classify(name, declared_type, head, None).file_type == file_type


@pytest.mark.parametrize(
    ("name", "declared_type", "warnings"),
    [
        ("film.mp4", "video/mp4", 0),
        ("film.MP4", "Video/MP4; codecs=avc1", 0),
        ("film.m4v", "video/x-m4v", 0),
        ("film", "", 0),
        ("film.bin", "application/octet-stream", 0),
        ("film.dat", "binary/octet-stream", 0),
        ("film.mp4.part", None, 0),
        ("film.mp4", "video/unheard-of", 0),
        ("film.mp4", "application/unheard-of", 0),
        ("film.mp3", None, 1),
        ("film.mov", "video/mp4", 1),
        ("film.mp4", "audio/mpeg", 1),
        ("film.mp4", "text/unheard-of", 1),
        ("film.pdf", "application/pdf", 2),
    ],
)
def test_names_and_types_that_contradict_the_content_are_warnings(
    name: str, declared_type: str | None, warnings: int
) -> None:
    facts = classify(name, declared_type, ftyp(b"M4V ", b"isom"), 100)

    assert facts.file_type == "mp4"
    assert len(facts.warnings) == warnings


def test_a_warning_names_both_sides() -> None:
    facts = classify("song.mp3", "audio/mpeg", ftyp(b"qt  "), None)

    assert facts.warnings == (
        "the name ends in .mp3, but the content is QuickTime video",
        "the file was declared as audio/mpeg, but the content is QuickTime video",
    )


def test_audio_in_an_mp4_named_mp4_is_audio_with_a_warning() -> None:
    facts = classify("talk.mp4", None, ftyp(b"M4A ", b"isom"), None)

    assert (facts.file_type, facts.kind) == ("m4a", "audio")
    assert facts.warnings == ("the name ends in .mp4, but the content is MPEG-4 audio",)


@pytest.mark.parametrize(("head", "size"), [(b"", 0), (b"", None)])
def test_an_empty_file_is_empty_whatever_its_name_says(head: bytes, size: int | None) -> None:
    facts = classify("film.mp4", "video/mp4", head, size)

    assert (facts.kind, facts.found, facts.size, facts.is_empty) == ("other", "an empty file", 0, True)


def test_a_media_name_does_not_turn_unknown_bytes_into_media() -> None:
    facts = classify("film.mp4", "video/mp4", b"\x00\x01\x02\x03" * 100, 400)

    assert (facts.kind, facts.found) == ("other", "unknown binary data")


@pytest.mark.parametrize(
    ("name", "declared_type", "kind", "file_type"),
    [
        ("film.mp4", None, "video", "mp4"),
        ("film", "audio/mpeg", "audio", "mp3"),
        ("voice.webm", "audio/webm", "audio", "weba"),
        ("film.mov", "text/html", "video", "mov"),
        ("report.pdf", None, "unknown", "unknown"),
        ("download", "application/octet-stream", "unknown", "unknown"),
    ],
)
def test_a_source_nobody_has_read_is_taken_at_its_word_or_unknown(
    name: str, declared_type: str | None, kind: str, file_type: str
) -> None:
    facts = presume(name, declared_type, None)

    assert (facts.kind, facts.file_type) == (kind, file_type)


def test_facts_survive_the_record() -> None:
    facts = classify("film.mp3", None, ftyp(b"isom"), 12)

    assert FileFacts.model_validate_json(facts.model_dump_json()) == facts


STARTS = st.sampled_from([head[:40] for _, head in HANDMADE] + [b"", b"OggS\x00", b"RIFF", b"\x1a\x45\xdf\xa3", b"ID3"])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(STARTS, st.binary(max_size=600), st.text(max_size=30), st.none() | st.text(max_size=30))
@example(b"\x00\x00\x00\x01ftyp", b"", "", None)
@example(b"\x00\x00\x00\x00free", b"", "..", "/")
@example(b"\xff\xfe", b"\xd8", "", "")
def test_no_bytes_and_no_name_make_it_raise(start: bytes, rest: bytes, name: str, declared_type: str | None) -> None:
    facts = classify(name, declared_type, start + rest, None)

    assert facts.file_type in FORMATS
    presume(name, declared_type, None)
