"""Items recently added to the libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.models import MediaType
from plex_companion.plex.query import BRIEF, build_path, clamp_limit, get_page
from plex_companion.plex.xml.attributes import (
    drop_nulls,
    parse_identifier,
    read_kind,
    read_local_time,
    read_number,
    read_performer,
    read_text,
    read_utc,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer

MOST_ITEMS = 500
EVERYWHERE = "All Libraries"
NEWEST_FIRST = "addedAt:desc"
NEWS = {
    "movie": MediaType.MOVIE,
    "show": MediaType.EPISODE,
    "artist": MediaType.ALBUM,
    "photo": MediaType.PHOTO,
}
"""The type of item that counts as new in each type of library: films, episodes, albums, photos."""


def get_recent(plex: PlexServer, library: Section | None, wanted: int) -> dict[str, Any]:
    """Return the newest items by type. One request."""
    most = clamp_count(wanted)
    found = get_page(plex, _build_path(library), 0, most).rows
    items = dict[str, list[dict[str, Any]]]()
    for row in found:
        items.setdefault(read_kind(row) or "unknown", []).append(_describe_item(row, library))
    named = EVERYWHERE if library is None else library.title
    nothing = {} if found else {"message": f"Nothing has been added to {named} yet."}
    return {"count": len(found), "requestedCount": wanted, "limit": most, "library": named, "items": items, **nothing}


def clamp_count(wanted: int) -> int:
    """Return the count, at most the allowed maximum.

    Raises:
        Invalid: it is below 1.
    """
    return clamp_limit(wanted, MOST_ITEMS, argument="count")


def _build_path(library: Section | None) -> str:
    if library is None:
        return build_path("/library/recentlyAdded", BRIEF)
    path = f"/library/sections/{library.section_id}/all"
    return build_path(path, {"sort": NEWEST_FIRST, "type": NEWS.get(library.type), **BRIEF})


def _describe_item(row: Element, library: Section | None) -> dict[str, Any]:
    return {
        **_describe_names(row),
        "addedAt": read_local_time(row, "addedAt"),
        "added_at_utc": read_utc(row, "addedAt"),
        "rating_key": parse_identifier(row.get("ratingKey")),
        "guid": read_text(row, "guid"),
        # Rows of one library do not name it: only their container does.
        "library": read_text(row, "librarySectionTitle") or (library.title if library else None),
    }


def _describe_names(row: Element) -> dict[str, Any]:
    title = read_text(row, "title")
    match read_kind(row):
        case "season":
            return {
                "showTitle": read_text(row, "parentTitle"),
                "seasonNumber": read_number(row, "index"),
                "title": title,
            }
        case "episode":
            above = {"showTitle": read_text(row, "grandparentTitle"), "seasonNumber": read_number(row, "parentIndex")}
            return {**above, "episodeNumber": read_number(row, "index"), "title": title}
        case "album":
            return {"artist": read_text(row, "parentTitle"), "title": title}
        case "track":
            above = {"artist": read_text(row, "grandparentTitle"), **drop_nulls({"performer": read_performer(row)})}
            return {**above, "album": read_text(row, "parentTitle"), "title": title}
        case "movie" | "show":
            edition = drop_nulls({"edition": read_text(row, "editionTitle")})
            return {"title": title, "year": read_number(row, "year"), **edition}
        case _:
            return {"title": title}
