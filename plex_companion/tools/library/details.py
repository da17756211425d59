"""The details of one library: its row, freshly fetched, and its settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from plex_companion.plex.lookup import find_library
from plex_companion.plex.query import get
from plex_companion.plex.ttl_cache import MINUTE
from plex_companion.plex.xml import views
from plex_companion.plex.xml.attributes import parse_identifier, read_flag, read_float, read_number, read_text, read_utc
from plex_companion.serialize import format_iso
from plex_companion.text import HIDDEN, hide_keys, mask

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.ttl_cache import TtlCache

_SECRET = re.compile(r"(?i)token|secret|passw|pwd|credential|[a-z]key$|(?:^|[_.\-])(?:key|pin)$")
Setting = str | int | float | bool | None


def get_fresh(plex: PlexServer, known: TtlCache, name: str) -> tuple[Section, str | None]:
    """Return the library with this name or id, and when it was created. One request, bypassing the cache.

    Raises:
        NotFound, Ambiguous: as `find_library`.
    """
    rows = get(plex, "/library/sections").findall("Directory")
    known.forget("sections")
    known.get_or_fetch(
        "sections", MINUTE, lambda: tuple(library for row in rows if (library := views.parse_section(row)))
    )
    library = find_library(plex, known, name)
    made = {row.get("key"): read_utc(row, "createdAt") for row in rows}
    return library, made.get(library.section_id)


def get_settings(plex: PlexServer, library: Section, *, private: bool) -> dict[str, Setting]:
    """Return the library's settings, including the scanner's and the agent's: Plex keeps one list. One request.

    Agents keep keys and passwords of other services there; these are left out, and so are e-mail addresses if
    `private`.
    """
    rows = get(plex, f"/library/sections/{library.section_id}/prefs").findall("Setting")
    named = ((read_text(row, "id") or "", row) for row in rows)
    return {name: _mask(name, _parse_value(row), private=private) for name, row in named}


def build_details(library: Section, created_at: str | None, advanced: dict[str, Setting]) -> dict[str, Any]:
    """Return the result of the tool."""
    return {
        "name": library.title,
        "library_id": parse_identifier(library.section_id),
        "type": library.type,
        "uuid": library.uuid,
        "totalItems": library.count,
        "locations": list(library.locations),
        "agent": library.agent,
        "scanner": library.scanner,
        "language": library.language,
        "refreshing": library.refreshing,
        "created_at": created_at,
        "scanned_at": format_iso(library.scanned_at),
        "content_changed_at": library.content_changed_at,
        "advancedSettings": advanced,
    }


def _mask(name: str, value: Setting, *, private: bool) -> Setting:
    if not isinstance(value, str):
        return value
    shown = hide_keys(value)
    return HIDDEN if _SECRET.search(name) else mask(shown) if private else shown


def _parse_value(row: Element) -> Setting:
    """Return a setting's value in its own type, or as text if it does not fit that type."""
    read = {"bool": read_flag, "int": read_number, "double": read_float}.get(row.get("type", ""))
    value: Setting = read(row, "value") if read else None
    return read_text(row, "value") if value is None else value
