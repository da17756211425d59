"""Toolset `watchlist`: the titles that a user wants to watch. plex.tv stores them, not the server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal
from xml.etree.ElementTree import Element

from pydantic import Field

from plex_companion.companion import Companion
from plex_companion.errors import Invalid, NotConfirmed, NotFound
from plex_companion.plex.query import get_or_none, get_page, read_json, send
from plex_companion.plex.titles import cut_query
from plex_companion.plex.xml.attributes import drop_nulls, read_number, read_text
from plex_companion.tools.declare import Access, Id, Shape, Toolset
from plex_companion.tools.parameters import Username
from plex_companion.tools.server_argument import ServerArgument
from plex_companion.tools.watchlist.availability import add_availability
from plex_companion.tools.watchlist.profiles import find_chosen_user, open_profile, parse_choice
from plex_companion.tools.watchlist.watchlist_results import WatchlistPage, WatchlistSearch

if TYPE_CHECKING:
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.query import ResultPage
    from plex_companion.tools.users import ServerUser
    from plex_companion.tools.watchlist.profiles import ProfileChoice

WATCHLIST = Toolset(
    "watchlist", "The watchlist of the plex.tv account or of a Plex Home profile", server=ServerArgument.NONE
)

DISCOVER = "https://discover.provider.plex.tv"
METADATA = "https://metadata.provider.plex.tv"
MOST_ITEMS = 100
_GUID = re.compile(r"plex://(?:movie|show)/([0-9A-Za-z]+)")
_GROUPS = {None: "movies,tv", "movie": "movies", "show": "tv"}

Limit = Annotated[int, Field(description="1 to 100.")]
HomeUser = Annotated[Id | None, Field(description="plex.tv id of a profile of the Plex home; beats username.")]
Pin = Annotated[Id | None, Field(description="The profile's PIN, if it has one.")]
Guid = Annotated[str, Field(description="plex://movie/… or plex://show/…, from watchlist_search.")]


@dataclass(frozen=True, slots=True)
class WatchlistChange:
    """The state of a title after a change of the watchlist."""

    status: str
    guid: str
    watchlisted: bool
    changed: bool


@WATCHLIST.tool(Access.READ, title="Show the watchlist", open_world=True)
async def watchlist_list(
    companion: Companion,
    offset: int = 0,
    limit: Limit = 50,
    home_user_id: HomeUser = None,
    pin: Pin = None,
    username: Username | None = None,
    include_state: bool = True,
) -> Annotated[dict[str, Any], Shape(WatchlistPage)]:
    """List a watchlist, newest first, with each title's availability on this server and watched state.

    By default the owner's; `home_user_id` or `username` select a profile of the Plex home. `match_status` "not_found"
    means that no match was found; the server may still have the title.
    """
    _check_limit(limit, offset)
    who = parse_choice(home_user_id, username, pin)
    user, found = await companion.gateway.call(partial(_fetch_page, companion, who, offset, limit))
    items = [describe_title(row) for row in found.rows]
    if include_state:
        items = await add_availability(companion, user, list(zip(found.rows, items, strict=True)))
    return {"items": items, "totalItems": found.total, "offset": offset, "limit": limit, "size": len(items)}


@WATCHLIST.tool(Access.READ, title="Search for the watchlist", open_world=True)
def watchlist_search(
    plex: PlexServer,
    companion: Companion,
    query: str,
    content_type: Literal["movie", "show"] | None = None,
    limit: Limit = 20,
    home_user_id: HomeUser = None,
    pin: Pin = None,
    username: Username | None = None,
) -> Annotated[dict[str, Any], Shape(WatchlistSearch)]:
    """Search all films and shows known to plex.tv, to find the `guid` that `watchlist_add` takes.

    Results need not be on this server; `media_search` finds what is.
    """
    _check_limit(limit)
    if not query.strip():
        raise Invalid("query must not be empty.", argument="query")
    view = open_profile(plex, companion, parse_choice(home_user_id, username, pin))
    found = read_json(
        view,
        f"{DISCOVER}/library/search",
        query=cut_query(query),
        limit=limit,
        searchTypes=_GROUPS[content_type],
        searchProviders="discover",
        includeMetadata=1,
    )
    rows = [row for row in _parse_hits(found) if row.get("type") == (content_type or row.get("type"))]
    items = [describe_title(row) for row in rows[:limit]]
    return {
        "items": items,
        "size": len(items),
        **({} if items else {"message": f"plex.tv found nothing for '{query}'."}),
    }


@WATCHLIST.tool(Access.WRITE, title="Add to the watchlist", idempotent=True, additive=True, open_world=True)
def watchlist_add(
    plex: PlexServer,
    companion: Companion,
    guid: Guid,
    home_user_id: HomeUser = None,
    pin: Pin = None,
    username: Username | None = None,
) -> WatchlistChange:
    """Add a film or show to a watchlist. `changed` is false if it was already there.

    By default the owner's; `home_user_id` or `username` select a profile of the Plex home.
    """
    key = _parse_key(guid)
    return _change_watchlist(
        open_profile(plex, companion, parse_choice(home_user_id, username, pin)), guid, key, listed=True
    )


@WATCHLIST.tool(Access.WRITE, title="Remove from the watchlist", idempotent=True, open_world=True)
def watchlist_remove(
    plex: PlexServer,
    companion: Companion,
    guid: Guid,
    home_user_id: HomeUser = None,
    pin: Pin = None,
    username: Username | None = None,
) -> WatchlistChange:
    """Remove a film or show from a watchlist. `changed` is false if it was not there. Media and watched state stay.

    By default the owner's; `home_user_id` or `username` select a profile of the Plex home.
    """
    key = _parse_key(guid)
    return _change_watchlist(
        open_profile(plex, companion, parse_choice(home_user_id, username, pin)), guid, key, listed=False
    )


def describe_title(row: Element) -> dict[str, Any]:
    """Describe a title as plex.tv knows it. Unknown values are left out, except the year."""
    return {
        "guid": read_text(row, "guid"),
        "title": read_text(row, "title"),
        "type": read_text(row, "type"),
        "year": read_number(row, "year"),
        **drop_nulls(
            {
                "release_date": read_text(row, "originallyAvailableAt"),
                "duration_ms": read_number(row, "duration"),
                "content_rating": read_text(row, "contentRating"),
            }
        ),
    }


def _fetch_page(
    companion: Companion, who: ProfileChoice, offset: int, limit: int, plex: PlexServer
) -> tuple[ServerUser, ResultPage]:
    user = find_chosen_user(plex, companion, who)
    profile = open_profile(plex, companion, who).use_full_addresses()
    path = f"{DISCOVER}/library/sections/watchlist/all"
    found = get_page(
        profile, path, offset=offset, limit=limit, includeCollections=1, includeExternalMedia=1, includeGuids=1
    )
    return user, found


def _change_watchlist(view: PlexServer, guid: str, key: str, *, listed: bool) -> WatchlistChange:
    """Add or remove the title if needed, and verify it."""
    if _is_watchlisted(view, guid, key) == listed:
        return WatchlistChange("success", guid, listed, changed=False)
    action = "addToWatchlist" if listed else "removeFromWatchlist"
    send(view.use_full_addresses(), "PUT", f"{DISCOVER}/actions/{action}", ratingKey=key)
    if _is_watchlisted(view, guid, key) != listed:
        message = f"plex.tv accepted the change, but {guid} is {'not' if listed else 'still'} on the watchlist. Check again in a minute."
        raise NotConfirmed(message, requested={"watchlisted": listed}, found={"watchlisted": not listed})
    return WatchlistChange("success", guid, listed, changed=True)


def _is_watchlisted(view: PlexServer, guid: str, key: str) -> bool:
    found = get_or_none(view.use_full_addresses(), f"{METADATA}/library/metadata/{key}/userState")
    if found is None:
        raise NotFound(f"plex.tv has no title {guid}. watchlist_search finds guids.", what="title")
    return any(state.get("watchlistedAt") for state in found.iter("UserState"))


def _parse_key(guid: str) -> str:
    """Return the last part of the guid, which is the id at plex.tv."""
    found = _GUID.fullmatch(guid.strip())
    if found is None:
        message = (
            f"guid must look like plex://movie/5d77… or plex://show/5d9c…; got '{guid}'. watchlist_search finds it."
        )
        raise Invalid(message, argument="guid")
    return found[1]


def _check_limit(limit: int, offset: int = 0) -> None:
    if not 1 <= limit <= MOST_ITEMS:
        raise Invalid(f"limit must be 1 to {MOST_ITEMS}; got {limit}.", argument="limit")
    if offset < 0:
        raise Invalid(f"offset must not be negative; got {offset}.", argument="offset")


def _parse_hits(found: dict[str, Any]) -> list[Element]:
    """Return the titles of the group `external` as elements: plex.tv searches in JSON only."""
    groups = _get_objects(_get_object(found, "MediaContainer"), "SearchResults")
    results = [
        result for group in groups if group.get("id") == "external" for result in _get_objects(group, "SearchResult")
    ]
    known = [_get_object(result, "Metadata") for result in results]
    titles = [title for title in known if title.get("type") in {"movie", "show"}]
    return [Element("Video", {name: str(value) for name, value in title.items()}) for title in titles]


def _get_object(outer: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object with this name, or an empty one."""
    found = outer.get(name)
    return found if isinstance(found, dict) else {}


def _get_objects(outer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects in the list with this name."""
    found = outer.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
