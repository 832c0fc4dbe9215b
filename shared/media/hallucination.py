"""Words that a speech model makes up: over noise and music it says what it heard most often, or says it for ever.

The first three rules and their limits are Whisper's own (https://cdn.openai.com/papers/whisper.pdf, section 4.5).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

#: Mean log probability of a token, below which the model guesses.
_GUESSED: Final = -1.0
#: Probability that there is no speech, above which a guess is none.
_NO_SPEECH: Final = 0.6
#: What is so sure to be no speech is none unless the words are all but certain.
_SURELY_NO_SPEECH, _DOUBTFUL = 0.8, -0.8
#: Text that compresses better than this repeats itself.
_COMPRESSION: Final = 2.4
#: Words in a group that is looked for again; how often and for how many words it may go on: people do say "no, no, no".
_GROUP: Final = 8
_REPEATS: Final = 4
_REPEATED: Final = 8


def is_no_speech(no_speech: float, log_probability: float) -> bool:
    """Whether the model itself says that nothing was said."""
    if no_speech > _SURELY_NO_SPEECH:
        return log_probability < _DOUBTFUL
    return no_speech > _NO_SPEECH and log_probability < _GUESSED


def is_doubtful(words: Sequence[str], log_probability: float) -> bool:
    """Whether the words (each with its own space) are guessed, or repeat themselves."""
    return log_probability < _GUESSED or compression("".join(words).strip()) > _COMPRESSION or is_loop(words)


def compression(text: str) -> float:
    """How many times smaller deflate makes the text; 0 for none."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def is_loop(words: Sequence[str]) -> bool:
    """Whether a group of up to eight words comes more often in a row than anybody says it."""
    plain = [word.strip().strip(".,;:!?…").lower() for word in words]
    for size in range(1, _GROUP + 1):
        row = 0
        for index in range(size, len(plain)):
            row = row + 1 if plain[index] == plain[index - size] else 0
            if row >= max(size * _REPEATS, _REPEATED):
                return True
    return False
