"""JSON that no client of ours sends: as whole bodies, and in the place of each value of a good body."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_DEEP: Final = 100_000
#: In the place of one value; as JSON's text, since not all of it is what a JSON writer would write.
VALUES: Final[Mapping[str, bytes]] = {
    "null": b"null",
    "true": b"true",
    "negative": b"-1",
    "zero": b"0",
    "huge integer": b"9" * 4000,
    "beyond 64 bits": b"18446744073709551616",
    "infinite": b"1e999",
    "NaN": b"NaN",
    "fraction": b"0.5",
    "empty": b'""',
    "list": b"[]",
    "object": b"{}",
    "list of null": b"[null]",
    "object in list": b'[{"a": [1, {"b": null}]}]',
    "deep": b"[" * _DEEP + b"]" * _DEEP,
    "long": b'"' + b"A" * 300_000 + b'"',
    "NUL": rb'"a\u0000b"',
    "lone surrogate": rb'"a\ud800b"',
    "surrogates the wrong way round": rb'"\udc00\ud800"',
    "not UTF-8": b'"\xff\xfe"',
    "lines": rb'"a\r\nX-Evil: 1\r\n\r\n{\"severity\": \"EMERGENCY\"}"',
    "other line ends": rb'"a\u2028b\u2029c\u0085d\u000be"',
    "terminal": rb'"\u001b[2J\u001b]0;title\u0007\u009b31m"',
    "right to left": rb'"a\u202egpj.4pm"',
    "traversal": rb'"../../../state/jobs/x"',
    "absolute": rb'"/etc/passwd"',
    "dots": rb'".."',
    "metadata": b'"https://metadata.google.internal/computeMetadata/v1/"',
    "markup": b'"<script>alert(1)</script><!channel>{{7*7}}${jndi:ldap://x}"',
    "format": b'"%s%n%(name)s{0.__class__}"',
}
#: In the place of everything.
BODIES: Final[Mapping[str, bytes]] = {
    **VALUES,
    "nothing": b"",
    "space": b" ",
    "half": b'{"message": {"data": "',
    "open lists": b"[" * _DEEP,
    "open objects": b'{"a":' * _DEEP,
    "mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "many names": json.dumps({f"n{number}": number for number in range(50_000)}).encode(),
    "too large": b'"' + b"A" * 1_000_001 + b'"',
    "form": b"a=1&b=2",
    "two": b"{}{}",
}


def spoilt(good: Any, *, every: int = 1) -> Iterator[tuple[str, bytes]]:
    """A good body with each of its values, and each of its objects, spoilt; and with all names doubled.

    In every way, or by turns in each `every`th way.
    """
    mark = "spoilt-here"
    for turn, path in enumerate(_paths(good)):
        text = json.dumps(_with(good, path, mark)).encode()
        for name, value in list(VALUES.items())[turn % every :: every]:
            yield f"{'.'.join(map(str, path))}: {name}", text.replace(json.dumps(mark).encode(), value)
    if isinstance(good, dict):
        text = json.dumps(good).encode()
        yield "doubled", text[:-1] + b"," + text[1:]


def pushed(data: bytes, **attributes: Any) -> bytes:
    """Inside a Pub/Sub push."""
    message = {"data": base64.b64encode(data).decode(), "messageId": "17", "attributes": attributes}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*path, key)
        yield from _paths(each, (*path, key))


def _with(value: Any, path: tuple[str | int, ...], replacement: Any) -> Any:
    if not path:
        return replacement
    first, *rest = path
    changed = value.copy()
    changed[first] = _with(value[first], tuple(rest), replacement)
    return changed
