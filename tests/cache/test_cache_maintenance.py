"""Backups that can be trusted, a write-ahead log that stays short, and what is reported of both."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.frames import DEN, START, Story

from plex_companion.cache.backup import Backup, back_up, find_backup_folder, format_stamp, is_due, list_backups
from plex_companion.cache.database import WRITER_CHECKPOINT_PAGES, Cache, open_cache
from plex_companion.cache.maintenance import LONG_WAL, MaintenancePlan, checkpoint_log, maintain, truncate_wal
from plex_companion.cache.migrate import list_migrations, migrate
from plex_companion.cache.prune import prune
from plex_companion.changes.kinds import Journaled
from plex_companion.errors import BackupFailed, DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plex_companion.events import StorageReport

DAY = 86_400_000
PAGE_BYTES = 4_096
SERVER = DEN.machine_identifier


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.sqlite3"


def rows_of(path: Path, sql: str = "SELECT id FROM events ORDER BY id") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def journaled(number: int, payload: str = "{}") -> Journaled:
    return Journaled(number, START + number, "playing", "1", "playing", payload)


async def filled(cache: Cache, rows: int = 20, size: int = 10) -> None:
    """A server is known and the journal has so many rows."""
    await cache.write(Story(connected=False).connect(), SERVER, START)
    payload = f'"{"x" * size}"'
    await cache.write([journaled(number, payload) for number in range(2, rows + 1)], SERVER, START)


def names(path: Path) -> list[str]:
    return sorted(file.name for file in find_backup_folder(path).iterdir())


def spoil(path: Path) -> None:
    """Scribble over the middle of a file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(os.urandom(8192))


# Backups


async def test_a_backup_is_one_file_that_stands_alone_and_is_its_owners(path: Path) -> None:
    async with open_cache(path) as cache:
        await filled(cache)
        made = await back_up(path, keep=3, at=START)
        assert names(path) == [f"{format_stamp(START)}.sqlite3"]
        assert rows_of(made.path) == rows_of(path)
    assert find_backup_folder(path).stat().st_mode & 0o777 == 0o700
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert rows_of(made.path, "PRAGMA journal_mode") == [("delete",)]


async def test_who_writes_meanwhile_does_not_wait_for_the_end_nor_make_a_backup_begin_anew(path: Path) -> None:
    async with open_cache(path) as cache, anyio.create_task_group() as tasks:
        await filled(cache, rows=3_000, size=8_000)
        done, written = anyio.Event(), 0

        async def copy() -> None:
            made.append(await back_up(path, keep=3, at=START))
            done.set()

        made: list[Backup] = []
        tasks.start_soon(copy)
        with anyio.fail_after(HANG_SECONDS):
            while not done.is_set():
                written += 1
                await cache.write([journaled(3_000 + written)], SERVER, START)
        assert written > 1, "a write has ended before the backup"
        seen = rows_of(made[0].path, "SELECT count(*), max(id) FROM events")
        assert seen[0][0] == seen[0][1], "one moment, whole"


async def test_the_newest_backups_stay_and_the_one_just_made_does_whatever_the_clock_said(path: Path) -> None:
    async with open_cache(path) as cache:
        await filled(cache)
        for day in range(4):
            await back_up(path, keep=3, at=START + day * DAY)
        assert [one.at for one in list_backups(path, START + 4 * DAY)] == [START + day * DAY for day in (3, 2, 1)]
        await back_up(path, keep=3, at=START + 900 * DAY)  # the clock was wrong for a moment
        await back_up(path, keep=1, at=START + 4 * DAY)
        assert [one.at for one in list_backups(path, START + 4 * DAY)] == [START + 4 * DAY]


async def test_a_file_of_somebody_else_beside_the_backups_is_left_alone(path: Path) -> None:
    async with open_cache(path):
        find_backup_folder(path).mkdir()
        (find_backup_folder(path) / "mine.sqlite3").write_text("mine")
        await back_up(path, keep=1, at=START)
        await back_up(path, keep=1, at=START + DAY)
    assert names(path) == [f"{format_stamp(START + DAY)}.sqlite3", "mine.sqlite3"]


async def test_the_backup_of_a_damaged_database_takes_no_good_ones_place(path: Path) -> None:
    async with open_cache(path) as cache:
        await filled(cache, rows=300, size=2_000)
        await back_up(path, keep=1, at=START)
    spoil(path)
    with pytest.raises(BackupFailed) as failure:
        await back_up(path, keep=1, at=START + DAY)
    assert failure.value.facts == {"damaged": True}
    assert names(path) == [f"{format_stamp(START)}.sqlite3"]
    assert len(rows_of(list_backups(path, START)[0].path)) == 300


async def test_a_backup_that_is_no_longer_wanted_leaves_nothing(path: Path) -> None:
    async with open_cache(path) as cache:
        await filled(cache, rows=3_000, size=8_000)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: back_up(path, keep=1, at=START))
            with anyio.fail_after(HANG_SECONDS):
                while not find_backup_folder(path).exists() or not names(path):  # noqa: ASYNC110 - a file has no event
                    await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
        assert names(path) == []


FULL_DISK = """
import pathlib, resource, sys
import anyio
from plex_companion.cache.backup import back_up
from plex_companion.errors import BackupFailed

async def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        await back_up(pathlib.Path(sys.argv[1]), keep=1, at=int(sys.argv[2]))
    except BackupFailed as error:
        print(error)

anyio.run(main)
"""


async def test_a_full_disk_fails_the_backup_and_leaves_the_old_one_and_no_remains(path: Path) -> None:
    async with open_cache(path) as cache:
        await filled(cache, rows=300, size=2_000)
        await back_up(path, keep=1, at=START)
        done = subprocess.run(  # noqa: S603, ASYNC221 - our own code, and nothing else runs
            [sys.executable, "-c", FULL_DISK, str(path), str(START + DAY)], capture_output=True, text=True, check=False
        )
        assert done.stdout.startswith("cache.sqlite3 cannot be copied: "), done.stderr
        assert names(path) == [f"{format_stamp(START)}.sqlite3"]


async def test_a_migration_is_preceded_by_a_backup(path: Path) -> None:
    migrate(path, list_migrations()[:1])
    async with open_cache(path, now=lambda: START) as cache:
        assert cache.schema == list_migrations()[-1].version
    (made,) = list_backups(path, START)
    assert rows_of(made.path, "SELECT max(version) FROM migrations") == [(1,)]


async def test_without_its_backup_a_migration_is_not_begun_unless_backups_are_off(path: Path) -> None:
    migrate(path, list_migrations()[:1])
    find_backup_folder(path).write_text("in the way")
    with pytest.raises(DatabaseUnusable, match="PLEX_COMPANION_BACKUPS=0"):
        async with open_cache(path):
            pass
    assert rows_of(path, "SELECT max(version) FROM migrations") == [(1,)]
    async with open_cache(path, backups=0) as cache:
        assert cache.schema == list_migrations()[-1].version


async def test_a_new_database_needs_no_backup(path: Path) -> None:
    async with open_cache(path):
        pass
    assert not find_backup_folder(path).exists()


# The one who looks after it


class ReportLog:
    """What was log, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.reports: list[StorageReport] = []
        self.now = START
        self._heard = anyio.Event()

    async def report(self, report: StorageReport) -> None:
        self.reports.append(report)
        self._heard.set()

    async def until(self, count: int) -> list[tuple[str, bool]]:
        with anyio.fail_after(HANG_SECONDS):
            while len(self.reports) < count:
                self._heard = anyio.Event()
                await self._heard.wait()
        return [(report.subject, report.ok) for report in self.reports]


@asynccontextmanager
async def run_maintenance(cache: Cache, log: ReportLog, plan: MaintenancePlan) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(maintain, cache, plan, lambda: log.now, log.report)
        yield
        tasks.cancel_scope.cancel()


QUICK = MaintenancePlan(backups=2, every_seconds=0.01)


async def test_a_backup_is_made_a_day_and_told(path: Path) -> None:
    log = ReportLog()
    async with open_cache(path) as cache, run_maintenance(cache, log, QUICK):
        assert await log.until(1) == [("backup", True)]
        assert not is_due(path, log.now + DAY - 1_000)
        log.now += DAY
        assert await log.until(2) == [("backup", True)] * 2
    assert [one.at for one in list_backups(path, log.now)] == [START + DAY, START]


async def test_a_backup_that_fails_is_told_once_and_tried_until_it_succeeds(path: Path) -> None:
    log = ReportLog()
    async with open_cache(path) as cache:
        find_backup_folder(path).write_text("in the way")
        async with run_maintenance(cache, log, QUICK):
            assert await log.until(1) == [("backup", False)]
            for _ in range(5):
                await anyio.sleep(0.02)
            find_backup_folder(path).unlink()
            assert await log.until(2) == [("backup", False), ("backup", True)]
    assert "Not a directory" in log.reports[0].words or "exists" in log.reports[0].words


async def test_damage_found_by_a_backup_is_mended_at_the_next_start(path: Path) -> None:
    log = ReportLog()
    async with open_cache(path, now=lambda: START) as cache:
        await filled(cache, rows=300, size=2_000)
        await back_up(path, keep=2, at=START)
        assert await cut(path)
    spoil(path)
    log.now += DAY
    async with open_cache(path, now=lambda: START + 1) as cache, run_maintenance(cache, log, QUICK):
        assert cache.repair_report is None, "a backup of the day vouched for it"
        assert await log.until(1) == [("backup", False)]
    async with open_cache(path, now=lambda: START + 2) as cache:
        assert cache.repair_report is not None
        assert len(rows_of(path)) == 300


async def test_no_backup_is_made_where_none_is_wanted(path: Path) -> None:
    log = ReportLog()
    async with open_cache(path) as cache, run_maintenance(cache, log, MaintenancePlan(backups=0, every_seconds=0.001)):
        for _ in range(10):
            await anyio.sleep(0.01)
    assert log.reports == []
    assert not find_backup_folder(path).exists()


async def test_the_planner_is_given_figures(path: Path) -> None:
    async with open_cache(path) as cache:
        await filled(cache)
        async with run_maintenance(cache, ReportLog(), QUICK):
            with anyio.fail_after(HANG_SECONDS):
                while not rows_of(path, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'"):  # noqa: ASYNC110 - another connection
                    await anyio.sleep(0.01)


# The write-ahead log


def log_length(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size


async def cut(path: Path) -> bool:
    return await truncate_wal(path)


async def test_a_log_that_grew_under_a_long_reader_is_cut_when_the_reader_is_done(path: Path) -> None:
    async with open_cache(path) as cache:
        await filled(cache)
        await cache.reader.execute("BEGIN")
        await cache.reader.execute_fetchall("SELECT count(*) FROM events")
        payload = f'"{"x" * 20_000}"'
        for batch in range(5):
            await cache.write([journaled(100 + 200 * batch + n, payload) for n in range(200)], SERVER, START)
        assert log_length(path) > LONG_WAL
        assert not await cut(path), "the reader still needs it"
        with anyio.fail_after(HANG_SECONDS):  # nobody waits for the reader
            await cache.write([journaled(9_000)], SERVER, START)
        await cache.reader.execute("COMMIT")
        assert await cut(path)
        assert log_length(path) == 0
        assert len(rows_of(path)) == 20 + 1_000 + 1


def count_rows_in_file(path: Path) -> int:
    """Count the rows of the journal that the file has without its log."""
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(f"file:{copy}?immutable=1", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


async def test_the_log_is_copied_into_the_file_long_before_a_commit_has_to(path: Path) -> None:
    async with open_cache(path) as cache, anyio.create_task_group() as tasks:
        await filled(cache)
        await cache.checkpoint()
        assert count_rows_in_file(path) == 20
        tasks.start_soon(checkpoint_log, cache)
        written = 20
        with anyio.fail_after(HANG_SECONDS):
            while count_rows_in_file(path) == 20:
                written += 1
                await cache.write([journaled(written)], SERVER, START)
        assert log_length(path) < WRITER_CHECKPOINT_PAGES * PAGE_BYTES
        tasks.cancel_scope.cancel()


async def test_a_commit_copies_the_log_where_nothing_else_does(path: Path) -> None:
    async with open_cache(path) as cache:
        await filled(cache)
        await cache.checkpoint()
        payload = f'"{"x" * 20_000}"'
        for batch in range(5):
            await cache.write([journaled(100 + 200 * batch + n, payload) for n in range(200)], SERVER, START)
        assert count_rows_in_file(path) > 20


async def test_a_short_log_is_left_alone(path: Path) -> None:
    async with open_cache(path) as cache:
        await filled(cache)
        before = log_length(path)
        assert await cut(path)
        assert log_length(path) == before > 0


async def test_a_step_of_pruning_costs_the_same_however_much_there_is_to_prune(path: Path) -> None:
    async with open_cache(path) as cache:
        await filled(cache, rows=6_000)
        costs = []
        for rows in (6_000, 60_000):
            have = len(rows_of(path))
            await cache.write([journaled(n) for n in range(have + 1, rows + 1)], SERVER, START)
            costs.append(await cost_of_a_step(cache))
            await filled_up(cache)
        assert costs[1] < 2 * costs[0]


async def filled_up(cache: Cache) -> None:
    """What the step dropped is put back."""
    await cache.write([journaled(n) for n in range(2, 2_002)], SERVER, START)


async def cost_of_a_step(cache: Cache) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    await cache.writer.set_progress_handler(count, 100)
    assert await prune(cache, events_before=START + DAY, events_kept=10**9, alerts_before=0)
    await cache.writer.set_progress_handler(None, 0)  # type: ignore[arg-type]  # how it is taken away
    return steps
