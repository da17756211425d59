"""The wiring: what is opened in which order, and the one task group everything runs in."""

from __future__ import annotations

import logging
import platform
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from pydantic import SecretStr

from plex_companion import __version__
from plex_companion.cache.database import open_cache, open_in_memory
from plex_companion.cache.lock import open_lock
from plex_companion.changes.state import State
from plex_companion.companion import Companion
from plex_companion.duties import build_import_progress, build_leader_tasks, list_all_uris, request_refreshes
from plex_companion.ingest.live import Live
from plex_companion.ingest.queue import QUEUE_LIMIT, EventQueue
from plex_companion.mcp_interface import ToolCallTimer, _count_hidden, build_server_interface
from plex_companion.models import Connection, Moment
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
from plex_companion.server.mcp.notifier import Notifier
from plex_companion.settings import APP, LOOPBACK, find_database_path
from plex_companion.tools.toolsets import select_tools
from plex_companion.webhooks import WakeUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.changes.kinds import Effect
    from plex_companion.server.auth.config import AuthConfig
    from plex_companion.server.auth.login import LoginCode
    from plex_companion.server.auth.oauth import ResourceServer
    from plex_companion.server.auth.token_file import StoredToken
    from plex_companion.server.http.http_app import HttpApp
    from plex_companion.server.mcp.build import CompanionServer
    from plex_companion.settings import Settings
    from plex_companion.tools.declare import Tool

logger = logging.getLogger(__name__)

TICK_SECONDS = 5.0
WRITE_SECONDS = 1.0
"""How long the end waits for what was heard to be written."""


def read_clock() -> Moment:
    """Now."""
    return Moment(int(time.time() * 1000), int(time.monotonic() * 1000))


def read_versions() -> dict[str, str]:
    """Of this program and of what it stands on."""
    names = ("mcp", "plexapi", "websockets", "aiosqlite")
    return {APP: __version__, "python": platform.python_version(), **{name: version(name) for name in names}}


@asynccontextmanager
async def open_companion(
    settings: Settings,
    announce: Callable[[TouchedUris], None],
    *,
    now: Callable[[], Moment] = read_clock,
    patience: ListenerTimeouts = DEFAULT_TIMEOUTS,
    tick_seconds: float = TICK_SECONDS,
) -> AsyncIterator[Companion]:
    """A companion that listens, writes down and announces while the block runs.

    Where another process does so on the same database already, this one follows it, and goes on when it ends.

    Raises:
        StartError: the database cannot be used.
        SettingsError: the address of the server is missing, or the database is another server's.
    """
    wanted = RefreshRequests()
    bell = WakeUp()
    path = find_database_path(settings)
    live = Live(State(Connection("offline", now().at)), build_thresholds(settings), build_webhook_rules(settings))
    inbox = EventQueue(QUEUE_LIMIT, live.counters)

    def on_commit(changes: Sequence[Effect], touched: TouchedUris) -> None:
        request_refreshes(changes, wanted, bell)
        announce(touched)

    await require_own_database(path, settings)
    with open_lock(path) as lease:
        async with (
            _open_cache(path, settings, now) as cache,
            open_gateway(settings) as gateway,
            anyio.create_task_group() as tasks,
        ):
            companion = Companion(settings, live, cache, gateway, inbox, now, read_versions(), TtlCache())
            everything = partial(list_all_uris, companion)
            follower = Follower(live, cache, inbox, announce, everything, now, compute_silence_limit_ms(settings))
            roles = Election(live, cache, lease, inbox, follower, now, on_commit, build_retention(settings))
            roles.own_address = compute_address_mark(settings)
            roles.guard_owner = partial(guard_owner, cache, live, settings, gateway)
            await roles.load()
            leading = build_leader_tasks(companion, bell, tick_seconds)
            tasks.start_soon(roles.run, partial(_listen, companion, wanted, patience), leading)
            try:
                yield companion
            finally:
                with anyio.move_on_after(WRITE_SECONDS, shield=True):
                    await roles.stop()
                tasks.cancel_scope.cancel()


async def _listen(companion: Companion, wanted: RefreshRequests, patience: ListenerTimeouts) -> None:
    """Listen to Plex, going on from what is known; for the process that listens."""
    live, settings = companion.live, companion.settings
    receive = wrap_owner_check(companion.cache, live, settings, companion.event_queue.put)
    to_plex = partial(listen, companion.gateway, settings, receive, now=companion.clock, wanted=wanted)
    await to_plex(book=build_import_progress(live), epoch=live.state.connection.epoch, patience=patience)


def _open_cache(path: Path, settings: Settings, now: Callable[[], Moment]) -> AbstractAsyncContextManager[Cache]:
    """Open the database. One that nobody named is created once a server has answered, not for a wrong address."""
    if settings.database is None and not path.exists():
        return open_in_memory(path)
    return open_cache(path, backups=settings.backups, now=lambda: now().at)


@asynccontextmanager
async def open_demo_settings(settings: Settings) -> AsyncIterator[Settings]:
    """The settings as they are, pointed at an embedded demo server that runs while the block does."""
    from plex_companion.demo import open_demo  # noqa: PLC0415 - never loaded unless asked for

    async with open_demo() as demo:
        address = {"plex_url": demo.url, "plex_token": SecretStr(demo.token), "plex_tv_url": demo.url}
        yield settings.model_copy(update={**address, "database": find_database_path(settings, demo=True)})


@dataclass(frozen=True, slots=True)
class Application:
    """A running companion with the MCP server that serves it; the transports stand around it."""

    companion: Companion
    notifier: Notifier
    server: CompanionServer
    tools: Sequence[Tool]
    call_timer: ToolCallTimer

    def build_http_app(self, code: LoginCode | None = None) -> HttpApp:
        """Everything that is served over HTTP, behind one guard. `code` logs one browser in, once."""
        from plex_companion.dashboard.mount import build_routes  # noqa: PLC0415 - stdio does without
        from plex_companion.metrics import ClientCounts, Metrics  # noqa: PLC0415 - the same
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


def build_auth_config(settings: Settings, code: LoginCode | None = None) -> AuthConfig:
    """Who is let in over HTTP. Beyond loopback that is whoever has the token, under any address of ours."""
    from plex_companion.server.auth.config import AuthConfig  # noqa: PLC0415 - stdio does without

    beyond = settings.host not in LOOPBACK
    own = [settings.host, socket.gethostname(), f"{socket.gethostname()}.local"] if beyond else []
    public = [settings.public_url] if settings.public_url else []
    return AuthConfig(
        token=settings.token.get_secret_value() if settings.token else None,
        issuer=_build_resource_server(settings),
        hosts=(*settings.allowed_hosts, *own, *(urlsplit(url).netloc for url in public)),
        origins=(*settings.allowed_origins, *public),
        any_address=beyond and settings.token is not None,
        code=code,
    )


def _build_resource_server(settings: Settings) -> ResourceServer | None:
    if settings.oauth_issuer is None or settings.public_url is None:
        return None
    from plex_companion.server.auth.oauth import ResourceServer  # noqa: PLC0415 - cryptography takes long to import

    return ResourceServer(settings.oauth_issuer, settings.public_url, settings.oauth_audience, settings.oauth_jwks_url)


@asynccontextmanager
async def open_application(
    settings: Settings, *, patience: ListenerTimeouts = DEFAULT_TIMEOUTS, tick_seconds: float = TICK_SECONDS
) -> AsyncIterator[Application]:
    """A companion whose changes reach subscribers, while the block runs.

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
        open_companion(settings, announce, patience=patience, tick_seconds=tick_seconds) as opened,
    ):
        companion = replace(opened, hidden_tools=_count_hidden(tools))
        calls = ToolCallTimer()
        server = build_server(build_server_interface(companion, tools, calls), notifier)
        yield Application(companion, notifier, server, tools, calls)


@dataclass(frozen=True, slots=True)
class StartInfo:
    """Where a companion that has just started is reached, and how to be let in."""

    base_url: str
    stored_token: StoredToken | None
    """The token that was made because none was set."""
    code: LoginCode | None
    """With a token made just now: what logs the first browser in."""


async def serve(settings: Settings, *, demo: bool, started: Callable[[StartInfo], None]) -> None:
    """Run until told to end: over standard input and output, or as the HTTP application.

    Raises:
        SettingsError: there is no server to listen to.
        StartError: the database, the port or the file of the token cannot be used.
    """
    if not demo:
        settings.require_plex()
    async with AsyncExitStack() as stack:
        if demo:
            settings = await stack.enter_async_context(open_demo_settings(settings))
        if settings.transport == "stdio":
            from plex_companion.server.mcp.stdio import serve_stdio  # noqa: PLC0415 - each transport pays for itself

            application = await stack.enter_async_context(open_application(settings))
            await serve_stdio(application.server)
            return
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


def ensure_token(settings: Settings) -> tuple[Settings, StoredToken | None]:
    """The settings with a token, where one is needed: the one kept beside the database, made if there is none.

    Raises:
        StartError: it cannot be read or written.
    """
    if settings.token is not None or not settings.needs_token:
        return settings, None
    from plex_companion.server.auth.token_file import load_or_create_token  # noqa: PLC0415 - few need it

    kept = load_or_create_token(find_database_path(settings).parent)
    return settings.model_copy(update={"token": SecretStr(kept.token)}), kept
