"""How much of an item a user has watched, for every kind of item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from plex_companion.plex.query import ResultPage, get, get_page
from plex_companion.plex.xml.attributes import read_kind, read_number
from plex_companion.serialize import compute_percent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
CONTAINERS = ("show", "season", "artist", "album")
ALBUM = 9
MOST_BELOW = 1000
"""How many seasons, episodes, albums or tracks of one item are read at once."""


@dataclass(frozen=True, slots=True)
class WatchedState:
    """`seen` of `total` parts. A film, an episode or a track is one part, which may be `started`."""

    seen: int
    total: int
    started: bool = False

    @property
    def status(self) -> Literal["unwatched", "partial", "watched"]:
        """The status of all parts together."""
        if self.total and self.seen >= self.total:
            return "watched"
        return "partial" if self.seen or self.started else "unwatched"

    def as_dict(self) -> dict[str, Any]:
        """Return the state of a container as results show it."""
        status = self.status
        return {
            "watched": status == "watched",
            "watch_status": status,
            "watched_count": self.seen,
            "total_count": self.total,
        }


def read_watched_state(row: Element, albums: Iterable[Element] = ()) -> WatchedState:
    """Return an item's watched state from its own row. An artist's row has no counts, so those of the albums are summed
    up.
    """
    if read_kind(row) == "artist":
        counted = list(albums)
        return WatchedState(_sum(counted, "viewedLeafCount"), _sum(counted, "leafCount"))
    if read_kind(row) in CONTAINERS:
        return WatchedState(read_number(row, "viewedLeafCount") or 0, read_number(row, "leafCount") or 0)
    return WatchedState(int(bool(read_number(row, "viewCount"))), 1, started=bool(read_number(row, "viewOffset")))


def read_progress(row: Element) -> dict[str, Any]:
    """Return the progress of one film, episode or track."""
    offset = read_number(row, "viewOffset") or 0
    views = read_number(row, "viewCount") or 0
    return {
        "view_count": views,
        "watched": views > 0,
        "playback_offset_ms": offset,
        "in_progress": offset > 0,
        "progress_percent": compute_percent(offset, read_number(row, "duration")),
    }


def get_children(plex: PlexServer, row: Element) -> list[Element]:
    """Return a season's episodes, an album's tracks or a show's seasons, ordered by number. One request."""
    key = row.get("ratingKey")
    found = get(plex, f"/library/metadata/{key}/children", excludeAllLeaves=1)
    return [child for child in found if child.get("ratingKey")]


def get_albums(plex: PlexServer, artist: Element) -> list[Element]:
    """Return an artist's albums, oldest first. One request."""
    found = get_page(
        plex,
        f"/library/sections/{artist.get('librarySectionID')}/all",
        offset=0,
        limit=MOST_BELOW,
        type=ALBUM,
        sort="originallyAvailableAt",
        **{"artist.id": artist.get("ratingKey")},
    )
    return [row for row in found.rows if read_kind(row) == "album"]


def cut_page(rows: list[Element], offset: int, limit: int) -> ResultPage:
    """Return one page of rows that are all loaded already."""
    return ResultPage(rows[offset : offset + limit], len(rows), offset, limit)


def _sum(rows: Iterable[Element], name: str) -> int:
    return sum(read_number(row, name) or 0 for row in rows)
