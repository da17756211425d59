"""Which spellings name the same resource."""

from __future__ import annotations

import pytest
from support.mcp_server import RESOURCES

from plex_companion.server.mcp.uri_index import UriIndex


@pytest.mark.parametrize(
    ("asked", "canonical"),
    [
        ("plex://lamp", "plex://lamp"),
        ("plex://lamp/", "plex://lamp"),
        ("PLEX://Lamp", "plex://lamp"),
        ("plex://lamp/7", "plex://lamp/7"),
        ("plex://lamp/Kitchen", "plex://lamp/Kitchen"),
        ("plex://lamp/a%20b", "plex://lamp/a%20b"),
        ("plex://lamp/a b", "plex://lamp/a%20b"),
        ("plex://lamp/%61", "plex://lamp/a"),
        ("test://anything", "test://anything"),
        ("plex://lamps", None),
        ("plex://lamp/1/2", None),
        ("plex://", None),
    ],
)
def test_a_spelling_has_one_canonical_form(asked: str, canonical: str | None) -> None:
    assert UriIndex(RESOURCES).canonicalize(asked) == canonical
