"""Connections that are always closed, whatever ends their use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    import aiosqlite


import sqlite3
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import aiosqlite
import anyio
from filelock import Timeout

from plex_companion.cache.lock import create_lock
from plex_companion.private_files import make_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LOCK_SECONDS = 10.0
"""How long a connection waits for another one's transaction by default."""


@asynccontextmanager
async def open_connection(
    path: Path, *, read_only: bool = False, wait: float = LOCK_SECONDS
) -> AsyncIterator[aiosqlite.Connection]:
    """Connect to a file that exists; see `connect`."""
    async with connect(build_uri(path, read_only=read_only), wait=wait) as connection:
        yield connection


@asynccontextmanager
async def connect(uri: str, *, wait: float = LOCK_SECONDS) -> AsyncIterator[aiosqlite.Connection]:
    """Open a connection with a thread of its own, in autocommit mode; close it at the end of the block.

    When the block fails or is cancelled, the running statement is interrupted first: an aiosqlite thread that is not
    closed lives on.
    """
    with anyio.CancelScope(shield=True):  # if opening were cancelled, nothing would close the connection
        connection = await aiosqlite.connect(uri, uri=True, isolation_level=None, timeout=wait)
    try:
        yield connection
    except BaseException:
        await connection.interrupt()
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()


def build_uri(path: Path, *, read_only: bool) -> str:
    """Build the URI of a database file (sqlite.org/uri.html)."""
    return f"file:{quote(str(path))}?mode={'ro' if read_only else 'rw'}"


@contextmanager
def hold_exclusive(path: Path) -> Iterator[bool]:
    """Yield whether no other process leads on this database. While the block runs, none can begin to."""
    lock = create_lock(path)
    try:
        make_folder(path.resolve().parent)  # or the lock would create it, readable by others
        lock.acquire(blocking=False)
    except (Timeout, OSError):  # if the lock cannot be created, nothing else can be written either
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def is_damage(error: BaseException) -> bool:
    """Return whether SQLite says that the file itself is broken, rather than out of reach."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    return isinstance(error, sqlite3.DatabaseError) and code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


T = TypeVar("T")


async def run_write(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work` in one write transaction and return what it returns; when it raises, nothing is written.

    Cancelling the caller does not stop the work: the thread commits it or rolls it back.
    """
    return await _run_in_thread(connection, "IMMEDIATE", work)


async def run_read(connection: aiosqlite.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run `work` in one read transaction, so that all it reads is of one moment (sqlite.org/isolation.html)."""
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
        if (
            connection.in_transaction
        ):  # SQLite rolls back by itself on some errors, as on a full disk (sqlite.org/lang_transaction.html)
            connection.execute("ROLLBACK")
        raise
    return found
