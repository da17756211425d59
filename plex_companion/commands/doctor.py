"""The command `doctor`: checks what plex-companion needs, one thing after the other, and says how to fix what is wrong."""

from __future__ import annotations

import logging
import os
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import anyio.lowlevel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from plex_companion.cache.database import open_cache
from plex_companion.cache.load import load_committed
from plex_companion.cache.lock import open_lock
from plex_companion.companion import read_clock
from plex_companion.errors import (
    DatabaseNewer,
    DatabaseOfAnotherServer,
    PlexForbidden,
    PlexStarting,
    PlexUnauthorized,
    PlexUnreachable,
    StartError,
    TimedOut,
    ToolError,
)
from plex_companion.events import Connecting, Disconnected
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
class DoctorTarget:
    """The settings and the gateway that are checked."""

    settings: Settings
    gateway: Gateway


class CheckFailed(Exception):
    """A check failed. The message says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `run` returns what it found, or raises `CheckFailed`."""

    name: str
    run: Callable[[DoctorTarget], Awaitable[str]]
    needs: str | None = None


async def run_doctor(settings: Settings, *, demo: bool = False, console: Console | None = None) -> int:
    """Check address, token, owner, websocket and database, and print a line for each, without token or address.

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

            settings = await stack.enter_async_context(open_demo_settings(settings))
        hurried = settings.model_copy(update={"plex_timeout_seconds": min(SECONDS, settings.plex_timeout_seconds)})
        gateway = await stack.enter_async_context(open_gateway(hurried))
        with _silence_log():
            return await _run_checks(DoctorTarget(hurried, gateway), console or _output())


def _output() -> Console:
    """Return a console on standard output, as wide as the terminal. In a pipe or file, lines are not wrapped."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=UNWRAPPED)


async def _run_checks(target: DoctorTarget, console: Console) -> int:
    passed_names: set[str] = set()
    for check in CHECKS:
        if check.needs is not None and check.needs not in passed_names:
            _print_result(console, "skipped", check.name, f"Not checked, because the {check.needs} check failed.")
            continue
        try:
            _print_result(console, "well", check.name, await check.run(target))
            passed_names.add(check.name)
        except CheckFailed as failure:
            _print_result(console, "failed", check.name, str(failure))
    all_passed = len(passed_names) == len(CHECKS)
    console.print(
        "Everything works." if all_passed else f"{len(passed_names)} of {len(CHECKS)} checks passed.", style="bold"
    )
    return 0 if all_passed else 1


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
            said = "The connection is accepted, but nothing answers. Is it Plex's port (32400), and is Plex healthy?"
            return f"{said} It may accept only http: try PLEX_URL with http://." if url.startswith("https://") else said
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
    return f"Accepted by {name}." if name else "Accepted."


async def _check_owner(target: DoctorTarget) -> str:
    """Check what Plex tells only its owner. Others get 401 from older servers, 403 since 2025 (PLEX.md 2.1)."""
    for path in ("/status/sessions", "/accounts"):
        await _fetch_root(target, path, refused=NOT_THE_OWNER)
    return "The token is the owner's: sessions and users can be read."


async def _fetch_root(target: DoctorTarget, path: str, *, refused: str = REFUSED) -> Any:
    """Fetch a path and return the root element of the answer."""

    def ask(plex: PlexServer) -> Any:
        return plex.query(path)

    try:
        return await target.gateway.call(ask)
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
    if "503" in event.detail:
        return STARTING
    return f"{_format_sentence(event.detail)} {PROXY}"


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


CHECKS = (
    Check("address", _check_address),
    Check("token", _check_token, needs="address"),
    Check("owner", _check_owner, needs="token"),
    Check("websocket", _check_websocket, needs="token"),
    Check("database", _check_database),
)
