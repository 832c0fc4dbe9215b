from __future__ import annotations

import pytest

from tests.unit.pubsub_filter import FilterError, matches

NEWS = {"domain": "com", "name": "cow", "iana.org/language_tag": "en"}


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ('attributes.domain = "com"', True),
        ('attributes.domain="com"', True),
        ('attributes.domain = "org"', False),
        ('attributes.domain = "COM"', False),
        ('attributes.absent = ""', False),
        ('attributes.domain != "org"', True),
        ('attributes.domain != "com"', False),
        ('attributes.absent != "com"', True),
        ("attributes:domain", True),
        ("attributes:absent", False),
        ("NOT attributes:absent", True),
        ("-attributes:domain", False),
        ('hasPrefix(attributes.name, "co")', True),
        ('hasPrefix(attributes.name, "ow")', False),
        ('hasPrefix(attributes.absent, "")', False),
        ('attributes."iana.org/language_tag" = "en"', True),
        ('attributes.domain = "c\\u006fm"', True),
        ('attributes:name AND attributes.domain = "com"', True),
        ('attributes:name AND attributes.domain = "org"', False),
        ('attributes:absent OR attributes.domain = "com"', True),
        ("attributes:a OR attributes:b OR attributes:name", True),
        ("NOT attributes:absent AND attributes:name", True),
        ("NOT (attributes:name OR attributes:absent)", False),
        ('attributes:name AND (attributes.domain = "net" OR attributes.domain = "com")', True),
        ('(attributes:name AND attributes:absent) OR attributes.domain = "com"', True),
    ],
)
def test_filters_pass_and_stop_messages(text: str, passes: bool) -> None:
    assert matches(text, NEWS) is passes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "attributes:a AND attributes:b OR attributes:c",
        "attributes:a OR attributes:b AND attributes:c",
        'attributes.domain = "com" or attributes:b',
        "attributes.domain = com",
        "attributes.domain = 'com'",
        'attributes.domain == "com"',
        'attributes.domain > "com"',
        'domain = "com"',
        "attributes.domain",
        "(attributes:domain",
        "attributes:domain)",
        "attributes:domain attributes:name",
        "hasPrefix(attributes.domain)",
        'hasSuffix(attributes.domain, "m")',
        'data = "x"',
        'attributes.domain = "' + "x" * 250 + '"',
    ],
)
def test_what_pubsub_refuses_is_an_error(text: str) -> None:
    with pytest.raises(FilterError):
        matches(text, NEWS)
