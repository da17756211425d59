"""What a library is made of: counts, and the most frequent genres, people, years, out of one walk through its items."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plex_companion.tools.ask import count, page, path_of
from plex_companion.tools.facts import number, tags, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.models import Section
    from plex_companion.plex.known import Known

PAGE, PAGES = 1000, 10
KEPT_SECONDS = 600.0
"""Plays do not move `contentChangedAt`."""
TOP, TOP_MUSIC = 5, 10
VIDEO_EXTRA = "Media,Role,Writer,Country,Producer,Collection,Guid,Image,Rating,UltraBlurColors"
TRACK_EXTRA = "Part,Guid,Image,Rating,UltraBlurColors"
"""What rows need not bring: most of their bytes."""


@dataclass(slots=True)
class Sums:
    """What was counted in `seen` of `total` rows."""

    total: int = 0
    seen: int = 0
    plays: int = 0
    by: dict[str, Counter[tuple[str, str | None]]] = field(default_factory=dict)
    """How often each value was, with the rating key where a name alone is none."""

    def add(self, what: str, value: str | None, times: int = 1, key: str | None = None) -> None:
        """Count a value; what a row does not say is not counted. `key` tells artists of one name apart."""
        if value is not None and times:
            self.by.setdefault(what, Counter())[value, key] += times

    def top(self, what: str, most: int | None = None) -> dict[str, int]:
        """The most frequent values first; of several of one name, all are named with their rating keys."""
        found = self.by.get(what, Counter())
        names = Counter(value for value, _ in found)
        return {
            f"{value} ({key})" if names[value] > 1 and key else value: times
            for (value, key), times in found.most_common(most)
        }

    def in_order(self, what: str) -> dict[str, int]:
        """The values in their own order, as years."""
        return {value: times for (value, _), times in sorted(self.by.get(what, Counter()).items())}


def stats(plex: PlexServer, known: Known, library: Section) -> dict[str, Any]:
    """The result for a library. At most fourteen requests."""
    make = {"movie": _movies, "show": _shows, "artist": _music}.get(library.type, _photos)
    sums, total, found = make(plex, known, library)
    head = {"name": library.title, "type": library.type, "totalItems": total}
    return {**head, **found, "sampled": sums.seen < sums.total, "sample_size": sums.seen}


def _photos(plex: PlexServer, _: Known, library: Section) -> tuple[Sums, int, dict[str, Any]]:
    total = _count(plex, library, includeCollections=0)
    return Sums(), total, {"photoStats": {"count": _count(plex, library, type=13)}}


def _movies(plex: PlexServer, known: Known, library: Section) -> tuple[Sums, int, dict[str, Any]]:
    sums = _walked(plex, known, library, 1, VIDEO_EXTRA, _video)
    counts = {"count": sums.total, "unwatched": _count(plex, library, type=1, unwatched=1)}
    tops = {
        "topGenres": sums.top("genre", TOP),
        "topDirectors": sums.top("director", TOP),
        "topStudios": sums.top("studio", TOP),
    }
    return sums, sums.total, {"movieStats": {**counts, **tops, "byDecade": sums.in_order("decade")}}


def _shows(plex: PlexServer, known: Known, library: Section) -> tuple[Sums, int, dict[str, Any]]:
    sums = _walked(plex, known, library, 2, VIDEO_EXTRA, _video)
    counts = {
        "shows": sums.total,
        "seasons": _count(plex, library, type=3),
        "episodes": _count(plex, library, type=4),
        "unwatchedShows": _count(plex, library, **{"type": 2, "show.unwatchedLeaves": 1}),
    }
    tops = {"topGenres": sums.top("genre", TOP), "topStudios": sums.top("studio", TOP)}
    return sums, sums.total, {"showStats": {**counts, **tops, "byDecade": sums.in_order("decade")}}


def _music(plex: PlexServer, known: Known, library: Section) -> tuple[Sums, int, dict[str, Any]]:
    """Tracks seldom say their genre (their artists do), so the first thousand artists are read too."""
    artists = page(plex, path_of(_all(library), {"type": 8, "excludeElements": TRACK_EXTRA}), 0, PAGE)
    genres = {row.get("ratingKey"): tags(row, "Genre") for row in artists.rows}
    sums = _walked(plex, known, library, 10, TRACK_EXTRA, lambda row, sums: _track(row, sums, genres))
    music = {
        "count": artists.total,
        "totalTracks": sums.total,
        "totalAlbums": _count(plex, library, type=9),
        "totalPlays": sums.plays,
        "topGenres": sums.top("genre", TOP_MUSIC),
        "topArtists": sums.top("artist", TOP_MUSIC),
        "topAlbums": sums.top("album", TOP_MUSIC),
        "byYear": sums.in_order("year"),
        "audioFormats": sums.top("format"),
    }
    return sums, artists.total, {"musicStats": music}


def _walked(
    plex: PlexServer, known: Known, library: Section, kind: int, extra: str, add: Callable[[Element, Sums], None]
) -> Sums:
    """The sums over all items of a kind, at most ten thousand; kept while the library's content stays as it is."""

    def walk() -> Sums:
        sums, path = Sums(), path_of(_all(library), {"type": kind, "excludeElements": extra})
        for number_ in range(PAGES):
            found = page(plex, path, number_ * PAGE, PAGE)
            for row in found.rows:
                add(row, sums)
            sums.seen, sums.total = sums.seen + len(found.rows), found.total
            if len(found.rows) < PAGE or sums.seen >= found.total:
                break
        return sums

    changed = library.content_changed_at
    name = ("statistics of", library.section_id)
    return walk() if changed is None else known.kept(name, KEPT_SECONDS, walk, version=changed)


def _video(row: Element, sums: Sums) -> None:
    year = number(row, "year")
    sums.add("studio", text(row, "studio"))
    sums.add("decade", None if year is None else str(year - year % 10))
    for kind in ("Genre", "Director"):
        for tag in set(tags(row, kind)):
            sums.add(kind.lower(), tag)


def _track(row: Element, sums: Sums, genres: dict[str | None, list[str]]) -> None:
    plays = number(row, "viewCount") or 0
    artist, album = text(row, "grandparentTitle"), text(row, "parentTitle")
    sums.plays += plays
    sums.add("artist", artist, plays, row.get("grandparentRatingKey"))
    sums.add("album", f"{artist} - {album}" if artist and album else None, plays, row.get("parentRatingKey"))
    sums.add("year", text(row, "parentYear") or text(row, "year"))
    for genre in set(tags(row, "Genre") or genres.get(row.get("grandparentRatingKey"), [])):
        sums.add("genre", genre)
    media = row.find("Media")
    sums.add("format", text(media, "audioCodec") if media is not None else None)


def _count(plex: PlexServer, library: Section, **params: object) -> int:
    return count(plex, path_of(_all(library), params))


def _all(library: Section) -> str:
    return f"/library/sections/{library.section_id}/all"
