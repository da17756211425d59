"""The command `run_doctor`: tries what the companion needs, one thing after the other, and says in plain words what to do."""

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
"""How long a check waits at most for Plex; who asks the doctor does not want to wait as long as a tool."""
UNWRAPPED = 10_000
"""Columns into a pipe; no line is so long."""
MARKS = {"well": ("✓", "green"), "failed": ("✗", "bold red"), "skipped": ("\N{EN DASH}", "dim")}

STARTING = "Plex is starting or in maintenance (HTTP 503). Wait a minute, then try again."
REFUSED = (
    f"Plex refuses the token. plex-companion login gets a new one. To find it by hand: {BY_HAND}. Set it as PLEX_TOKEN."
)
NOT_THE_OWNER = (
    "The token is good, but not the owner's: who plays what, users, history and most tools will not work. "
    "Sign in as the owner of the server and use that token."
)
PROXY = (
    "Plain requests pass and websockets do not, so a proxy in front of Plex holds them back. Let it pass the headers "
    "Upgrade and Connection (HTTP/1.1), or set PLEX_URL to Plex itself, as http://host:32400."
)
NOT_PLEX = "Something answers that is no Plex Media Server. Are host and port in PLEX_URL right? Plex's port is 32400."
PERHAPS_HTTPS = "That happens where Plex, or a proxy, speaks only https: try PLEX_URL with https://."
NOWHERE = "Is the host in PLEX_URL right and switched on, and does no firewall stand between?"
UNCHECKED = "PLEX_COMPANION_PLEX_VERIFY=false if you trust the network between here and Plex."
ADVICE = (
    ("another name", f"Set PLEX_URL to the server's https://….plex.direct:32400 address, or {UNCHECKED}"),
    ("expired", "Renew it."),
    ("certificate", f"Or use the server's https://….plex.direct:32400 address, or set {UNCHECKED}"),
    ("TLS failed", "If it is not, try PLEX_URL with http://."),
    ("host name", "Check the spelling of the host in PLEX_URL, or use its IP address."),
    ("refused", "The host is there, but nothing listens: is Plex running, and is the port right (usually 32400)?"),
    ("closed", PERHAPS_HTTPS),
    ("reset", PERHAPS_HTTPS),
)
"""What to do, by how `plex.plain_words` says what went wrong; the first that fits."""


@dataclass(frozen=True, slots=True)
class DoctorTarget:
    """What is examined."""

    settings: Settings
    gateway: Gateway


class CheckFailed(Exception):
    """A check failed; the message says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the answer: `run` returns what it found, or raises `CheckFailed`."""

    name: str
    run: Callable[[DoctorTarget], Awaitable[str]]
    needs: str | None = None


async def run_doctor(settings: Settings, *, demo: bool = False, console: Console | None = None) -> int:
    """Check address, token, owner, websocket and database, and print a line for each. Shows neither token nor address.

    Plex is only read from. The database is opened as a start would: one that was named is made if there is none, brought
    to today's schema if it is older, and left untouched if it is newer.

    Returns:
        The exit code: 0 when all is well, otherwise 1.

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
    """Return standard output, as wide as the terminal. Into a pipe or file nothing is wrapped."""
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=UNWRAPPED)


async def _run_checks(patient: DoctorTarget, console: Console) -> int:
    well: set[str] = set()
    for check in CHECKS:
        if check.needs is not None and check.needs not in well:
            _print_result(
                console, "skipped", check.name, f"Not checked, because the check of the {check.needs} did not pass."
            )
            continue
        try:
            _print_result(console, "well", check.name, await check.run(patient))
            well.add(check.name)
        except CheckFailed as ill:
            _print_result(console, "failed", check.name, str(ill))
    healthy = len(well) == len(CHECKS)
    console.print("All is well." if healthy else f"{len(well)} of {len(CHECKS)} checks passed.", style="bold")
    return 0 if healthy else 1


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
    """What the log would say is said in better words. On debug level it speaks on."""
    ours = logging.getLogger("plex_companion")
    before = ours.level
    if ours.getEffectiveLevel() > logging.DEBUG:
        ours.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ours.setLevel(before)


async def _check_address(patient: DoctorTarget) -> str:
    """Asked without a token."""
    try:
        server = await patient.gateway.fetch_identity()
    except ToolError as error:
        raise CheckFailed(_explain_no_answer(error, str(patient.settings.plex_url)) + _suggest_port(patient)) from error
    if server is None:
        raise CheckFailed(NOT_PLEX + _suggest_port(patient))
    return f"A Plex Media Server answers, version {server.version or 'unknown'}."


def _suggest_port(patient: DoctorTarget) -> str:
    return "" if has_port(str(patient.settings.plex_url)) else f" {NO_PORT}"


def _explain_no_answer(error: ToolError, url: str) -> str:  # noqa: PLR0911 - a table
    """What to do when `/identity` gets no good answer. Without a scheme, both have been tried."""
    https = not url.startswith("http://")
    status = error.facts.get("http_status")
    match error:
        case PlexStarting():
            return STARTING
        case PlexUnreachable():
            return _explain_no_connection(str(error.facts.get("connection", "connection lost")), https=https)
        case TimedOut():
            said = "Somebody takes the connection but does not answer. Is it Plex's port (32400), and is Plex well?"
            return f"{said} It may speak only http: try PLEX_URL with http://." if url.startswith("https://") else said
        case PlexUnauthorized() | PlexForbidden():
            return "Something in front of Plex wants a login. Set PLEX_URL to Plex itself, as http://host:32400."
        case _ if isinstance(status, int) and 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirects
            return (
                f"A redirect (HTTP {status}) answers. Set PLEX_URL to where it leads, perhaps the same with https://."
            )
        case _ if status == 400 and not https:  # noqa: PLR2004 - what nginx says to http on an https port
            return f"HTTP 400 answers. {PERHAPS_HTTPS}"
        case _:
            return NOT_PLEX


def _explain_no_connection(words: str, *, https: bool) -> str:
    """What to do when there is no connection."""
    fitting = (advice for sign, advice in ADVICE if sign in words and not (https and advice is PERHAPS_HTTPS))
    return f"{_format_sentence(words)} {next(fitting, NOWHERE)}"


def _format_sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}" + ("" if words.endswith("?") else ".")


async def _check_token(patient: DoctorTarget) -> str:
    name = (await _fetch_root(patient, "/")).get("friendlyName")
    return f"Accepted by {name}." if name else "Accepted."


async def _check_owner(patient: DoctorTarget) -> str:
    """What Plex tells its owner alone: 401 formerly, 403 since 2025 (PLEX.md 2.1)."""
    for path in ("/status/sessions", "/accounts"):
        await _fetch_root(patient, path, refused=NOT_THE_OWNER)
    return "The token is the owner's: sessions and users can be read."


async def _fetch_root(patient: DoctorTarget, path: str, *, refused: str = REFUSED) -> Any:
    """The answer's root element."""

    def ask(plex: PlexServer) -> Any:
        return plex.query(path)

    try:
        return await patient.gateway.call(ask)
    except (PlexUnauthorized, PlexForbidden) as error:
        raise CheckFailed(refused) from error
    except PlexStarting as error:
        raise CheckFailed(STARTING) from error
    except ToolError as error:
        raise CheckFailed(error.message) from error


async def _check_websocket(patient: DoctorTarget) -> str:
    """The listener itself tries, and is stopped at its first word."""
    word = await _wait_for_first_event(patient)
    if isinstance(word, Disconnected):
        raise CheckFailed(_explain_no_websocket(word))
    return "Plex can be heard."


async def _wait_for_first_event(patient: DoctorTarget) -> Event:
    said: list[Event] = []
    async with anyio.create_task_group() as tasks:

        async def send(heard: Sequence[ReceivedEvent]) -> None:
            said.extend(one.event for one in heard if isinstance(one.event, Connecting | Disconnected))
            if said:
                tasks.cancel_scope.cancel()
            await anyio.lowlevel.checkpoint()

        async def run_listener() -> NoReturn:
            await listen(patient.gateway, patient.settings, send, now=read_clock, refresh=RefreshRequests())

        tasks.start_soon(run_listener)
    return said[0]


def _explain_no_websocket(word: Disconnected) -> str:
    """Why there is no websocket, though plain requests are answered."""
    if word.unauthorized:
        return f"The handshake was refused: {word.detail}. A proxy in front of Plex may drop the token (X-Plex-Token)."
    if "503" in word.detail:
        return STARTING
    return f"{_format_sentence(word.detail)} {PROXY}"


async def _check_database(patient: DoctorTarget) -> str:
    path = find_database_path(patient.settings)
    if patient.settings.database is None and not path.exists():
        return f"There is none yet: it is made as {path} once Plex has answered."
    try:
        await require_own_database(path, patient.settings)
        async with open_cache(path, backups=patient.settings.backups) as cache:
            size = await cache.read_size_bytes()
            told = f"Can be written: {path} (schema {cache.schema}, {size / 1_000_000:.1f} MB)."
            return f"{told} {await _describe_role(cache)}"
    except (DatabaseNewer, DatabaseOfAnotherServer) as error:
        raise CheckFailed(error.message) from error
    except StartError as error:
        raise CheckFailed(f"{error.message} Or name another file with --database.") from error


async def _describe_role(cache: Cache) -> str:
    """Which part in the house a process that starts now would have."""
    with open_lock(cache.path) as lease:
        if lease.try_acquire():
            return "No other process listens: this one would."
    listening = (await load_committed(cache, read_clock(), 0)).leader
    who = f"process {listening.pid}" if listening and listening.pid else "another process"
    return f"It is in use: {who} listens, this one would follow it."


CHECKS = (
    Check("address", _check_address),
    Check("token", _check_token, needs="address"),
    Check("owner", _check_owner, needs="token"),
    Check("websocket", _check_websocket, needs="token"),
    Check("database", _check_database),
)
