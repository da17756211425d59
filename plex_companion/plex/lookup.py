"""One function for each kind of thing that a tool may have to find."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from plex_companion.errors import Ambiguous, Invalid, NotFound, PlexError
from plex_companion.names.title_years import split_year
from plex_companion.plex.query import get, get_or_none
from plex_companion.plex.titles import cut_query, get_titles, list_queries, match_title
from plex_companion.plex.xml.attributes import (
    describe_match,
    parse_identifier,
    read_kind,
    read_number,
    read_text,
    shorten,
)
from plex_companion.text import format_count

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from xml.etree.ElementTree import Element

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.titles import TitleMatches
    from plex_companion.plex.ttl_cache import TtlCache

MEDIA = ("movie", "show", "season", "episode", "artist", "album", "track", "photo", "clip")
ROWS = frozenset({"Video", "Directory", "Track", "Photo"})
SEARCHED, MORE = 50, 200
"""Items of each kind in the first search, and in those for words of the title."""
RIGHT_TOOL = {"playlist": "the playlist_ tools", "collection": "the collection_ tools"}


@dataclass(frozen=True, slots=True)
class FoundItem:
    """An item, and how it was found: by `id`, by its `exact` title, or because its title is `alike` or `contains` the words."""

    row: Element
    matched: Literal["id", "exact", "alike", "contains"]

    @property
    def guess(self) -> dict[str, str]:
        """The note of a result when the item may not be the one that was meant."""
        return {"matched": self.matched} if self.matched in {"alike", "contains"} else {}


def find_library(plex: PlexServer, known: TtlCache, name: str, *, writes: bool = False) -> Section:
    """Return the library of this name or id. At most one request.

    Raises:
        NotFound: there is none; the error lists the names.
        Ambiguous: several libraries have the name; the error lists their ids.
        MultipleMatches: several have a similar name, or, for writes, one has.
    """
    libraries = known.list_sections(plex)
    matches = match_title(libraries, name, lambda library: [library.title])
    by_id = [library for library in libraries if library.section_id == name.strip()]
    fitting = matches.exact or by_id or matches.alike
    if not fitting:
        available = [library.title for library in libraries][:50]
        message = f"No library '{name}'. Libraries: {', '.join(available) or 'none'}."
        raise NotFound(message, what="library", available=available)
    if len(fitting) > 1 and matches.exact:
        described = [_describe_library(library) for library in fitting]
        message = f"{len(fitting)} libraries are called '{name}': use the id of one of them instead."
        raise Ambiguous(message, argument="library_name", matches=described)
    if fitting is matches.alike and (writes or len(fitting) > 1):
        described = [_describe_library(library) for library in fitting]
        message = f"No library is called exactly '{name}': repeat the call with the id of the one that is meant."
        raise MultipleMatches(message, described, argument="library_name")
    return fitting[0]


def _describe_library(library: Section) -> dict[str, Any]:
    identifier = parse_identifier(library.section_id)
    return {"title": library.title, "id": identifier, "rating_key": identifier, "type": library.type}


def find_by_id(
    plex: PlexServer, rating_key: str, kinds: Collection[str] = MEDIA, argument: str = "media_id"
) -> Element:
    """Return the item of this id. One request.

    Raises:
        NotFound: Plex has no such item.
        Invalid: the id is malformed, or of another kind; the error names the kind and the right tool.
    """
    if not rating_key.strip().isdecimal():
        raise Invalid(
            f"{argument} must be a number, as rating_key in other answers; got '{rating_key}'.", argument=argument
        )
    found = get_or_none(plex, f"/library/metadata/{rating_key.strip()}")
    row = (
        next((child for child in found if child.tag in ROWS or child.tag == "Playlist"), None)
        if found is not None
        else None
    )
    if row is None:
        raise NotFound(f"Plex has no item with id {rating_key}. media_search finds ids.", what="item")
    if row.get("ratingKey") != rating_key.strip():
        raise PlexError(f"Plex was asked for item {rating_key} and answered with another one. Nothing was changed.")
    if read_kind(row) not in kinds:
        right = RIGHT_TOOL.get(read_kind(row) or "", "another tool")
        message = (
            f"{argument} {rating_key} is a {read_kind(row)} ('{read_text(row, 'title')}'), and this tool takes "
            f"{', '.join(kinds)}: use {right}."
        )
        raise Invalid(message, argument=argument, allowed=list(kinds))
    return row


def find_item(
    plex: PlexServer,
    known: TtlCache,
    *,
    title: str | None,
    media_id: str | None,
    library_name: str | None = None,
    kinds: Collection[str] = MEDIA,
    writes: bool,
    match: Callable[[Element], dict[str, Any]] = describe_match,
) -> FoundItem:
    """Return the one item that is meant. An id beats a title. A title must match exactly, or for reads be the only match.

    `match` describes one of several matches.

    Raises:
        Invalid: neither id nor title, or the id of another kind.
        NotFound: nothing matches.
        MultipleMatches: more than one matches, or, for writes, nothing matches exactly.
    """
    if media_id is not None:
        return FoundItem(find_by_id(plex, media_id, kinds), "id")
    if title is None or not title.strip():
        raise Invalid("Name the item: media_id or media_title is needed.", argument="media_title")
    section = find_library(plex, known, library_name, writes=writes) if library_name is not None else None
    return pick_row(match_item_title(search(plex, title, section, kinds), title), title, writes=writes, match=match)


def search(plex: PlexServer, title: str, section: Section | None, kinds: Collection[str] = MEDIA) -> list[Element]:
    """Return the items whose title matches, each once.

    One request; up to two more while nothing matches, three in a library. There the second lists the items with these words
    in their title, which the search misses.
    """
    found: dict[str, Element] = {}
    asks: list[Callable[[], list[Element]]] = [
        partial(_search_hubs, plex, query, section, kinds, MORE if place else SEARCHED)
        for place, query in enumerate(list_queries(title))
    ]
    if section is not None:
        asks.insert(1, partial(_list_candidates, plex, cut_query(title.strip()), section, kinds))
    for ask in asks:
        matches = match_item_title(ask(), title)
        found |= {row.get("ratingKey", ""): row for row in matches.every if row.get("ratingKey")}
        if matches.exact or matches.alike or (matches.containing and split_year(title) is None):
            break
    return list(found.values())


def match_item_title(rows: Iterable[Element], title: str) -> TitleMatches[Element]:
    """Sort items by how well their title matches; a year in brackets after the title counts."""
    return match_title(rows, title, get_titles, lambda row: read_number(row, "year"))


def _search_hubs(
    plex: PlexServer, query: str, section: Section | None, kinds: Collection[str], limit: int
) -> list[Element]:
    hubs = get(
        plex,
        "/hubs/search",
        query=query,
        limit=limit,
        sectionId=section.section_id if section else None,
        includeCollections=1,
        includeExternalMedia=1,
    )
    rows = [row for hub in hubs.iter("Hub") for row in hub if row.tag in ROWS and read_kind(row) in kinds]
    return [row for row in rows if section is None or row.get("librarySectionID") == section.section_id]


def _list_candidates(plex: PlexServer, title: str, section: Section, kinds: Collection[str]) -> list[Element]:
    rows = get(plex, f"/library/sections/{section.section_id}/all", title=title)
    return [row for row in rows if row.tag in ROWS and read_kind(row) in kinds]


def pick_row(
    matches: TitleMatches[Element],
    title: str,
    *,
    writes: bool,
    what: str = "item",
    match: Callable[[Element], dict[str, Any]] = describe_match,
    finder: str = "media_search",
) -> FoundItem:
    """Return the row that is meant by a title; see `find_item`. `match` describes a match, `finder` names the tool that lists all."""
    if len(matches.exact) == 1:
        return FoundItem(matches.exact[0], "exact")
    if not matches.every:
        raise NotFound(f"Nothing is called '{title}'. Check the spelling, or use {finder}.", what=what)
    if len(matches.best) == 1 and not writes and not matches.offered:
        return FoundItem(matches.best[0], "alike" if matches.alike else "contains")
    changed = " Nothing has been changed." if writes else ""
    message = f"{_name_match(matches, title)}: repeat the call with the id of the one that is meant.{changed}"
    argument = "media_id" if what == "item" else f"{what}_id"
    raise MultipleMatches(message, [match(row) for row in matches.best], argument=argument)


def _name_match(matches: TitleMatches[Element], title: str) -> str:
    """Describe how several matches, or one that is not exact, relate to the title."""
    many = len(matches.best)
    if matches.exact:
        return f"{many} titles fit '{title}'"
    if matches.alike:
        return f"No title is exactly '{title}', {format_count(many, 'title is', 'titles are')} spelled almost like it"
    if matches.offered:
        return f"There is no '{title}' of that year, but {many} of another"
    return f"{many} titles contain '{title}'"


SHOWN = 25
"""Matches that are listed."""
LONGEST = 2000
"""Characters of a message, which may quote what the caller gave."""


class MultipleMatches(Exception):
    """Ends a tool with the list of matches; `call_tool` turns it into the answer."""

    def __init__(
        self, message: str, matches: Sequence[dict[str, Any]], *, argument: str | None = None, **more: object
    ) -> None:
        super().__init__(message)
        self.argument = argument
        """The argument that takes the id of one of the matches."""
        self.matches = list(matches[:SHOWN])
        self.structured = {
            "status": "multiple_matches",
            "message": shorten(message, LONGEST),
            "count": len(matches),
            "matches": self.matches,
            **more,
        }
