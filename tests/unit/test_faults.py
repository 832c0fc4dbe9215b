from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.api import JobBody
from shared.faults import faults_of

BODY: dict[str, Any] = {"source": "gs://uploads/a.mp4", "operations": ["probe"]}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"operations": ["dance"]}, "operations.0"),
        ({"operations": [{"name": "dance"}]}, "operations.0"),
        ({"operations": [{"name": "thumbnails", "count": 0}]}, "operations.0.count"),
        ({"operations": [{"name": "waveform", "width": 0}]}, "operations.0.width"),
        ({"operations": [{"name": "probe", "probe": 1}]}, "operations.0.probe"),
        ({"operations": [{"name": "probe", "object": 1}]}, "operations.0.object"),
        ({"operations": 7}, "operations"),
        ({"labels": {"probe": 1}}, "labels.probe"),
        ({"bare": 1}, "bare"),
    ],
    ids=str,
)
def test_path_is_what_the_caller_wrote(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        JobBody.model_validate({**BODY, **wrong})
    assert [fault.field for fault in faults_of(caught.value)] == [field]


def test_body_itself_has_a_name() -> None:
    with pytest.raises(ValidationError) as caught:
        JobBody.model_validate_json(b"{")
    assert [fault.field for fault in faults_of(caught.value)] == ["body"]
