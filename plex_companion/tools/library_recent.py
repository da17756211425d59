"""What came into the libraries last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.tools.ask import clamped, page, path_of
from plex_companion.tools.facts import as_number, kind, local, number, performer, text, utc, without_nulls

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.models import Section

MOST = 500
EVERYWHERE = "All Libraries"
NEWEST_FIRST = "addedAt:desc"
NEWS = {"movie": 1, "show": 4, "artist": 9, "photo": 13}
"""What is news in a library of each type: films, episodes, albums, photos."""


def recent(plex: PlexServer, library: Section | None, wanted: int) -> dict[str, Any]:
    """The newest items by type. One request."""
    most = clamped_count(wanted)
    found = page(plex, _path(library), 0, most).rows
    items = dict[str, list[dict[str, Any]]]()
    for row in found:
        items.setdefault(kind(row) or "unknown", []).append(_item(row, library))
    named = EVERYWHERE if library is None else library.title
    nothing = {} if found else {"message": f"Nothing was added to {named} yet."}
    return {"count": len(found), "requestedCount": wanted, "limit": most, "library": named, "items": items, **nothing}


def clamped_count(wanted: int) -> int:
    """How many may come; raises `Invalid` below 1."""
    return clamped(wanted, MOST, argument="count")


def _path(library: Section | None) -> str:
    if library is None:
        return "/library/recentlyAdded"
    path = f"/library/sections/{library.section_id}/all"
    return path_of(path, {"sort": NEWEST_FIRST, "type": NEWS.get(library.type)})


def _item(row: Element, library: Section | None) -> dict[str, Any]:
    return {
        **_named(row),
        "addedAt": local(row, "addedAt"),
        "added_at_utc": utc(row, "addedAt"),
        "rating_key": as_number(row.get("ratingKey")),
        "guid": text(row, "guid"),
        # Rows of one library leave it to their list to say whose they are.
        "library": text(row, "librarySectionTitle") or (library.title if library else None),
    }


def _named(row: Element) -> dict[str, Any]:
    title = text(row, "title")
    match kind(row):
        case "season":
            return {"showTitle": text(row, "parentTitle"), "seasonNumber": number(row, "index"), "title": title}
        case "episode":
            above = {"showTitle": text(row, "grandparentTitle"), "seasonNumber": number(row, "parentIndex")}
            return {**above, "episodeNumber": number(row, "index"), "title": title}
        case "album":
            return {"artist": text(row, "parentTitle"), "title": title}
        case "track":
            above = {"artist": text(row, "grandparentTitle"), **without_nulls({"performer": performer(row)})}
            return {**above, "album": text(row, "parentTitle"), "title": title}
        case "movie" | "show":
            edition = without_nulls({"edition": text(row, "editionTitle")})
            return {"title": title, "year": number(row, "year"), **edition}
        case _:
            return {"title": title}
