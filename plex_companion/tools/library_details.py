"""One library as Plex keeps it: its row, asked afresh, and its settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from plex_companion.plex import views
from plex_companion.plex.known import MINUTE
from plex_companion.text import HIDDEN, mask, without_keys
from plex_companion.tools.ask import get
from plex_companion.tools.facts import as_number, flag, number, real, text, utc
from plex_companion.tools.find import find_library
from plex_companion.wire import iso

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.models import Section
    from plex_companion.plex.known import Known

_SECRET = re.compile(r"(?i)token|secret|passw|pwd|credential|[a-z]key$|(?:^|[_.\-])(?:key|pin)$")
Setting = str | int | float | bool | None


def fresh(plex: PlexServer, known: Known, name: str) -> tuple[Section, str | None]:
    """The library of this name or id, and when it was made. One request, whatever is kept.

    Raises:
        NotFound, Ambiguous: as `find_library`.
    """
    rows = get(plex, "/library/sections").findall("Directory")
    known.forget("sections")
    known.kept("sections", MINUTE, lambda: tuple(library for row in rows if (library := views.section(row))))
    library = find_library(plex, known, name)
    made = {row.get("key"): utc(row, "createdAt") for row in rows}
    return library, made.get(library.section_id)


def settings(plex: PlexServer, library: Section, *, private: bool) -> dict[str, Setting]:
    """The library's settings, scanner's and agent's among them: Plex has one list. One request.

    Agents keep keys and passwords of other services there; these are not shown, nor, with `private`, e-mail addresses.
    """
    rows = get(plex, f"/library/sections/{library.section_id}/prefs").findall("Setting")
    return {text(row, "id") or "": _harmless(text(row, "id") or "", _value(row), private=private) for row in rows}


def details(library: Section, created_at: str | None, advanced: dict[str, Setting]) -> dict[str, Any]:
    """The result."""
    return {
        "name": library.title,
        "library_id": as_number(library.section_id),
        "type": library.type,
        "uuid": library.uuid,
        "totalItems": library.count,
        "locations": list(library.locations),
        "agent": library.agent,
        "scanner": library.scanner,
        "language": library.language,
        "refreshing": library.refreshing,
        "created_at": created_at,
        "scanned_at": iso(library.scanned_at),
        "content_changed_at": library.content_changed_at,
        "advancedSettings": advanced,
    }


def _harmless(name: str, value: Setting, *, private: bool) -> Setting:
    if not isinstance(value, str):
        return value
    shown = without_keys(value)
    return HIDDEN if _SECRET.search(name) else mask(shown) if private else shown


def _value(row: Element) -> Setting:
    """A setting's value in its own type; what does not fit its type stays a text."""
    read = {"bool": flag, "int": number, "double": real}.get(row.get("type", ""))
    value: Setting = read(row, "value") if read else None
    return text(row, "value") if value is None else value
