"""A whole transaction in one hop: what is used of aiosqlite's private parts, and what becomes of it when things fail."""

from __future__ import annotations

import inspect
import sqlite3
import threading
from typing import TYPE_CHECKING

import aiosqlite
import anyio
import pytest
from support.deadlines import HANG_SECONDS

from plex_companion.cache.connections import run_read, run_write
from plex_companion.cache.database import Cache, open_cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Cache]:
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        yield cache


def add(connection: sqlite3.Connection, *names: str) -> None:
    for name in names:
        connection.execute("INSERT INTO about VALUES (?, '')", (name,))


async def names(cache: Cache) -> set[str]:
    rows = await cache.reader.execute_fetchall("SELECT name FROM about WHERE name <> 'database'")
    return {row["name"] for row in rows}


async def test_aiosqlite_runs_any_function_in_the_thread_of_the_connection_and_hands_back_what_it_returns(
    cache: Cache,
) -> None:
    assert list(inspect.signature(aiosqlite.Connection._execute).parameters) == ["self", "fn", "args", "kwargs"]
    assert isinstance(cache.writer._conn, sqlite3.Connection)
    there = await cache.writer._execute(threading.get_ident)  # type: ignore[no-untyped-call]  # as aiosqlite has it
    assert there == await run_write(cache.writer, lambda _: threading.get_ident())
    assert there != threading.get_ident()


async def test_functions_run_in_the_order_they_were_asked_for(cache: Cache) -> None:
    order: list[int] = []
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(run_write, cache.writer, lambda _, number=number: order.append(number))
    assert order == list(range(20))


async def test_what_is_written_is_there_as_a_whole(cache: Cache) -> None:
    await run_write(cache.writer, lambda connection: add(connection, "one", "two"))
    assert await names(cache) == {"one", "two"}


@pytest.mark.parametrize("error", [ValueError, sqlite3.OperationalError, KeyboardInterrupt])
async def test_of_work_that_raises_nothing_is_written_and_the_next_is(cache: Cache, error: type[BaseException]) -> None:
    def work(connection: sqlite3.Connection) -> None:
        add(connection, "one")
        raise error

    with pytest.raises(error):
        await run_write(cache.writer, work)
    assert not cache.writer.in_transaction
    await run_write(cache.writer, lambda connection: add(connection, "two"))
    assert await names(cache) == {"two"}


async def test_work_nobody_waits_for_any_more_is_finished_all_the_same(cache: Cache) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(connection: sqlite3.Connection) -> None:
        add(connection, "one")
        begun.set()
        assert go_on.wait(HANG_SECONDS)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_write, cache.writer, work)
        with anyio.fail_after(HANG_SECONDS):
            while not begun.is_set():  # noqa: ASYNC110 - a thread sets it
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    go_on.set()
    await run_write(cache.writer, lambda connection: add(connection, "two"))
    assert await names(cache) == {"one", "two"}


async def test_what_is_seen_together_is_of_one_moment(cache: Cache) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def count(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM about").fetchone()[0])

    def work(connection: sqlite3.Connection) -> tuple[int, int]:
        before = count(connection)
        begun.set()
        assert go_on.wait(HANG_SECONDS)
        return before, count(connection)

    async with anyio.create_task_group() as tasks:

        async def write() -> None:
            while not begun.is_set():  # noqa: ASYNC110 - a thread sets it
                await anyio.sleep(0.01)
            await run_write(cache.writer, lambda connection: add(connection, "one"))
            go_on.set()

        tasks.start_soon(write)
        with anyio.fail_after(HANG_SECONDS):
            assert await run_read(cache.reader, work) == (1, 1)
    assert await run_read(cache.reader, count) == 2
