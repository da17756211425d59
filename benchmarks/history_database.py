"""A large history: very many plays of an invented household, in a database as the companion keeps it."""

from __future__ import annotations

import hashlib
import inspect
import random
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from plex_companion.cache.migrate import list_migrations, migrate
from plex_companion.names.search_text import prepare_titles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

YEARS = 5
DAY_MS = 86_400_000
SERVER = "bench-den"
USERS = ("Ada", "Ben", "Cleo", "Dov", "Edda", "Fynn", "Gita", "Hugo", "Ines", "Jon")
PLATFORMS = ("Android", "Chrome", "iOS", "Roku", "tvOS")
FIRST = (
    "Silent",
    "Paper",
    "Northern",
    "Hollow",
    "Copper",
    "Salt",
    "Winter",
    "Glass",
    "Second",
    "Harbour",
    "Amber",
    "Last",
)
SECOND = (
    "Lantern",
    "Kettle",
    "Orchard",
    "Signal",
    "Tide",
    "Ledger",
    "Atlas",
    "Ferry",
    "Meadow",
    "Clock",
    "Bridge",
    "Raven",
)
PLACES = ("Aldermoor", "Brackwater", "Corvane", "Dunmere", "Eskdale", "Farrowby", "Gelt", "Hallin", "Inchmore", "Jarrowmere",
          "Kelder", "Lowick", "Marrick", "Nethersea", "Orrest", "Pennard", "Quarle", "Rothmere", "Skell", "Tarnholm", "Ulver",
          "Vennor", "Wastmoor", "Yarrow", "Zennor", "Ambleside", "Birkrigg", "Calder", "Dowth", "Ennerfell")  # fmt: skip
KANJI = "春夏秋冬東西南北山川海空月星雪"
COLUMNS = (
    "id", "server", "epoch", "session_key", "rating_key", "key", "guid", "type", "title", "grandparent_title",
    "parent_title", "item_index", "parent_index", "year", "library", "library_id", "duration_ms", "live", "user_id",
    "user_name", "client_identifier", "player_title", "product", "platform", "device", "state", "view_offset_ms",
    "started_at", "updated_at", "ended_at", "ended_by", "watched_ms", "paused_ms", "buffer_count", "decision",
    "bandwidth_kbps", "location", "listed", "stale", "history_key", "viewed_at",
)  # fmt: skip
# As the migration fills them from existing plays.
_ESTIMATES = "coalesce(sum(watched_ms) FILTER (WHERE ended_by = 'imported'), 0)"
_SUMS = f"count(*), count(watched_ms), coalesce(sum(watched_ms), 0), {_ESTIMATES} FROM plays"
_NAMES = "coalesce(user_id, '=' || user_name, ''), coalesce(library_id, '=' || library, ''), coalesce(platform, '')"
ROLLUPS = (
    f"INSERT INTO play_quarters SELECT started_at / 900000, server, {_SUMS} GROUP BY 1, 2",
    f"INSERT INTO play_days SELECT started_at / 86400000, server, {_NAMES}, {_SUMS} GROUP BY 1, 2, 3, 4, 5",
    "INSERT INTO play_revisions SELECT DISTINCT started_at / 1209600000, 1 FROM plays",
    """UPDATE plays SET item_id = items.id, grandparent_rating_key = items.grandparent_key
    FROM items WHERE items.rating_key = plays.rating_key AND items.server = plays.server""",
    "UPDATE plays SET search_title = prepare_titles(title, grandparent_title, parent_title, performer, edition)",
    "INSERT INTO play_titles (play_titles) VALUES ('rebuild')",
)


class FillItems(Protocol):
    """Writes the catalogue of a history."""

    def __call__(self, database: sqlite3.Connection, *, items: int, now_ms: int) -> None:
        """Write so many items."""


def create_database(folder: Path, plays: int, now_ms: int, items: int = 0, fill_items: FillItems | None = None) -> Path:
    """Create the database unless it exists, and return its path. The newest play began at `now_ms`.

    Without items, the catalogue is empty. `fill_items` writes that many, of which some were played.
    """
    made_by = "".join([*(migration.sql for migration in list_migrations()), *_read_sources(fill_items)])
    name = hashlib.sha256(made_by.encode()).hexdigest()[:12]
    path = folder / f"history-{name}-{plays}-{items}-{now_ms}.sqlite3"
    if not path.exists():
        half = path.with_suffix(".half")
        half.unlink(missing_ok=True)
        migrate(half)
        with closing(sqlite3.connect(half, isolation_level=None)) as database:
            _fill(database, plays, now_ms, partial(fill_items, items=items, now_ms=now_ms) if fill_items else None)
        half.rename(path)
    return path


def _read_sources(fill_items: FillItems | None) -> Iterator[str]:
    """Yield the programs that make a database, so that another program makes another one."""
    yield Path(__file__).read_text(encoding="utf-8")
    if fill_items is not None:
        yield inspect.getsource(inspect.getmodule(fill_items) or fill_items)


def _fill(
    database: sqlite3.Connection, plays: int, now_ms: int, fill_items: Callable[[sqlite3.Connection], None] | None
) -> None:
    """Insert all rows. Indices and triggers are created afterwards, in a fraction of the time that they take row by row."""
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000"):
        database.execute(f"PRAGMA {pragma}")
    dropped = database.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name = 'plays' AND type IN ('index', 'trigger')"
    ).fetchall()
    for kind, name, _ in dropped:
        database.execute(f"DROP {kind} {name}")
    database.create_function("prepare_titles", 5, prepare_titles, deterministic=True)
    database.execute("BEGIN")
    database.execute(
        "INSERT INTO servers VALUES (?, 'Bench den', '1.43.0', 'Linux', '6', ?, ?)", (SERVER, now_ms, now_ms)
    )
    for number, name in enumerate(USERS, 1):
        database.execute("INSERT INTO accounts VALUES (?, ?, ?)", (SERVER, str(number), name))
    database.execute("INSERT INTO history VALUES (?, ?, ?, ?, 1)", (SERVER, now_ms // 1000, plays // 2, plays // 2))
    if fill_items is not None:  # while there are no plays, so that no trigger looks for those of each item
        fill_items(database)
    marks = ", ".join("?" * len(COLUMNS))
    database.executemany(f"INSERT INTO plays ({', '.join(COLUMNS)}) VALUES ({marks})", _generate_rows(plays, now_ms))  # noqa: S608 - our own names
    for sql in ROLLUPS:
        database.execute(sql)
    for _, _, sql in dropped:
        database.execute(sql)
    database.execute("COMMIT")
    database.execute("PRAGMA journal_mode = WAL")


def _generate_rows(plays: int, now_ms: int) -> Iterator[tuple[Any, ...]]:
    """Yield plays, oldest first; three in five of them are known from Plex's history alone."""
    rng = random.Random(7)  # noqa: S311 - invented
    items = [*generate_played_items(rng)]
    step = YEARS * 365 * DAY_MS / plays
    for number in range(1, plays + 1):
        item, user = rng.choice(items), min(int(rng.expovariate(0.35)), len(USERS) - 1)
        at = int(now_ms - (plays - number) * step)
        yield (number, SERVER, *_build_play(rng, item, user, at, number))


def _build_play(rng: random.Random, item: tuple[Any, ...], user: int, at: int, number: int) -> tuple[Any, ...]:
    duration, platform = item[12], rng.choice(PLATFORMS)
    who = (str(user + 1), USERS[user], f"client-{user}-{platform}", f"{USERS[user]}'s {platform}", f"Plex for {platform}", platform, platform)  # fmt: skip
    history = f"/status/sessions/history/{number}"
    if rng.random() < 0.6:
        counted = (None, None, at, at, at, "imported", duration, None, None, None, None, None, 0, 0, history, at)
        return (None, None, *item, *who, *counted)
    watched = int(duration * rng.random())
    end = at + watched + 60_000
    own = (
        "playing",
        watched,
        at,
        end,
        end,
        "stopped",
        watched,
        60_000,
        0,
        "direct play",
        8_000,
        "lan",
        1,
        0,
        history,
        end,
    )
    return (1, str(number), *item, *who, *own)


def generate_played_items(rng: random.Random) -> Iterator[tuple[Any, ...]]:
    """Yield the columns from rating key to `live` of 4,000 films (a tenth with Japanese titles), 200 shows of 60 episodes,
    150 artists of 40 tracks.
    """
    key = 1_000
    for number in range(4_000):
        key += 1
        title = _build_title(number) if number % 10 else f"{KANJI[number % len(KANJI)]}の物語{number}"
        yield _build_item(key, "movie", title, None, None, None, None, 1950 + number % 75, ("Films", "1"), 6_000_000)
    for number in range(200):
        show = f"The {_build_title(4_100 + number)}"
        for episode in range(60):
            key += 1
            season, index = divmod(episode, 10)
            title = f"{rng.choice(SECOND)} of {rng.choice(FIRST)}"
            yield _build_item(
                key,
                "episode",
                title,
                show,
                f"Season {season + 1}",
                index + 1,
                season + 1,
                None,
                ("Shows", "2"),
                2_700_000,
            )
    for number in range(150):
        artist = f"{PLACES[number % len(PLACES)]} {FIRST[number // len(PLACES)]}"
        for track in range(40):
            key += 1
            album = f"{rng.choice(SECOND)} {track // 10}"
            yield _build_item(
                key, "track", f"{rng.choice(SECOND)} Song", artist, album, track % 10, 1, None, ("Music", "3"), 210_000
            )


def _build_title(number: int) -> str:
    """Return a different title for each number."""
    rest, place = divmod(number, len(PLACES))
    return f"{FIRST[rest % len(FIRST)]} {SECOND[rest // len(FIRST) % len(SECOND)]} of {PLACES[place]}"


def _build_item(key: int, *facts: Any) -> tuple[Any, ...]:
    kind, title, above, middle, index, parent, year, (library, library_id), duration = facts
    guid = f"plex://{kind}/{key}"
    return (str(key), f"/library/metadata/{key}", guid, kind, title, above, middle, index, parent, year, library, library_id, duration, 0)  # fmt: skip
