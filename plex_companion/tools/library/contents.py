"""One page of a library or of all libraries: filtered, sorted, as one user sees it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid
from plex_companion.models import TYPE_NUMBERS
from plex_companion.plex.lookup import match_item_title
from plex_companion.plex.query import BRIEF, ResultPage, build_path, clamp_limit, get_page
from plex_companion.plex.titles import cut_query, list_queries
from plex_companion.plex.xml.attributes import read_kind as kind_of_row
from plex_companion.tools.library.filters import KINDS, check_filters, choose_kind, resolve_filters
from plex_companion.tools.library.listing_items import describe_item, get_albums
from plex_companion.tools.library.recent import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer

MOST_ITEMS = 500
_DIRECTION = re.compile(r":(?:asc|desc)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ContentsQuery:
    """The query of a listing. `unwatched` is true for unwatched items, false for watched ones, `None` for both."""

    media_type: str | None
    unwatched: bool | None
    sort: str | None
    title: str | None
    filters: Mapping[str, Any]
    offset: int
    limit: int


def build_query(
    media_type: str | None,
    *,
    unwatched: bool,
    watched: bool,
    sort: str | None,
    title: str | None,
    filters: Mapping[str, Any],
    offset: int,
    limit: int,
    everywhere: bool,
) -> ContentsQuery:
    """Return the query, checked as far as possible without a request.

    Raises:
        Invalid: an impossible argument, both watched flags, or no type for all libraries.
    """
    if unwatched and watched:
        raise Invalid("Use either unwatched or watched, not both.", argument="watched")
    if everywhere:
        choose_kind(None, media_type)
        if media_type is None:
            message = f"Without library_name, media_type is required: one of {', '.join(KINDS)}."
            raise Invalid(message, argument="media_type", allowed=list(KINDS))
    sort = None if sort is None else _DIRECTION.sub(lambda found: found[0].lower(), sort.strip())
    check_filters(sort, filters)
    seen = unwatched if unwatched or watched else None
    return ContentsQuery(media_type, seen, sort, title, filters, offset, clamp_limit(limit, MOST_ITEMS, offset))


def get_contents(plex: PlexServer, library: Section | None, asked: ContentsQuery) -> dict[str, Any]:
    """Return the page. One request, plus one per filter by name, one for artists, and two if no title has that
    spelling.
    """
    kind = choose_kind(library, asked.media_type)
    path = "/library/all" if library is None else f"/library/sections/{library.section_id}/all"
    params = _build_params(plex, library, kind, asked)
    found = get_page(plex, build_path(path, params), asked.offset, asked.limit)
    if asked.title and not found.rows and not found.total:
        found = _find_other_spelling(plex, path, params, asked.title, asked) or found
    artists = [row for row in found.rows if kind_of_row(row) == "artist"]
    albums = get_albums(plex, path, artists) if artists else None
    items = [describe_item(row, library, albums) for row in found.rows]
    facts = found.as_dict()
    name, type_ = (EVERYWHERE, kind) if library is None else (library.title, library.type)
    return {
        "name": name,
        "type": type_,
        "totalItems": facts.pop("total"),
        **facts,
        **({} if items else {"message": "Nothing fits."}),
        "items": items,
    }


def _find_other_spelling(
    plex: PlexServer, path: str, params: Mapping[str, object], title: str, asked: ContentsQuery
) -> ResultPage | None:
    """Return the page of items whose title has another spelling, which Plex's own search misses."""
    for query in list_queries(title)[1:]:
        rows = get_page(plex, build_path(path, {**params, "title": query}), 0, MOST_ITEMS).rows
        fitting = {id(row) for row in match_item_title(rows, title).every}
        kept = [row for row in rows if id(row) in fitting]
        if kept:
            return ResultPage(kept[asked.offset : asked.offset + asked.limit], len(kept), asked.offset, asked.limit)
    return None


def _build_params(
    plex: PlexServer, library: Section | None, kind: str | None, asked: ContentsQuery
) -> dict[str, object]:
    filters = resolve_filters(plex, library, kind, asked.filters)
    unseen = "show.unwatchedLeaves" if kind == "show" else "unwatched"
    return {
        "type": TYPE_NUMBERS.get(kind or ""),
        "sort": asked.sort,
        "title": cut_query(asked.title) if asked.title else None,
        unseen: asked.unwatched,
        **filters,
        **BRIEF,
    }
