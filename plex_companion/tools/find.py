"""One function per kind of thing that a tool may be asked to find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from plex_companion.errors import Ambiguous, Invalid, NotFound, PlexError
from plex_companion.tools.ask import get, get_if_there
from plex_companion.tools.facts import as_number, kind, match_of, text
from plex_companion.tools.several import Several

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.models import Section
    from plex_companion.plex.known import Known

MEDIA = ("movie", "show", "season", "episode", "artist", "album", "track", "photo", "clip")
ROWS = frozenset({"Video", "Directory", "Track", "Photo"})
SEARCHED = 50
RIGHT_TOOL = {"playlist": "the playlist_ tools", "collection": "the collection_ tools"}


@dataclass(frozen=True, slots=True)
class Found:
    """An item, and how it was found: by `id`, by its `exact` title, or because its title `contains` what was asked."""

    row: Element
    matched: Literal["id", "exact", "contains"]


def find_library(plex: PlexServer, known: Known, name: str) -> Section:
    """The library of this name, without regard to case, or of this id. At most one request.

    Raises:
        NotFound: none; the error lists the names.
        Ambiguous: several libraries have the name; the error lists their ids.
    """
    libraries = known.sections(plex)
    wanted = name.strip().casefold()
    named = [library for library in libraries if library.title.casefold() == wanted]
    fitting = named or [library for library in libraries if library.section_id == wanted]
    if not fitting:
        available = [library.title for library in libraries][:50]
        message = f"No library '{name}'. Libraries: {', '.join(available) or 'none'}."
        raise NotFound(message, what="library", available=available)
    if len(fitting) > 1:
        matches = [_library_match(library) for library in fitting]
        message = f"{len(fitting)} libraries are called '{name}': use the id of one of them instead."
        raise Ambiguous(message, argument="library_name", matches=matches)
    return fitting[0]


def _library_match(library: Section) -> dict[str, Any]:
    identifier = as_number(library.section_id)
    return {"title": library.title, "id": identifier, "rating_key": identifier, "type": library.type}


def find_by_id(
    plex: PlexServer, rating_key: str, kinds: Collection[str] = MEDIA, argument: str = "media_id"
) -> Element:
    """The item of this id. One request.

    Raises:
        NotFound: Plex has no such item.
        Invalid: the id is no id, or another kind's; the error names the kind found and the right tool.
    """
    if not rating_key.strip().isdecimal():
        raise Invalid(
            f"{argument} must be a number, as rating_key in other answers; got '{rating_key}'.", argument=argument
        )
    found = get_if_there(plex, f"/library/metadata/{rating_key.strip()}")
    row = (
        next((child for child in found if child.tag in ROWS or child.tag == "Playlist"), None)
        if found is not None
        else None
    )
    if row is None:
        raise NotFound(f"Plex has no item with id {rating_key}. media_search finds ids.", what="item")
    if row.get("ratingKey") != rating_key.strip():
        raise PlexError(f"Plex was asked for item {rating_key} and answered with another one. Nothing was changed.")
    if kind(row) not in kinds:
        right = RIGHT_TOOL.get(kind(row) or "", "another tool")
        message = (
            f"{argument} {rating_key} is a {kind(row)} ('{text(row, 'title')}'), and this tool takes "
            f"{', '.join(kinds)}: use {right}."
        )
        raise Invalid(message, argument=argument, allowed=list(kinds))
    return row


def find_item(
    plex: PlexServer,
    known: Known,
    *,
    title: str | None,
    media_id: str | None,
    library_name: str | None = None,
    kinds: Collection[str] = MEDIA,
    writes: bool,
    match: Callable[[Element], dict[str, Any]] = match_of,
) -> Found:
    """The one item that is meant. An id beats a title; a title must fit exactly, or for reads be the only one to fit.

    `match` shows one of several.

    Raises:
        Invalid: neither id nor title, or the id of another kind.
        NotFound: nothing fits.
        Several: more than one fits, or, for writes, nothing fits exactly.
    """
    if media_id is not None:
        return Found(find_by_id(plex, media_id, kinds), "id")
    if title is None or not title.strip():
        raise Invalid("Name the item: media_id or media_title is needed.", argument="media_title")
    section = find_library(plex, known, library_name) if library_name is not None else None
    return pick(search(plex, title, section, kinds), title, writes=writes, match=match)


def search(plex: PlexServer, title: str, section: Section | None, kinds: Collection[str] = MEDIA) -> list[Element]:
    """Items whose title contains these words. One request, two when a library is named and the first finds nothing."""
    hubs = get(
        plex,
        "/hubs/search",
        query=title,
        limit=SEARCHED,
        sectionId=section.section_id if section else None,
        includeCollections=1,
        includeExternalMedia=1,
    )
    rows = [row for hub in hubs.iter("Hub") for row in hub if row.tag in ROWS and kind(row) in kinds]
    if section is not None:
        rows = [row for row in rows if row.get("librarySectionID") == section.section_id]
        fitting = _fitting(rows, title)
        if not fitting:
            listed = get(plex, f"/library/sections/{section.section_id}/all", title=title)
            rows = [row for row in listed if row.tag in ROWS and kind(row) in kinds]
    return _fitting(rows, title)


def _fitting(rows: Sequence[Element], title: str) -> list[Element]:
    """Those whose title contains it: the hubs also return what is only spelt alike. Each item once."""
    wanted = title.strip().casefold()
    by_key = {row.get("ratingKey"): row for row in rows if wanted in row.get("title", "").casefold()}
    return [row for key, row in by_key.items() if key]


def pick(
    rows: Sequence[Element],
    title: str,
    *,
    writes: bool,
    what: str = "item",
    match: Callable[[Element], dict[str, Any]] = match_of,
    finder: str = "media_search",
) -> Found:
    """The row that is meant by a title; see `find_item`. `match` shows one of several, `finder` is a tool that lists all."""
    wanted = title.strip().casefold()
    exact = [row for row in rows if row.get("title", "").strip().casefold() == wanted]
    if len(exact) == 1:
        return Found(exact[0], "exact")
    fitting = exact or list(rows)
    if not fitting:
        raise NotFound(f"Nothing is called '{title}'. Check the spelling, or use {finder}.", what=what)
    if len(fitting) == 1 and not writes:
        return Found(fitting[0], "contains")
    changed = " Nothing has been changed." if writes else ""
    how = "fit" if exact else "contain"
    message = f"{len(fitting)} titles {how} '{title}': repeat the call with the id of the one that is meant.{changed}"
    raise Several(message, [match(row) for row in fitting])
