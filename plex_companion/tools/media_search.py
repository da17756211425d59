"""What a search of Plex finds, by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid
from plex_companion.tools.ask import get
from plex_companion.tools.facts import (
    as_number,
    first,
    kind,
    link,
    number,
    performer,
    real,
    shortened,
    text,
    without_nulls,
)
from plex_companion.tools.find import MEDIA, ROWS, search
from plex_companion.tools.titles import cut_query

if TYPE_CHECKING:
    from collections.abc import Collection
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.models import Section

ORDER = ("track", "album", "artist", "movie", "show", "season", "episode")
GROUPS = {
    "movies": {"movie"},
    "tv": {"show", "season", "episode"},
    "music": {"artist", "album", "track"},
}


def kinds_of(content_type: str | None) -> Collection[str]:
    """The kinds that a caller asks for: one of them, or groups of them joined by commas.

    Raises:
        Invalid: a word is neither.
    """
    if content_type is None:
        return MEDIA
    kinds = set[str]()
    for word in content_type.split(","):
        known = GROUPS.get(word.strip().lower()) or {word.strip().lower()} & set(ORDER)
        if not known:
            allowed = [*ORDER, *GROUPS]
            message = f"content_type '{word.strip()}' is not known. Use one of {', '.join(allowed)}."
            raise Invalid(message, argument="content_type", allowed=allowed)
        kinds |= known
    return kinds


def hits(
    plex: PlexServer, query: str, *, section: Section | None, kinds: Collection[str], limit: int
) -> dict[str, list[dict[str, Any]]]:
    """At most `limit` of each kind, as Plex ranks them. One request; a few more when it finds nothing spelt so."""
    section_id = section.section_id if section else None
    hubs = get(
        plex,
        "/hubs/search",
        query=cut_query(query),
        limit=limit,
        sectionId=section_id,
        includeCollections=1,
        includeExternalMedia=1,
    )
    rows = {row.get("ratingKey"): row for hub in hubs.iter("Hub") for row in hub if row.tag in ROWS}
    there = [row for key, row in rows.items() if key and kind(row) in kinds and not _is_elsewhere(row, section_id)]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ORDER}
    for row in there or search(plex, query, section, kinds):
        found.setdefault(kind(row) or "", []).append(_hit(row))
    return {name: listed[:limit] for name, listed in found.items() if listed}


def _is_elsewhere(row: Element, section_id: str | None) -> bool:
    return section_id is not None and row.get("librarySectionID") not in {None, section_id}


def _hit(row: Element) -> dict[str, Any]:
    hit = {
        "title": text(row, "title"),
        "type": kind(row),
        "rating_key": as_number(row.get("ratingKey")),
        "guid": text(row, "guid"),
        "library": text(row, "librarySectionTitle"),
    }
    return hit | _about(row) | _file(row)


def _about(row: Element) -> dict[str, Any]:  # noqa: PLR0911 - a table
    match kind(row):
        case "movie":
            edition = without_nulls({"edition": text(row, "editionTitle")})
            return {"year": number(row, "year"), **edition, "rating": real(row, "rating"), "summary": _summary(row)}
        case "show":
            return {"year": number(row, "year"), "summary": _summary(row)}
        case "season":
            return {"show_title": text(row, "parentTitle"), "season_number": number(row, "index")}
        case "episode":
            return {
                "show_title": text(row, "grandparentTitle"),
                "season_number": number(row, "parentIndex"),
                "episode_number": number(row, "index"),
            }
        case "track":
            return _track(row)
        case "album":
            return {"artist": text(row, "parentTitle"), "year": number(row, "year")}
        case "artist":
            return {"art": link(row, "art"), "thumb": link(row, "thumb")}
        case _:
            return {}


def _track(row: Element) -> dict[str, Any]:
    return {
        "artist": text(row, "grandparentTitle"),
        **without_nulls({"performer": performer(row)}),
        "album": text(row, "parentTitle"),
        "track_number": number(row, "index"),
        "duration": number(row, "duration"),
        "thumb": link(row, "thumb"),
        "album_thumb": link(row, "parentThumb"),
        "artist_thumb": link(row, "grandparentThumb"),
        "art": link(row, "art"),
    }


def _file(row: Element) -> dict[str, Any]:
    media = first(row.iter("Media"))
    if media is None:
        return {}
    if kind(row) == "track":
        return {
            "audio_codec": text(media, "audioCodec"),
            "bitrate": number(media, "bitrate"),
            "container": text(media, "container"),
        }
    return {
        "resolution": text(media, "videoResolution"),
        "container": text(media, "container"),
        "codec": text(media, "videoCodec"),
    }


def _summary(row: Element) -> str | None:
    return shortened(text(row, "summary"))
