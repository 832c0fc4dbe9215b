"""Pictures: a photograph is shown as its EXIF says, as every viewer does; one that moves is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from shared.errors import ProcessingFailed
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


@pytest.mark.parametrize("size", [(60, 70_000), (70_000, 60)])
def test_a_picture_longer_than_a_jpeg_may_be_is_made_smaller(
    size: tuple[int, int], run: Run, tmp_path: Path, out: Path
) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "page.png")
    run(tmp_path / "page.png", Thumbnails())
    with Image.open(out / "thumbnails/0001.jpg") as shown:
        assert max(shown.size) <= 65_500


def test_an_animated_webp_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    first, *others = (Image.fromarray(picture((96, 64), share)) for share in (0.1, 0.5, 0.9))
    first.save(tmp_path / "still.webp", exif=Image.Exif())
    first.save(tmp_path / "moving.webp", save_all=True, append_images=others, duration=200)
    assert run(tmp_path / "still.webp", Thumbnails()).warnings == ()
    for operation in (Probe(), Thumbnails()):
        with pytest.raises(ProcessingFailed, match="an animated WebP: there is no decoder for those here") as caught:
            run(tmp_path / "moving.webp", operation)
        assert caught.value.reason_code == "undecodable"
