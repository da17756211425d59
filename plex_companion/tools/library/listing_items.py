"""An item of a library's listing, as `library_get_contents` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.plex.query import BRIEF, build_path, get_page, split_values, try_request
from plex_companion.plex.xml.attributes import (
    drop_nulls,
    parse_identifier,
    read_kind,
    read_number,
    read_performer,
    read_text,
)
from plex_companion.serialize import compute_percent
from plex_companion.times import HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer

ALBUMS = 5000
Albums = dict[str, tuple[int, int]]
"""The numbers of albums and tracks, by artist id."""


def get_albums(plex: PlexServer, path: str, artists: Sequence[Element]) -> Albums | None:
    """Return the numbers of albums and tracks of these artists, in one request per few hundred.

    Return `None` if Plex does not answer: the list is useful without them. It is unverified that `artist.id` takes
    several ids: if albums of other artists come back, Plex ignored it.
    """
    albums: Albums = {}
    for keys in split_values(row.get("ratingKey", "") for row in artists):
        found = _list_albums_of(plex, path, keys)
        if found is None:
            return None
        albums |= found
    return albums


def _list_albums_of(plex: PlexServer, path: str, keys: list[str]) -> Albums | None:
    asked = build_path(path, {"type": 9, "artist.id": ",".join(keys), **BRIEF})
    found = try_request(lambda: get_page(plex, asked, 0, ALBUMS))
    if (
        found is None
        or found.total > len(found.rows)
        or any(row.get("parentRatingKey") not in keys for row in found.rows)
    ):
        return None
    albums: Albums = dict.fromkeys(keys, (0, 0))
    for row in found.rows:
        count, tracks = albums[row.get("parentRatingKey", "")]
        albums[row.get("parentRatingKey", "")] = (count + 1, tracks + (read_number(row, "leafCount") or 0))
    return albums


def describe_item(row: Element, library: Section | None, albums: Albums | None) -> dict[str, Any]:
    """Describe an item: the keys common to all, and those of its kind."""
    key = parse_identifier(row.get("ratingKey"))
    return {
        "media_id": key,
        "rating_key": key,
        "title": read_text(row, "title"),
        "type": read_kind(row),
        "guid": read_text(row, "guid"),
        # Rows of one library do not name it: only their container does.
        "library": read_text(row, "librarySectionTitle") or (library.title if library else None),
        "library_id": parse_identifier(row.get("librarySectionID") or (library.section_id if library else None)),
        **_describe_kind(row, albums),
    }


def _describe_kind(row: Element, albums: Albums | None) -> dict[str, Any]:
    match read_kind(row):
        case "movie" | "episode" | "track":
            return {**_describe_parents(row), **_describe_plays(row)}
        case "show":
            return _describe_show(row)
        case "artist":
            return _describe_artist(row, albums)
        case "album":
            return {
                "artist": read_text(row, "parentTitle"),
                "viewCount": read_number(row, "viewCount") or 0,
                "watched": _is_played(row),
            }
        case _:
            return {}


def _describe_parents(row: Element) -> dict[str, Any]:
    """Return the show of an episode, or the artist and album of a track."""
    match read_kind(row):
        case "episode":
            numbers = {"season": read_number(row, "parentIndex"), "episode": read_number(row, "index")}
            return {"show": read_text(row, "grandparentTitle"), **numbers}
        case "track":
            artist = {"artist": read_text(row, "grandparentTitle"), **drop_nulls({"performer": read_performer(row)})}
            return {**artist, "album": read_text(row, "parentTitle")}
        case "movie":
            return drop_nulls({"edition": read_text(row, "editionTitle")})
        case _:
            return {}


def _describe_plays(row: Element) -> dict[str, Any]:
    """Return the play state of an item that is playable itself."""
    duration, offset, media = read_number(row, "duration"), read_number(row, "viewOffset") or 0, row.find("Media")
    resolution = read_text(media, "videoResolution") if media is not None else None
    codec = read_text(media, "videoCodec") or read_text(media, "audioCodec") if media is not None else None
    return {
        "year": read_number(row, "year"),
        "duration": None
        if duration is None
        else {"hours": duration // HOUR_MS, "minutes": duration % HOUR_MS // MINUTE_MS},
        "mediaInfo": {"resolution": resolution, "codec": codec},
        "watched": bool(read_number(row, "viewCount")),
        "inProgress": offset > 0,
        "progressPercent": compute_percent(offset, duration),
    }


def _describe_show(row: Element) -> dict[str, Any]:
    episodes, seen = read_number(row, "leafCount") or 0, read_number(row, "viewedLeafCount") or 0
    status = "unwatched" if not seen else "watched" if seen >= episodes else "partial"
    return {
        "year": read_number(row, "year"),
        "seasonCount": read_number(row, "childCount"),
        "episodeCount": episodes,
        "watchedEpisodeCount": seen,
        "watchStatus": status,
        "watched": status == "watched",
    }


def _describe_artist(row: Element, albums: Albums | None) -> dict[str, Any]:
    own = (read_number(row, "childCount"), read_number(row, "leafCount"))
    count, tracks = own if albums is None else albums[row.get("ratingKey", "")]
    return {
        "albumCount": count,
        "trackCount": tracks,
        "viewCount": read_number(row, "viewCount") or 0,
        "skipCount": read_number(row, "skipCount") or 0,
        "watched": _is_played(row),
    }


def _is_played(row: Element) -> bool:
    """Return whether all of the item was played if Plex counts that, else whether any of it was."""
    tracks, heard = read_number(row, "leafCount"), read_number(row, "viewedLeafCount")
    return heard >= tracks > 0 if tracks is not None and heard is not None else bool(read_number(row, "viewCount"))
