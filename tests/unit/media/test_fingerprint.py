from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from shared.media.fingerprint import SAME_PICTURE_BITS, similarity
from shared.operations import Fingerprint, Shots, Thumbnails
from tests.media import make_tone_wav, picture
from tests.scenes import make_scenes
from tests.unit.media.conftest import Run

CUTS = (20, 50, 90, 110)
FRAMES = 140
#: Patches of random light.
TEXTURE = np.kron(np.random.default_rng(1).integers(20, 236, (9, 16)), np.ones((10, 10))).astype(np.uint8)


def _fingerprint(run: Run, out: Path, source: Path, *others: Any) -> dict[str, Any]:
    run(source, Fingerprint(), *others)
    read: dict[str, Any] = json.loads((out / "fingerprint.json").read_text())
    return read


def _copy(source: Path, path: Path, codec: str, size: tuple[int, int], bit_rate: int, every: int = 1) -> Path:
    """The film encoded anew, without sound: so large, at so many bits a second, with one of `every` frames."""
    with av.open(source) as film, av.open(path, "w") as copy:
        seen = film.streams.best("video")
        video = copy.add_stream(codec, rate=seen.average_rate, bit_rate=bit_rate)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        for index, frame in enumerate(film.decode(seen)):
            if index % every == 0:
                copy.mux(video.encode(frame.reformat(*size, "yuv420p", interpolation="AREA")))
        copy.mux(video.encode(None))
    return path


def _still(path: Path, luma: np.ndarray, rotation: int = 0) -> Path:
    """A film of one picture, which a player turns by so many degrees counter-clockwise."""
    with av.open(path, "w") as film:
        video = film.add_stream("libx264", rate=25)
        video.height, video.width = luma.shape
        video.pix_fmt = "yuv420p"
        if rotation:
            video.set_display_rotation(rotation)
        for _ in range(10):
            film.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(luma), format="gray")))
        film.mux(video.encode(None))
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_scenes(tmp_path / "film.mp4", CUTS, frames=FRAMES)


@pytest.mark.parametrize(
    ("name", "codec", "size", "bit_rate", "every"),
    [
        ("copy.webm", "libvpx", (120, 68), 60_000, 1),
        ("copy.mkv", "libx264", (320, 180), 40_000, 2),
        ("copy.avi", "mpeg4", (96, 54), 200_000, 1),
        ("copy.ts", "mpeg2video", (240, 120), 400_000, 1),
    ],
)
def test_a_copy_is_found_again(
    name: str,
    codec: str,
    size: tuple[int, int],
    bit_rate: int,
    every: int,
    film: Path,
    run: Run,
    tmp_path: Path,
    out: Path,
) -> None:
    copied = _copy(film, tmp_path / name, codec, size, bit_rate, every)
    original = _fingerprint(run, out, film)
    copy = _fingerprint(run, out, copied)
    assert original["sha256"] != copy["sha256"]
    assert len(original["shots"]) == len(CUTS) + 1
    assert similarity(original, copy) == similarity(copy, original) >= 0.95


def test_another_film_is_not_taken_for_a_copy(film: Path, run: Run, tmp_path: Path, out: Path) -> None:
    other = make_scenes(tmp_path / "other.mp4", CUTS, frames=FRAMES, seed=8)
    assert similarity(_fingerprint(run, out, film), _fingerprint(run, out, other)) == 0.0


def test_a_real_clip_is_found_again_and_told_from_another(
    run: Run, recording: Any, film: Path, tmp_path: Path, out: Path
) -> None:
    clip = recording("nasa_13013.mp4")
    original = _fingerprint(run, out, clip)
    assert similarity(original, _fingerprint(run, out, film)) == 0.0
    small = _copy(clip, tmp_path / "small.avi", "mpeg4", (240, 136), 150_000)
    assert similarity(original, _fingerprint(run, out, small)) == 1.0


def test_films_that_share_half_their_shots_are_half_alike(film: Path, run: Run, out: Path) -> None:
    whole = _fingerprint(run, out, film)
    part = {"sha256": "another", "shots": whole["shots"][:2]}
    seconds, shared = FRAMES / 25, CUTS[1] / 25
    assert (
        similarity(whole, part) == similarity(part, whole) == pytest.approx(2 * shared / (seconds + shared), abs=0.02)
    )


def test_a_phones_video_and_its_upright_copy_are_alike(run: Run, tmp_path: Path, out: Path) -> None:
    lying = _still(tmp_path / "phone.mp4", TEXTURE, rotation=90)
    upright = _still(tmp_path / "upright.mp4", np.rot90(TEXTURE))
    other = _still(tmp_path / "other.mp4", TEXTURE)
    phone = _fingerprint(run, out, lying)
    assert similarity(phone, _fingerprint(run, out, upright)) == 1.0
    assert similarity(phone, _fingerprint(run, out, other)) == 0.0


def test_it_has_the_files_sha256(run: Run, tmp_path: Path, out: Path) -> None:
    source = make_tone_wav(tmp_path / "tone.wav")
    found = _fingerprint(run, out, source)
    assert found == {
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "size_bytes": source.stat().st_size,
        "shots": [],
    }
    assert similarity(found, found) == 1.0
    assert similarity(found, {**found, "sha256": "another"}) == 0.0


def test_what_shows_nothing_has_no_hash_and_is_like_nothing(run: Run, tmp_path: Path, out: Path) -> None:
    grain = np.random.default_rng(2).integers(0, 6, TEXTURE.shape).astype(np.uint8)
    path = _still(tmp_path / "black.mp4", 16 + grain)
    black = _fingerprint(run, out, path)
    assert [shot["hashes"] for shot in black["shots"]] == [[]]
    assert similarity(black, {**black, "sha256": "another"}) == 0.0


def test_a_picture_is_found_again_too(run: Run, tmp_path: Path, out: Path) -> None:
    Image.fromarray(picture((320, 180), 0.3)).save(tmp_path / "one.png")
    Image.fromarray(picture((160, 90), 0.3)).save(tmp_path / "other.jpg", quality=60)
    one, other = (_fingerprint(run, out, tmp_path / name) for name in ("one.png", "other.jpg"))
    assert similarity(one, other) == 1.0


def test_what_else_a_job_asks_for_does_not_change_it(film: Path, run: Run, out: Path) -> None:
    alone = _fingerprint(run, out, film)
    assert _fingerprint(run, out, film, Shots(threshold=200), Thumbnails(count=1)) == alone


def test_hashes_of_different_scenes_are_far_apart(film: Path, run: Run, out: Path) -> None:
    scenes = [[int(each, 16) for each in shot["hashes"]] for shot in _fingerprint(run, out, film)["shots"]]
    assert all(scenes)
    apart = [
        (one ^ other).bit_count()
        for index, scene in enumerate(scenes)
        for another in scenes[:index]
        for one in scene
        for other in another
    ]
    assert min(apart) > SAME_PICTURE_BITS


def test_a_still_shot_has_one_hash_and_a_lively_one_several(film: Path, run: Run, tmp_path: Path, out: Path) -> None:
    still = _fingerprint(run, out, _still(tmp_path / "still.mp4", TEXTURE))
    assert [len(shot["hashes"]) for shot in still["shots"]] == [1]
    assert max(len(shot["hashes"]) for shot in _fingerprint(run, out, film)["shots"]) > 5
