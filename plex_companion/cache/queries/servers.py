"""Queries on the servers of a database, and on the accounts that people have on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from plex_companion.cache.connections import run_in_thread
from plex_companion.cache.open_files import UNKNOWN

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.database import Cache

OF_SERVER = "(:server IS NULL OR server = :server)"
"""The condition on rows of one server, or of all without one."""
ServerNames = dict[str, str | None]


class AccountRow(NamedTuple):
    """An account on a server, as that server or as plex.tv describes it."""

    server: str
    id: str
    name: str | None
    plex_tv_id: str | None
    username: str | None
    title: str | None


class SectionRow(NamedTuple):
    """A library of a server, as it was last read."""

    server: str
    id: str
    title: str


async def list_server_names(cache: Cache) -> ServerNames:
    """Return the name of every server that the database has rows of, by machine identifier, also of former ones."""
    return await run_in_thread(cache.archive, select_server_names)


def select_server_names(connection: sqlite3.Connection) -> ServerNames:
    """Return what `list_server_names` does, in the thread of the database."""
    rows = connection.execute("SELECT machine_identifier, name FROM servers ORDER BY first_seen_at").fetchall()
    return {server: name for server, name in map(tuple, rows) if not is_unidentified(server)}


def is_unidentified(server: str) -> bool:
    """Return whether rows belong to a server that has not said who it is yet."""
    return server.partition(":")[0] == UNKNOWN


def select_sections(connection: sqlite3.Connection) -> list[SectionRow]:
    """Return the libraries of every server."""
    return [SectionRow(*row) for row in connection.execute("SELECT server, section_id, title FROM sections")]


def select_accounts(connection: sqlite3.Connection) -> list[AccountRow]:
    """Return what every server says of its accounts, and what plex.tv says of them, as far as it was asked."""
    return [AccountRow(*row) for row in connection.execute(_ACCOUNTS)]


_ACCOUNTS = """
    SELECT server, id, name, NULL, NULL, NULL FROM accounts
    UNION ALL SELECT server, id, NULL, plex_tv_id, username, title FROM plex_tv_users
"""
