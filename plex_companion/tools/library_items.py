"""An item of a library's listing as `library_get_contents` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.tools.ask import if_it_answers, page, path_of, portions
from plex_companion.tools.facts import as_number, kind, number, performer, text, without_nulls
from plex_companion.wire import percent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.models import Section

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
ALBUMS = 5000
Albums = dict[str, tuple[int, int]]
"""How many albums and tracks an artist has, by the artist's id."""


def albums_of(plex: PlexServer, path: str, artists: Sequence[Element]) -> Albums | None:
    """What these artists have, in one request for some hundred; `None` when Plex does not tell, for the list is worth showing without.

    That `artist.id` takes several ids is unverified: when other artists' albums come, it was ignored.
    """
    albums: Albums = {}
    for keys in portions(row.get("ratingKey", "") for row in artists):
        some = _albums_of(plex, path, keys)
        if some is None:
            return None
        albums |= some
    return albums


def _albums_of(plex: PlexServer, path: str, keys: list[str]) -> Albums | None:
    asked = path_of(path, {"type": 9, "artist.id": ",".join(keys)})
    found = if_it_answers(lambda: page(plex, asked, 0, ALBUMS))
    if (
        found is None
        or found.total > len(found.rows)
        or any(row.get("parentRatingKey") not in keys for row in found.rows)
    ):
        return None
    albums: Albums = dict.fromkeys(keys, (0, 0))
    for row in found.rows:
        count, tracks = albums[row.get("parentRatingKey", "")]
        albums[row.get("parentRatingKey", "")] = (count + 1, tracks + (number(row, "leafCount") or 0))
    return albums


def item(row: Element, library: Section | None, albums: Albums | None) -> dict[str, Any]:
    """The keys of every item, and those of its type."""
    key = as_number(row.get("ratingKey"))
    return {
        "media_id": key,
        "rating_key": key,
        "title": text(row, "title"),
        "type": kind(row),
        "guid": text(row, "guid"),
        # Rows of one library leave it to their list to say whose they are.
        "library": text(row, "librarySectionTitle") or (library.title if library else None),
        "library_id": as_number(row.get("librarySectionID") or (library.section_id if library else None)),
        **_of_kind(row, albums),
    }


def _of_kind(row: Element, albums: Albums | None) -> dict[str, Any]:
    match kind(row):
        case "movie" | "episode" | "track":
            return {**_above(row), **_played(row)}
        case "show":
            return _show(row)
        case "artist":
            return _artist(row, albums)
        case "album":
            return {
                "artist": text(row, "parentTitle"),
                "viewCount": number(row, "viewCount") or 0,
                "watched": _heard(row),
            }
        case _:
            return {}


def _above(row: Element) -> dict[str, Any]:
    """Where it belongs: the show of an episode, the artist of a track."""
    match kind(row):
        case "episode":
            numbers = {"season": number(row, "parentIndex"), "episode": number(row, "index")}
            return {"show": text(row, "grandparentTitle"), **numbers}
        case "track":
            artist = {"artist": text(row, "grandparentTitle"), **without_nulls({"performer": performer(row)})}
            return {**artist, "album": text(row, "parentTitle")}
        case "movie":
            return without_nulls({"edition": text(row, "editionTitle")})
        case _:
            return {}


def _played(row: Element) -> dict[str, Any]:
    """Of what can be played itself."""
    duration, offset, media = number(row, "duration"), number(row, "viewOffset") or 0, row.find("Media")
    resolution = text(media, "videoResolution") if media is not None else None
    codec = text(media, "videoCodec") or text(media, "audioCodec") if media is not None else None
    return {
        "year": number(row, "year"),
        "duration": None
        if duration is None
        else {"hours": duration // HOUR_MS, "minutes": duration % HOUR_MS // MINUTE_MS},
        "mediaInfo": {"resolution": resolution, "codec": codec},
        "watched": bool(number(row, "viewCount")),
        "inProgress": offset > 0,
        "progressPercent": percent(offset, duration),
    }


def _show(row: Element) -> dict[str, Any]:
    episodes, seen = number(row, "leafCount") or 0, number(row, "viewedLeafCount") or 0
    status = "unwatched" if not seen else "watched" if seen >= episodes else "partial"
    return {
        "year": number(row, "year"),
        "seasonCount": number(row, "childCount"),
        "episodeCount": episodes,
        "watchedEpisodeCount": seen,
        "watchStatus": status,
        "watched": status == "watched",
    }


def _artist(row: Element, albums: Albums | None) -> dict[str, Any]:
    own = (number(row, "childCount"), number(row, "leafCount"))
    count, tracks = own if albums is None else albums[row.get("ratingKey", "")]
    return {
        "albumCount": count,
        "trackCount": tracks,
        "viewCount": number(row, "viewCount") or 0,
        "skipCount": number(row, "skipCount") or 0,
        "watched": _heard(row),
    }


def _heard(row: Element) -> bool:
    """Whether all of it was played, where Plex counts that; else whether any of it was."""
    tracks, heard = number(row, "leafCount"), number(row, "viewedLeafCount")
    return heard >= tracks > 0 if tracks is not None and heard is not None else bool(number(row, "viewCount"))
