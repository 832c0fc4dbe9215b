"""The Pub/Sub filter language, evaluated: the emulator accepts any filter and applies none.

Grammar (https://cloud.google.com/pubsub/docs/subscription-message-filter): `attributes:KEY`, `attributes.KEY = "…"`,
`attributes.KEY != "…"` (true for a message without the key, too), `hasPrefix(attributes.KEY, "…")`, NOT or `-`,
AND, OR, parentheses. AND and OR side by side need parentheses. Operators are upper case; at most 256 bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z0-9_][\w-]*)|(?P<mark>!=|[=:.(),-]))')


class FilterError(ValueError):
    """A filter that Pub/Sub would refuse."""


def matches(text: str, attributes: Mapping[str, str]) -> bool:
    """Does the filter pass a message with these attributes? Raises FilterError for what is no filter."""
    if len(text.encode()) > 256:
        raise FilterError("longer than 256 bytes")
    parser = _Parser(_tokens(text), attributes)
    result = parser.expression()
    if parser.peek() is not None:
        raise FilterError(f"unexpected {parser.peek()!r}")
    return result


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while text[at:].strip():
        if (match := _TOKEN.match(text, at)) is None:
            raise FilterError(f"unexpected {text[at:].strip()[0]!r}")
        tokens.append(match.group().strip())
        at = match.end()
    return tokens


@dataclass
class _Parser:
    """Recursive descent that evaluates as it reads; both sides of AND and OR are always read."""

    tokens: list[str]
    attributes: Mapping[str, str]

    def peek(self) -> str | None:
        return self.tokens[0] if self.tokens else None

    def take(self, *expected: str) -> str:
        token = self.peek()
        if token is None or (expected and token not in expected):
            raise FilterError(f"expected {' or '.join(expected) or 'more'}, found {token!r}")
        return self.tokens.pop(0)

    def expression(self) -> bool:
        result, operator = self.term(), self.peek()
        while self.peek() in ("AND", "OR"):
            if self.take() != operator:
                raise FilterError("AND and OR need parentheses between them")
            right = self.term()
            result = result and right if operator == "AND" else result or right
        return result

    def term(self) -> bool:
        if self.peek() in ("NOT", "-"):
            self.take()
            return not self.term()
        if self.peek() == "(":
            self.take()
            result = self.expression()
            self.take(")")
            return result
        return self.prefix() if self.peek() == "hasPrefix" else self.comparison()

    def prefix(self) -> bool:
        for token in ("hasPrefix", "(", "attributes", "."):
            self.take(token)
        key = self.key()
        self.take(",")
        start = self.string()
        self.take(")")
        return key in self.attributes and self.attributes[key].startswith(start)

    def comparison(self) -> bool:
        self.take("attributes")
        if self.take(":", ".") == ":":
            return self.key() in self.attributes
        key, operator, value = self.key(), self.take("=", "!="), self.string()
        return (self.attributes.get(key) == value) == (operator == "=")

    def key(self) -> str:
        token = self.take()
        if token.startswith('"'):
            return str(json.loads(token))
        if not re.fullmatch(r"[\w-]+", token):
            raise FilterError(f"expected a key, found {token!r}")
        return token

    def string(self) -> str:
        token = self.take()
        if not token.startswith('"'):
            raise FilterError(f"expected a string in double quotes, found {token!r}")
        return str(json.loads(token))
