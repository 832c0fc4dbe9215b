"""One page of a job's result that needs nothing else: contact.html.

Nothing of it is loaded from anywhere, and nothing in it may load or run anything: its policy (CSP) knows its own script
and style by their hashes. What people and models wrote travels as JSON and is shown as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any, Final

import numpy as np

from shared.media.artifacts import ArtifactFolder
from shared.media.contact_facts import facts, kind
from shared.media.preview import Film

_PARTS: Final = Path(__file__).with_name("contact_page")
#: In this order they are one script.
_SCRIPTS: Final = ("page.js", "timeline.js", "lists.js", "player.js")
#: More than a screen has columns.
_PEAKS: Final = 3000
#: A cue of storyboard.vtt: where it begins, and its tile's place.
_TILE: Final = re.compile(r"^(\d+):(\d+):([\d.]+) --> .+\n.+#xywh=(\d+),(\d+),(\d+),(\d+)$", re.MULTILINE)


def write(film: Film | None, folder: ArtifactFolder) -> dict[str, Any]:
    """Write contact.html from the artifacts in the folder so far; answers the summary."""
    page = _page(_data(film, folder), film)
    folder.write_text("contact.html", page, "text/html; charset=utf-8")
    return {"size_bytes": len(page.encode()), "preview": film.media_type if film else None}


def _data(film: Film | None, folder: ArtifactFolder) -> dict[str, Any]:
    """What the page's script shows."""
    probe = _json(folder, "probe.json")
    shots = _json(folder, "shots.json")
    transcript = _json(folder, "transcript.json")
    captions = folder.read_bytes("transcript.vtt")
    return {
        "title": probe["tags"].get("title") or "Recording",
        "kind": kind(probe),
        "duration": probe["duration_s"],
        "facts": facts(probe, _json(folder, "loudness.json")),
        "film": {"media_type": film.media_type} if film else None,
        "storyboard": _storyboard(folder),
        "shots": shots["shots"] if shots else [],
        "peaks": _peaks(_json(folder, "waveform.json")),
        "transcript": _transcript(transcript) if transcript else None,
        "captions": captions.decode() if captions else None,
    }


def _page(data: dict[str, Any], film: Film | None) -> str:
    script, style = "\n".join(map(_part, _SCRIPTS)), _part("style.css")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src blob: data:; "
        "media-src blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(data["title"]),
        "style": style,
        # No tag, comment or end of script can begin in it.
        "data": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", r"\u003c"),
        "film": base64.b64encode(film.data).decode() if film else "",
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _part("page.html"))


def _part(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a policy names a part of its page (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(folder: ArtifactFolder, name: str) -> Any:
    content = folder.read_bytes(name)
    return None if content is None else json.loads(content)


def _transcript(transcript: dict[str, Any]) -> dict[str, Any]:
    segments = [
        {
            "start": segment["start"],
            "text": segment["text"],
            "words": [[word["word"], word["start"], word["end"]] for word in segment["words"]],
        }
        for segment in transcript["segments"]
    ]
    spoken = transcript["language"]
    written = "en" if transcript["task"] == "translate" else spoken
    return {"language": written, "spoken": spoken, "segments": segments}


def _storyboard(folder: ArtifactFolder) -> dict[str, Any] | None:
    sheet, cues = folder.read_bytes("storyboard.jpg"), folder.read_bytes("storyboard.vtt")
    if sheet is None or cues is None:
        return None
    tiles = [tuple(map(float, tile)) for tile in _TILE.findall(cues.decode())]
    *_, width, height = tiles[0]
    return {
        "image": base64.b64encode(sheet).decode(),
        "columns": sum(top == 0 for _, _, _, _, top, _, _ in tiles),
        "tile_width": width,
        "tile_height": height,
        "tiles": [{"start": hours * 3600 + minutes * 60 + seconds} for hours, minutes, seconds, *_ in tiles],
    }


def _peaks(waveform: dict[str, Any] | None) -> list[int]:
    """The sound's height along the file, 0 to 100, which is the loudest; nothing where there is no sound."""
    if waveform is None or not waveform["data"]:
        return []
    heights = np.abs(np.array(waveform["data"]).reshape(-1, 2)).max(axis=1)
    count = min(len(heights), _PEAKS)
    peaks = np.maximum.reduceat(heights, np.arange(count) * len(heights) // count)
    return [int(peak) for peak in np.ceil(peaks * 100 / max(peaks.max(), 1))]
