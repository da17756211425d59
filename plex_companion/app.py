"""Opens the parts in order, connects them, and closes them in reverse order. Nothing else happens here."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from plex_companion.cache.database import open_cache, open_in_memory
from plex_companion.cache.lock import open_lock
from plex_companion.catalogue.item_updater import DEFAULT_CATALOGUE_TIMEOUTS, CatalogueTimeouts
from plex_companion.catalogue.touched_items import TouchedItems, list_touched
from plex_companion.catalogue.upkeep import list_catalogue_tasks
from plex_companion.changes.state import State
from plex_companion.chronicle.open_chronicle import open_chronicle
from plex_companion.chronicle.timeouts import DEFAULT_CHRONICLE_TIMEOUTS, ChronicleTimeouts
from plex_companion.companion import Companion, read_clock, read_versions
from plex_companion.dashboard.recent_log import RecentLog, keep_recent_log
from plex_companion.duties import (
    WakeUps,
    build_import_progress,
    build_leader_tasks,
    check_notify_targets,
    list_all_uris,
    list_file_tasks,
    request_refreshes,
)
from plex_companion.history.filters import list_names_by_server
from plex_companion.ingest.live import Live
from plex_companion.mcp_events.shared_feed import OccurrenceFeed
from plex_companion.models import Connection
from plex_companion.mqtt.broker_client import require_mqtt
from plex_companion.notify.sender import SendingEnd
from plex_companion.plex.disconnects import DEFAULT_TIMEOUTS, ListenerTimeouts
from plex_companion.policies import build_retention, build_thresholds, build_webhook_rules, compute_silence_limit_ms
from plex_companion.processes.election import Election
from plex_companion.processes.follower import Follower
from plex_companion.processes.links import listen_to_all, open_links
from plex_companion.processes.ownership import (
    guard_owner,
    list_address_marks,
    require_own_chronicle,
    require_own_database,
)
from plex_companion.resources.registry import RESOURCES
from plex_companion.resources.server_uris import canonicalize_server
from plex_companion.server.http.health import list_readiness_problems, report_health
from plex_companion.server.mcp.build import build_server
from plex_companion.server.mcp.companion_interface import ToolCallTimer, build_server_interface, count_hidden_tools
from plex_companion.server.mcp.event_methods.extension import EventMethods
from plex_companion.server.mcp.notifier import Notifier
from plex_companion.settings import find_database_path
from plex_companion.skills.skill_files import select_skills
from plex_companion.tools.toolsets import select_tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Sized
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.cache.lock import LeaderLock
    from plex_companion.changes.kinds import Effect
    from plex_companion.chronicle.connection import ChronicleConnection
    from plex_companion.companion import Link
    from plex_companion.ingest.queue import EventQueues
    from plex_companion.models import Moment
    from plex_companion.processes.election import LeaderTask
    from plex_companion.server.auth.login import LoginCode
    from plex_companion.server.auth.token_file import StoredToken
    from plex_companion.server.http.http_app import HttpApp
    from plex_companion.server.mcp.build import CompanionServer
    from plex_companion.settings import Settings
    from plex_companion.tools.declare import Tool

    OnCommit = Callable[[Mapping[str, Sequence[Effect]], TouchedUris], None]

TICK_SECONDS = 5.0
WRITE_SECONDS = 1.0
"""How long shutdown waits for received events to be written."""
HOST_SECONDS = 0.5
"""How long Plex waits for a host on stdio to ask its first question."""


@asynccontextmanager
async def open_companion(
    settings: Settings,
    announce: Callable[[TouchedUris], None],
    *,
    now: Callable[[], Moment] = read_clock,
    timeouts: ListenerTimeouts = DEFAULT_TIMEOUTS,
    tick_seconds: float = TICK_SECONDS,
    catalogue_timeouts: CatalogueTimeouts = DEFAULT_CATALOGUE_TIMEOUTS,
    chronicle_timeouts: ChronicleTimeouts = DEFAULT_CHRONICLE_TIMEOUTS,
    before_listening: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint,
) -> AsyncIterator[Companion]:
    """Run a companion while the block does: it listens to Plex, writes what happens, and announces what changed.

    If another process does so on the same database already, this one follows it, and takes over when it ends.
    `before_listening` is awaited before Plex is asked anything.

    Raises:
        StartError: the database cannot be used.
        SettingsError: the address of the server is missing, the database is another server's, or what a setting needs is
            not installed.
    """
    require_mqtt(settings)
    path, wake_ups, sending_end = find_database_path(settings), WakeUps(), SendingEnd()
    live = _build_live(settings, now().at)
    touched_items = {link: TouchedItems() for link in live.states}
    identities = await require_own_database(path, settings)
    with open_lock(path) as lock:
        async with (
            _open_cache(path, settings, now) as cache,
            open_links(settings, live.counters) as (links, queues),
            open_chronicle(settings, chronicle_timeouts) as chronicle,
            anyio.create_task_group() as tasks,
        ):
            companion = _build_companion(settings, live, cache, links, now, chronicle)
            on_commit = _build_commit_handler(companion, touched_items, wake_ups, announce)
            election = _build_election(companion, queues, lock, announce, on_commit, identities)
            _join_chronicle(election, companion, chronicle)
            await election.load()
            leading = build_leader_tasks(companion, wake_ups, tick_seconds, sending_end)
            leading += _list_catalogue_tasks(companion, touched_items, catalogue_timeouts)
            listening = partial(listen_to_all, companion, timeouts, before_listening, build_import_progress)
            tasks.start_soon(companion.occurrence_feed.run)
            tasks.start_soon(election.run, listening, leading)
            try:
                yield companion
            finally:
                with anyio.move_on_after(WRITE_SECONDS, shield=True):
                    await sending_end.close()
                    await election.stop()
                tasks.cancel_scope.cancel()


def _build_live(settings: Settings, at: int) -> Live:
    """Build the live state, in which no server was reached yet."""
    links = [link.link_id for link in settings.links()]
    return Live(State(Connection("offline", at)), build_thresholds(settings), build_webhook_rules(settings), links)


def _build_companion(
    settings: Settings,
    live: Live,
    cache: Cache,
    links: tuple[Link, ...],
    now: Callable[[], Moment],
    chronicle: ChronicleConnection | None,
) -> Companion:
    """Build the companion that shows the first server."""
    first = links[0]
    feed = OccurrenceFeed(cache, live, lambda: list_names_by_server(live.states.values()))
    companion = Companion(
        settings, live, cache, first.gateway, first.event_queue, now, read_versions(), first.ttl_cache, feed
    )
    status = chronicle.status if chronicle else None
    return replace(companion, configured=links, link_id=first.link_id, chronicle=status)


def _list_catalogue_tasks(
    companion: Companion, touched: Mapping[str, TouchedItems], timeouts: CatalogueTimeouts
) -> list[LeaderTask]:
    """Return the tasks that keep the catalogue of each server."""
    return [
        task
        for link in companion.configured
        for task in list_catalogue_tasks(
            companion.choose_link(link.link_id), touched[link.link_id], link.requests.request_library, timeouts
        )
    ]


def _build_commit_handler(
    companion: Companion,
    touched_items: Mapping[str, TouchedItems],
    wake_ups: WakeUps,
    announce: Callable[[TouchedUris], None],
) -> OnCommit:
    """Build what is done after every commit: each link asks Plex for what is missing, then the changes are announced."""

    def on_commit(changes: Mapping[str, Sequence[Effect]], touched: TouchedUris) -> None:
        for link in companion.configured:
            if some := changes.get(link.link_id):
                request_refreshes(some, link.requests, wake_ups)
                touched_items[link.link_id].add(list_touched(some))
        announce(touched)

    return on_commit


def _build_election(
    companion: Companion,
    queues: EventQueues,
    lock: LeaderLock,
    announce: Callable[[TouchedUris], None],
    on_commit: OnCommit,
    identities: dict[str, str],
) -> Election:
    live, cache, settings = companion.live, companion.cache, companion.settings
    everything = partial(list_all_uris, companion)
    silent_ms = compute_silence_limit_ms(settings)
    follower = Follower(live, cache, queues, announce, everything, companion.clock, silent_ms, identities)
    election = Election(live, cache, lock, queues, follower, companion.clock, on_commit, build_retention(settings))
    election.own_addresses = list_address_marks(settings)
    gateways = {link.link_id: link.gateway for link in companion.configured}
    election.guard_owner = partial(guard_owner, cache, live, settings, gateways, identities)
    return election


def _join_chronicle(election: Election, companion: Companion, chronicle: ChronicleConnection | None) -> None:
    """Let this machine take part in a chronicle, if there is one."""
    if chronicle is None:
        return
    from plex_companion.processes.chronicle_member import ChronicleMember  # noqa: PLC0415 - an optional package

    live, cache, follower = companion.live, companion.cache, election.follower
    gateways = {link.link_id: link.gateway for link in companion.configured}
    member = ChronicleMember(
        chronicle,
        cache,
        live,
        follower,
        election.event_queues,
        companion.clock,
        companion.pid,
        companion.settings.chronicle_hours,
    )
    member.require_own_links = partial(require_own_chronicle, gateways=gateways, identities=follower.identities)
    election.member, election.file_tasks = member, list_file_tasks(companion)


def _open_cache(path: Path, settings: Settings, now: Callable[[], Moment]) -> AbstractAsyncContextManager[Cache]:
    """Open the database.

    Without a path in the settings, the file is created when a server has answered: a wrong address leaves none behind.
    """
    if settings.database is None and settings.chronicle is None and not path.exists():
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
    recent_log: RecentLog
    event_streams: Sized
    """The open streams of MCP Events."""

    def build_http_app(self, code: LoginCode | None = None) -> HttpApp:
        """Build everything that is served over HTTP, behind one guard. `code` logs one browser in, once."""
        from plex_companion.dashboard.mount import build_routes  # noqa: PLC0415 - stdio does without
        from plex_companion.metrics import ClientCounts, Metrics  # noqa: PLC0415 - the same
        from plex_companion.server.auth.config import build_auth_config  # noqa: PLC0415 - the same
        from plex_companion.server.http.http_app import HttpApp  # noqa: PLC0415 - the same

        def count_clients() -> ClientCounts:
            counts = self.notifier.count()
            return ClientCounts(
                len(app.responses),
                counts.subscriptions,
                counts.sessions,
                counts.listen_streams,
                len(self.event_streams),
            )

        metrics = Metrics(self.companion, [tool.name for tool in self.tools], count_clients)
        self.call_timer.observe = metrics.observe_tool_call
        app = HttpApp(
            self.server,
            self.notifier,
            health=lambda: report_health(self.companion),
            missing=lambda: list_readiness_problems(self.companion),
            observe=metrics.observe_answer,
            extra_routes=[*build_routes(self.companion, self.recent_log), metrics.build_route()],
            entry=build_auth_config(self.companion.settings, code),
        )
        return app


@asynccontextmanager
async def open_application(
    settings: Settings,
    *,
    timeouts: ListenerTimeouts = DEFAULT_TIMEOUTS,
    tick_seconds: float = TICK_SECONDS,
    catalogue_timeouts: CatalogueTimeouts = DEFAULT_CATALOGUE_TIMEOUTS,
    before_listening: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint,
) -> AsyncIterator[Application]:
    """Run a companion and its MCP server while the block does; changes reach the subscribers.

    `before_listening` is awaited before Plex is asked anything.

    Raises:
        StartError: the database cannot be used.
        SettingsError: a toolset is unknown, or there is no server to listen to.
    """
    tools = select_tools(settings.toolsets, read_only=settings.read_only, several=len(settings.links()) > 1)
    notifier = Notifier(RESOURCES)

    def announce(found: TouchedUris) -> None:
        notifier.announce(found.immediate, found.progress_only, listing=found.listing)

    async with (
        _keep_recent_log(settings) as recent_log,
        notifier.run(),
        open_companion(
            settings,
            announce,
            timeouts=timeouts,
            tick_seconds=tick_seconds,
            catalogue_timeouts=catalogue_timeouts,
            before_listening=before_listening,
        ) as running,
    ):
        skills = select_skills(tool.name for tool in tools)
        companion = replace(running, skills=skills, hidden_tools=count_hidden_tools(tools))
        calls = ToolCallTimer()
        events = EventMethods(companion, companion.occurrence_feed)
        notifier.closing.append(events.streams.close)
        notifier.addresses.resolve = lambda uri: canonicalize_server(uri, companion.links)
        server = build_server(build_server_interface(companion, tools, calls, [events]), notifier)
        yield Application(companion, notifier, server, tools, calls, recent_log, events.streams)


@asynccontextmanager
async def _keep_recent_log(settings: Settings) -> AsyncIterator[RecentLog]:
    with keep_recent_log(settings.list_secrets()) as kept:
        yield kept


@dataclass(frozen=True, slots=True)
class StartInfo:
    """The address of a companion that has just started, and its token if one is needed."""

    base_url: str
    stored_token: StoredToken | None
    """The token from the file, where a token is needed and none was set."""
    code: LoginCode | None
    """With a new token: the code that logs the first browser in."""


async def serve(settings: Settings, *, demo: int, started: Callable[[StartInfo], None]) -> None:
    """Serve over standard input and output or over HTTP, until a signal or the end of input.

    Raises:
        SettingsError: there is no server to listen to, or a target of notifications cannot be used.
        StartError: the database, the port or the token file cannot be used.
    """
    if not demo:
        settings.require_plex()
    async with AsyncExitStack() as stack:
        if demo:
            from plex_companion.demo.demo_settings import open_demo_settings  # noqa: PLC0415 - never loaded unless asked for

            settings = await stack.enter_async_context(open_demo_settings(settings, demo))
        await check_notify_targets(settings)
        if settings.transport == "stdio":
            await _serve_stdio(settings, stack)
            return
        from plex_companion.server.auth.token_file import ensure_token  # noqa: PLC0415 - stdio does without

        settings, stored_token = ensure_token(settings)
        application = await stack.enter_async_context(open_application(settings))
        await _serve_http(application, stored_token, started)


async def _serve_stdio(settings: Settings, stack: AsyncExitStack) -> None:
    """Serve over standard input and output, and ask Plex only when the host has its first answer.

    A host waits for its list of tools, and importing plexapi at the same time would make it wait longer.
    """
    from plex_companion.server.mcp.stdio import serve_stdio  # noqa: PLC0415 - each transport pays for itself

    answered = anyio.Event()

    async def wait_for_host() -> None:
        with anyio.move_on_after(HOST_SECONDS):
            await answered.wait()

    application = await stack.enter_async_context(open_application(settings, before_listening=wait_for_host))
    await serve_stdio(application.server, answered.set)


async def _serve_http(
    application: Application, stored_token: StoredToken | None, started: Callable[[StartInfo], None]
) -> None:
    from plex_companion.dashboard.pages.prepared_figures import prepare_figures  # noqa: PLC0415 - stdio does without
    from plex_companion.server.auth.login import LoginCode  # noqa: PLC0415 - the same
    from plex_companion.server.http.web import build_base_url, serve_http  # noqa: PLC0415 - the same

    settings = application.companion.settings
    code = LoginCode() if stored_token and stored_token.is_new else None

    def on_started(host: str, port: int) -> None:
        started(StartInfo(settings.public_url or build_base_url(host, port), stored_token, code))

    app, notifier = application.build_http_app(code), application.notifier
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(prepare_figures, application.companion)
        await serve_http(app, settings.host, settings.port, notifier=notifier, started=on_started)
        tasks.cancel_scope.cancel()
