"""A child begins at once: every module that it needs is loaded before it is forked."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.assets import Assets
from shared.media.process import MediaProcessor
from shared.operations import BY_NAME, Operation, Shots, Thumbnails
from tests.unit.media import what_is_loaded
from tests.unit.media.conftest import load_all

#: The speech model is the parent's.
SMALL = [BY_NAME[name]() for name in sorted(BY_NAME) if name not in ("transcribe", "translate")]


@pytest.fixture(scope="module", autouse=True)
def server() -> None:
    load_all()


@pytest.mark.parametrize(
    "operation", [*SMALL, Thumbnails(per="shot")], ids=lambda each: f"{each.name}-{getattr(each, 'per', None)}"
)
def test_a_child_loads_no_module_itself(operation: Operation, assets: Assets, out: Path) -> None:
    assert _loaded(operation, assets, out) == []


def test_but_for_the_network_that_few_ask_for(assets: Assets, out: Path) -> None:
    assert "shared.media.transnet" in _loaded(Shots(model="transnetv2"), assets, out)


def _loaded(operation: Operation, assets: Assets, out: Path) -> list[str]:
    processor = MediaProcessor(model=assets.model, weights=assets.weights, device="cpu")
    processor.begin = what_is_loaded.begin
    processor.process(assets.pictures, [operation], out, explicit=False, report=lambda stage, percent: None)
    return (out / what_is_loaded.FILE).read_text().split()
