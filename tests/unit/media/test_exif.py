"""A photograph is shown as its EXIF says: turned, mirrored or both, as every viewer does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from shared.operations import Probe, Thumbnails
from tests.media import picture
from tests.unit.media.conftest import Run


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
def test_a_photograph_stands_upright(suffix: str, run: Run, tmp_path: Path, out: Path) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        source = tmp_path / f"{orientation}{suffix}"
        Image.fromarray(picture((96, 64), 0.2)).save(source, exif=exif)
        run(source, Probe(), Thumbnails())
        with Image.open(source) as stored, Image.open(out / "thumbnails/0001.jpg") as shown:
            upright = ImageOps.exif_transpose(stored).convert("RGB")
            assert shown.size == upright.size
            assert np.abs(np.asarray(shown, int) - np.asarray(upright, int)).mean() < 8
