"""The catalogue of a big library and its plays, written directly into a database as the companion keeps it."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.big_library import ALBUMS, EPISODES, SEASONS, TRACKS
from benchmarks.history_database import DAY_MS, FIRST, PLACES, SECOND, SERVER, USERS, YEARS
from plex_companion.cache.catalogue_write import CATALOGUE, build_catalogue_rows
from plex_companion.cache.migrate import migrate
from plex_companion.changes.kinds import CatalogueRowsRead
from plex_companion.models import CatalogueItem, CatalogueSection, MediaFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

GENRES = ("Comedy", "Drama", "Thriller", "Animation", "Western", "Horror", "Romance", "Fantasy", "Crime", "Family")
VERSIONS = (("4k", "hevc", 18), ("1080", "h264", 6), ("1080", "hevc", 4), ("720", "h264", 2), ("sd", "mpeg4", 1))
"""Resolution, codec, and gigabytes an hour."""
MINUTE_MS = 60_000
BATCH = 1_000
PLAYED = 2
"""Of so many items, one is ever played."""
_PLAY = """
    INSERT INTO plays (
        server, rating_key, guid, type, title, grandparent_title, grandparent_rating_key, library_id, library, duration_ms, live,
        user_id, user_name, view_offset_ms, started_at, updated_at, ended_at, ended_by, watched_ms, paused_ms, listed, stale,
        history_key, viewed_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?)
"""


def create_catalogue_database(path: Path, items: int, plays: int, now_ms: int) -> None:
    """Create a database with so many items and plays, in one transaction. The newest play began at `now_ms`."""
    migrate(path)
    rng = random.Random(11)  # noqa: S311 - invented
    every = [*generate_items(rng, items, now_ms)]
    assert len(every) == items
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -400000")
        database.execute("BEGIN")
        database.execute(
            "INSERT INTO servers VALUES (?, 'Bench den', '1.43.0', 'Linux', '1', ?, ?)", (SERVER, now_ms, now_ms)
        )
        for number, name in enumerate(USERS, 1):
            database.execute("INSERT INTO accounts VALUES (?, ?, ?)", (SERVER, str(number), name))
        database.execute("INSERT INTO history VALUES (?, ?, ?, ?, 1)", (SERVER, now_ms // 1000, plays, plays))
        write_items(database, every, now_ms)
        leaves = [item for item in every if item.files][::PLAYED]
        database.executemany(_PLAY, _generate_plays(rng, leaves, plays, now_ms))
        database.execute("COMMIT")


def write_items(database: sqlite3.Connection, items: Sequence[CatalogueItem], now_ms: int) -> None:
    """Write items and their libraries in batches, as the companion does."""
    for first in range(0, len(items), BATCH):
        _write(database, CatalogueRowsRead(SERVER, tuple(items[first : first + BATCH]), (), (), ()))
    _write(database, CatalogueRowsRead(SERVER, (), (), tuple(_list_sections(items, now_ms)), ()))


def _write(database: sqlite3.Connection, read: CatalogueRowsRead) -> None:
    CATALOGUE.call(build_catalogue_rows(read)).run(database)


def _list_sections(items: Sequence[CatalogueItem], now_ms: int) -> Iterator[CatalogueSection]:
    for key, title, kind in (("1", "Films", "movie"), ("2", "Series", "show"), ("3", "Music", "artist")):
        total = sum(item.section_id == key for item in items)
        yield CatalogueSection(key, title, kind, as_of=now_ms, total=total, complete=True)


def generate_items(rng: random.Random, items: int, now_ms: int) -> Iterator[CatalogueItem]:
    """Yield a fifth films, three fifths series and a fifth music, added in the course of the years."""
    show, artist = 1 + SEASONS * (1 + EPISODES), 1 + ALBUMS * (1 + TRACKS)
    shows, artists = items * 3 // 5 // show, items // 5 // artist
    for number in range(items - shows * show - artists * artist):
        yield build_item(rng, f"m{number}", "1", "movie", _build_title(rng, number), 110, now_ms)
    for number in range(shows):
        yield from _generate_whole(rng, number, ("2", "show", "season", "episode", SEASONS, EPISODES, 45), now_ms)
    for number in range(artists):
        yield from _generate_whole(rng, number, ("3", "artist", "album", "track", ALBUMS, TRACKS, 4), now_ms)


def _generate_whole(
    rng: random.Random, number: int, kind: tuple[str, str, str, str, int, int, int], now_ms: int
) -> Iterator[CatalogueItem]:
    section, outer, middle, inner, parts, leaves, minutes = kind
    key, title = f"{outer}{number}", _build_title(rng, number)
    yield build_item(rng, key, section, outer, title, 0, now_ms)
    for part in range(1, parts + 1):
        above, name = f"{key}.{part}", f"{middle.title()} {part}"
        yield build_item(
            rng, above, section, middle, name, 0, now_ms, parent_key=key, parent_title=title, item_index=part
        )
        for index in range(1, leaves + 1):
            yield build_item(
                rng, f"{above}.{index}", section, inner, _build_title(rng, index), minutes, now_ms, parent_key=above,
                parent_title=name, grandparent_key=key, grandparent_title=title, parent_index=part, item_index=index,
            )  # fmt: skip


def build_item(
    rng: random.Random, key: str, section: str, kind: str, title: str, minutes: int, now_ms: int, **above: str | int
) -> CatalogueItem:
    whole, is_leaf = kind in {"movie", "show", "artist"}, minutes > 0
    duration = round(minutes * MINUTE_MS * rng.uniform(0.7, 1.4)) if is_leaf else None
    added = now_ms - rng.randrange(YEARS * 365 * DAY_MS)
    return CatalogueItem(
        rating_key=key, section_id=section, type=kind, title=title, guid=f"plex://{kind}/{key}", added_at=added, updated_at=added,
        year=rng.randrange(1960, 2026), duration_ms=duration, audience_rating=round(rng.uniform(2, 9), 1),
        studio=rng.choice(PLACES) if whole else None, detailed=True,
        summary=" ".join(rng.choice((*FIRST, *SECOND, *PLACES)) for _ in range(30 if whole else 12)),
        genres=tuple(rng.sample(GENRES, 2)) if whole else (),
        actors=tuple(_build_name(rng) for _ in range(6)) if whole and kind != "artist" else (),
        directors=(_build_name(rng),) if kind == "movie" else (),
        files=(_build_file(rng, key, duration or 0),) if is_leaf else (),
        **above,  # type: ignore[arg-type]  # names and values of one kind of item
    )  # fmt: skip


def _build_title(rng: random.Random, number: int) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(SECOND)} of {rng.choice(PLACES)} {number}"


def _build_name(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(PLACES)} {rng.randrange(12)}"


def _build_file(rng: random.Random, key: str, duration: int) -> MediaFile:
    resolution, codec, rate = rng.choice(VERSIONS)
    return MediaFile(
        media_id=f"f{key}", size_bytes=round(rate * 10**9 * duration / 3_600_000), container="mkv", resolution=resolution,
        video_codec=codec, audio_codec="aac", channels=2, bitrate_kbps=rate * 2_200, duration_ms=duration,
    )  # fmt: skip


def _generate_plays(
    rng: random.Random, leaves: Sequence[CatalogueItem], plays: int, now_ms: int
) -> Iterator[tuple[object, ...]]:
    """Yield plays, oldest first. One in ten was left unfinished."""
    step = YEARS * 365 * DAY_MS / plays
    for number in range(plays):
        item, user = rng.choice(leaves), min(int(rng.expovariate(0.35)), len(USERS) - 1)
        at, length = int(now_ms - (plays - number) * step), item.duration_ms or 0
        is_left = rng.random() < 0.1
        watched = int(length * rng.uniform(0.1, 0.8)) if is_left else length
        yield (
            SERVER, item.rating_key, item.guid, item.type, item.title, item.grandparent_title, item.grandparent_key, item.section_id,
            {"1": "Films", "2": "Series", "3": "Music"}[item.section_id or ""], length, str(user + 1), USERS[user], watched, at,
            at + watched, at + watched, "stopped" if is_left else "imported", watched, rng.randrange(10) * MINUTE_MS,
            None if is_left else f"/h/{number}", None if is_left else at + watched,
        )  # fmt: skip
