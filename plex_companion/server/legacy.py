"""Subscriptions up to 2025-11-25: `resources/subscribe` on a session that lasts."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from mcp_types import EmptyResult

from plex_companion.server.subscribers import LISTING, Subscriber, Subscribers
from plex_companion.server.wanted import known, refuse_beyond, refuse_crowd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp.server.connection import Connection
    from mcp.server.context import ServerRequestContext
    from mcp_types import NotificationParams, SubscribeRequestParams, UnsubscribeRequestParams

    from plex_companion.server.addresses import Addresses


@dataclass(eq=False, slots=True)
class Session(Subscriber):
    """One client, from its first subscription (or the end of its handshake) until its connection closes."""

    told: set[str] = field(default_factory=set)
    """What went into the GET stream that is open now, and may be lost with it."""
    pump: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class LegacySessions:
    """Serves `resources/subscribe` and `resources/unsubscribe`, which the SDK leaves out.

    Each session has a task of its own, because writing to a client that does not read never returns.
    A Streamable HTTP session is held while it has no GET stream: the SDK drops what is sent then.
    """

    def __init__(self, subscribers: Subscribers, addresses: Addresses) -> None:
        self._subscribers = subscribers
        self._addresses = addresses
        self._sessions: dict[Connection, Session] = {}
        self._http: dict[str, Session] = {}
        self._streams: set[str] = set()
        self.start: Callable[[Connection, Session], object] = _not_running
        self.pumps = 0

    def __len__(self) -> int:
        """How many sessions there are."""
        return len(self._sessions)

    @property
    def streams(self) -> int:
        """How many sessions have a GET stream."""
        return len(self._streams)

    async def initialized(self, ctx: ServerRequestContext[Any, Any], _: NotificationParams) -> None:
        """From now on the client hears when the list of resources changes; nobody subscribes to that."""
        self._session(ctx)

    async def subscribe(self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
        """Tell this session about a URI.

        Raises:
            MCPError: -32602 with `data.uri` when no declared resource has it, or when it is too long or one too many.
        """
        refuse_crowd(self._subscribers)
        wanted = known(self._addresses, [params.uri])
        session = self._session(ctx)
        held = {key: uri for key, uri in (session.wanted | wanted).items() if key != LISTING}
        refuse_beyond([*held.values()])
        self._subscribers.add(session, wanted.items())
        return EmptyResult()

    async def unsubscribe(self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams) -> EmptyResult:
        """Stop telling this session about a URI; nothing happens when it never asked."""
        session = self._session(ctx)
        for canonical in known(self._addresses, [params.uri]):
            self._subscribers.remove(session, canonical)
            session.told.discard(canonical)
        return EmptyResult()

    @contextmanager
    def stream(self, session_id: str) -> Iterator[None]:
        """While entered, the session has a GET stream; what waited for one goes out."""
        self._streams.add(session_id)
        if session := self._http.get(session_id):
            session.box.release()
        try:
            yield
        finally:
            self._streams.discard(session_id)
            if session := self._http.get(session_id):
                _hold_again(session)

    async def pump(self, connection: Connection, session: Session) -> None:
        """Tell one session, one thing after the other, until it has gone."""
        self.pumps += 1
        try:
            with session.pump:
                async for key in session.box:
                    await _tell(connection, session, key)
        finally:
            self.pumps -= 1

    def _session(self, ctx: ServerRequestContext[Any, Any]) -> Session:
        connection = ctx.session._connection  # noqa: SLF001  # the SDK has no public way from a handler to its Connection
        return self._sessions.get(connection) or self._enter(connection)

    def _enter(self, connection: Connection) -> Session:
        session = Session()
        if connection.session_id is not None:  # Streamable HTTP; the other transports are always open
            self._http[connection.session_id] = session
            if connection.session_id not in self._streams:
                session.box.hold()
        self.start(connection, session)
        self._sessions[connection] = session
        self._subscribers.add(session, [(LISTING, LISTING)])
        connection.exit_stack.callback(self._leave, connection)
        return session

    def _leave(self, connection: Connection) -> None:
        session = self._sessions.pop(connection)
        self._subscribers.drop(session)
        session.pump.cancel()
        if connection.session_id is not None:
            del self._http[connection.session_id]


async def _tell(connection: Connection, session: Session, key: str) -> None:
    if connection.session_id is not None:
        session.told.add(key)
    if key == LISTING:
        await connection.send_resource_list_changed()
    else:
        await connection.send_resource_updated(session.wanted[key])


def _hold_again(session: Session) -> None:
    """What was written to a stream that has ended may not have arrived: it is told again on the next one."""
    session.box.hold()
    for key in session.told:
        session.box.offer(key)
    session.told.clear()


def _not_running(_: Connection, __: Session) -> None:
    raise RuntimeError("The notifier is not running: open it around the transports.")
