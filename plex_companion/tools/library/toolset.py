"""Toolset `library`: the libraries as a whole."""

from __future__ import annotations

import ntpath
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from msgspec.structs import replace
from pydantic import Field

from plex_companion.changes.activities import SCAN
from plex_companion.companion import Companion
from plex_companion.errors import Invalid
from plex_companion.plex.lookup import find_library
from plex_companion.plex.query import call_action, count_rows
from plex_companion.plex.xml.attributes import parse_identifier
from plex_companion.serialize import format_iso
from plex_companion.tools.declare import Access, FollowedWork, Json, Shape, Toolset
from plex_companion.tools.library import contents, details, recent, stats
from plex_companion.tools.library.library_results import LibraryDetails, LibraryPage, LibraryStatistics, RecentlyAdded
from plex_companion.tools.parameters import LibraryName, Username
from plex_companion.tools.users import switch_user

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer

LIBRARY = Toolset("library", "Libraries: list, count, browse, scan, refresh")


@dataclass(frozen=True, slots=True)
class Library:
    """One library, under the names that callers of the predecessor know."""

    title: str
    type: str
    libraryId: int | str | None  # noqa: N815 - the contract's name
    totalSize: int | None  # noqa: N815 - the contract's name
    uuid: str | None
    locations: list[str]
    updatedAt: str | None  # noqa: N815 - the contract's name


@dataclass(frozen=True, slots=True)
class Libraries:
    """All libraries."""

    libraries: list[Library]
    count: int
    message: str | None = None
    status: str = field(default="success")

    def as_text(self) -> dict[str, Any]:
        """Return an object keyed by title. A repeated title becomes `Title (id)`."""
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
class RefreshStarted:
    """A metadata refresh that Plex has started."""

    success: bool
    message: str
    libraries: list[str]
    library_ids: list[int | str | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ScanStarted:
    """A scan for new files that Plex has started."""

    success: bool
    message: str
    library_id: int | str | None


def _follow_refresh(found: Mapping[str, Any]) -> FollowedWork:
    """Plex reports the refresh of a library as an activity of the type of a scan."""
    return FollowedWork(SCAN, tuple(map(str, found["library_ids"])))


@LIBRARY.tool(Access.READ, title="List libraries")
def library_list(plex: PlexServer, companion: Companion) -> Libraries:
    """List all libraries with type, id, number of items and folders."""
    known = {section.section_id: section for section in companion.state.sections}
    sections = [
        _update_count(plex, section, known.get(section.section_id))
        for section in companion.ttl_cache.list_sections(plex)
    ]
    libraries = [
        Library(
            title=section.title,
            type=section.type,
            libraryId=parse_identifier(section.section_id),
            totalSize=section.count,
            uuid=section.uuid,
            locations=list(section.locations),
            updatedAt=format_iso(section.updated_at),
        )
        for section in sections
    ]
    return Libraries(libraries, len(libraries), None if libraries else "This server has no libraries.")


@LIBRARY.tool(Access.READ, title="Library in figures")
def library_get_stats(
    plex: PlexServer, companion: Companion, library_name: LibraryName
) -> Annotated[dict[str, Any], Shape(LibraryStatistics)]:
    """Count what a library holds and list its most frequent genres, directors, studios, decades, artists and albums.

    `unwatchedShows` have at least one unwatched episode. `topArtists`, `topAlbums` and `totalPlays` count plays; the
    other lists count items. In libraries with more than 10,000 items the lists are a sample (`sampled`). They may be
    ten minutes old.
    """
    return stats.compute_stats(plex, companion.ttl_cache, find_library(plex, companion.ttl_cache, library_name))


@LIBRARY.tool(Access.WRITE, title="Refresh metadata", additive=True, follow=_follow_refresh)
def library_refresh(plex: PlexServer, companion: Companion, library_name: LibraryName | None = None) -> RefreshStarted:
    """Refresh all metadata and artwork of a library. Without `library_name`, refresh all libraries.

    Slow; runs in the background. To find new files, use `library_scan`, which is quick.
    """
    known = companion.ttl_cache
    libraries = (
        known.list_sections(plex) if library_name is None else (find_library(plex, known, library_name, writes=True),)
    )
    call_action(plex, f"/library/sections/{'all' if library_name is None else libraries[0].section_id}/refresh?force=1")
    titles = [library.title for library in libraries]
    ids = [parse_identifier(library.section_id) for library in libraries]
    message = f"Refresh started: {', '.join(titles) or 'nothing'}."
    return RefreshStarted(success=True, message=message, libraries=titles, library_ids=ids)


@LIBRARY.tool(
    Access.WRITE, title="Scan for new files", follow=lambda found: FollowedWork(SCAN, (str(found["library_id"]),))
)
def library_scan(
    plex: PlexServer,
    companion: Companion,
    library_name: LibraryName,
    path: Annotated[
        str | None, Field(description="A folder on the server, inside one of the library's folders.")
    ] = None,
) -> ScanStarted:
    """Scan a library, or one of its folders, for new files. Runs in the background.

    Follow the progress with `activity_list`.
    """
    library = find_library(plex, companion.ttl_cache, library_name, writes=True)
    if path is not None:
        _check_below(library, path)
    call_action(plex, f"/library/sections/{library.section_id}/refresh", path=path)
    started = f"Scan of '{library.title}' started" + (f" in {path}." if path else ".")
    return ScanStarted(success=True, message=started, library_id=parse_identifier(library.section_id))


@LIBRARY.tool(Access.READ, title="Show a library")
def library_get_details(
    plex: PlexServer, companion: Companion, library_name: LibraryName
) -> Annotated[dict[str, Any], Shape(LibraryDetails)]:
    """Show a library's folders, agent, scanner, language, settings, and when it was last scanned or changed.

    `content_changed_at` is Plex's own counter, not a time.
    """
    library, created_at = details.get_fresh(plex, companion.ttl_cache, library_name)
    known = {section.section_id: section for section in companion.state.sections}
    counted = _update_count(plex, library, known.get(library.section_id))
    settings = details.get_settings(plex, library, private=companion.settings.privacy)
    return details.build_details(counted, created_at, settings)


@LIBRARY.tool(Access.READ, title="Recently added", aliases={"limit": "count"})
def library_get_recently_added(
    plex: PlexServer,
    companion: Companion,
    count: Annotated[int, Field(description="1 to 500.")] = 50,
    library_name: LibraryName | None = None,
) -> Annotated[Json, Shape(RecentlyAdded)]:
    """List the most recently added items, newest first, grouped by type.

    For one library: films, episodes, albums or photos. Without `library_name`: grouped as Plex does, shows by season
    and music by album.
    """
    recent.clamp_count(count)
    library = None if library_name is None else find_library(plex, companion.ttl_cache, library_name)
    return recent.get_recent(plex, library, count)


@LIBRARY.tool(Access.READ, title="Browse a library")
def library_get_contents(
    plex: PlexServer,
    companion: Companion,
    library_name: LibraryName | None = None,
    unwatched: bool = False,
    watched: bool = False,
    sort: Annotated[str | None, Field(description="Such as titleSort:asc, addedAt:desc, year:desc, random.")] = None,
    offset: int = 0,
    limit: int = 50,
    genre: str | None = None,
    year: int | str | None = None,
    content_rating: str | None = None,
    director: str | None = None,
    actor: str | None = None,
    writer: str | None = None,
    resolution: Annotated[str | None, Field(description="sd, 480, 576, 720, 1080, 2k, 4k or 8k.")] = None,
    network: str | None = None,
    studio: str | None = None,
    username: Username | None = None,
    title: Annotated[str | None, Field(description="Words of the title.")] = None,
    media_type: Annotated[str | None, Field(description="movie, show, episode, artist, album or track.")] = None,
) -> Annotated[Json, Shape(LibraryPage)]:
    """List the items of a library, filtered and sorted, with their watched state.

    Without `library_name`, lists all libraries and needs `media_type`. Not every media type has every filter; an
    unknown filter value is an error that lists the valid ones. `limit` is at most 500.
    """
    filters = {"genre": genre, "year": year, "content_rating": content_rating, "director": director, "actor": actor,
               "writer": writer, "resolution": resolution, "network": network, "studio": studio}  # fmt: skip
    asked = contents.build_query(
        media_type, unwatched=unwatched, watched=watched, sort=sort, title=title, filters=filters, offset=offset,
        limit=limit, everywhere=library_name is None,
    )  # fmt: skip
    library = None if library_name is None else find_library(plex, companion.ttl_cache, library_name)
    return contents.get_contents(switch_user(plex, companion, username), library, asked)


def _update_count(plex: PlexServer, section: Section, known: Section | None) -> Section:
    """Return the section with its count. The known count is reused if the content has not changed since."""
    changed = section.content_changed_at
    if known is not None and known.count is not None and changed is not None and known.content_changed_at == changed:
        return replace(section, count=known.count)
    return replace(section, count=count_rows(plex, f"/library/sections/{section.section_id}/all", includeCollections=0))


def _check_below(library: Section, path: str) -> None:
    if not any(_is_below(path, location) for location in library.locations):
        message = f"'{path}' is not inside a folder of library '{library.title}'. Its folders: {', '.join(library.locations)}."
        raise Invalid(message, argument="path", allowed=list(library.locations))


def _is_below(path: str, location: str) -> bool:
    """Compare paths by the rules of the server's operating system, which need not be ours."""
    system = ntpath if "\\" in location or location[1:2] == ":" else posixpath
    inner, outer = system.normcase(system.normpath(path)), system.normcase(system.normpath(location))
    return inner == outer or str(inner).startswith(outer.rstrip("\\/") + system.sep)
