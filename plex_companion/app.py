"""The wiring: what is opened in which order, and the one task group everything runs in."""

from __future__ import annotations

import logging
import platform
import random
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
from pydantic import SecretStr

from plex_companion import __version__
from plex_companion.cache import open_cache, open_in_memory
from plex_companion.cache.board import TouchedUris
from plex_companion.cache.care import MaintenancePlan, maintain
from plex_companion.cache.lease import open_lock
from plex_companion.changes import State, Thresholds
from plex_companion.changes.deliveries import WebhookRules
from plex_companion.changes.kinds import Change, DeliveryChanged
from plex_companion.changes.kinds import RefreshRequested as WantedChange
from plex_companion.companion import Companion
from plex_companion.deliver import DeliveryContext, WakeUp, Webhook, deliver_alerts
from plex_companion.errors import ToolError
from plex_companion.events import ReceivedEvent, Tick
from plex_companion.follow import Follower
from plex_companion.ingest import QUEUE_LIMIT, EventQueue, Live, Retention
from plex_companion.models import Connection, Moment
from plex_companion.ownership import address_mark, guard_owner, insist_on_own, receive_own
from plex_companion.panels import PANELS
from plex_companion.plex.gateway import open_gateway
from plex_companion.plex.history import ImportProgress
from plex_companion.plex.known import TtlCache
from plex_companion.plex.listener import DEFAULT_TIMEOUTS, ListenerTimeouts, listen
from plex_companion.plex.wanted import RefreshRequests
from plex_companion.prompts import select_prompts
from plex_companion.prompts.completions import propose_values
from plex_companion.resources import RESOURCES, list_existing, read_resource
from plex_companion.roles import Election
from plex_companion.server.asking import ElicitationRequired
from plex_companion.server.build import build_server
from plex_companion.server.notifier import Notifier
from plex_companion.server.offer import ResourceEntry, ServerInterface, ToolResult
from plex_companion.settings import APP, LOOPBACK, find_database_path
from plex_companion.text import hide_secrets
from plex_companion.tools import select_tools
from plex_companion.tools.call import call_tool
from plex_companion.tools.declare import ALLOW_WRITES, Access
from plex_companion.wire import build_alert_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from plex_companion.cache import Cache
    from plex_companion.events import DeliveryReport, StorageReport
    from plex_companion.models import History
    from plex_companion.roles import LeaderTask
    from plex_companion.server.build import CompanionServer
    from plex_companion.server.entry import AuthConfig
    from plex_companion.server.http import HttpApp
    from plex_companion.server.login import LoginCode
    from plex_companion.server.oauth import ResourceServer
    from plex_companion.server.token import StoredToken
    from plex_companion.settings import Settings
    from plex_companion.tools.declare import Caller, Tool

logger = logging.getLogger(__name__)

TICK_SECONDS = 5.0
WRITE_SECONDS = 1.0
"""How long the end waits for what was heard to be written."""
MINUTE_MS = 60_000
DAY_MS = 86_400_000

INSTRUCTIONS = """\
plex-companion listens to a Plex Media Server and remembers what it heard, so live questions cost nothing and old ones
can be answered while Plex is away.

- What plays now: resource plex://sessions (subscribe to be told), or the tool live_sessions.
- Waiting for something to happen: events_wait. What happened since: events_since with the last next_cursor.
- The past: what_happened(since="12h") is a digest of plays, additions, alerts and outages; history_query, history_stats,
  library_changes and play_get ask more exactly. Times are spans (24h, 7d), dates, or ISO 8601. While `history.complete` is
  false, Plex's own history is still being read in; `notes` and `outages` say when nobody listened.
- Every answer of the live toolset carries `connection.state`. Unless it is "live", the data is the last known, and an
  empty list does not mean that nothing happens.
- Ids (rating_key, library_id …) may be given as numbers or as strings, and beat titles. When several things fit a title,
  the answer is a list with status "multiple_matches" and nothing was changed: repeat the call with the id that is meant.
- {writing}
- An error is an object with a stable `code` and a `message` that says what to try.
"""
ASKS_FIRST = """\
What destroys something asks a person first; where the host cannot ask, the call needs confirm=true, so ask the person
  yourself."""
CHANGES_NOTHING = "None of the tools served here changes anything in Plex."
OFF = """\
The companion is read-only: {hidden} tools that change Plex are not listed, and answer with code "read_only" when
  called. When a person asks for a change, tell them so. {allow}"""


def build_instructions(tools: Sequence[Tool]) -> str:
    """Return what a model is told of the server. While tools are off, it says how many and how to allow them."""
    if hidden := _count_hidden(tools):
        return INSTRUCTIONS.format(writing=OFF.format(hidden=hidden, allow=ALLOW_WRITES))
    writes = any(tool.access is not Access.READ for tool in tools)
    return INSTRUCTIONS.format(writing=ASKS_FIRST if writes else CHANGES_NOTHING)


def _count_hidden(tools: Sequence[Tool]) -> int:
    return sum(tool.off for tool in tools)


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

    def on_commit(changes: Sequence[Change], touched: TouchedUris) -> None:
        request_refreshes(changes, wanted, bell)
        announce(touched)

    await insist_on_own(path, settings)
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
            roles.own_address = address_mark(settings)
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
    receive = receive_own(companion.cache, live, settings, companion.event_queue.put)
    to_plex = partial(listen, companion.gateway, settings, receive, now=companion.clock, wanted=wanted)
    await to_plex(book=build_import_progress(live), epoch=live.state.connection.epoch, patience=patience)


def _open_cache(path: Path, settings: Settings, now: Callable[[], Moment]) -> AbstractAsyncContextManager[Cache]:
    """Open the database. One that nobody named is created once a server has answered, not for a wrong address."""
    if settings.database is None and not path.exists():
        return open_in_memory(path)
    return open_cache(path, backups=settings.backups, now=lambda: now().at)


def build_leader_tasks(companion: Companion, bell: WakeUp, tick_seconds: float) -> list[LeaderTask]:
    """What only the process that listens does, besides listening."""
    cache, inbox, now, settings = companion.cache, companion.event_queue, companion.clock, companion.settings
    return [
        partial(send_ticks, inbox, now, tick_seconds),
        partial(maintain_database, cache, inbox, now, settings),
        partial(deliver_to_webhooks, cache, inbox, now, settings, bell),
    ]


def list_all_uris(companion: Companion) -> TouchedUris:
    """Every URI there is, for when nobody knows which of them changed."""
    return TouchedUris({uri for _, uri, _ in list_existing(companion)}, listing=True)


def compute_silence_limit_ms(settings: Settings) -> int:
    """A process that listens confirms what it knows at least every `reconcile_seconds`; three times may fail."""
    return max(MINUTE_MS, int(settings.reconcile_seconds * 1000)) * 3


def build_thresholds(settings: Settings) -> Thresholds:
    """Return the limits of the alert rules, as set."""
    return Thresholds(
        buffering_count=settings.alert_buffering_count,
        slow_ms=int(settings.alert_slow_seconds * 1000),
        transcode_4k=settings.alert_transcode_4k,
        streams=settings.alert_streams,
        streams_grace_ms=int(settings.alert_streams_grace_seconds * 1000),
        paused_ms=int(settings.alert_paused_minutes * 60_000),
        unreadable_ms=int(settings.alert_unreadable_seconds * 1000),
        hold_ms=int(settings.alert_hold_seconds * 1000),
    )


def build_retention(settings: Settings) -> Retention:
    """Return how long rows are kept, as set."""
    return Retention(
        int(settings.retention_event_days * DAY_MS),
        settings.retention_event_rows,
        int(settings.retention_alert_days * DAY_MS),
    )


def build_import_progress(live: Live) -> ImportProgress:
    """What is known of Plex's history; it is read no faster than it can be written."""

    def read_progress() -> History | None:
        return live.state.history if live.state.server else None

    async def wait_until_written(number: int) -> None:
        while live.state.history_page < number or live.storage != "ok":
            await live.wait_for_commit()

    return ImportProgress(read_progress, wait_until_written)


def request_refreshes(changes: Sequence[Change], wanted: RefreshRequests, bell: WakeUp) -> None:
    """What only Plex can tell is asked for as soon as it is missed; what is to be delivered rings the bell."""
    for change in changes:
        match change:
            case WantedChange(what="library"):
                wanted.request_library()
            case WantedChange(what="history"):
                wanted.request_history()
            case WantedChange():
                wanted.request_snapshot()
            case DeliveryChanged():
                bell.wake()
            case _:
                pass


async def send_ticks(inbox: EventQueue, now: Callable[[], Moment], seconds: float) -> None:
    """Queue a `Tick` every so many seconds, forever."""
    while True:
        await anyio.sleep(seconds)
        await inbox.put([ReceivedEvent(Tick(), now())])


async def maintain_database(cache: Cache, inbox: EventQueue, now: Callable[[], Moment], settings: Settings) -> None:
    """Look after the database; for the process that listens. Whatever should be known of it is an event like any other."""

    async def report(report: StorageReport) -> None:
        await inbox.put([ReceivedEvent(report, now())])

    await maintain(cache, MaintenancePlan(settings.backups), lambda: now().at, report)


def build_webhook_rules(settings: Settings) -> WebhookRules | None:
    """Return which alerts go to which webhooks; `None` without webhooks."""
    names = tuple(settings.list_webhooks())
    hold_ms = int(settings.alert_hold_seconds * 1000)
    return WebhookRules(names, build_alert_message, frozenset(settings.webhook_kinds), hold_ms) if names else None


async def deliver_to_webhooks(
    cache: Cache, inbox: EventQueue, now: Callable[[], Moment], settings: Settings, bell: WakeUp
) -> None:
    """Take alerts to the webhooks, if there are any; for the process that listens."""

    async def report(result: DeliveryReport) -> None:
        await inbox.put([ReceivedEvent(result, now())])

    key = settings.read_webhook_key()
    webhooks = tuple(Webhook(name, url, key) for name, url in settings.list_webhooks().items())
    if webhooks:
        await deliver_alerts(webhooks, DeliveryContext(cache, bell, report, lambda: now().at, random.random))


@dataclass(slots=True)
class ToolCallTimer:
    """Tells of each call of a tool: its name, what came of it, seconds. Nobody listens on stdio."""

    observe: Callable[[str, str, float], None] | None = None

    @contextmanager
    def time_call(self, tool: str) -> Iterator[None]:
        """One call."""
        began, outcome = time.perf_counter(), "internal"
        try:
            yield
            outcome = "ok"
        except ToolError as error:
            outcome = error.code
            raise
        except ElicitationRequired:
            outcome = "question"
            raise
        except anyio.get_cancelled_exc_class():
            outcome = "cancelled"
            raise
        finally:
            if self.observe is not None:
                self.observe(tool, outcome, time.perf_counter() - began)


def build_server_interface(companion: Companion, tools: Sequence[Tool], calls: ToolCallTimer) -> ServerInterface:
    """What the MCP server serves."""

    async def run_tool(tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> ToolResult:
        with calls.time_call(tool.name):
            return ToolResult(*await call_tool(companion, tool, arguments, caller))

    async def read_uri(uri: str) -> str:
        return hide_secrets(await read_resource(companion, uri), companion.settings.list_secrets())

    def list_entries() -> list[ResourceEntry]:
        secrets = companion.settings.list_secrets()
        found = list_existing(companion)
        return [
            ResourceEntry(uri, one.name, hide_secrets(title, secrets), one.description) for one, uri, title in found
        ]

    def propose(name: str, typed: str) -> list[str]:
        secrets = companion.settings.list_secrets()
        return [hide_secrets(value, secrets) for value in propose_values(companion, name, typed)]

    names = {tool.name for tool in tools}
    return ServerInterface(
        APP,
        __version__,
        build_instructions(tools),
        tools,
        run_tool,
        RESOURCES,
        list_entries,
        read_uri,
        prompts=select_prompts(tools),
        propose=propose,
        panels=[panel for panel in PANELS if panel.tool in names],
    )


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
        from plex_companion.dashboard import build_routes  # noqa: PLC0415 - stdio does without
        from plex_companion.metrics import ClientCounts, Metrics  # noqa: PLC0415 - the same
        from plex_companion.server.http import HttpApp  # noqa: PLC0415 - the same

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
    from plex_companion.server.entry import AuthConfig  # noqa: PLC0415 - stdio does without

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
    from plex_companion.server.oauth import ResourceServer  # noqa: PLC0415 - cryptography takes long to import

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
            from plex_companion.server.stdio import serve_stdio  # noqa: PLC0415 - each transport pays for itself

            application = await stack.enter_async_context(open_application(settings))
            await serve_stdio(application.server)
            return
        settings, kept = ensure_token(settings)
        application = await stack.enter_async_context(open_application(settings))
        await _serve_http(application, kept, started)


async def _serve_http(application: Application, kept: StoredToken | None, started: Callable[[StartInfo], None]) -> None:
    from plex_companion.server.login import LoginCode  # noqa: PLC0415 - stdio does without
    from plex_companion.server.web import build_base_url, serve_http  # noqa: PLC0415 - the same

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
    from plex_companion.server.token import load_or_create_token  # noqa: PLC0415 - few need it

    kept = load_or_create_token(find_database_path(settings).parent)
    return settings.model_copy(update={"token": SecretStr(kept.token)}), kept


def report_health(companion: Companion) -> dict[str, Any]:
    """What `/healthz` says: the program runs; `connection` and `storage` tell whether it hears and remembers."""
    return {
        "status": "ok",
        "version": __version__,
        "role": companion.describe_process()["role"],
        "connection": companion.state.connection.state,
        "storage": companion.live.storage,
    }


def list_readiness_problems(companion: Companion) -> dict[str, str]:
    """What keeps it from being ready: blind, or unable to remember. Nothing when it is."""
    link, storage = companion.state.connection.state, companion.live.storage
    return {
        name: value for name, value, good in (("connection", link, "live"), ("storage", storage, "ok")) if value != good
    }
