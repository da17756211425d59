"""The database of a companion, opened for reading, with the states of its servers at one moment."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import structs

from plex_companion import serialize, wording
from plex_companion.cache.load import load_states
from plex_companion.cache.queries.read import read_last_event_at
from plex_companion.cache.queries.servers import list_server_names
from plex_companion.cache.read_only import list_link_ids, open_read_only, read_listener
from plex_companion.changes.state import State
from plex_companion.companion import ServerFound, describe_link, find_link, mark_owners, require_link
from plex_companion.errors import DatabaseUnusable
from plex_companion.models import ONLY_LINK, SAME_SERVER, Connection, Moment, ServerIdentity
from plex_companion.processes.ownership import find_other_past, require_own_database
from plex_companion.settings import find_database_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import tzinfo

    from plex_companion.cache.database import Cache
    from plex_companion.cache.read_only import ListenerSeen
    from plex_companion.models import LinkState
    from plex_companion.settings import Settings

SILENT_MS = 200_000
"""A companion that listens confirms its state every minute; after three missed confirmations it counts as gone."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A database opened for reading, and the states of its servers at one moment."""

    cache: Cache
    states: tuple[State, ...]
    now_ms: int
    zone: tzinfo
    owner_marks: Mapping[str, str]
    only_server: str | None = None
    """The machine identifier of the server that answers are limited to."""

    @property
    def state(self) -> State:
        """The state of the first server."""
        return self.states[0]

    async def limit_to(self, text: str) -> Archive:
        """Return the archive of the server with this name or machine identifier, which may be a former one.

        Raises:
            NotFound: no server was ever called so.
            Ambiguous: several were.
        """
        present = {state.server.machine_identifier: state for state in self.states if state.server}
        known = await list_server_names(self.cache)
        links = [describe_link("", state) for state in present.values()]
        if not isinstance(find_link(links, text), ServerFound):
            links += [
                describe_link("", _build_former(id_, name, self)) for id_, name in known.items() if id_ not in present
            ]
        found = require_link(links, text).machine_identifier or ""
        state = present.get(found) or _build_former(found, known.get(found), self)
        return replace(self, states=(state,), only_server=found if len(known) > 1 else None)


def _build_former(server: str, name: str | None, archive: Archive) -> State:
    """Build the state of a server that is not configured any more: only its past is known."""
    connection = Connection("offline", archive.now_ms, detail=wording.FORMER)
    return State(connection, server=ServerIdentity(server, name))


@asynccontextmanager
async def open_archive(settings: Settings, *, demo: int) -> AsyncIterator[Archive]:
    """Open the database of these settings for reading, in a context manager.

    Raises:
        DatabaseOfAnotherServer: it belongs to another server than the one in the settings.
        StartError: it does not exist or cannot be used; the message says what to try.
    """
    path = find_database_path(settings, demo=demo)
    if not path.exists():
        raise DatabaseUnusable(f"There is no database {path} yet: {suggest_fix(settings, demo=demo)}")
    if not demo:
        await require_own_database(path, settings)
    now = Moment(int(time.time() * 1000), int(time.monotonic() * 1000))
    async with open_read_only(path) as cache:
        links = [] if demo or settings.plex_url is None else [link.link_id for link in settings.links()]
        states = await load_states(cache, links or await list_link_ids(cache) or [ONLY_LINK], now)
        listener = await read_listener(cache, now, SILENT_MS)
        last_event_at = await read_last_event_at(cache)
        shown = tuple(_judge(state, link, listener, now, last_event_at) for link, state in states.items())
        yield Archive(cache, shown, now.at, settings.zone, mark_owners(shown, settings.links() if links else ()))


def _judge(state: State, link: str, listener: ListenerSeen, now: Moment, last_event_at: int | None) -> State:
    """Return the last known state with the connection that the process that listens has, or has left."""
    since = listener.live_since.get(state.server.machine_identifier if state.server else None)
    state = replace(state, last_event_at=last_event_at)
    if since is not None:
        return replace(state, connection=Connection("live", since), down_since=None, refreshed_at=now.at)
    return _mark_offline(state, now.at, listener.connections.get(link) if listener.is_running else None)


def _mark_offline(state: State, now_ms: int, connection: Connection | None) -> State:
    """Return the last known state with a connection that has been away since Plex was last heard from.

    `connection` is that of the process that listens now; `None` if there is none.
    """
    if connection and state.server is None and (connection.detail or "").startswith(SAME_SERVER):
        return replace(state, connection=connection)
    refused = connection is not None and connection.state == "unauthorized"
    away: LinkState = "unauthorized" if refused else "offline"
    until = state.down_since if state.server else None
    if until is None:
        detail = f"No plex-companion has connected to Plex yet{': the token is refused' if refused else ''}."
        return replace(state, connection=Connection(away, now_ms, detail=detail), refreshed_at=None)
    why = wording.NOT_RUNNING if connection is None else wording.OUT_OF_REACH
    why = "plex-companion's token is refused" if refused else why
    detail = f"{why}. It last heard from Plex at {serialize.format_iso(until)}; anything since then is unknown."
    connection = structs.replace(state.connection, state=away, since_at=until, detail=detail)
    return replace(state, connection=connection, refreshed_at=until)


def suggest_fix(settings: Settings, *, demo: int) -> str:
    """Return what to do where there is no database yet."""
    if demo:
        return "run plex-companion watch --demo for a while to fill it."
    if settings.database is None and settings.plex_url is None:
        return "set PLEX_URL to read that server's database, name a file with --database, or use --demo for the demo household."
    if other := find_other_past(find_database_path(settings), settings):
        return f"{other} has the past of a server in PLEX_URL; name it with --database."
    return "start plex-companion (serve or watch), which creates it, or name another file with --database."
