"""The whole engine with a model of many languages: it finds out which is spoken, writes it down, and translates."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jiwer
import pytest

from shared.media.audio import SAMPLE_RATE, decode_audio
from shared.media.model import SpeechModel
from shared.media.process import MediaProcessor
from shared.media.recognizer import Sound, Tongue
from shared.operations import Operation, Transcribe, Translate
from tests.languages.conftest import GERMAN

pytestmark = pytest.mark.languages


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _understood(processor: MediaProcessor, source: Path, operation: Operation, folder: Path) -> dict[str, Any]:
    folder.mkdir()
    processor.process(source, [operation], folder, explicit=True, report=lambda stage, percent: None)
    transcript: dict[str, Any] = json.loads((folder / "transcript.json").read_text())
    return transcript


def test_the_language_that_is_spoken_is_found_and_written_down(
    processor: MediaProcessor, german: Path, tmp_path: Path
) -> None:
    heard = _understood(processor, german, Transcribe(), tmp_path / "out")
    assert (heard["language"], heard["task"], heard["model"]) == ("de", "transcribe", "base")
    assert jiwer.wer(_plain(GERMAN), _plain(heard["text"])) <= 0.2


def test_it_is_translated_in_all_files(processor: MediaProcessor, german: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    heard = _understood(processor, german, Translate(), out)
    assert (heard["language"], heard["task"]) == ("de", "translate")
    for text in (heard["text"], *((out / f"transcript.{kind}").read_text() for kind in ("txt", "srt", "vtt"))):
        assert {"good", "morning", "train", "berlin"} <= set(_plain(text).split())


def test_files_of_two_languages_at_once_keep_their_own(
    processor: MediaProcessor, german: Path, english: Path, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:
        asked = [(german, tmp_path / "de"), (english, tmp_path / "en")]
        heard = list(pool.map(lambda each: _understood(processor, each[0], Transcribe(), each[1]), asked))
    assert [each["language"] for each in heard] == ["de", "en"]
    # A machine's voice is no sure thing.
    assert 0 < heard[0]["language_probability"] < 0.9 < heard[1]["language_probability"] <= 1
    assert "guten morgen" in _plain(heard[0]["text"])
    assert "best of times" in _plain(heard[1]["text"])


def test_a_second_hearing_keeps_to_language_and_task(model: Path, german: Path) -> None:
    samples = decode_audio(german, lambda fraction: None).samples[: 30 * SAMPLE_RATE]
    recognizer = SpeechModel(model, device="cpu").recognizer()
    again = recognizer.hear_again(Sound(samples, len(samples)), Tongue("de", "translate"))
    assert "good morning" in _plain("".join(word.text for heard in again for word in heard.words))
