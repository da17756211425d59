"""Subscriptions in protocol versions up to 2025-11-25: `resources/subscribe` on a long-lived MCP session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from mcp_types import EmptyResult

from plex_companion.server.mcp.limits import check_limit, refuse_over_total, resolve_uris
from plex_companion.server.mcp.rendering import render_legacy
from plex_companion.server.mcp.subscribers import LISTING, Subscriber, Subscribers

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.connection import Connection
    from mcp.server.context import ServerRequestContext
    from mcp_types import NotificationParams, SubscribeRequestParams, UnsubscribeRequestParams

    from plex_companion.server.http.event_stream import EventStream
    from plex_companion.server.mcp.uri_index import UriIndex


@dataclass(eq=False, slots=True)
class LegacySession(Subscriber):
    """One client, from its first subscription, or the end of its handshake, until its connection closes."""

    pump: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class LegacySessions:
    """Serves `resources/subscribe` and `resources/unsubscribe`, which the SDK does not implement.

    Each MCP session has its own task, because writing to a client that does not read never returns. For a session over
    Streamable HTTP that task belongs to its GET stream: without one, updates wait, for the SDK drops messages sent then.
    """

    def __init__(self, subscribers: Subscribers, addresses: UriIndex) -> None:
        self._subscribers = subscribers
        self._addresses = addresses
        self._sessions: dict[Connection, LegacySession] = {}
        self._http: dict[str, LegacySession] = {}
        self._entered: dict[str, anyio.Event] = {}
        self.start: Callable[[Connection, LegacySession], object] = _ignore
        self.pumps = 0
        self.streams = 0
        """The number of GET streams."""

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self._sessions)

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
        return EmptyResult()

    async def serve_get_stream(self, session_id: str, stream: EventStream) -> None:
        """Write the updates of a session into its GET stream, those that waited for one first, until this is cancelled."""
        await stream.wait_until_open()
        self.streams += 1
        try:
            await self._write_updates(await self._wait_for_session(session_id), stream)
        finally:
            self.streams -= 1

    async def _write_updates(self, session: LegacySession, stream: EventStream) -> None:
        written: set[str] = set()
        self.pumps += 1
        try:
            async for key in session.pending:
                written.add(key)
                await stream.write(render_legacy(session.uris[key]))
        finally:
            self.pumps -= 1
            for key in written & session.uris.keys():
                session.pending.add(key)  # it may not have arrived

    async def pump(self, connection: Connection, session: LegacySession) -> None:
        """Send updates to one session of another transport, one after the other, until it ends."""
        self.pumps += 1
        try:
            with session.pump:
                async for key in session.pending:
                    await _notify(connection, session.uris[key])
        finally:
            self.pumps -= 1

    def _get_session(self, ctx: ServerRequestContext[Any, Any]) -> LegacySession:
        connection = ctx.session._connection  # noqa: SLF001  # the SDK has no public way from a handler to its Connection
        return self._sessions.get(connection) or self._enter(connection)

    def _enter(self, connection: Connection) -> LegacySession:
        session = LegacySession()
        if connection.session_id is None:
            self.start(connection, session)
        else:
            self._http[connection.session_id] = session
            if entered := self._entered.get(connection.session_id):
                entered.set()
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

    async def _wait_for_session(self, session_id: str) -> LegacySession:
        """Wait until the client of a stream has ended its handshake or subscribed."""
        while session_id not in self._http:
            entered = self._entered.setdefault(session_id, anyio.Event())
            try:
                await entered.wait()
            finally:
                self._entered.pop(session_id, None)
        return self._http[session_id]


async def _notify(connection: Connection, spelling: str) -> None:
    if spelling == LISTING:
        await connection.send_resource_list_changed()
    else:
        await connection.send_resource_updated(spelling)


def _ignore(_: Connection, __: LegacySession) -> None:
    raise RuntimeError("The notifier is not running: open it around the transports.")
