"""What it means that a decoding child ended without its last message."""

from __future__ import annotations

import signal
from typing import Final

from shared.errors import JobError, ProcessingFailed, ResourceExhausted

#: What a program does to itself.
_CRASHES: Final = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS}
)


def verdict(status: int, last_words: str) -> JobError:
    """ProcessingFailed where the file is to blame, ResourceExhausted where the machine may be.

    `status` is the exit status, negative for a signal; `last_words` is what libav or the C library said last.
    """
    said = f": {last_words}" if last_words else ""
    ended_by = _signal(-status)
    if ended_by in _CRASHES:
        return ProcessingFailed(f"this file crashes the decoder ({ended_by.name}{said})", code="decoder_crashed")
    if ended_by is signal.SIGXCPU:
        return ProcessingFailed("decoding this file takes more time than a decoder may have", code="decoder_too_slow")
    if ended_by is signal.SIGKILL:
        return ResourceExhausted("the decoder was killed from outside, as happens where a machine runs out of memory")
    return ResourceExhausted(f"the decoder ended before its work did (exit status {status}{said})")


def hangs(seconds: float) -> JobError:
    """Nothing came of the decoder for so long."""
    said = f"this file hangs the decoder: nothing came of it for {seconds:g} s"
    return ProcessingFailed(said, code="decoder_hangs")


def starves(seconds: float) -> JobError:
    """Nothing came of the decoder for so long, in which it hardly ran although it could have."""
    said = f"nothing came of the decoder for {seconds:g} s, in which this machine hardly let it run"
    return ResourceExhausted(said, code="decoder_starved")


def out_of_memory() -> JobError:
    """The decoder's address space is used up."""
    return ProcessingFailed("decoding this file takes more memory than a decoder may have", code="decoder_memory")


def _signal(number: int) -> signal.Signals | None:
    try:
        return signal.Signals(number)
    except ValueError:
        return None
