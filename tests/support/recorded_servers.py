"""The past of a household with a den and a cabin, written into one database, and read as a command or a tool reads it."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from datetime import UTC
from typing import TYPE_CHECKING, Any

from plex_companion.cache.load import load_states
from plex_companion.cache.read_only import open_read_only
from plex_companion.commands.reports.archive import Archive
from plex_companion.companion import mark_owners
from plex_companion.models import Moment
from plex_companion.settings import Settings
from support.recorded_plays import NOW, SERVER, Row, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

CABIN = "cabin-0002"
LINKS = {"den": SERVER, "cabin": CABIN}
ONE_TOKEN, TWO_TOKENS = "owner-token", "owner-token,another-token"
CABIN_PEOPLE = {"1": "Ada", "2": "Ben", "4": "Cleo"}


def at_cabin(row: Row, **more: Any) -> Row:
    """The row as one of the cabin's server."""
    return {**row, "server": CABIN, **more}


def write_two(
    path: Path,
    *,
    name: str = "Cabin",
    people: Mapping[str, str] = CABIN_PEOPLE,
    sections: Mapping[str, str] = {"1": "Films", "2": "Kids"},
    plex_tv: Iterable[tuple[str, str, str]] = (),
    **tables: Iterable[Row],
) -> Path:
    """A database of two servers: that of `write`, and one in the cabin; `plex_tv` has (server, id, id at plex.tv)."""
    write(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO servers VALUES (?, ?, '1.43.0', 'Linux', '6', 0, 1)", (CABIN, name))
        for id_, person in people.items():
            database.execute("INSERT INTO accounts VALUES (?, ?, ?)", (CABIN, id_, person))
        for id_, title in sections.items():
            database.execute(
                "INSERT INTO sections (server, section_id, title, type, refreshing, locations) "
                "VALUES (?, ?, ?, 'movie', 0, '[]')",
                (CABIN, id_, title),
            )
        for server, id_, at_plex_tv in plex_tv:
            database.execute("INSERT INTO plex_tv_users VALUES (?, ?, ?, NULL, NULL)", (server, id_, at_plex_tv))
        for link, server in LINKS.items():
            database.execute(
                "INSERT INTO links VALUES (?, ?, 'live', 0, 1, NULL, ?, ?, 1, 1)", (link, server, NOW, NOW)
            )
    return write(path, **tables)


@asynccontextmanager
async def open_two(path: Path, token: str = ONE_TOKEN, links: Iterable[str] = tuple(LINKS)) -> AsyncIterator[Archive]:
    """The archive of both servers, as if nothing had happened since; `token` is one for both or one each."""
    configured = list(links)
    urls = ",".join(f"http://{link}" for link in configured)
    settings = Settings.load({"plex_url": urls, "plex_token": token}).links()
    async with open_read_only(path) as cache:
        states = tuple((await load_states(cache, configured, Moment(NOW, 0))).values())
        yield Archive(cache, states, NOW, UTC, mark_owners(states, settings))
