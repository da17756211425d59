"""What a leader writes, applied by another machine from the log, leaves the same rows in every table."""

from __future__ import annotations

import os
import pickle
import sqlite3
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from support.chronicle_leader import LOCAL, WORDS, Household, MemoryLog, lead, list_tables, read_tables, report_attempts
from support.deadlines import HANG_SECONDS

from plex_companion.cache.connections import run_in_thread
from plex_companion.cache.database import Cache, open_cache
from plex_companion.cache.migrate import migrate
from plex_companion.cache.replication.registry import NAMED_WRITES
from plex_companion.cache.replication.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Sequence

OTHERWISE = {"about": "a machine takes it over when it joins", "chronicle_position": "written with every entry"}
"""Tables that machines share, though no named write is about them."""


async def tell(cache: Cache, log: MemoryLog | None, seed: int, links: Sequence[str] = ("",)) -> None:
    """Lead while a household lives through an evening."""
    leader, household = await lead(cache, log, links), Household(seed, links)
    for batch in household.tell():
        await leader.handle(batch)
        now = next(iter(batch.values()))[-1].moment
        if attempts := report_attempts(leader, now, household.dice):
            await leader.handle({links[0]: attempts})
    if log:
        log.refused = log.unanswered = 0.0
    await leader.handle({links[0]: []})
    assert (leader.live.storage, leader.live.unwritten) == ("ok", {})


async def apply(cache: Cache, log: MemoryLog, step: int = 7) -> None:
    """Apply the log, some entries at a time, and some of them again."""
    replay, entries = Replay(1), log.list_after(0, cache.schema)
    for first in range(0, len(entries), step):
        await replay.apply(cache, entries[max(0, first - 2) : first + step])


def compare(first: Path, second: Path) -> None:
    ours, theirs = read_tables(first), read_tables(second)
    for tables in ours, theirs:
        del tables["about"]
    assert theirs == ours


@pytest.mark.parametrize("links", [("",), ("a", "b")], ids=["one server", "two servers"])
@pytest.mark.parametrize("seed", range(4))
async def test_a_machine_that_applies_the_log_has_the_rows_of_the_leader(
    tmp_path: Path, seed: int, links: tuple[str, ...]
) -> None:
    log, first, second = MemoryLog(), tmp_path / "first.sqlite3", tmp_path / "second.sqlite3"
    async with open_cache(first) as cache, open_cache(second) as other:
        await tell(cache, log, seed, links)
        await apply(other, log)
        assert await other.read_position() == await cache.read_position()
    compare(first, second)


@pytest.mark.parametrize("seed", range(4))
async def test_appends_that_fail_or_whose_answer_is_lost_leave_nothing_out_and_nothing_twice(
    tmp_path: Path, seed: int
) -> None:
    log = MemoryLog(refused=0.3, unanswered=0.3)
    first, second, alone = (tmp_path / f"{name}.sqlite3" for name in ("first", "second", "alone"))
    async with open_cache(first) as cache, open_cache(second) as other, open_cache(alone) as undisturbed:
        await tell(cache, log, seed)
        await apply(other, log)
        await tell(undisturbed, None, seed)
    compare(first, second)
    assert len({entry.name for entry in log.entries}) == len(log.entries)
    expected, found = read_tables(alone), read_tables(first)
    for table in ("events", "occurrences", "play_marks"):  # steps of pruning that failed came later
        first_id = min(row[0] for row in expected[table])
        assert sorted(row for row in found[table] if row[0] >= first_id) == sorted(expected[table])
    assert set(expected["alerts"]) - set(found["alerts"]) == set()


async def test_the_order_of_sets_in_another_process_changes_no_row(tmp_path: Path) -> None:
    log, first, second = MemoryLog(), tmp_path / "first.sqlite3", tmp_path / "second.sqlite3"
    async with open_cache(first) as cache:
        await tell(cache, log, 1)
    entries = tmp_path / "entries"
    entries.write_bytes(pickle.dumps(log.entries))
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-m", "support.chronicle_replay", str(second), str(entries)]
        with anyio.fail_after(HANG_SECONDS):
            await anyio.run_process(command, env=environment)
        compare(first, second)
        second.unlink()


async def test_every_table_is_shared_by_named_writes_or_local_for_a_reason(tmp_path: Path) -> None:
    """A table that is new: write it through `Statements`, and have something in `Household` that writes it."""
    touched: set[str] = set()
    names: set[str] = set()
    for seed in range(3):
        first, second = tmp_path / f"{seed}.sqlite3", tmp_path / f"{seed} too.sqlite3"
        async with open_cache(first) as cache, open_cache(second) as other:
            log = MemoryLog()
            await tell(cache, log, seed, ("a", "b"))
            await lead(cache, log, ("a",))  # an address was removed
            await run_in_thread(other.writer, partial(watch_tables, touched))
            await apply(other, log)
            names |= {call.write.name for entry in log.list_after(0, other.schema) for call in entry.entry.calls}
    with closing(sqlite3.connect(tmp_path / "0.sqlite3")) as database:
        tables = set(list_tables(database))
    assert tables - LOCAL.keys() - OTHERWISE.keys() - touched == set(), "these are neither written nor local"
    written_by_entries = touched & tables - {"listener", "announcements"}  # which a replay writes beside its entries
    assert written_by_entries & LOCAL.keys() <= {"sqlite_sequence"}
    assert NAMED_WRITES.keys() - names == set(), "these occur in no entry"


def watch_tables(touched: set[str], connection: sqlite3.Connection) -> None:
    """Note the tables that statements of a connection write."""

    def authorize(action: int, table: str | None, *_: object) -> int:
        if action in {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}:
            touched.add(str(table))
        return sqlite3.SQLITE_OK

    connection.set_authorizer(authorize)


async def test_pruning_follows_the_settings_of_the_leader(tmp_path: Path) -> None:
    log, first, second = MemoryLog(), tmp_path / "first.sqlite3", tmp_path / "second.sqlite3"
    async with open_cache(first) as cache, open_cache(second) as other:
        await tell(cache, log, 2)
        await apply(other, log)
    events = read_tables(second)["events"]
    assert 0 < len(events) <= 450, "the leader keeps 400, and deletes once a minute"
    assert events[0][0] > 1
    compare(first, second)


def test_full_text_tables_are_those_of_the_schema(tmp_path: Path) -> None:
    migrate(tmp_path / "new.sqlite3")
    with closing(sqlite3.connect(tmp_path / "new.sqlite3")) as database:
        sql = "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%' AND sql LIKE '%fts5 (%'"
        assert {name for (name,) in database.execute(sql)} == set(WORDS)
