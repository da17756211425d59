"""Opens the parts in order, connects them, and closes them in reverse order. Nothing else happens here."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.database import open_cache, open_in_memory
from plex_companion.cache.lock import open_lock
from plex_companion.changes.state import State
from plex_companion.companion import Companion, read_clock, read_versions
from plex_companion.duties import build_import_progress, build_leader_tasks, list_all_uris, request_refreshes
from plex_companion.ingest.live import Live
from plex_companion.ingest.queue import QUEUE_LIMIT, EventQueue
from plex_companion.models import Connection
from plex_companion.plex.disconnects import DEFAULT_TIMEOUTS, ListenerTimeouts
from plex_companion.plex.gateway import open_gateway
from plex_companion.plex.listener import listen
from plex_companion.plex.refresh import RefreshRequests
from plex_companion.plex.ttl_cache import TtlCache
from plex_companion.policies import build_retention, build_thresholds, build_webhook_rules, compute_silence_limit_ms
from plex_companion.processes.election import Election
from plex_companion.processes.follower import Follower
from plex_companion.processes.ownership import compute_address_mark, guard_owner, require_own_database, wrap_owner_check
from plex_companion.resources.registry import RESOURCES
from plex_companion.server.http.health import list_readiness_problems, report_health
from plex_companion.server.mcp.build import build_server
from plex_companion.server.mcp.companion_interface import ToolCallTimer, build_server_interface, count_hidden_tools
from plex_companion.server.mcp.notifier import Notifier
from plex_companion.settings import find_database_path
from plex_companion.tools.toolsets import select_tools
from plex_companion.webhooks import WakeUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.changes.kinds import Effect
    from plex_companion.models import Moment
    from plex_companion.server.auth.login import LoginCode
    from plex_companion.server.auth.token_file import StoredToken
    from plex_companion.server.http.http_app import HttpApp
    from plex_companion.server.mcp.build import CompanionServer
    from plex_companion.settings import Settings
    from plex_companion.tools.declare import Tool

TICK_SECONDS = 5.0
WRITE_SECONDS = 1.0
"""How long shutdown waits for received events to be written."""


@asynccontextmanager
async def open_companion(
    settings: Settings,
    announce: Callable[[TouchedUris], None],
    *,
    now: Callable[[], Moment] = read_clock,
    timeouts: ListenerTimeouts = DEFAULT_TIMEOUTS,
    tick_seconds: float = TICK_SECONDS,
) -> AsyncIterator[Companion]:
    """Run a companion while the block does: it listens to Plex, writes what happens, and announces what changed.

    If another process does so on the same database already, this one follows it, and takes over when it ends.

    Raises:
        StartError: the database cannot be used.
        SettingsError: the address of the server is missing, or the database is another server's.
    """
    requests = RefreshRequests()
    wake_up = WakeUp()
    path = find_database_path(settings)
    live = Live(State(Connection("offline", now().at)), build_thresholds(settings), build_webhook_rules(settings))
    queue = EventQueue(QUEUE_LIMIT, live.counters)

    def on_commit(changes: Sequence[Effect], touched: TouchedUris) -> None:
        request_refreshes(changes, requests, wake_up)
        announce(touched)

    await require_own_database(path, settings)
    with open_lock(path) as lock:
        async with (
            _open_cache(path, settings, now) as cache,
            open_gateway(settings) as gateway,
            anyio.create_task_group() as tasks,
        ):
            companion = Companion(settings, live, cache, gateway, queue, now, read_versions(), TtlCache())
            everything = partial(list_all_uris, companion)
            follower = Follower(live, cache, queue, announce, everything, now, compute_silence_limit_ms(settings))
            election = Election(live, cache, lock, queue, follower, now, on_commit, build_retention(settings))
            election.own_address = compute_address_mark(settings)
            election.guard_owner = partial(guard_owner, cache, live, settings, gateway)
            await election.load()
            leading = build_leader_tasks(companion, wake_up, tick_seconds)
            tasks.start_soon(election.run, partial(_listen, companion, requests, timeouts), leading)
            try:
                yield companion
            finally:
                with anyio.move_on_after(WRITE_SECONDS, shield=True):
                    await election.stop()
                tasks.cancel_scope.cancel()


async def _listen(companion: Companion, requests: RefreshRequests, timeouts: ListenerTimeouts) -> None:
    """Listen to Plex from the committed state on. Only the leading process does."""
    live, settings = companion.live, companion.settings
    receive = wrap_owner_check(companion.cache, live, settings, companion.event_queue.put)
    to_plex = partial(listen, companion.gateway, settings, receive, now=companion.clock, refresh=requests)
    await to_plex(history=build_import_progress(live), epoch=live.state.connection.epoch, timeouts=timeouts)


def _open_cache(path: Path, settings: Settings, now: Callable[[], Moment]) -> AbstractAsyncContextManager[Cache]:
    """Open the database.

    Without a path in the settings, the file is created when a server has answered: a wrong address leaves none behind.
    """
    if settings.database is None and not path.exists():
        return open_in_memory(path)
    return open_cache(path, backups=settings.backups, now=lambda: now().at)


@dataclass(frozen=True, slots=True)
class Application:
    """A running companion and its MCP server, ready for a transport."""

    companion: Companion
    notifier: Notifier
    server: CompanionServer
    tools: Sequence[Tool]
    call_timer: ToolCallTimer

    def build_http_app(self, code: LoginCode | None = None) -> HttpApp:
        """Build everything that is served over HTTP, behind one guard. `code` logs one browser in, once."""
        from plex_companion.dashboard.mount import build_routes  # noqa: PLC0415 - stdio does without
        from plex_companion.metrics import ClientCounts, Metrics  # noqa: PLC0415 - the same
        from plex_companion.server.auth.config import build_auth_config  # noqa: PLC0415 - the same
        from plex_companion.server.http.http_app import HttpApp  # noqa: PLC0415 - the same

        def count_clients() -> ClientCounts:
            counts = self.notifier.count()
            return ClientCounts(len(app.responses), counts.subscriptions, counts.sessions, counts.listen_streams)

        metrics = Metrics(self.companion, [tool.name for tool in self.tools], count_clients)
        self.call_timer.observe = metrics.observe_tool_call
        app = HttpApp(
            self.server,
            self.notifier,
            health=lambda: report_health(self.companion),
            missing=lambda: list_readiness_problems(self.companion),
            observe=metrics.observe_answer,
            extra_routes=[*build_routes(self.companion), metrics.build_route()],
            entry=build_auth_config(self.companion.settings, code),
        )
        return app


@asynccontextmanager
async def open_application(
    settings: Settings, *, timeouts: ListenerTimeouts = DEFAULT_TIMEOUTS, tick_seconds: float = TICK_SECONDS
) -> AsyncIterator[Application]:
    """Run a companion and its MCP server while the block does; changes reach the subscribers.

    Raises:
        StartError: the database cannot be used.
        SettingsError: a toolset is unknown, or there is no server to listen to.
    """
    tools = select_tools(settings.toolsets, read_only=settings.read_only)
    notifier = Notifier(RESOURCES)

    def announce(found: TouchedUris) -> None:
        notifier.announce(found.immediate, found.progress_only, listing=found.listing)

    async with (
        notifier.run(),
        open_companion(settings, announce, timeouts=timeouts, tick_seconds=tick_seconds) as running,
    ):
        companion = replace(running, hidden_tools=count_hidden_tools(tools))
        calls = ToolCallTimer()
        server = build_server(build_server_interface(companion, tools, calls), notifier)
        yield Application(companion, notifier, server, tools, calls)


@dataclass(frozen=True, slots=True)
class StartInfo:
    """The address of a companion that has just started, and its token if one is needed."""

    base_url: str
    stored_token: StoredToken | None
    """The token from the file, where a token is needed and none was set."""
    code: LoginCode | None
    """With a new token: the code that logs the first browser in."""


async def serve(settings: Settings, *, demo: bool, started: Callable[[StartInfo], None]) -> None:
    """Serve over standard input and output or over HTTP, until a signal or the end of input.

    Raises:
        SettingsError: there is no server to listen to.
        StartError: the database, the port or the token file cannot be used.
    """
    if not demo:
        settings.require_plex()
    async with AsyncExitStack() as stack:
        if demo:
            from plex_companion.demo.demo_settings import open_demo_settings  # noqa: PLC0415 - never loaded unless asked for

            settings = await stack.enter_async_context(open_demo_settings(settings))
        if settings.transport == "stdio":
            from plex_companion.server.mcp.stdio import serve_stdio  # noqa: PLC0415 - each transport pays for itself

            application = await stack.enter_async_context(open_application(settings))
            await serve_stdio(application.server)
            return
        from plex_companion.server.auth.token_file import ensure_token  # noqa: PLC0415 - stdio does without

        settings, kept = ensure_token(settings)
        application = await stack.enter_async_context(open_application(settings))
        await _serve_http(application, kept, started)


async def _serve_http(application: Application, kept: StoredToken | None, started: Callable[[StartInfo], None]) -> None:
    from plex_companion.server.auth.login import LoginCode  # noqa: PLC0415 - stdio does without
    from plex_companion.server.http.web import build_base_url, serve_http  # noqa: PLC0415 - the same

    settings = application.companion.settings
    code = LoginCode() if kept and kept.is_new else None

    def on_started(host: str, port: int) -> None:
        started(StartInfo(settings.public_url or build_base_url(host, port), kept, code))

    app, notifier = application.build_http_app(code), application.notifier
    await serve_http(app, settings.host, settings.port, notifier=notifier, started=on_started)
