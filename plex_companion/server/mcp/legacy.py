"""Subscriptions in protocol versions up to 2025-11-25: `resources/subscribe` on a long-lived session."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from mcp_types import EmptyResult

from plex_companion.server.mcp.limits import check_limit, refuse_over_total, resolve_uris
from plex_companion.server.mcp.subscribers import LISTING, Subscriber, Subscribers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp.server.connection import Connection
    from mcp.server.context import ServerRequestContext
    from mcp_types import NotificationParams, SubscribeRequestParams, UnsubscribeRequestParams

    from plex_companion.server.mcp.uri_index import UriIndex


@dataclass(eq=False, slots=True)
class LegacySession(Subscriber):
    """One client, from its first subscription, or the end of its handshake, until its connection closes."""

    notified: set[str] = field(default_factory=set)
    """Keys that were sent on the present GET stream, and may be lost with it."""
    pump: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class LegacySessions:
    """Serves `resources/subscribe` and `resources/unsubscribe`, which the SDK does not implement.

    Each session has its own task, because writing to a client that does not read never returns.
    A Streamable HTTP session is paused while it has no GET stream: the SDK drops messages sent then.
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
        """Return the number of sessions."""
        return len(self._sessions)

    @property
    def streams(self) -> int:
        """The number of sessions with a GET stream."""
        return len(self._streams)

    async def handle_initialized(self, ctx: ServerRequestContext[Any, Any], _: NotificationParams) -> None:
        """Start to send this client `list_changed` for resources, which needs no subscription."""
        self._get_session(ctx)

    async def subscribe(self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
        """Subscribe this session to a URI.

        Raises:
            MCPError: -32602 with `data.uri` if no declared resource has it, it is too long, or there are too many.
        """
        refuse_over_total(self._subscribers)
        wanted = resolve_uris(self._addresses, [params.uri])
        session = self._get_session(ctx)
        held = {key: uri for key, uri in (session.uris | wanted).items() if key != LISTING}
        check_limit([*held.values()])
        self._subscribers.add(session, wanted.items())
        return EmptyResult()

    async def unsubscribe(self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams) -> EmptyResult:
        """Unsubscribe this session from a URI. Does nothing without a subscription."""
        session = self._get_session(ctx)
        for canonical in resolve_uris(self._addresses, [params.uri]):
            self._subscribers.remove(session, canonical)
            session.notified.discard(canonical)
        return EmptyResult()

    @contextmanager
    def open_stream(self, session_id: str) -> Iterator[None]:
        """Mark the session as having a GET stream while entered; updates that waited for one are sent."""
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
        """Send updates to one session, one after the other, until it ends."""
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
    """Queue again what was sent on a stream that has ended: it may not have arrived."""
    session.pending.pause()
    for key in session.notified:
        session.pending.add(key)
    session.notified.clear()


def _ignore(_: Connection, __: LegacySession) -> None:
    raise RuntimeError("The notifier is not running: open it around the transports.")
