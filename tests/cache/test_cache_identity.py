"""What a database of an earlier version is brought to: its plays counted by identity, its titles searched in any part."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from support.recorded_plays import DAY, NOW, SERVER, episode, past, seen

from plex_companion.cache.migrate import list_migrations, migrate
from plex_companion.cache.record import build_upsert

if TYPE_CHECKING:
    from pathlib import Path


async def test_plays_of_an_earlier_version_are_counted_and_found_after_the_migration(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite3"
    migrate(path, list_migrations()[:2])
    rows = [
        seen(1, NOW, library="Old name"),
        seen(2, NOW - 1, title="春の東京物語"),
        seen(3, NOW - DAY, **episode("Harbour", 1, 1)),
        seen(4, NOW - 2, user_id=None, user_name=None),
    ]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO servers VALUES (?, 'Den', '1.43.0', 'Linux', '6', 0, 1)", (SERVER,))
        for row in rows:
            database.execute(build_upsert("plays", row), row)
    newer = seen(5, NOW - 3, **episode("Harbour", 1, 2), grandparent_rating_key="21", grandparent_guid="plex://show/h")
    async with past(tmp_path, plays=[newer]) as it:
        users = await it.well("history_stats", by="user", period="all")
        assert (users["plays"], [(entry["name"], entry["plays"]) for entry in users["entries"]]) == (5, [("Ada", 4)])
        libraries = await it.well("history_stats", by="library", period="all")
        assert {entry["name"]: entry["plays"] for entry in libraries["entries"]} == {"Films": 3, "Shows": 2}
        titles = await it.well("history_stats", by="title", period="all")
        assert {entry["key"]: entry["plays"] for entry in titles["entries"]}["plex://show/h"] == 2
        hours = await it.well("history_stats", by="hour", period="all")
        assert sum(hour["plays"] for hour in hours["entries"]) == 5
        assert [play["id"] for play in (await it.well("history_query", title="京物"))["plays"]] == ["2"]
