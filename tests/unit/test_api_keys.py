"""The secret with all callers: what it may say, and what is told of a wrong one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.api_keys import parse_keys

SHOP = {"name": "shop", "key": "hidden-1"}


def parsed(*entries: Any) -> list[tuple[str, str, int | None]]:
    return [(key.name, key.sees, key.allowance) for key in parse_keys(json.dumps(entries))]


def faults(secret: Any) -> list[str]:
    """What is told of it; never a key."""
    with pytest.raises(ValueError, match=r"\S") as caught:
        parse_keys(secret)
    assert "hidden" not in str(caught.value)
    return str(caught.value).split("; ")


def test_the_format_from_before_allowances_is_read_as_ever() -> None:
    assert parsed(SHOP, {"name": "operator", "key": "hidden-2", "sees": "all"}) == [
        ("shop", "own", None),
        ("operator", "all", None),
    ]


def test_every_key_has_a_name_and_may_have_an_allowance() -> None:
    assert parsed({**SHOP, "allowance": 5}) == [("shop", "own", 5)]


def test_a_name_may_have_two_keys_while_its_caller_changes_over() -> None:
    assert len(parsed(SHOP, {**SHOP, "key": "hidden-2"})) == 2


def test_all_faults_are_told_at_once_by_their_places() -> None:
    wrong = [
        SHOP,
        {"name": "SHOP", "key": "", "sees": "hidden", "allowance": 0},
        {"name": "till", "key": "hidden-1"},
        {"name": "shop", "key": "hidden-3", "allowance": 9},
        {"hidden-4": "press"},
        "hidden-5",
        {"name": "upload", "key": "hidden-6"},
    ]
    told = [fault.partition(": ")[0] for fault in faults(json.dumps(wrong))]
    assert told == [
        *("1.name", "1.key", "1.sees", "1.allowance"),
        *("4", "4.name", "4.key"),
        "5",
        "6.name",
        "0 and 2",
        "0 and 3",
    ]


@pytest.mark.parametrize("secret", ["hidden", '{"hidden": 1}', '"hidden"', "[hidden]", 7, None])
def test_a_secret_that_is_no_list_is_refused_without_its_text(secret: Any) -> None:
    assert len(faults(secret)) == 1
