"""On a GPU: its decoder shows, and its models hear, what the CPU does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from local.assets import Assets
from shared.media.log_mel import LogMel
from shared.media.process import MediaProcessor
from shared.operations import Operation, Shots, Storyboard, Thumbnails, Transcribe
from shared.processor import Result
from tests.films import Film, make_film
from tests.scenes import make_scenes

on_gpu = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]
GPU = pytest.mark.parametrize("device", [pytest.param("cuda", marks=on_gpu)])


def _process(assets: Assets, film: Path, out: Path, device: str, *operations: Operation) -> Result:
    out.mkdir()
    processor = MediaProcessor(model=assets.model, weights=assets.weights, device=device)
    return processor.process(film, operations, out, explicit=True, report=lambda stage, percent: None)


@GPU
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_nvdec_shows_what_the_cpu_shows(codec: str, pix_fmt: str, device: str, assets: Assets, tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", Film(".mkv", codec, pix_fmt=pix_fmt, size=(640, 360)))
    wanted = (Shots(), Storyboard(), Thumbnails(count=3))
    by_gpu = _process(assets, film, tmp_path / "gpu", device, *wanted)
    by_cpu = _process(assets, film, tmp_path / "cpu", "cpu", *wanted)
    assert (by_gpu.decoder, by_cpu.decoder) == (
        "nvdec" if (codec, pix_fmt) != ("libx264", "yuv420p10le") else "cpu",
        "cpu",
    )
    assert by_gpu.summary == by_cpu.summary
    for name in ("storyboard.jpg", "thumbnails/0002.jpg"):
        pictures = [np.asarray(Image.open(tmp_path / each / name), np.int16) for each in ("gpu", "cpu")]
        assert np.abs(pictures[0] - pictures[1]).mean() < 3


@GPU
def test_a_file_that_nvdec_does_not_take_is_decoded_by_the_cpu(device: str, assets: Assets, tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mov", Film(".mov", "prores_ks", audio="pcm_s16le", pix_fmt="yuv422p10le"))
    result = _process(assets, film, tmp_path / "out", device, Shots())
    assert result.decoder == "cpu"
    assert result.summary["shots"]["frames"] == 50


@GPU
def test_cuts_are_the_same_on_the_gpu(device: str, assets: Assets, tmp_path: Path) -> None:
    film = make_scenes(tmp_path / "film.mp4", [30, 70, 110], frames=150, dissolves=[110])
    for model in ("luma", "transnetv2"):
        found = []
        for each in (device, "cpu"):
            folder = tmp_path / f"{model}-{each}"
            _process(assets, film, folder, each, Shots(model=model))
            found.append(json.loads((folder / "shots.json").read_text())["cuts"])
        assert found[0] == pytest.approx(found[1], abs=0.09)


@GPU
def test_what_whisper_hears_is_the_same_on_the_gpu(device: str) -> None:
    filters = np.random.default_rng(1).random((80, 201), np.float32)
    sound = np.random.default_rng(2).normal(0, 0.1, (2, 480_000)).astype(np.float32)
    by_gpu, by_cpu = (LogMel(filters, each)(sound).cpu().numpy() for each in (device, "cpu"))
    assert by_gpu == pytest.approx(by_cpu, abs=1e-3)


@GPU
def test_float16_hears_the_same_words(device: str, assets: Assets, tmp_path: Path) -> None:
    texts = [
        _process(assets, assets.speech, tmp_path / each, each, Transcribe()).summary["transcribe"]["text"].lower()
        for each in (device, "cpu")
    ]
    words = [text.replace(",", "").replace(".", "").split() for text in texts]
    assert len(set(words[0]) ^ set(words[1])) <= 4
