"""What a question is limited to: a person, a library, a server; resolved to the accounts and libraries of every server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from plex_companion.cache.connections import run_in_thread
from plex_companion.cache.queries.plays import PlayFilter, select_play_libraries, select_play_users
from plex_companion.cache.queries.servers import select_accounts, select_sections, select_server_names
from plex_companion.errors import Ambiguous
from plex_companion.history.filters import find_ids_by_name, find_library_among, find_user_among, take_only
from plex_companion.history.people import People, build_people
from plex_companion.text import mask

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from plex_companion.cache.queries.servers import ServerNames
    from plex_companion.history.people import Account
    from plex_companion.history.source import HistorySource

Library = tuple[str, str]
"""The machine identifier of a server, and the id of a library on it."""


@dataclass(frozen=True, slots=True)
class PlayScope:
    """The plays that a question is about. `None` does not limit it."""

    user: str | None
    """The id of the person."""
    library: str | None
    users: dict[str | None, tuple[str, ...] | None]
    """By id of an account, the servers on which it counts; `None` for all."""
    libraries: dict[str | None, tuple[str, ...] | None]

    def build_filters(self, like: PlayFilter) -> tuple[PlayFilter, ...]:
        """Return filters like one, that no play fits twice, and that together fit all plays of the scope."""
        return tuple(
            replace(like, user_id=user, library_id=library, servers=_intersect(here, there))
            for user, here in self.users.items()
            for library, there in self.libraries.items()
        )


def _intersect(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if one is None or other is None:
        return other if one is None else one
    return tuple(server for server in one if server in other)


def select_scope(
    connection: sqlite3.Connection, source: HistorySource, names: ServerNames, user: str | None, library: str | None
) -> PlayScope:
    """Resolve what a caller names, in the thread of the database.

    Raises:
        NotFound: the user or the library is unknown.
        Ambiguous: several fit.
    """
    whole = None if source.only_server is None else (source.only_server,)
    users: dict[str | None, tuple[str, ...] | None] = {None: whole}
    libraries: dict[str | None, tuple[str, ...] | None] = {None: None}
    if len(names) > 1:
        user, users = (user, users) if user is None else _find_person(connection, source, user)
        library, libraries = (library, libraries) if library is None else _find_everywhere(connection, source, library)
        return PlayScope(user, library, users, libraries)
    if user is not None:
        user = find_user_among(source.state, select_play_users(connection), user)
        users = {user: whole}
    if library is not None:
        library = find_library_among(source.state, dict(select_play_libraries(connection)), library)
        libraries = {library: None}
    return PlayScope(user, library, users, libraries)


async def find_person(source: HistorySource, requested: str) -> PlayScope:
    """Return the plays of the person with this id or name, on every server that the source answers about.

    Raises:
        NotFound: there is none; the message lists the known people.
        Ambiguous: several fit.
    """

    def find(connection: sqlite3.Connection) -> PlayScope:
        return select_scope(connection, source, select_server_names(connection), requested, None)

    return await run_in_thread(source.cache.archive, find)


def _find_person(
    connection: sqlite3.Connection, source: HistorySource, requested: str
) -> tuple[str, dict[str | None, tuple[str, ...] | None]]:
    people = select_people(connection, source)
    known = {person.id: person.name for person in people.persons}
    person = people.by_id[take_only("user", requested, people.find_ids(requested, source.only_server), known)]
    here = [one for one in person.accounts if source.only_server in {None, one[0]}]
    return person.id, _group_by_id(here)


def _group_by_id(accounts: Iterable[Account | Library]) -> dict[str | None, tuple[str, ...] | None]:
    grouped: dict[str | None, tuple[str, ...] | None] = {}
    for server, id_ in accounts:
        grouped[id_] = (*(grouped.get(id_) or ()), server)
    return grouped


def _find_everywhere(
    connection: sqlite3.Connection, source: HistorySource, requested: str
) -> tuple[str, dict[str | None, tuple[str, ...] | None]]:
    """Find a library by name on every server that has one of that name, or by an id that one server has."""
    known = select_libraries(connection, source)
    found: list[Library] = []
    for server in dict.fromkeys(place for place, _ in known):
        here = {id_: name for (place, id_), name in known.items() if place == server}
        fitting = find_ids_by_name(requested, here)
        found += [(server, id_) for id_ in fitting]
        if len(fitting) > 1:
            take_only("library", requested, fitting, here)
    if len(found) > 1 and all(id_ == requested.strip() for _, id_ in found):
        _refuse_shared_id(requested, found)
    if not found:
        take_only("library", requested, [], {f"{server}/{id_}": name for (server, id_), name in known.items()})
    return "/".join(sorted(f"{server}:{id_}" for server, id_ in found)), _group_by_id(found)


def _refuse_shared_id(requested: str, found: list[Library]) -> None:
    message = f"'{mask(requested)}' is the id of a library on {len(found)} servers: pass its name, or a server too."
    matches = [{"id": id_, "server": server} for server, id_ in found]
    raise Ambiguous(message, argument="library", matches=matches)


def select_libraries(connection: sqlite3.Connection, source: HistorySource) -> dict[Library, str | None]:
    """Return the names of the libraries that the servers have, that former servers had, or that something was played from."""
    only = source.only_server
    servers = [server for server in select_server_names(connection) if only in {None, server}]
    known: dict[Library, str | None] = {
        (server, id_): name for server in servers for id_, name in select_play_libraries(connection)
    }
    known |= {(row.server, row.id): row.title for row in select_sections(connection) if row.server in servers}
    return known


async def read_libraries(source: HistorySource) -> dict[Library, str | None]:
    """Return what `select_libraries` does, from any thread."""
    return await run_in_thread(source.cache.archive, partial(select_libraries, source=source))


async def read_people(source: HistorySource) -> People:
    """Return everybody who has an account on a server of the database."""
    return await run_in_thread(source.cache.archive, partial(select_people, source=source))


def select_people(connection: sqlite3.Connection, source: HistorySource) -> People:
    """Return what `read_people` does, in the thread of the database."""
    servers = select_server_names(connection)
    return build_people(select_accounts(connection), select_play_users(connection), servers, source.owner_marks)
