"""What a person wants to know of a file at a glance, in words."""

from __future__ import annotations

from typing import Any, Final

_CODECS: Final = {
    "h264": "H.264",
    "hevc": "HEVC",
    "av1": "AV1",
    "vp9": "VP9",
    "vp8": "VP8",
    "prores": "ProRes",
    "mpeg2video": "MPEG-2",
    "aac": "AAC",
    "mp3": "MP3",
    "mp3float": "MP3",
    "flac": "FLAC",
    "opus": "Opus",
    "vorbis": "Vorbis",
}
_CHANNELS: Final = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def kind(probe: dict[str, Any]) -> str:
    """The line below the title."""
    pictures, sound = _stream(probe, "video"), _stream(probe, "audio")
    parts = [probe["kind"].capitalize(), _clock(probe["duration_s"])]
    if pictures:
        parts.append(f"{pictures['display_width']} × {pictures['display_height']}")
    parts += [_codec(stream) for stream in (pictures, sound) if stream]
    return " · ".join(parts)


def facts(probe: dict[str, Any], loudness: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Name and value of each, in order."""
    pictures, sound = _stream(probe, "video"), _stream(probe, "audio")
    found = [("Length", _clock(probe["duration_s"])), ("Size", _bytes(probe["size_bytes"]))]
    if pictures:
        rate = f", {pictures['frame_rate']:.4g} frames/s" if pictures["frame_rate"] else ""
        hdr = ", HDR" if pictures["hdr"] else ""
        size = f"{pictures['display_width']} × {pictures['display_height']}"
        found.append(("Video", f"{_codec(pictures)}, {size}{rate}{hdr}"))
    if sound:
        channels = _CHANNELS.get(sound["channels"], f"{sound['channels']} channels")
        found.append(("Sound", f"{_codec(sound)}, {channels}, {sound['sample_rate'] / 1000:.4g} kHz"))
    if probe["bit_rate"]:
        found.append(("Bit rate", f"{probe['bit_rate'] / 1000:,.0f} kbit/s"))
    found.append(("Container", probe["container_long_name"]))
    if loudness and loudness["integrated_lufs"] is not None:
        found.append(("Loudness", _signed(loudness["integrated_lufs"], "LUFS")))
        if loudness["range_lu"] is not None:
            found.append(("Loudness range", f"{loudness['range_lu']:.1f} LU"))
    if loudness and loudness["true_peak_dbtp"] is not None:
        found.append(("True peak", _signed(loudness["true_peak_dbtp"], "dBTP")))
    return found


def _stream(probe: dict[str, Any], wanted: str) -> dict[str, Any] | None:
    """The stream that the operations worked on."""
    index = probe["best_streams"][wanted]
    return next((stream for stream in probe["streams"] if stream["index"] == index and stream["codec"]), None)


def _codec(stream: dict[str, Any]) -> str:
    name: str = stream["codec"]
    return "PCM" if name.startswith("pcm_") else _CODECS.get(name, name)


def _signed(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}".replace("-", "−")


def _clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
