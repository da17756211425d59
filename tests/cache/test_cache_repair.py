"""A damaged database: what is put aside, what replaces it, and what is reported."""

# ruff: noqa: ASYNC240 - the files are what is tested, and nothing else waits for the loop

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from support.frames import START
from test_cache_maintenance import DAY, SERVER, filled, journaled, names, rows_of, spoil

from plex_companion.cache.backup import Backup, back_up, format_stamp, list_backups
from plex_companion.cache.database import open_cache
from plex_companion.cache.migrate import Migration, list_migrations, migrate
from plex_companion.errors import DatabaseNewer, DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

LATER = START + 2 * DAY
ASIDE = f"cache.sqlite3.corrupt-{format_stamp(LATER)}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.sqlite3"


async def database(path: Path, *, backup: bool = True) -> Backup | None:
    """A database of 300 rows, with a backup of the first 200 of them."""
    async with open_cache(path, now=lambda: START) as cache:
        await filled(cache, rows=200, size=2_000)
        made = await back_up(path, keep=3, at=START) if backup else None
        await cache.write([journaled(n, f'"{"x" * 2_000}"') for n in range(201, 301)], SERVER, START)
    return made


def header(path: Path) -> None:
    """The first page is nonsense, but for the words it begins with."""
    with path.open("r+b") as file:
        file.seek(16)
        file.write(b"\xff" * 4_080)


def zeros(path: Path) -> None:
    """The first page is zeros, as after a power cut."""
    with path.open("r+b") as file:
        file.write(b"\x00" * 4_096)


def cut_short(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 3)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "header": header,
    "zeros": zeros,
    "middle": spoil,
    "truncated": cut_short,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_database_is_put_aside_and_the_newest_good_backup_takes_its_place(
    path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    await database(path)
    damage(path)
    spoilt = path.read_bytes()
    async with open_cache(path, now=lambda: LATER) as cache:
        assert cache.repair_report is not None
        assert len(rows_of(path)) == 200
    assert path.with_name(ASIDE).read_bytes() == spoilt
    assert path.stat().st_mode & 0o777 == 0o600
    assert rows_of(path, "PRAGMA integrity_check") == [("ok",)]
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert ASIDE in line
    assert f"restored from the backup of {format_stamp(START)}" in line
    async with open_cache(path, now=lambda: LATER) as cache:
        assert cache.repair_report is None, "once is enough"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_without_a_backup_it_begins_anew_and_keeps_what_was_there(
    path: Path, damage: Callable[[Path], None]
) -> None:
    await database(path, backup=False)
    damage(path)
    async with open_cache(path, now=lambda: LATER) as cache:
        assert cache.repair_report is not None
        assert cache.repair_report.backup is None
        assert rows_of(path) == []
    assert path.with_name(ASIDE).exists()


async def test_a_damaged_backup_is_passed_over_and_none_is_lost(path: Path) -> None:
    await database(path)
    async with open_cache(path, now=lambda: START):
        newest = await back_up(path, keep=3, at=START + DAY)
    spoil(newest.path)
    spoil(path)
    async with open_cache(path, now=lambda: LATER) as cache:
        assert cache.repair_report is not None
        assert cache.repair_report.backup == Backup(list_backups(path, LATER)[1].path, START)
    assert names(path) == [f"{format_stamp(START)}.sqlite3", f"{format_stamp(START + DAY)}.sqlite3"]


async def test_rubbish_in_the_write_ahead_log_loses_no_more_than_the_log(path: Path) -> None:
    await database(path)
    Path(f"{path}-wal").write_bytes(b"\xa5" * 100_000)
    async with open_cache(path, now=lambda: LATER) as cache:
        assert cache.repair_report is None
        assert len(rows_of(path)) == 300


async def test_the_log_of_a_damaged_database_goes_with_it(path: Path, tmp_path: Path) -> None:
    await database(path)
    crashed = tmp_path / "crashed" / "cache.sqlite3"
    crashed.parent.mkdir()
    async with open_cache(path, now=lambda: START) as cache:
        await cache.write([journaled(n) for n in range(301, 311)], SERVER, START)
        for suffix in ("", "-wal"):
            Path(f"{crashed}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    log = Path(f"{crashed}-wal").read_bytes()
    spoil(crashed)
    async with open_cache(crashed, now=lambda: LATER) as cache:
        assert cache.repair_report is not None
        assert rows_of(crashed) == []
    assert crashed.with_name(f"{ASIDE}-wal").read_bytes() == log


async def test_a_backup_of_the_day_vouches_for_a_database_that_was_closed_in_peace(path: Path) -> None:
    await database(path)
    spoil(path)
    async with open_cache(path, now=lambda: START + 1_000) as cache:
        assert cache.repair_report is None, "nobody read every page"
    async with open_cache(path, now=lambda: START + DAY) as cache:
        assert cache.repair_report is not None, "a day later somebody does"


async def test_what_another_process_uses_is_not_touched(path: Path) -> None:
    await database(path)
    spoil(path)
    spoilt = path.read_bytes()
    with FileLock(f"{path}.lock"):
        async with open_cache(path, now=lambda: LATER) as cache:
            assert cache.repair_report is None
    assert path.read_bytes()[4096:] == spoilt[4096:]
    assert not path.with_name(ASIDE).exists()


async def test_a_picture_named_by_mistake_is_never_moved(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n" * 100)
    with pytest.raises(DatabaseUnusable, match="--database"):
        async with open_cache(path):
            pass
    assert path.read_bytes() == b"\x89PNG\r\n" * 100


async def test_a_newer_database_is_refused_even_where_it_is_damaged(path: Path) -> None:
    await database(path)
    migrate(path, [*list_migrations(), Migration(999, "tomorrow", "CREATE TABLE tomorrow (a INTEGER) STRICT;")])
    spoil(path)
    spoilt = path.read_bytes()
    with pytest.raises(DatabaseNewer):
        async with open_cache(path, now=lambda: LATER):
            pass
    assert path.read_bytes() == spoilt


async def test_damage_met_by_a_write_is_said_once_and_mended_at_the_next_start(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await database(path)
    async with open_cache(path, now=lambda: START) as cache:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (path.stat().st_size - 4096))
        for _ in range(3):
            with pytest.raises(sqlite3.DatabaseError, match="malformed"):
                await cache.write([journaled(n) for n in range(301, 311)], SERVER, START)
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "started again" in errors[0]
    async with open_cache(path, now=lambda: START + 1_000) as cache:
        assert cache.repair_report is not None
        assert len(rows_of(path)) == 200


async def test_a_database_of_another_program_is_refused_and_not_touched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (title TEXT)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(DatabaseUnusable, match="another program"):
        async with open_cache(path, now=lambda: LATER):
            pass
    assert path.read_bytes() == before
