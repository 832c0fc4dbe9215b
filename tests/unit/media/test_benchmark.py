"""The benchmark of the engine still runs, row by row, on a small film."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from bench import media
from bench.media_meter import metered
from bench.media_rounds import LeftOut, call, in_turn, ratios
from bench.report import Figure, publish
from shared.media.model import has_gpu
from tests.unit.http_server import answer, local_server

#: Where there is no ffmpeg to compare with, these are left out; and one where there is no GPU.
LEFT_OUT = (set() if shutil.which("ffmpeg") else {"pass", "silence", "looks"}) | (set() if has_gpu() else {"gpu"})


#: Hearing the same speech four times over takes longer than a test may.
LONG = {"transcribe"}


def test_every_row_gives_figures(tmp_path: Path) -> None:
    wanted = [f"--only={name}" for name in media.ROWS if name not in LONG]
    assert media.main(["--small", "--rounds=1", f"--out={tmp_path}", *wanted])
    rows = json.loads((tmp_path / "media-part.json").read_text())
    assert {row["measure"] for row in rows if "left_out" in row} == LEFT_OUT
    figures = [row for row in rows if "value" in row]
    assert len({row["measure"] for row in rows}) == len(rows) > len(LEFT_OUT)
    assert [row for row in figures if not row["rounds"] or row["must"] is not None] == []
    # This one is a small difference of times.
    noisy = {"of that outside the media engine"}
    assert {row["measure"] for row in figures if row["unit"] in ("s", "x") and row["value"] <= 0} <= noisy


def test_what_needs_a_missing_program_is_left_out_with_the_reason() -> None:
    with pytest.raises(LeftOut, match="no-such-program is not installed"):
        call("no-such-program -i {film}", film="a.mp4")


def test_candidates_take_turns_and_ratios_are_the_rounds_own() -> None:
    order: list[str] = []

    def candidate(name: str, values: list[float]) -> float:
        order.append(name)
        return values.pop(0)

    ours, theirs = [1.0, 4.0], [2.0, 2.0]
    taken = in_turn(2, {"ours": lambda: candidate("ours", ours), "theirs": lambda: candidate("theirs", theirs)})
    assert order == ["ours", "theirs", "ours", "theirs"]
    assert ratios(taken["ours"], taken["theirs"]) == [0.5, 2.0]


def test_the_meter_counts_what_comes_back() -> None:
    body = bytes(300_000)
    with local_server() as server, metered(server.port) as meter:
        server.replies["/film"] = answer(body=body)
        url = f"http://127.0.0.1:{meter.port}/film"
        with urllib.request.urlopen(url) as response:
            assert response.read() == body
        assert len(body) < meter.reset() < len(body) + 1000
        assert meter.reset() == 0


@pytest.mark.parametrize(
    ("rounds", "verdict"), [((4.0, 0.5, 3.0), "missed"), ((2.0, 9.0, 1.0), "ok"), ((1.0, 9.0, 0.5), "ok, and the aim")]
)
def test_a_median_is_judged_by_what_was_promised(rounds: tuple[float, ...], verdict: str) -> None:
    figure = Figure.median("a ratio", rounds, "x", "lower", must=2.0, aim=1.0)
    assert figure.verdict == verdict


def test_a_missed_promise_is_told_and_a_row_that_was_left_out_is_written(tmp_path: Path) -> None:
    missed = Figure.median("speed", [1.0], "x", "higher", must=2.0)
    assert not publish("some", "Some", [missed], left_out={"other": "no ffmpeg"}, out=tmp_path)
    rows = json.loads((tmp_path / "some.json").read_text())
    assert [row["measure"] for row in rows] == ["speed", "other"]
    assert (rows[0]["holds"], rows[0]["rounds"], rows[1]["left_out"]) == (False, [1.0], "no ffmpeg")
