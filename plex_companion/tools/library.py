"""Toolset `library`: the libraries as a whole."""

from __future__ import annotations

import ntpath
import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from plex_companion.companion import Companion
from plex_companion.errors import Invalid
from plex_companion.tools.ask import act, count
from plex_companion.tools.declare import Access, Id, Toolset
from plex_companion.tools.facts import as_number
from plex_companion.tools.find import find_library
from plex_companion.wire import iso

if TYPE_CHECKING:
    from plexapi.server import PlexServer

    from plex_companion.models import Section

LIBRARY = Toolset("library", "Libraries: list, count, browse, scan, refresh")


@dataclass(frozen=True, slots=True)
class Library:
    """One library, under the names callers of its predecessor know."""

    title: str
    type: str
    libraryId: int | str | None  # noqa: N815 - the contract's name
    totalSize: int | None  # noqa: N815 - the same
    uuid: str | None
    locations: list[str]
    updatedAt: str | None  # noqa: N815 - the same


@dataclass(frozen=True, slots=True)
class Libraries:
    """All libraries."""

    libraries: list[Library]
    count: int
    message: str | None = None
    status: str = field(default="success")

    def as_text(self) -> dict[str, Any]:
        """An object keyed by title; the second of two that share one is `Title (id)`."""
        keyed: dict[str, Any] = {}
        for library in self.libraries:
            key = library.title if library.title not in keyed else f"{library.title} ({library.libraryId})"
            keyed[key] = {
                "type": library.type,
                "libraryId": library.libraryId,
                "totalSize": library.totalSize,
                "uuid": library.uuid,
                "locations": library.locations,
                "updatedAt": library.updatedAt,
            }
        return keyed or {"message": self.message}


@dataclass(frozen=True, slots=True)
class ScanStarted:
    """Plex was told to look for new files."""

    success: bool
    message: str
    library_id: int | str | None


@LIBRARY.tool(Access.READ)
def library_list(plex: PlexServer, companion: Companion) -> Libraries:
    """List every library with its type, id, number of items and folders."""
    known = {section.section_id: section for section in companion.state.sections}
    sections = [_counted(plex, section, known.get(section.section_id)) for section in companion.known.sections(plex)]
    libraries = [
        Library(
            title=section.title,
            type=section.type,
            libraryId=as_number(section.section_id),
            totalSize=section.count,
            uuid=section.uuid,
            locations=list(section.locations),
            updatedAt=iso(section.updated_at),
        )
        for section in sections
    ]
    return Libraries(libraries, len(libraries), None if libraries else "This server has no libraries.")


@LIBRARY.tool(Access.WRITE)
def library_scan(plex: PlexServer, companion: Companion, library_name: Id, path: str | None = None) -> ScanStarted:
    """Make Plex look for new files in a library, or in one folder of it. The scan runs on afterwards.

    `library_name` is a library's name or id; `path` is a folder on the server, below one of the library's own.
    Watch `plex://activity` or `activity_list` for its progress.
    """
    library = find_library(plex, companion.known, library_name)
    if path is not None:
        _check_below(library, path)
    act(plex, f"/library/sections/{library.section_id}/refresh", path=path)
    started = f"Scan of '{library.title}' started" + (f" in {path}." if path else ".")
    return ScanStarted(success=True, message=started, library_id=as_number(library.section_id))


def _counted(plex: PlexServer, section: Section, known: Section | None) -> Section:
    """The section with its count: the one already known when its content has not changed since."""
    changed = section.content_changed_at
    if known is not None and known.count is not None and changed is not None and known.content_changed_at == changed:
        return replace(section, count=known.count)
    return replace(section, count=count(plex, f"/library/sections/{section.section_id}/all", includeCollections=0))


def _check_below(library: Section, path: str) -> None:
    if not any(_is_below(path, location) for location in library.locations):
        message = (
            f"'{path}' is not below a folder of library '{library.title}'. Its folders: {', '.join(library.locations)}."
        )
        raise Invalid(message, argument="path", allowed=list(library.locations))


def _is_below(path: str, location: str) -> bool:
    """By the rules of the server's own system, which need not be ours."""
    system = ntpath if "\\" in location or location[1:2] == ":" else posixpath
    inner, outer = system.normcase(system.normpath(path)), system.normcase(system.normpath(location))
    return inner == outer or str(inner).startswith(outer.rstrip("\\/") + system.sep)
