"""Everything that Plex tells of one item, under the names callers of the predecessor know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.tools.ask import page
from plex_companion.tools.facts import as_number, kind, local, number, performer, real, tags, text, utc, without_nulls
from plex_companion.tools.watched import albums_of, below, part, progress, watched_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

_PEOPLE = {"genres": "Genre", "directors": "Director", "writers": "Writer", "actors": "Role"}
_LACKS = {"episode": ("studio",), "artist": ("content_rating", "duration", "studio", "year")}
_DAY = 86_400


def details(plex: PlexServer, row: Element, *, offset: int, limit: int) -> dict[str, Any]:
    """The item of a full row, and a page of what is below it. At most two requests."""
    told = _common(row)
    match kind(row):
        case "show":
            told |= _show(plex, row, offset, limit)
        case "season":
            told |= _season(plex, row, offset, limit)
        case "artist":
            told |= _artist(plex, row, offset, limit)
        case "album":
            told |= _album(plex, row, offset, limit)
        case "track":
            told |= progress(row) | _track(row)
        case "episode":
            told |= progress(row) | _episode(row)
        case _:
            names = {"original_title": text(row, "originalTitle"), "edition": text(row, "editionTitle")}
            told |= progress(row) | {"summary": text(row, "summary"), **without_nulls(names)}
    lacks = _LACKS.get(kind(row) or "", ())
    return {name: value for name, value in told.items() if name not in lacks}


def _common(row: Element) -> dict[str, Any]:
    own, critics = real(row, "userRating"), real(row, "rating")
    people = {name: tags(row, tag) for name, tag in _PEOPLE.items()}
    return {
        "title": text(row, "title"),
        "type": kind(row),
        "id": as_number(row.get("ratingKey")),
        "rating_key": as_number(row.get("ratingKey")),
        "guid": text(row, "guid"),
        "library": text(row, "librarySectionTitle"),
        "library_id": as_number(row.get("librarySectionID")),
        "added_at": local(row, "addedAt"),
        "added_at_utc": utc(row, "addedAt"),
        "rating": critics if own is None else own,
        "user_rating": own,
        "critic_rating": critics,
        "audience_rating": real(row, "audienceRating"),
        "content_rating": text(row, "contentRating"),
        "duration": clock(number(row, "duration")),
        "studio": text(row, "studio"),
        "year": number(row, "year"),
        "files": [text(file, "file") for file in row.iter("Part") if file.get("file")],
    } | {name: found for name, found in people.items() if found}


def _show(plex: PlexServer, row: Element, offset: int, limit: int) -> dict[str, Any]:
    seasons = below(plex, row)
    leaves = page(plex, f"/library/metadata/{row.get('ratingKey')}/allLeaves", offset=offset, limit=limit)
    return {
        **watched_of(row).facts(),
        "summary": text(row, "summary"),
        "seasons_count": len(seasons),
        "episodes_count": leaves.total,
        "seasons": [_one_season(season, leaves.rows) for season in seasons],
        **leaves.facts(),
    }


def _one_season(season: Element, leaves: Iterable[Element]) -> dict[str, Any]:
    key = season.get("ratingKey")
    return {
        "title": text(season, "title"),
        "id": as_number(key),
        "rating_key": as_number(key),
        "season_number": number(season, "index"),
        "episodes_count": number(season, "leafCount"),
        "episodes": [_child(leaf, "episode_number") for leaf in leaves if leaf.get("parentRatingKey") == key],
    }


def _season(plex: PlexServer, row: Element, offset: int, limit: int) -> dict[str, Any]:
    episodes = part(below(plex, row), offset, limit)
    return {
        **watched_of(row).facts(),
        "show_title": text(row, "parentTitle"),
        "season_number": number(row, "index"),
        "episodes": [_child(episode, "episode_number") for episode in episodes.rows],
        **episodes.facts(),
    }


def _artist(plex: PlexServer, row: Element, offset: int, limit: int) -> dict[str, Any]:
    every = albums_of(plex, row)
    albums, heard = part(every, offset, limit), watched_of(row, every)
    return {
        **heard.facts(),
        "summary": text(row, "summary"),
        "albums_count": len(every),
        "tracks_count": heard.total,
        "albums": [_one_album(album) for album in albums.rows],
        **albums.facts(),
    }


def _one_album(album: Element) -> dict[str, Any]:
    return {
        "title": text(album, "title"),
        "id": as_number(album.get("ratingKey")),
        "rating_key": as_number(album.get("ratingKey")),
        "year": number(album, "year"),
        "tracks_count": number(album, "leafCount"),
    }


def _album(plex: PlexServer, row: Element, offset: int, limit: int) -> dict[str, Any]:
    every = below(plex, row)
    tracks = part(every, offset, limit)
    return {
        **watched_of(row).facts(),
        "summary": text(row, "summary"),
        "artist": text(row, "parentTitle"),
        "artist_id": as_number(row.get("parentRatingKey")),
        "duration": clock(sum(number(track, "duration") or 0 for track in every), days=True),
        "tracks_count": len(every),
        "tracks": [_child(track, "track_number") for track in tracks.rows],
        **tracks.facts(),
    }


def _child(row: Element, position: str) -> dict[str, Any]:
    return {
        "title": text(row, "title"),
        "id": as_number(row.get("ratingKey")),
        "rating_key": as_number(row.get("ratingKey")),
        position: number(row, "index"),
        "duration": clock(number(row, "duration")),
        **without_nulls({"performer": performer(row)}),
    }


def _episode(row: Element) -> dict[str, Any]:
    return {
        "show_title": text(row, "grandparentTitle"),
        "season_number": number(row, "parentIndex"),
        "episode_number": number(row, "index"),
        "summary": text(row, "summary"),
    }


def _track(row: Element) -> dict[str, Any]:
    return {
        "artist": text(row, "grandparentTitle"),
        **without_nulls({"performer": performer(row)}),
        "artist_id": as_number(row.get("grandparentRatingKey")),
        "album": text(row, "parentTitle"),
        "album_id": as_number(row.get("parentRatingKey")),
        "track_number": number(row, "index"),
        "disc_number": number(row, "parentIndex"),
        "year": number(row, "year") or number(row, "parentYear"),
        "skip_count": number(row, "skipCount") or 0,
    }


def clock(duration_ms: int | None, *, days: bool = False) -> str | None:
    """`HH:MM:SS`; with `days`, `D:HH:MM:SS` from a day on."""
    if not duration_ms:
        return None
    seconds = duration_ms // 1000
    whole, rest = divmod(seconds, _DAY) if days else (0, seconds)
    shown = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{whole}:{shown}" if whole else shown
