"""One function per kind of thing that a tool may be asked to find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.errors import Ambiguous, NotFound
from plex_companion.plex import views

if TYPE_CHECKING:
    from plexapi.server import PlexServer

    from plex_companion.models import Section


def list_libraries(plex: PlexServer) -> list[Section]:
    """Every library, without counts. One request."""
    found = plex.query("/library/sections")
    directories = [] if found is None else found.iter("Directory")
    return [section for section in map(views.section, directories) if section is not None]


def find_library(plex: PlexServer, name: str) -> Section:
    """The library of this name, without regard to case, or of this id. One request.

    Raises:
        NotFound: none; the error lists the names.
        Ambiguous: several libraries have the name; the error lists their ids.
    """
    libraries = list_libraries(plex)
    wanted = name.strip().casefold()
    named = [library for library in libraries if library.title.casefold() == wanted]
    fitting = named or [library for library in libraries if library.section_id == wanted]
    if not fitting:
        available = [library.title for library in libraries][:50]
        message = f"No library '{name}'. Libraries: {', '.join(available) or 'none'}."
        raise NotFound(message, what="library", available=available)
    if len(fitting) > 1:
        matches = [{"title": library.title, "id": library.section_id, "type": library.type} for library in fitting]
        message = f"{len(fitting)} libraries are called '{name}': use the id of one of them instead."
        raise Ambiguous(message, argument="library_name", matches=matches)
    return fitting[0]
