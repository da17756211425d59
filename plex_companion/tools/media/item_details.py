"""Everything Plex knows about one item, under the names that callers of the predecessor know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.plex.query import get_page
from plex_companion.plex.xml.attributes import (
    drop_nulls,
    parse_identifier,
    read_float,
    read_kind,
    read_local_time,
    read_number,
    read_performer,
    read_tags,
    read_text,
    read_utc,
)
from plex_companion.times import DAY_SECONDS
from plex_companion.tools.watched_state import cut_page, get_albums, get_children, read_progress, read_watched_state

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
_PEOPLE = {"genres": "Genre", "directors": "Director", "writers": "Writer", "actors": "Role"}
_LACKS = {"episode": ("studio",), "artist": ("content_rating", "duration", "studio", "year")}


def get_details(plex: PlexServer, row: Element, *, offset: int, limit: int) -> dict[str, Any]:
    """Describe the item of a full row, with one page of its children. At most two requests."""
    described = _describe_common(row)
    match read_kind(row):
        case "show":
            described |= _describe_show(plex, row, offset, limit)
        case "season":
            described |= _describe_season(plex, row, offset, limit)
        case "artist":
            described |= _describe_artist(plex, row, offset, limit)
        case "album":
            described |= _describe_album(plex, row, offset, limit)
        case "track":
            described |= read_progress(row) | _describe_track(row)
        case "episode":
            described |= read_progress(row) | _describe_episode(row)
        case _:
            names = {"original_title": read_text(row, "originalTitle"), "edition": read_text(row, "editionTitle")}
            described |= read_progress(row) | {"summary": read_text(row, "summary"), **drop_nulls(names)}
    lacks = _LACKS.get(read_kind(row) or "", ())
    return {name: value for name, value in described.items() if name not in lacks}


def _describe_common(row: Element) -> dict[str, Any]:
    own, critics = read_float(row, "userRating"), read_float(row, "rating")
    people = {name: read_tags(row, tag) for name, tag in _PEOPLE.items()}
    return {
        "title": read_text(row, "title"),
        "type": read_kind(row),
        "id": parse_identifier(row.get("ratingKey")),
        "rating_key": parse_identifier(row.get("ratingKey")),
        "guid": read_text(row, "guid"),
        "library": read_text(row, "librarySectionTitle"),
        "library_id": parse_identifier(row.get("librarySectionID")),
        "added_at": read_local_time(row, "addedAt"),
        "added_at_utc": read_utc(row, "addedAt"),
        "rating": critics if own is None else own,
        "user_rating": own,
        "critic_rating": critics,
        "audience_rating": read_float(row, "audienceRating"),
        "content_rating": read_text(row, "contentRating"),
        "duration": format_clock(read_number(row, "duration")),
        "studio": read_text(row, "studio"),
        "year": read_number(row, "year"),
        "files": [read_text(file, "file") for file in row.iter("Part") if file.get("file")],
    } | {name: found for name, found in people.items() if found}


def _describe_show(plex: PlexServer, row: Element, offset: int, limit: int) -> dict[str, Any]:
    seasons = get_children(plex, row)
    leaves = get_page(plex, f"/library/metadata/{row.get('ratingKey')}/allLeaves", offset=offset, limit=limit)
    return {
        **read_watched_state(row).as_dict(),
        "summary": read_text(row, "summary"),
        "seasons_count": len(seasons),
        "episodes_count": leaves.total,
        "seasons": [_describe_one_season(season, leaves.rows) for season in seasons],
        **leaves.as_dict(),
    }


def _describe_one_season(season: Element, leaves: Iterable[Element]) -> dict[str, Any]:
    key = season.get("ratingKey")
    return {
        "title": read_text(season, "title"),
        "id": parse_identifier(key),
        "rating_key": parse_identifier(key),
        "season_number": read_number(season, "index"),
        "episodes_count": read_number(season, "leafCount"),
        "episodes": [_describe_child(leaf, "episode_number") for leaf in leaves if leaf.get("parentRatingKey") == key],
    }


def _describe_season(plex: PlexServer, row: Element, offset: int, limit: int) -> dict[str, Any]:
    episodes = cut_page(get_children(plex, row), offset, limit)
    return {
        **read_watched_state(row).as_dict(),
        "show_title": read_text(row, "parentTitle"),
        "season_number": read_number(row, "index"),
        "episodes": [_describe_child(episode, "episode_number") for episode in episodes.rows],
        **episodes.as_dict(),
    }


def _describe_artist(plex: PlexServer, row: Element, offset: int, limit: int) -> dict[str, Any]:
    every = get_albums(plex, row)
    albums, heard = cut_page(every, offset, limit), read_watched_state(row, every)
    return {
        **heard.as_dict(),
        "summary": read_text(row, "summary"),
        "albums_count": len(every),
        "tracks_count": heard.total,
        "albums": [_describe_one_album(album) for album in albums.rows],
        **albums.as_dict(),
    }


def _describe_one_album(album: Element) -> dict[str, Any]:
    return {
        "title": read_text(album, "title"),
        "id": parse_identifier(album.get("ratingKey")),
        "rating_key": parse_identifier(album.get("ratingKey")),
        "year": read_number(album, "year"),
        "tracks_count": read_number(album, "leafCount"),
    }


def _describe_album(plex: PlexServer, row: Element, offset: int, limit: int) -> dict[str, Any]:
    every = get_children(plex, row)
    tracks = cut_page(every, offset, limit)
    return {
        **read_watched_state(row).as_dict(),
        "summary": read_text(row, "summary"),
        "artist": read_text(row, "parentTitle"),
        "artist_id": parse_identifier(row.get("parentRatingKey")),
        "duration": format_clock(sum(read_number(track, "duration") or 0 for track in every), days=True),
        "tracks_count": len(every),
        "tracks": [_describe_child(track, "track_number") for track in tracks.rows],
        **tracks.as_dict(),
    }


def _describe_child(row: Element, position: str) -> dict[str, Any]:
    return {
        "title": read_text(row, "title"),
        "id": parse_identifier(row.get("ratingKey")),
        "rating_key": parse_identifier(row.get("ratingKey")),
        position: read_number(row, "index"),
        "duration": format_clock(read_number(row, "duration")),
        **drop_nulls({"performer": read_performer(row)}),
    }


def _describe_episode(row: Element) -> dict[str, Any]:
    return {
        "show_title": read_text(row, "grandparentTitle"),
        "season_number": read_number(row, "parentIndex"),
        "episode_number": read_number(row, "index"),
        "summary": read_text(row, "summary"),
    }


def _describe_track(row: Element) -> dict[str, Any]:
    return {
        "artist": read_text(row, "grandparentTitle"),
        **drop_nulls({"performer": read_performer(row)}),
        "artist_id": parse_identifier(row.get("grandparentRatingKey")),
        "album": read_text(row, "parentTitle"),
        "album_id": parse_identifier(row.get("parentRatingKey")),
        "track_number": read_number(row, "index"),
        "disc_number": read_number(row, "parentIndex"),
        "year": read_number(row, "year") or read_number(row, "parentYear"),
        "skip_count": read_number(row, "skipCount") or 0,
    }


def format_clock(duration_ms: int | None, *, days: bool = False) -> str | None:
    """Return `HH:MM:SS`, or with `days` `D:HH:MM:SS` from one day on."""
    if not duration_ms:
        return None
    seconds = duration_ms // 1000
    whole, rest = divmod(seconds, DAY_SECONDS) if days else (0, seconds)
    shown = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{whole}:{shown}" if whole else shown
