"""The silences of a film, from its sound alone, against the old hub's command, which decodes the pictures, too."""

from __future__ import annotations

import re
from typing import Any, Final

from bench.media_pass import analyse
from bench.media_rounds import Setting, call, in_turn, ratios, timed
from bench.report import Figure
from shared.operations import Speech

_OLD: Final = "ffmpeg -hide_banner -nostats -i {film} -af silencedetect=noise=-30dB:d=1 -f null -"
_WANTED: Final = Speech(silence_seconds=1.0, noise_db=-30.0)


def measure_silence(setting: Setting) -> list[Figure]:
    """Ours finds the speech as well; both must find as many silences. Raises LeftOut without ffmpeg."""
    engine = setting.engine()
    found: dict[str, Any] = {}

    def ours() -> None:
        found["ours"] = analyse(engine, setting.film, _WANTED)["speech"]["silences"]

    def old() -> None:
        found["old"] = len(re.findall("silence_end", call(_OLD, film=setting.film)))

    taken = in_turn(setting.rounds, {"ours": timed(ours), "old": timed(old)})
    if found["ours"] != found["old"]:
        raise RuntimeError(f"{found['ours']} silences found by us, {found['old']} by ffmpeg")
    return [
        Figure.median("speech and silences", taken["ours"], "s", "lower"),
        Figure.median("the old hub's silence: ffmpeg decodes the video, too", taken["old"], "s", "lower"),
        Figure.median("old hub / ours", ratios(taken["old"], taken["ours"]), "x", "higher", must=10.0, aim=30.0),
    ]
