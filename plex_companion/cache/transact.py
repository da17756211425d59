"""A whole transaction in one hop to the thread of its connection.

aiosqlite hands every statement over on its own, some 160 µs each. Its `_execute` takes any function: private, so
`tests/cache/test_cache_transact.py` holds it to what is used here. See docs/decisions/processes.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    import aiosqlite

T = TypeVar("T")


async def run_write(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """What `work` returns, after all of it was committed; when it raises, nothing was.

    Who stops waiting does not stop the work: the thread finishes it, one way or the other.
    """
    return await _run_in_thread(connection, "IMMEDIATE", work)


async def run_read(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """What `work` reads, all of it as of one moment."""
    return await _run_in_thread(connection, "DEFERRED", work)


async def run_in_thread(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work` in the thread of the connection, outside any transaction, and return what it returns."""
    its: Any = connection
    return cast("T", await its._execute(work, its._conn))  # noqa: SLF001 - held by a contract test


async def _run_in_thread(connection: aiosqlite.Connection, kind: str, work: Callable[[sqlite3.Connection], T]) -> T:
    its: Any = connection
    return cast("T", await its._execute(_transact, its._conn, kind, work))  # noqa: SLF001 - held by a contract test


def _transact(connection: sqlite3.Connection, kind: str, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute(f"BEGIN {kind}")
    try:
        found = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise
    return found
