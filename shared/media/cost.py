"""What the stages of a job are likely to take, so that its progress goes on evenly.

Only shares matter: they were measured on two cores (1080p H.264 at 250 pictures a second; AAC), and a faster machine is
faster at all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.media.facts import Facts

_SECONDS_A_PIXEL: Final = 2e-9
#: For one second of sound.
_SECONDS_A_SECOND: Final = 0.004
#: What one seek costs, in seconds of video that could be decoded instead: half the way between keyframes, and more.
SEEK_SECONDS: Final = 2.5
#: Opening what was opened before, writing a few files.
LITTLE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of work."""

    #: Going through all of the sound, or all of the pictures.
    sound: float
    pictures: float
    #: One picture that is sought.
    seek: float

    @classmethod
    def of(cls, facts: Facts, length: float) -> Costs:
        """For a file of this length in seconds."""
        second = facts.video.pixel_rate * _SECONDS_A_PIXEL if facts.video else 0.0
        return cls(sound=_SECONDS_A_SECOND * length, pictures=second * length, seek=second * SEEK_SECONDS)
