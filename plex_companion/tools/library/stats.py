"""Statistics of a library: counts, and the most frequent genres, people and years, from one pass over its items."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plex_companion.models import MediaType
from plex_companion.plex.query import build_path, count_rows, get_page
from plex_companion.plex.xml.attributes import read_number, read_tags, read_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.ttl_cache import TtlCache

PAGE, PAGES = 1000, 10
KEPT_SECONDS = 600.0
"""How long the statistics are cached, because plays do not change `contentChangedAt`."""
TOP, TOP_MUSIC = 5, 10
VIDEO_EXTRA = "Media,Role,Writer,Country,Producer,Collection,Guid,Image,Rating,UltraBlurColors"
TRACK_EXTRA = "Part,Guid,Image,Rating,UltraBlurColors"
"""Elements that rows can leave out; they make up most of the bytes."""


@dataclass(slots=True)
class Sums:
    """The values counted in `seen` of `total` rows."""

    total: int = 0
    seen: int = 0
    plays: int = 0
    by: dict[str, Counter[tuple[str, str | None]]] = field(default_factory=dict)
    """How often each value occurs, with the rating key where a name is not unique."""

    def add(self, what: str, value: str | None, times: int = 1, key: str | None = None) -> None:
        """Count a value. Missing values are ignored. `key` distinguishes artists with the same name."""
        if value is not None and times:
            self.by.setdefault(what, Counter())[value, key] += times

    def list_top(self, what: str, most: int | None = None) -> dict[str, int]:
        """Return the most frequent values first. Values that share a name get their rating keys."""
        found = self.by.get(what, Counter())
        names = Counter(value for value, _ in found)
        return {
            f"{value} ({key})" if names[value] > 1 and key else value: times
            for (value, key), times in found.most_common(most)
        }

    def list_in_order(self, what: str) -> dict[str, int]:
        """Return the values in their own order, such as years."""
        return {value: times for (value, _), times in sorted(self.by.get(what, Counter()).items())}


def compute_stats(plex: PlexServer, known: TtlCache, library: Section) -> dict[str, Any]:
    """Return the statistics of a library. At most fourteen requests."""
    make = {"movie": _sum_movies, "show": _sum_shows, "artist": _sum_music}.get(library.type, _sum_photos)
    sums, total, found = make(plex, known, library)
    head = {"name": library.title, "type": library.type, "totalItems": total}
    return {**head, **found, "sampled": sums.seen < sums.total, "sample_size": sums.seen}


def _sum_photos(plex: PlexServer, _: TtlCache, library: Section) -> tuple[Sums, int, dict[str, Any]]:
    total = _count(plex, library, includeCollections=0)
    return Sums(), total, {"photoStats": {"count": _count(plex, library, type=MediaType.PHOTO)}}


def _sum_movies(plex: PlexServer, known: TtlCache, library: Section) -> tuple[Sums, int, dict[str, Any]]:
    sums = _sum_items(plex, known, library, 1, VIDEO_EXTRA, _add_video)
    counts = {"count": sums.total, "unwatched": _count(plex, library, type=MediaType.MOVIE, unwatched=1)}
    tops = {
        "topGenres": sums.list_top("genre", TOP),
        "topDirectors": sums.list_top("director", TOP),
        "topStudios": sums.list_top("studio", TOP),
    }
    return sums, sums.total, {"movieStats": {**counts, **tops, "byDecade": sums.list_in_order("decade")}}


def _sum_shows(plex: PlexServer, known: TtlCache, library: Section) -> tuple[Sums, int, dict[str, Any]]:
    sums = _sum_items(plex, known, library, 2, VIDEO_EXTRA, _add_video)
    counts = {
        "shows": sums.total,
        "seasons": _count(plex, library, type=MediaType.SEASON),
        "episodes": _count(plex, library, type=MediaType.EPISODE),
        "unwatchedShows": _count(plex, library, **{"type": 2, "show.unwatchedLeaves": 1}),
    }
    tops = {"topGenres": sums.list_top("genre", TOP), "topStudios": sums.list_top("studio", TOP)}
    return sums, sums.total, {"showStats": {**counts, **tops, "byDecade": sums.list_in_order("decade")}}


def _sum_music(plex: PlexServer, known: TtlCache, library: Section) -> tuple[Sums, int, dict[str, Any]]:
    """Sum up a music library. Tracks rarely have a genre but their artists do, so the first thousand artists are read
    too.
    """
    artists = get_page(plex, build_path(_build_path(library), {"type": 8, "excludeElements": TRACK_EXTRA}), 0, PAGE)
    genres = {row.get("ratingKey"): read_tags(row, "Genre") for row in artists.rows}
    sums = _sum_items(plex, known, library, 10, TRACK_EXTRA, lambda row, sums: _add_track(row, sums, genres))
    music = {
        "count": artists.total,
        "totalTracks": sums.total,
        "totalAlbums": _count(plex, library, type=MediaType.ALBUM),
        "totalPlays": sums.plays,
        "topGenres": sums.list_top("genre", TOP_MUSIC),
        "topArtists": sums.list_top("artist", TOP_MUSIC),
        "topAlbums": sums.list_top("album", TOP_MUSIC),
        "byYear": sums.list_in_order("year"),
        "audioFormats": sums.list_top("format"),
    }
    return sums, artists.total, {"musicStats": music}


def _sum_items(
    plex: PlexServer, known: TtlCache, library: Section, kind: int, extra: str, add: Callable[[Element, Sums], None]
) -> Sums:
    """Return the sums over the items of a kind, at most ten thousand, cached until the library's content changes."""

    def walk() -> Sums:
        sums, path = Sums(), build_path(_build_path(library), {"type": kind, "excludeElements": extra})
        for number_ in range(PAGES):
            found = get_page(plex, path, number_ * PAGE, PAGE)
            for row in found.rows:
                add(row, sums)
            sums.seen, sums.total = sums.seen + len(found.rows), found.total
            if len(found.rows) < PAGE or sums.seen >= found.total:
                break
        return sums

    changed = library.content_changed_at
    name = ("statistics of", library.section_id)
    return walk() if changed is None else known.get_or_fetch(name, KEPT_SECONDS, walk, version=changed)


def _add_video(row: Element, sums: Sums) -> None:
    year = read_number(row, "year")
    sums.add("studio", read_text(row, "studio"))
    sums.add("decade", None if year is None else str(year - year % 10))
    for kind in ("Genre", "Director"):
        for tag in set(read_tags(row, kind)):
            sums.add(kind.lower(), tag)


def _add_track(row: Element, sums: Sums, genres: dict[str | None, list[str]]) -> None:
    plays = read_number(row, "viewCount") or 0
    artist, album = read_text(row, "grandparentTitle"), read_text(row, "parentTitle")
    sums.plays += plays
    sums.add("artist", artist, plays, row.get("grandparentRatingKey"))
    sums.add("album", f"{artist} - {album}" if artist and album else None, plays, row.get("parentRatingKey"))
    sums.add("year", read_text(row, "parentYear") or read_text(row, "year"))
    for genre in set(read_tags(row, "Genre") or genres.get(row.get("grandparentRatingKey"), [])):
        sums.add("genre", genre)
    media = row.find("Media")
    sums.add("format", read_text(media, "audioCodec") if media is not None else None)


def _count(plex: PlexServer, library: Section, **params: object) -> int:
    return count_rows(plex, build_path(_build_path(library), params))


def _build_path(library: Section) -> str:
    return f"/library/sections/{library.section_id}/all"
