"""Subscriptions up to 2025-11-25: `resources/subscribe` on a session that lasts."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from mcp_types import EmptyResult

from plex_companion.server.mcp.limits import check_limit, refuse_crowd, resolve_uris
from plex_companion.server.mcp.subscribers import LISTING, Subscriber, Subscribers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp.server.connection import Connection
    from mcp.server.context import ServerRequestContext
    from mcp_types import NotificationParams, SubscribeRequestParams, UnsubscribeRequestParams

    from plex_companion.server.mcp.uri_index import UriIndex


@dataclass(eq=False, slots=True)
class LegacySession(Subscriber):
    """One client, from its first subscription (or the end of its handshake) until its connection closes."""

    notified: set[str] = field(default_factory=set)
    """What went into the GET stream that is open now, and may be lost with it."""
    pump: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class LegacySessions:
    """Serves `resources/subscribe` and `resources/unsubscribe`, which the SDK leaves out.

    Each session has a task of its own, because writing to a client that does not read never returns.
    A Streamable HTTP session is held while it has no GET stream: the SDK drops what is sent then.
    """

    def __init__(self, subscribers: Subscribers, addresses: UriIndex) -> None:
        self._subscribers = subscribers
        self._addresses = addresses
        self._sessions: dict[Connection, LegacySession] = {}
        self._http: dict[str, LegacySession] = {}
        self._streams: set[str] = set()
        self.start: Callable[[Connection, LegacySession], object] = _ignore
        self.pumps = 0

    def __len__(self) -> int:
        """How many sessions there are."""
        return len(self._sessions)

    @property
    def streams(self) -> int:
        """How many sessions have a GET stream."""
        return len(self._streams)

    async def handle_initialized(self, ctx: ServerRequestContext[Any, Any], _: NotificationParams) -> None:
        """From now on the client hears when the list of resources changes; nobody subscribes to that."""
        self._get_session(ctx)

    async def subscribe(self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
        """Tell this session about a URI.

        Raises:
            MCPError: -32602 with `data.uri` when no declared resource has it, or when it is too long or one too many.
        """
        refuse_crowd(self._subscribers)
        wanted = resolve_uris(self._addresses, [params.uri])
        session = self._get_session(ctx)
        held = {key: uri for key, uri in (session.uris | wanted).items() if key != LISTING}
        check_limit([*held.values()])
        self._subscribers.add(session, wanted.items())
        return EmptyResult()

    async def unsubscribe(self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams) -> EmptyResult:
        """Stop telling this session about a URI; nothing happens when it never asked."""
        session = self._get_session(ctx)
        for canonical in resolve_uris(self._addresses, [params.uri]):
            self._subscribers.remove(session, canonical)
            session.notified.discard(canonical)
        return EmptyResult()

    @contextmanager
    def open_stream(self, session_id: str) -> Iterator[None]:
        """While entered, the session has a GET stream; what waited for one goes out."""
        self._streams.add(session_id)
        if session := self._http.get(session_id):
            session.pending.resume()
        try:
            yield
        finally:
            self._streams.discard(session_id)
            if session := self._http.get(session_id):
                _requeue(session)

    async def pump(self, connection: Connection, session: LegacySession) -> None:
        """Tell one session, one thing after the other, until it has gone."""
        self.pumps += 1
        try:
            with session.pump:
                async for key in session.pending:
                    await _notify(connection, session, key)
        finally:
            self.pumps -= 1

    def _get_session(self, ctx: ServerRequestContext[Any, Any]) -> LegacySession:
        connection = ctx.session._connection  # noqa: SLF001  # the SDK has no public way from a handler to its Connection
        return self._sessions.get(connection) or self._enter(connection)

    def _enter(self, connection: Connection) -> LegacySession:
        session = LegacySession()
        if connection.session_id is not None:  # Streamable HTTP; the other transports are always open
            self._http[connection.session_id] = session
            if connection.session_id not in self._streams:
                session.pending.pause()
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


async def _notify(connection: Connection, session: LegacySession, key: str) -> None:
    if connection.session_id is not None:
        session.notified.add(key)
    if key == LISTING:
        await connection.send_resource_list_changed()
    else:
        await connection.send_resource_updated(session.uris[key])


def _requeue(session: LegacySession) -> None:
    """What was written to a stream that has ended may not have arrived: it is told again on the next one."""
    session.pending.pause()
    for key in session.notified:
        session.pending.add(key)
    session.notified.clear()


def _ignore(_: Connection, __: LegacySession) -> None:
    raise RuntimeError("The notifier is not running: open it around the transports.")
