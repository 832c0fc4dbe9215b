"""The table of formats holds together."""

from __future__ import annotations

from shared.formats import FORMATS
from tests.unit.samples import MEDIA_TYPES


def test_every_format_has_a_media_type_of_its_own_kind_and_unique_canonical_name() -> None:
    canonical = [row.content_types[0] for row in FORMATS.values()]

    assert len(set(canonical)) == len(canonical)
    assert all(name == name.lower() and name.isalnum() for name in FORMATS)
    for row in FORMATS.values():
        assert all(name == name.lower() for name in (*row.content_types, *row.extensions))
        if row.file_type in MEDIA_TYPES - {"mxf"}:
            assert row.content_types[0].startswith(f"{row.kind}/")
