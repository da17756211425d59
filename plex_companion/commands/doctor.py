"""The command `doctor`: checks what plex-companion needs, one thing after the other, and says how to fix what is wrong."""

from __future__ import annotations

import logging
import os
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import anyio.lowlevel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from plex_companion.cache.database import StorageError, open_cache
from plex_companion.cache.load import load_committed
from plex_companion.cache.lock import open_lock
from plex_companion.commands.chronicle_check import examine_chronicle
from plex_companion.companion import read_clock
from plex_companion.errors import (
    DatabaseNewer,
    DatabaseOfAnotherServer,
    PlexForbidden,
    PlexStarting,
    PlexUnauthorized,
    PlexUnreachable,
    SettingsError,
    StartError,
    TimedOut,
    ToolError,
)
from plex_companion.events import Connecting, Disconnected
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.mqtt.broker_client import BrokerLost, open_broker, require_mqtt
from plex_companion.mqtt.topics import HOME_ASSISTANT_STATUS
from plex_companion.plex.gateway import NO_PORT, open_gateway
from plex_companion.plex.listener import listen
from plex_companion.plex.refresh import RefreshRequests
from plex_companion.processes.ownership import require_own_database
from plex_companion.setting_values import BY_HAND, has_port
from plex_companion.settings import find_database_path
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.gateway import Gateway
    from plex_companion.settings import Settings

SECONDS = 10.0
"""The longest time a check waits for Plex: shorter than for a tool, because a person is waiting."""
UNWRAPPED = 10_000
"""The width in a pipe, wider than any line."""
MARKS = {"well": ("✓", "green"), "failed": ("✗", "bold red"), "skipped": ("\N{EN DASH}", "dim")}

SUBSCRIPTION_REFUSED = 128
"""The least code of a subscription that the broker refuses (MQTT 3.1.1, section 3.9.3)."""
SAME_NAME = (
    "Another server has the same name: tell them apart by their machine identifiers, or rename one in Plex's settings."
)
STARTING = "Plex is starting or in maintenance (HTTP 503). Wait a minute, then try again."
REFUSED = (
    f"Plex rejects the token. plex-companion login gets a new one. To find it by hand: {BY_HAND}. Set it as PLEX_TOKEN."
)
NOT_THE_OWNER = (
    "The token works, but it is not the owner's: sessions, users, history and most tools will not work. "
    "Sign in as the owner of the server and use that token."
)
PROXY = (
    "Plain requests work but the websocket doesn't, so a proxy in front of Plex probably blocks it. Let the proxy pass the "
    "headers Upgrade and Connection (HTTP/1.1), or set PLEX_URL to Plex itself, as http://host:32400."
)
NOT_PLEX = (
    "Something answers, but it is not a Plex Media Server. Check host and port in PLEX_URL; Plex's port is 32400."
)
PERHAPS_HTTPS = "That happens when Plex, or a proxy, accepts only https: try PLEX_URL with https://."
NOWHERE = "Check that the host in PLEX_URL is right and switched on, and that no firewall blocks it."
UNCHECKED = "PLEX_COMPANION_PLEX_VERIFY=false if you trust the network between here and Plex."
ADVICE = (
    ("another name", f"Set PLEX_URL to the server's https://….plex.direct:32400 address, or {UNCHECKED}"),
    ("expired", "Renew it."),
    ("certificate", f"Or use the server's https://….plex.direct:32400 address, or set {UNCHECKED}"),
    ("TLS failed", "If it is not, try PLEX_URL with http://."),
    ("host name", "Check the spelling of the host in PLEX_URL, or use its IP address."),
    (
        "refused",
        "The host is up, but nothing listens on that port: is Plex running, and is the port right (usually 32400)?",
    ),
    ("closed", PERHAPS_HTTPS),
    ("reset", PERHAPS_HTTPS),
)
"""What to do, by a phrase in the description of the failure from `plex.disconnects`; the first match counts."""


@dataclass(frozen=True, slots=True)
class CheckedServers:
    """What the checks of the servers before this one have found."""

    numbers: dict[str, int] = field(default_factory=dict)
    """The number of each server, by its machine identifier."""
    names: set[str] = field(default_factory=set)
    """The names of the servers, in lower case."""


@dataclass(frozen=True, slots=True)
class DoctorTarget:
    """The settings and the gateway that are checked."""

    settings: Settings
    gateway: Gateway
    number: int = 1
    """The place of the server in the settings."""
    earlier: CheckedServers = field(default_factory=CheckedServers)


class CheckFailed(Exception):
    """A check failed. The message says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `run` returns what it found, or raises `CheckFailed`."""

    name: str
    run: Callable[[DoctorTarget], Awaitable[str]]
    needs: str | None = None


async def run_doctor(settings: Settings, *, demo: int = 0, console: Console | None = None) -> int:
    """Check address, token, owner, websocket and database, and print a line for each, without token or address.

    Of several servers, each is checked under a heading of its own.

    Nothing is changed in Plex. The database is opened as `serve` would open it: a named file is created if it is missing,
    migrated if its schema is older, and left untouched if it is newer.

    Returns:
        The exit code: 0 when every check passed, otherwise 1.

    Raises:
        SettingsError: address or token is missing or can never work.
    """
    if not demo:
        settings.require_plex()
    async with AsyncExitStack() as stack:
        if demo:
            from plex_companion.demo.demo_settings import open_demo_settings  # noqa: PLC0415 - never loaded unless asked for

            settings = await stack.enter_async_context(open_demo_settings(settings, demo))
        stack.enter_context(_silence_log())
        hurried = settings.model_copy(update={"plex_timeout_seconds": min(SECONDS, settings.plex_timeout_seconds)})
        return await _check_servers(hurried, console or _output())


def _output() -> Console:
    """Return a console on standard output, as wide as the terminal. In a pipe or file, lines are not wrapped."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=UNWRAPPED)


async def _check_servers(settings: Settings, console: Console) -> int:
    links, earlier, passed = settings.links(), CheckedServers(), 0
    for number, link in enumerate(links, 1):
        if len(links) > 1:
            console.print(f"Server {number} of {len(links)}", style="bold")
        async with open_gateway(link) as gateway:
            passed += await _run_checks(SERVER_CHECKS, DoctorTarget(link, gateway, number, earlier), console)
    if len(links) > 1:
        console.print("All servers", style="bold")
    async with open_gateway(links[0]) as gateway:
        checks = list_common_checks(settings)
        passed += await _run_checks(checks, DoctorTarget(settings, gateway), console)
    total = len(links) * len(SERVER_CHECKS) + len(checks)
    console.print("Everything works." if passed == total else f"{passed} of {total} checks passed.", style="bold")
    return 0 if passed == total else 1


async def _run_checks(checks: Sequence[Check], target: DoctorTarget, console: Console) -> int:
    """Run checks in order, print their results, and return how many passed."""
    passed_names: set[str] = set()
    for check in checks:
        if check.needs is not None and check.needs not in passed_names:
            _print_result(console, "skipped", check.name, f"Not checked, because the {check.needs} check failed.")
            continue
        try:
            _print_result(console, "well", check.name, await check.run(target))
            passed_names.add(check.name)
        except CheckFailed as failure:
            _print_result(console, "failed", check.name, str(failure))
    return len(passed_names)


def _print_result(console: Console, verdict: str, name: str, words: str) -> None:
    mark, style = MARKS[verdict]
    line = Table.grid(padding=(0, 1))
    line.add_column(width=1)
    line.add_column(width=9)
    line.add_column(overflow="fold")
    line.add_row(Text(mark, style), Text(name, "bold"), Text(clean(words), "dim" if verdict == "skipped" else ""))
    console.print(line)


@contextmanager
def _silence_log() -> Iterator[None]:
    """Silence the log in the block, because the checks say it in better words. At debug level, keep it."""
    ours = logging.getLogger("plex_companion")
    before = ours.level
    if ours.getEffectiveLevel() > logging.DEBUG:
        ours.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ours.setLevel(before)


async def _check_address(target: DoctorTarget) -> str:
    """Check that a Plex Media Server answers at the address. The request carries no token."""
    try:
        server = await target.gateway.fetch_identity()
    except ToolError as error:
        raise CheckFailed(_explain_no_answer(error, str(target.settings.plex_url)) + _suggest_port(target)) from error
    if server is None:
        raise CheckFailed(NOT_PLEX + _suggest_port(target))
    first = target.earlier.numbers.setdefault(server.machine_identifier, target.number)
    if first != target.number:
        raise CheckFailed(f"This is the same server as number {first}. Give each server once in PLEX_URL.")
    return f"A Plex Media Server answers, version {server.version or 'unknown'}."


def _suggest_port(target: DoctorTarget) -> str:
    return "" if has_port(str(target.settings.plex_url)) else f" {NO_PORT}"


def _explain_no_answer(error: ToolError, url: str) -> str:  # noqa: PLR0911 - a table
    """Say what to do when `/identity` gets no usable answer. Without a scheme in the URL, both were tried."""
    https = not url.startswith("http://")
    status = error.facts.get("http_status")
    match error:
        case PlexStarting():
            return STARTING
        case PlexUnreachable():
            return _explain_no_connection(str(error.facts.get("connection", "connection lost")), https=https)
        case TimedOut():
            message = "The connection is accepted, but nothing answers. Is it Plex's port (32400), and is Plex healthy?"
            return (
                f"{message} It may accept only http: try PLEX_URL with http://."
                if url.startswith("https://")
                else message
            )
        case PlexUnauthorized() | PlexForbidden():
            return "Something in front of Plex requires a login. Set PLEX_URL to Plex itself, as http://host:32400."
        case _ if isinstance(status, int) and 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirects
            return (
                f"The answer is a redirect (HTTP {status}). Set PLEX_URL to its target, perhaps the same with https://."
            )
        case _ if status == 400 and not https:  # noqa: PLR2004 - nginx answers this to http on an https port
            return f"The answer is HTTP 400. {PERHAPS_HTTPS}"
        case _:
            return NOT_PLEX


def _explain_no_connection(words: str, *, https: bool) -> str:
    """Say what to do when there is no connection."""
    fitting = (advice for sign, advice in ADVICE if sign in words and not (https and advice is PERHAPS_HTTPS))
    return f"{_format_sentence(words)} {next(fitting, NOWHERE)}"


def _format_sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}" + ("" if words.endswith("?") else ".")


async def _check_token(target: DoctorTarget) -> str:
    name = (await _fetch_root(target, "/")).get("friendlyName")
    if name and name.casefold() in target.earlier.names:
        return f"Accepted by {name}. {SAME_NAME}"
    target.earlier.names.add((name or "").casefold())
    return f"Accepted by {name}." if name else "Accepted."


async def _check_owner(target: DoctorTarget) -> str:
    """Check what Plex shows only to its owner. Others get 401 from older servers, 403 since 2025 (PLEX.md 2.1)."""
    for path in ("/status/sessions", "/accounts"):
        await _fetch_root(target, path, refused=NOT_THE_OWNER)
    return "The token is the owner's: sessions and users can be read."


async def _fetch_root(target: DoctorTarget, path: str, *, refused: str = REFUSED) -> Any:
    """Fetch a path and return the root element of the answer."""

    def fetch(plex: PlexServer) -> Any:
        return plex.query(path)

    try:
        return await target.gateway.call(fetch)
    except (PlexUnauthorized, PlexForbidden) as error:
        raise CheckFailed(refused) from error
    except PlexStarting as error:
        raise CheckFailed(STARTING) from error
    except ToolError as error:
        raise CheckFailed(error.message) from error


async def _check_websocket(target: DoctorTarget) -> str:
    """Run the real listener until it reports whether it connected."""
    event = await _wait_for_first_event(target)
    if isinstance(event, Disconnected):
        raise CheckFailed(_explain_no_websocket(event))
    return "The websocket works: Plex sends notifications."


async def _wait_for_first_event(target: DoctorTarget) -> Event:
    found: list[Event] = []
    async with anyio.create_task_group() as tasks:

        async def send(received: Sequence[ReceivedEvent]) -> None:
            found.extend(one.event for one in received if isinstance(one.event, Connecting | Disconnected))
            if found:
                tasks.cancel_scope.cancel()
            await anyio.lowlevel.checkpoint()

        async def run_listener() -> NoReturn:
            await listen(target.gateway, target.settings, send, now=read_clock, refresh=RefreshRequests())

        tasks.start_soon(run_listener)
    return found[0]


def _explain_no_websocket(event: Disconnected) -> str:
    """Explain why the websocket fails although plain requests work."""
    if event.unauthorized:
        return f"The handshake was refused: {event.detail}. A proxy in front of Plex may drop the token (X-Plex-Token)."
    return STARTING if "503" in event.detail else f"{_format_sentence(event.detail)} {PROXY}"


async def _check_database(target: DoctorTarget) -> str:
    path = find_database_path(target.settings)
    if target.settings.database is None and not path.exists():
        return f"There is no database yet. It will be created as {path} once Plex has answered."
    try:
        await require_own_database(path, target.settings)
        async with open_cache(path, backups=target.settings.backups) as cache:
            size = await cache.read_size_bytes()
            found = f"Writable: {path} (schema {cache.schema}, {size / 1_000_000:.1f} MB)."
            return f"{found} {await _describe_role(cache)}"
    except (DatabaseNewer, DatabaseOfAnotherServer) as error:
        raise CheckFailed(error.message) from error
    except StartError as error:
        raise CheckFailed(f"{error.message} Or choose another file with --database.") from error


async def _describe_role(cache: Cache) -> str:
    """Say whether a process that starts now would listen or follow."""
    with open_lock(cache.path) as lock:
        if lock.try_acquire():
            return "No other process is listening, so this one would."
    listening = (await load_committed(cache, read_clock(), 0)).leader
    who = f"process {listening.pid}" if listening and listening.pid else "another process"
    return f"It is in use: {who} is listening, and this one would follow it."


async def _check_chronicle(target: DoctorTarget) -> str:
    """Check that PostgreSQL can be used, and that the database of this machine fits the chronicle. Nothing is written."""
    try:
        return await examine_chronicle(target.settings)
    except (SettingsError, StartError) as error:
        raise CheckFailed(error.message) from error
    except StorageError as away:
        raise CheckFailed(f"{away}. Until it answers, this machine serves its own file and does not listen.") from away


async def _check_broker(target: DoctorTarget) -> str:
    """Check that the MQTT broker can be connected, and that what Home Assistant says may be read there."""
    address = target.settings.read_broker_address()
    if address is None:
        return "None is configured."
    try:
        require_mqtt(target.settings)
        async with open_broker(address, f"plex-companion-doctor-{os.getpid()}") as client:
            granted = await client.subscribe(HOME_ASSISTANT_STATUS)
    except SettingsError as error:
        raise CheckFailed(error.message) from error
    except BrokerLost as lost:
        raise CheckFailed(f"The MQTT broker in PLEX_COMPANION_MQTT_URL cannot be used: {lost}.") from lost
    if any((code if isinstance(code, int) else code.value) >= SUBSCRIPTION_REFUSED for code in granted):
        raise CheckFailed(
            f"The MQTT broker does not let this user read {HOME_ASSISTANT_STATUS}: check its access rules."
        )
    return "The MQTT broker accepts the connection. Home Assistant finds its devices there while the companion listens."


async def _check_notify(target: DoctorTarget) -> str:
    """Check that Apprise can use every target of notifications. Nothing is sent."""
    from plex_companion.notify.services import open_services  # noqa: PLC0415 - others do without

    try:
        services = await compute_off_loop(partial(open_services, target.settings.list_notify_targets()))
    except SettingsError as error:
        raise CheckFailed(error.message.replace("\n", " ")) from error
    shown = ", ".join(f"{service.name} ({service.kind})" for service in services)
    return f"Messages go to {shown}. To try one: plex-companion notify --test {services[0].name}"


SERVER_CHECKS = (
    Check("address", _check_address),
    Check("token", _check_token, needs="address"),
    Check("owner", _check_owner, needs="token"),
    Check("websocket", _check_websocket, needs="token"),
)


def list_common_checks(settings: Settings) -> list[Check]:
    """Return the checks of what all servers share, as far as the settings want it."""
    notify = [Check("notify", _check_notify)] if settings.notify else []
    broker = [Check("mqtt", _check_broker)] if settings.mqtt_url else []
    chronicle = [Check("chronicle", _check_chronicle)] if settings.chronicle else []
    return [Check("database", _check_database), *chronicle, *notify, *broker]
