"""Plex search results by kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid
from plex_companion.plex.lookup import MEDIA, ROWS, search
from plex_companion.plex.query import get
from plex_companion.plex.titles import cut_query
from plex_companion.plex.xml.attributes import (
    drop_nulls,
    parse_identifier,
    read_float,
    read_kind,
    read_link,
    read_number,
    read_performer,
    read_text,
    shorten,
    take_first,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from xml.etree.ElementTree import Element

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer

ORDER = ("track", "album", "artist", "movie", "show", "season", "episode")
GROUPS = {
    "movies": {"movie"},
    "tv": {"show", "season", "episode"},
    "music": {"artist", "album", "track"},
}


def parse_kinds(content_type: str | None) -> Collection[str]:
    """Return the requested kinds: a single kind, or a comma list of groups.

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


def find_hits(
    plex: PlexServer, query: str, *, section: Section | None, kinds: Collection[str], limit: int
) -> dict[str, list[dict[str, Any]]]:
    """Return at most `limit` hits of each kind, in Plex's ranking. One request, a few more if nothing has that
    spelling.
    """
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
    hits = [row for key, row in rows.items() if key and read_kind(row) in kinds and not _is_elsewhere(row, section_id)]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ORDER}
    for row in hits or search(plex, query, section, kinds):
        found.setdefault(read_kind(row) or "", []).append(_describe_hit(row))
    return {name: listed[:limit] for name, listed in found.items() if listed}


def _is_elsewhere(row: Element, section_id: str | None) -> bool:
    return section_id is not None and row.get("librarySectionID") not in {None, section_id}


def _describe_hit(row: Element) -> dict[str, Any]:
    hit = {
        "title": read_text(row, "title"),
        "type": read_kind(row),
        "rating_key": parse_identifier(row.get("ratingKey")),
        "guid": read_text(row, "guid"),
        "library": read_text(row, "librarySectionTitle"),
    }
    return hit | _describe_context(row) | _describe_file(row)


def _describe_context(row: Element) -> dict[str, Any]:  # noqa: PLR0911 - a table
    match read_kind(row):
        case "movie":
            edition = drop_nulls({"edition": read_text(row, "editionTitle")})
            return {
                "year": read_number(row, "year"),
                **edition,
                "rating": read_float(row, "rating"),
                "summary": _describe_summary(row),
            }
        case "show":
            return {"year": read_number(row, "year"), "summary": _describe_summary(row)}
        case "season":
            return {"show_title": read_text(row, "parentTitle"), "season_number": read_number(row, "index")}
        case "episode":
            return {
                "show_title": read_text(row, "grandparentTitle"),
                "season_number": read_number(row, "parentIndex"),
                "episode_number": read_number(row, "index"),
            }
        case "track":
            return _describe_track(row)
        case "album":
            return {"artist": read_text(row, "parentTitle"), "year": read_number(row, "year")}
        case "artist":
            return {"art": read_link(row, "art"), "thumb": read_link(row, "thumb")}
        case _:
            return {}


def _describe_track(row: Element) -> dict[str, Any]:
    return {
        "artist": read_text(row, "grandparentTitle"),
        **drop_nulls({"performer": read_performer(row)}),
        "album": read_text(row, "parentTitle"),
        "track_number": read_number(row, "index"),
        "duration": read_number(row, "duration"),
        "thumb": read_link(row, "thumb"),
        "album_thumb": read_link(row, "parentThumb"),
        "artist_thumb": read_link(row, "grandparentThumb"),
        "art": read_link(row, "art"),
    }


def _describe_file(row: Element) -> dict[str, Any]:
    media = take_first(row.iter("Media"))
    if media is None:
        return {}
    if read_kind(row) == "track":
        return {
            "audio_codec": read_text(media, "audioCodec"),
            "bitrate": read_number(media, "bitrate"),
            "container": read_text(media, "container"),
        }
    return {
        "resolution": read_text(media, "videoResolution"),
        "container": read_text(media, "container"),
        "codec": read_text(media, "videoCodec"),
    }


def _describe_summary(row: Element) -> str | None:
    return shorten(read_text(row, "summary"))
