"""What triggers keep beside the plays: counts by quarter hour and day, and an index over titles."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plex_companion.cache.migrate import migrate
from plex_companion.cache.record import build_upsert
from plex_companion.names.search_text import prepare_titles

if TYPE_CHECKING:
    from pathlib import Path

SERVER = "den-0001"
HOUR_MS = 3_600_000
COUNTED = {
    "started_at": st.integers(0, 50 * HOUR_MS),
    "user_id": st.sampled_from([None, "1", "2"]),
    "user_name": st.sampled_from([None, "Ada"]),
    "library": st.sampled_from([None, "Films", "Shows"]),
    "library_id": st.sampled_from([None, "1", "2"]),
    "platform": st.sampled_from([None, "Web"]),
    "watched_ms": st.one_of(st.none(), st.integers(0, 9_000_000)),
    "ended_by": st.sampled_from(["stopped", "imported", None]),
    "title": st.sampled_from([None, "The Lamp", "Lamplight", "Élan", "春の東京物語"]),
    "grandparent_title": st.sampled_from([None, "Harbour"]),
}
PLAYS = st.lists(st.fixed_dictionaries({"id": st.integers(1, 5), **COUNTED}), max_size=12)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("rollups") / "cache.sqlite3"
    migrate(path)
    return path


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(plays=PLAYS, gone=st.sets(st.integers(1, 5)))
def test_roll_ups_and_the_title_index_agree_with_a_recount_whatever_is_written(
    path: Path, plays: list[dict[str, object]], gone: set[int]
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.execute("INSERT INTO servers VALUES (?, NULL, NULL, NULL, NULL, 0, 0)", (SERVER,))
        for play in plays:
            prepared = prepare_titles(play.get("title"), play.get("grandparent_title"))
            row = {
                **play,
                "search_title": prepared,
                "server": SERVER,
                "live": 0,
                "listed": 0,
                "stale": 0,
                "updated_at": 0,
            }
            db.execute(build_upsert("plays", row), row)
        for number in gone:
            db.execute("DELETE FROM plays WHERE id = ?", (number,))
        estimates = "coalesce(sum(watched_ms) FILTER (WHERE ended_by = 'imported'), 0)"
        counts = f"count(*), count(watched_ms), coalesce(sum(watched_ms), 0), {estimates} FROM plays"
        kept = "plays, timed, watched_ms, estimated_ms FROM"
        quarters = db.execute(f"SELECT started_at / {HOUR_MS // 4}, {counts} GROUP BY 1 ORDER BY 1").fetchall()
        assert db.execute(f"SELECT quarter, {kept} play_quarters WHERE plays > 0 ORDER BY 1").fetchall() == quarters
        names = (
            "coalesce(user_id, '=' || user_name, ''), coalesce(library_id, '=' || library, ''), coalesce(platform, '')"
        )
        days = db.execute(
            f"SELECT started_at / {24 * HOUR_MS}, {names}, {counts} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
        ).fetchall()
        found = f"SELECT day, user_id, library, platform, {kept} play_days WHERE plays > 0 ORDER BY 1, 2, 3, 4"
        assert db.execute(found).fetchall() == days
        matching = "SELECT rowid FROM play_titles WHERE play_titles MATCH '\"elan\"' ORDER BY 1"
        assert db.execute(matching).fetchall() == db.execute("SELECT id FROM plays WHERE title = 'Élan'").fetchall()
        db.execute("INSERT INTO play_titles (play_titles) VALUES ('integrity-check')")
        db.execute("ROLLBACK")


def test_an_imported_play_of_unknown_length_gets_that_of_its_item_from_the_catalogue(path: Path) -> None:
    play = {"server": SERVER, "live": 0, "listed": 0, "stale": 0, "updated_at": 0, "started_at": 0, "rating_key": "7"}
    item = {
        "server": SERVER,
        "type": "movie",
        "title": "The Lamp",
        "detailed": 0,
        "rating_key": "7",
        "duration_ms": 9_000,
    }
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.execute("INSERT INTO servers VALUES (?, NULL, NULL, NULL, NULL, 0, 0)", (SERVER,))
        for number, ended_by in ((1, "imported"), (2, "stopped")):
            row = {**play, "id": number, "ended_by": ended_by}
            db.execute(build_upsert("plays", row), row)
        insert = f"INSERT INTO items ({', '.join(item)}) VALUES ({', '.join(f':{name}' for name in item)})"  # noqa: S608 - our own names
        db.execute(insert, {**item, "duration_ms": None})
        assert db.execute("SELECT watched_ms FROM plays ORDER BY id").fetchall() == [(None,), (None,)]
        db.execute("UPDATE items SET duration_ms = 9000")
        assert db.execute("SELECT watched_ms FROM plays ORDER BY id").fetchall() == [(9_000,), (None,)]
        assert db.execute("SELECT sum(estimated_ms) FROM play_days").fetchall() == [(9_000,)]
        row = {**play, "id": 3, "ended_by": "imported"}
        db.execute(build_upsert("plays", row), row)
        assert db.execute("SELECT watched_ms FROM plays WHERE id = 3").fetchall() == [(9_000,)]
        db.execute("ROLLBACK")
