"""Which titles of plex.tv this server has, and a user's watched state of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion import serialize
from plex_companion.errors import NotFound, PlexError, TimedOut
from plex_companion.models import TYPE_NUMBERS
from plex_companion.plex.query import get, get_page, split_values
from plex_companion.plex.xml.attributes import parse_identifier, read_number, read_text
from plex_companion.tools.users import switch_to

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from xml.etree.ElementTree import Element

    from plex_companion.companion import Companion
    from plex_companion.plex.client import PlexServer
    from plex_companion.tools.users import ServerUser

    WatchlistRow = tuple[Element, dict[str, Any]]

AT_ONCE = 4
NAMESAKES = 50
_KINDS = ("movie", "show")
_ELSEWHERE = ("imdb://", "tmdb://", "tvdb://")


async def add_availability(
    companion: Companion, user: ServerUser, rows_and_items: Sequence[WatchlistRow]
) -> list[dict[str, Any]]:
    """Return the items with their library entries and watched state. If the server fails, each item says so.

    One request per kind finds items with the same guid; it is unverified that `guid=` takes several. Each title not
    found costs one more request, which searches by title and compares guids and the ids of IMDb, TMDB and TVDB.
    """
    found = await _try_request(companion, partial(_find_by_guid, companion, user, [row for row, _ in rows_and_items]))
    if isinstance(found, str):
        return [_describe_state(item, found) for _, item in rows_and_items]
    items: list[dict[str, Any]] = [{} for _ in rows_and_items]
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def fill(place: int, row: Element, item: dict[str, Any]) -> None:
        same = found.get(row.get("guid", "")) or []
        async with limiter:
            items[place] = _describe_state(
                item, same or await _try_request(companion, partial(_find_by_name, companion, user, row))
            )

    async with anyio.create_task_group() as tasks:
        for place, (row, item) in enumerate(rows_and_items):
            tasks.start_soon(fill, place, row, item)
    return items


async def _try_request(companion: Companion, question: Callable[[PlexServer], Any]) -> Any:
    """Return the answer, or the error message: the watchlist is plex.tv's, and valid without the server's answer."""
    try:
        return await companion.gateway.call(question)
    except (PlexError, TimedOut, NotFound) as error:
        return error.message


def _find_by_guid(
    companion: Companion, user: ServerUser, rows: Sequence[Element], plex: PlexServer
) -> dict[str, list[Element]]:
    view = switch_to(plex, companion, user)
    found: dict[str, list[Element]] = {}
    for kind in _KINDS:
        guids = [row.get("guid", "") for row in rows if row.get("type") == kind]
        for part in split_values(guids):
            for row in get(view, "/library/all", type=TYPE_NUMBERS[kind], guid=",".join(part), includeGuids=1):
                found.setdefault(row.get("guid", ""), []).append(row)
    return found


def _find_by_name(companion: Companion, user: ServerUser, requested: Element, plex: PlexServer) -> list[Element]:
    view = switch_to(plex, companion, user)
    kind, title = TYPE_NUMBERS.get(requested.get("type", "")), requested.get("title", "")
    rows = get_page(view, "/library/all", offset=0, limit=NAMESAKES, type=kind, title=title, includeGuids=1).rows
    return [row for row in rows if _list_ids(row) & _list_ids(requested)]


def _list_ids(row: Element) -> set[str]:
    """Return the guid, and the ids that identify a title at other services."""
    others = {guid.get("id", "") for guid in row.iter("Guid")}
    return {row.get("guid", ""), *(other for other in others if other.startswith(_ELSEWHERE))} - {""}


def _describe_state(item: dict[str, Any], found: list[Element] | str) -> dict[str, Any]:
    if isinstance(found, str):
        unknown: dict[str, Any] = {"available_on_server": None, "match_status": "unavailable", "library_items": []}
        return {**item, **unknown, "state_error": found}
    status = "matched" if found else "not_found"
    here = [_describe_in_library(row) for row in found]
    return {**item, "available_on_server": True if found else None, "match_status": status, "library_items": here}


def _describe_in_library(row: Element) -> dict[str, Any]:
    rating_key = parse_identifier(row.get("ratingKey"))
    names = {"media_id": rating_key, "rating_key": rating_key, "library": read_text(row, "librarySectionTitle")}
    return {**names, **(_describe_show(row) if row.get("type") == "show" else _describe_movie(row))}


def _describe_show(row: Element) -> dict[str, Any]:
    watched, whole = read_number(row, "viewedLeafCount") or 0, read_number(row, "leafCount")
    done = whole is not None and 0 < whole <= watched
    return {
        "watched": done,
        "watch_status": "watched" if done else "partial" if watched else "unwatched",
        "watched_episode_count": watched,
        "episode_count": whole,
    }


def _describe_movie(row: Element) -> dict[str, Any]:
    count, at = read_number(row, "viewCount") or 0, read_number(row, "viewOffset") or 0
    return {
        "watched": count > 0,
        "watch_status": "watched" if count else "partial" if at else "unwatched",
        "view_count": count,
        "playback_offset_ms": at,
        "in_progress": at > 0,
        "progress_percent": serialize.compute_percent(at, read_number(row, "duration")),
    }
