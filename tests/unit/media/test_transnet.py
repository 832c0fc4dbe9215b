from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from local.assets import Assets
from shared.errors import Misconfigured
from shared.media.process import MediaProcessor
from shared.media.transnet import TransitionJudge, network, starts
from shared.operations import Shots
from tests.unit.media.conftest import Run

SIZE = (160, 90)
Pictures = list[np.ndarray]


def _clip(source: Path, start: float, end: float) -> Pictures:
    with av.open(source) as film:
        frames = (frame for frame in film.decode(video=0) if start <= frame.time < end)
        return [frame.reformat(*SIZE, "rgb24").to_ndarray().astype(float) for frame in frames]


def _dissolved(one: Pictures, other: Pictures, frames: int = 16) -> Pictures:
    shares = (np.arange(frames) + 0.5) / frames
    mixed = [a * (1 - share) + b * share for a, b, share in zip(one[-frames:], other, shares, strict=False)]
    return [*one[:-frames], *mixed, *other[frames:]]


def _faded(one: Pictures, other: Pictures, frames: int = 10) -> Pictures:
    light = np.arange(frames) / frames
    down = [picture * share for picture, share in zip(one[-frames:], light[::-1], strict=True)]
    up = [picture * share for picture, share in zip(other, light, strict=False)]
    return [*one[:-frames], *down, *up, *other[frames:]]


@pytest.fixture(scope="module")
def film(assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cut at frame 15, dissolves around 53 and 92, a fade through black around 134."""
    first = _dissolved(_clip(assets.bikes, 0.6, 3.04), _clip(assets.pictures, 0, 2.2))
    pictures = _faded(_dissolved(first, _clip(assets.bikes, 5.48, 7.48)), _clip(assets.bikes, 7.48, 9.0))
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(path, "w") as film:
        video = film.add_stream("libx264", rate=25, options={"preset": "ultrafast", "qp": "10"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        for picture in pictures:
            film.mux(video.encode(av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")))
        film.mux(video.encode(None))
    return path


def test_cuts_dissolves_and_fades_are_found(run: Run, film: Path, out: Path) -> None:
    run(film, Shots(model="transnetv2"))
    document = json.loads((out / "shots.json").read_text())
    assert np.multiply(document["cuts"], 25) == pytest.approx([15, 53, 92, 134], abs=2)
    assert (document["model"], document["threshold"]) == ("transnetv2", None)


def test_the_luma_rule_sees_the_cut_and_the_fade_alone(run: Run, film: Path, out: Path) -> None:
    run(film, Shots())
    cuts = json.loads((out / "shots.json").read_text())["cuts"]
    assert np.multiply(cuts, 25) == pytest.approx([15, 136], abs=2)


def _process_wide() -> Iterator[object]:
    yield torch.are_deterministic_algorithms_enabled()
    yield torch.is_deterministic_algorithms_warn_only_enabled()
    yield torch.backends.cudnn.deterministic
    yield torch.backends.cudnn.benchmark
    yield torch.is_grad_enabled()
    yield torch.get_num_threads()
    yield torch.get_default_dtype()
    yield torch.get_rng_state().tolist()
    yield random.getstate()
    yield np.random.get_state()[1].tolist()


def test_nothing_process_wide_is_changed(assets: Assets) -> None:
    before = list(_process_wide())
    network.cache_clear()
    judge = TransitionJudge(network(assets.weights / "transnetv2.pth"))
    judge.add(np.zeros((27, 48, 3), np.uint8))
    assert judge.cuts() == []
    assert list(_process_wide()) == before


def test_missing_weights_are_a_fault_of_the_deployment(assets: Assets, film: Path, tmp_path: Path) -> None:
    processor = MediaProcessor(model=assets.model, weights=tmp_path, device="cpu")
    with pytest.raises(Misconfigured, match=r"holds no transnetv2\.pth"):
        processor.process(
            film, [Shots(model="transnetv2")], tmp_path / "out", explicit=True, report=lambda stage, percent: None
        )


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04"], ids=["empty", "text", "torn"])
def test_a_file_without_the_weights_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "transnetv2.pth").write_bytes(content)
    with pytest.raises(Misconfigured, match=r"transnetv2\.pth holds no weights of TransNet V2"):
        network(tmp_path / "transnetv2.pth")


class _Trap:
    """What runs when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self._sprung = sprung

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._sprung,)


def test_weights_are_data_and_run_nothing(tmp_path: Path) -> None:
    torch.save({"fc1.weight": _Trap(tmp_path / "sprung")}, tmp_path / "transnetv2.pth")
    with pytest.raises(Misconfigured):
        network(tmp_path / "transnetv2.pth")
    assert not (tmp_path / "sprung").exists()


class _Echo(torch.nn.Module):
    """Instead of the network: says of each frame how bright it is, and of the windows how many it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.some = torch.nn.Parameter(torch.zeros(1))
        self.windows = 0

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        assert frames.shape == (1, 100, 27, 48, 3)
        self.windows += 1
        light = frames.float().mean(dim=(2, 3, 4)) / 255
        return torch.stack([light, light], 2)


@pytest.mark.parametrize(("frames", "windows"), [(1, 1), (49, 1), (50, 1), (51, 2), (100, 2), (130, 3)])
def test_each_frame_is_judged_once_with_frames_around_it(frames: int, windows: int) -> None:
    echo = _Echo()
    judge = TransitionJudge(echo)
    for index in range(frames):
        judge.add(np.full((27, 48, 3), index, np.uint8))
    assert judge.probabilities()[:, 0] * 255 == pytest.approx(np.arange(frames), abs=0.01)
    assert echo.windows == windows


@pytest.mark.parametrize(
    ("middles", "under_way", "expected"),
    [
        ([], [], []),
        ([9], [9], [10]),
        ([9, 10], [], [10]),
        ([29], [29], []),  # nothing follows
        ([4, 14], [4, 14], [5, 15]),
        ([], range(10, 15), [13]),  # a dissolve whose middle is not clear
        ([10, 14], range(10, 15), [13]),
        ([3, 20], [*range(2, 7), *range(16, 21)], [12]),  # both halves of a fade through black
        ([3, 26], [*range(2, 7), *range(24, 28)], [5, 26]),  # too far apart for one
    ],
)
def test_shots_start_after_the_middle_of_a_transition(
    middles: list[int], under_way: list[int], expected: list[int]
) -> None:
    probabilities = np.zeros((30, 2), np.float32)
    probabilities[middles, 0] = 0.9
    probabilities[list(under_way), 1] = 0.9
    assert starts(probabilities) == expected
