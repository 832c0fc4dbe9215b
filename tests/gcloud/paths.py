"""Globs over resource paths: `*` is one name, `**` is anything."""

from __future__ import annotations

import re
from functools import cache


def matches(path: str, glob: str) -> bool:
    return _pattern(glob).fullmatch(path) is not None


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(re.escape(glob).replace(r"\*\*", ".*").replace(r"\*", "[^/]*"))
