from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.operations import BY_NAME, GPU_OPERATIONS, Operation, OperationName, Operations

READ = TypeAdapter(Operation)
GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
SECTIONS = {part.split("`")[1]: part for part in GUIDE.split("\n## ")[1:]}


def test_each_operation_is_listed_under_its_own_name() -> None:
    assert set(BY_NAME) == set(get_args(OperationName))
    assert [operation().name for operation in BY_NAME.values()] == list(BY_NAME)
    assert set(BY_NAME) >= GPU_OPERATIONS


@pytest.mark.parametrize("name", BY_NAME)
def test_a_bare_name_means_all_defaults(name: OperationName) -> None:
    assert READ.validate_python(name) == READ.validate_python({"name": name}) == BY_NAME[name]()


@pytest.mark.parametrize("name", BY_NAME)
def test_the_guide_has_each_operation_with_all_its_parameters(name: OperationName) -> None:
    for parameter in set(BY_NAME[name].model_fields) - {"name"}:
        assert f"`{parameter}`" in SECTIONS[name]


@pytest.mark.parametrize("example", re.findall(r"```json\n(.+?)\n```", GUIDE))
def test_examples_of_the_guide_are_valid(example: str) -> None:
    read = json.loads(example)
    for operation in read.get("operations", [read]):
        READ.validate_python(operation)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "speech", "threshold": 1.0},
        {"name": "speech", "silence_seconds": 0.05},
        {"name": "speech", "noise_db": 3},
        {"name": "speech", "noise_db": "-30dB"},
        {"name": "storyboard", "count": 101},
        {"name": "storyboard", "width": 321},
        {"name": "storyboard", "count": 2.5},
        {"name": "shots", "threshold": 0.5},
        {"name": "shots", "threshold": "12"},
        {"name": "shots", "model": "transnet"},
        {"name": "shots", "model": "transnetv2", "threshold": 12},
        {"name": "thumbnails", "per": "scene"},
        {"name": "thumbnails", "per": "shot", "count": 5},
        {"name": "thumbnails", "per": "shot", "seconds": [1]},
        {"name": "loudness", "target": -23},
        {"name": "waveform", "pixels_per_second": 0},
        {"name": "waveform", "height": 1025},
        {"name": "waveform", "width": True},
    ],
    ids=json.dumps,
)
def test_parameters_out_of_bounds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        READ.validate_python(wrong)


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "shots", "model": "transnetv2"},
        {"name": "shots", "threshold": 8},
        {"name": "thumbnails", "per": "shot"},
    ],
    ids=json.dumps,
)
def test_what_was_read_can_be_written_and_read_again(asked: dict[str, Any]) -> None:
    operation = READ.validate_python(asked)
    assert READ.validate_json(READ.dump_json(operation)) == operation


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (["probe", {"name": "probe"}], "probe may be asked for once only"),
        (["translate", "probe", {"name": "transcribe"}], "transcribe and translate write the same files"),
    ],
    ids=["twice", "both"],
)
def test_operations_that_write_the_same_files_are_refused_together(asked: list[Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        TypeAdapter(Operations).validate_python(asked)
