"""Opening the database: migrations, refusals, what the file may be."""

# ruff: noqa: ASYNC240 - the files are what is tested, and nothing else waits for the loop

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from support.deadlines import HANG_SECONDS

from plex_companion.cache.connections import open_connection
from plex_companion.cache.database import open_cache
from plex_companion.cache.migrate import Migration, list_migrations, migrate
from plex_companion.errors import DatabaseNewer, DatabaseUnusable

ONE = Migration(1, "one", "CREATE TABLE one (a INTEGER) STRICT; INSERT INTO one VALUES (1);")
TWO = Migration(
    2, "two", "ALTER TABLE one ADD COLUMN b TEXT; -- a remark; with a semicolon\nUPDATE one SET b = 'x;y';\n"
)
BAD = Migration(
    2, "bad", "CREATE TABLE two (a INTEGER) STRICT; INSERT INTO one VALUES (2); INSERT INTO nowhere VALUES (1);"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.sqlite3"


def asked(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_migrations_are_applied_in_order_and_recorded(path: Path) -> None:
    assert migrate(path, [ONE, TWO]) == 2
    assert asked(path, "SELECT version, name FROM migrations ORDER BY version") == [(1, "one"), (2, "two")]
    assert asked(path, "SELECT a, b FROM one") == [(1, "x;y")]


def test_migrating_again_applies_only_what_is_missing(path: Path) -> None:
    migrate(path, [ONE])
    assert migrate(path, [ONE, TWO]) == 2
    assert migrate(path, [ONE, TWO]) == 2
    assert asked(path, "SELECT count(*) FROM one") == [(1,)]


def test_a_migration_that_fails_half_way_leaves_nothing_of_itself(path: Path) -> None:
    migrate(path, [ONE])
    with pytest.raises(DatabaseUnusable, match="nowhere"):
        migrate(path, [ONE, BAD])
    assert asked(path, "SELECT name FROM sqlite_schema WHERE name = 'two'") == []
    assert asked(path, "SELECT a FROM one") == [(1,)]
    assert asked(path, "SELECT max(version) FROM migrations") == [(1,)]
    assert migrate(path, [ONE, TWO]) == 2, "a mended one applies"


def test_a_file_is_closed_to_others_before_anything_is_in_it(path: Path) -> None:
    with pytest.raises(DatabaseUnusable):
        migrate(path, [BAD])
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_shipped_migrations_have_a_number_each() -> None:
    versions = [migration.version for migration in list_migrations()]
    assert versions == sorted(set(versions))


OF_NO_SERVER = {
    "migrations",
    "servers",
    "about",
    "chronicle_position",
    "listener",
    "links",
    "announcements",
    "letters",
    "deliveries",
    "event_subscriptions",
    "figure_revisions",
    "muted_kinds",
    "rules",
    "rule_firings",
    "rule_timers",
    "rules_position",
}
"""What belongs to the database, or to the processes that share it."""
ROLLED_UP = {"play_hours", "play_days", "play_revisions"}
"""Counted from rows that belong to a server."""
OF_AN_ITEM = {"files", "item_tags"}
"""Of the server of their item."""


async def test_every_table_is_strict_and_belongs_to_a_server(path: Path) -> None:
    async with open_cache(path):
        pass
    tables = asked(
        path,
        "SELECT name, strict FROM pragma_table_list "
        "WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'play_titles%' AND type <> 'view' "
        "AND name NOT LIKE 'item_words%'",
    )
    assert {name for name, strict in tables if not strict} == set()
    for name, _ in tables:
        if name not in OF_NO_SERVER | ROLLED_UP | OF_AN_ITEM:
            assert asked(path, f"SELECT 1 FROM pragma_table_info('{name}') WHERE name = 'server'"), name  # noqa: S608 - our own table names
            assert asked(path, f"SELECT 1 FROM pragma_foreign_key_list('{name}') WHERE \"table\" = 'servers'"), name  # noqa: S608 - our own table names


async def test_the_database_is_in_wal_mode_and_commits_reach_the_disk(path: Path) -> None:
    async with open_cache(path) as cache:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            (row,) = await cache.writer.execute_fetchall(f"PRAGMA {pragma}")
            assert row[0] == value


def test_a_newer_database_is_refused_and_left_byte_for_byte_as_it_was(path: Path) -> None:
    migrate(path, [*list_migrations(), Migration(999, "tomorrow", "CREATE TABLE tomorrow (a INTEGER) STRICT;")])
    before = path.read_bytes()
    with pytest.raises(DatabaseNewer, match="schema 999"):
        migrate(path)
    assert path.read_bytes() == before


def test_a_newer_database_left_by_a_crash_keeps_its_write_ahead_log(path: Path, tmp_path: Path) -> None:
    migrate(path, [*list_migrations(), Migration(999, "tomorrow", "CREATE TABLE tomorrow (a INTEGER) STRICT;")])
    with closing(sqlite3.connect(path, isolation_level=None)) as open_still:
        open_still.execute("INSERT INTO tomorrow VALUES (1)")
        crashed = tmp_path / "crashed.sqlite3"
        for suffix in ("", "-wal"):
            Path(f"{crashed}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    before = [Path(f"{crashed}{suffix}").read_bytes() for suffix in ("", "-wal")]
    with pytest.raises(DatabaseNewer):
        migrate(crashed)
    assert [Path(f"{crashed}{suffix}").read_bytes() for suffix in ("", "-wal")] == before


def one_line(error: pytest.ExceptionInfo[DatabaseUnusable], path: Path) -> bool:
    message = error.value.message
    return "\n" not in message and str(path) in message


async def test_a_file_that_is_no_database_is_refused_in_one_line_and_not_touched(path: Path) -> None:
    content = b"this is no database, " * 100
    path.write_bytes(content)
    with pytest.raises(DatabaseUnusable) as error:
        async with open_cache(path):
            pass
    assert one_line(error, path)
    assert path.read_bytes() == content


async def test_a_folder_in_place_of_the_file_is_refused_in_one_line(path: Path) -> None:
    path.mkdir()
    with pytest.raises(DatabaseUnusable) as error:
        async with open_cache(path):
            pass
    assert one_line(error, path)


async def test_a_file_in_place_of_the_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "cache.sqlite3"
    with pytest.raises(DatabaseUnusable) as error:
        async with open_cache(path):
            pass
    assert one_line(error, path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_may_not_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    path = tmp_path / "cache.sqlite3"
    with pytest.raises(DatabaseUnusable) as error:
        async with open_cache(path):
            pass
    tmp_path.chmod(0o700)
    assert one_line(error, path)


async def test_missing_folders_are_made_and_only_the_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "cache.sqlite3"
    async with open_cache(path) as cache:
        await cache.writer.execute("UPDATE servers SET name = 'x'")
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert set(modes) >= {"cache.sqlite3", "cache.sqlite3-wal"}
    assert set(modes.values()) == {0o600}
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_a_file_that_was_open_to_others_is_closed_to_them(path: Path) -> None:
    path.touch(mode=0o644)
    async with open_cache(path):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["with space", "per%20cent", "question?mark", "hash#tag", "zoë"])
async def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.sqlite3"
    for _ in range(2):
        async with open_cache(path):
            pass
    assert {file.name for file in tmp_path.iterdir()} == {path.name, f"{path.name}.lock"}


async def test_the_reader_cannot_write(path: Path) -> None:
    async with open_cache(path) as cache:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await cache.reader.execute("DELETE FROM servers")


async def test_an_error_of_the_one_who_uses_the_cache_stays_his_own(path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        async with open_cache(path) as cache:
            await cache.reader.execute("SELECT * FROM nowhere")


def test_processes_that_start_at_once_on_a_new_file_all_get_it_open(path: Path) -> None:
    code = "import sys, pathlib; from plex_companion.cache.migrate import migrate; print(migrate(pathlib.Path(sys.argv[1])))"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603 - our own code
        for _ in range(6)
    ]
    answers = [process.communicate(timeout=HANG_SECONDS) for process in processes]
    assert [(out.strip(), err) for out, err in answers] == [(str(list_migrations()[-1].version).encode(), b"")] * 6


async def test_a_connection_that_is_no_longer_wanted_while_it_is_opened_is_closed(path: Path) -> None:
    migrate(path)
    for _ in range(20):
        async with anyio.create_task_group() as tasks:

            async def connect() -> None:
                async with open_connection(path):
                    await anyio.sleep_forever()

            tasks.start_soon(connect)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    gc.collect()  # what nobody closed warns, from Python 3.13 on
    assert not Path(f"{path}-wal").exists()
