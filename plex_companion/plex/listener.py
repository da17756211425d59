"""Hears Plex: owns the websocket and sends on what it says, with a snapshot first and then from time to time."""

from __future__ import annotations

import logging
import math
import random
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from plex_companion import __version__
from plex_companion.errors import PlexForbidden, PlexStarting, PlexUnauthorized, PlexUnreachable, TimedOut, ToolError
from plex_companion.events import Connecting, Disconnected, Event, Heard, SessionsUnread, parse_frame
from plex_companion.plex.history import Facts, Reader
from plex_companion.plex.plain_words import why
from plex_companion.plex.snapshot import take_snapshot
from plex_companion.plex.tls import tls_context
from plex_companion.text import HIDDEN
from plex_companion.threads import compute_off_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from plex_companion.events import Snapshot
    from plex_companion.models import Moment
    from plex_companion.plex.gateway import Gateway
    from plex_companion.plex.history import Book
    from plex_companion.plex.wanted import Wanted, Wish
    from plex_companion.settings import Settings

    Frame = tuple[bytes, Moment]
    Send = Callable[[Sequence[Heard]], Awaitable[None]]
    Clock = Callable[[], Moment]

PATH = "/:/websockets/notifications"
LARGEST_FRAME = 4 * 1024 * 1024
LARGE_FRAME, PORTION = 64 * 1024, 500
"""A larger frame is parsed off the loop; of one with more entries so many are handed on at a time."""
WAITING_FRAMES = 4096
"""Kept unread while the first snapshot is taken; beyond it the socket is left alone, and Plex's pings with it."""
_LONGEST_WAIT = 60.0
_TOO_LARGE = 1009
_POLITE = frozenset({1000, 1001, 1005})
_log = logging.getLogger(__name__)
_socket_log = logging.getLogger(f"{__name__}.socket")
_socket_log.setLevel(logging.INFO)  # below it websockets writes down headers, the token among them


def backoff(chance: Callable[[], float] = random.random) -> Iterator[float]:
    """Seconds to wait before each try: 0, 1, 2, 4 … 60, from the second on up to a quarter less."""
    yield 0.0
    wait = 1.0
    while True:
        yield wait * (1 - chance() / 4)
        wait = min(wait * 2, _LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the listener waits, in seconds. Tests have less of it."""

    opening: float = 10
    ping: float = 10
    pong: float = 10
    closing: float = 1
    refused: float = 300
    """Between tries with a token that Plex refuses."""
    merge: float = 0.3
    """Between snapshots of sessions, however many are wanted."""
    library: float = 10
    """Between those of libraries: while a season comes in, every episode wants one."""
    late: float = 4
    """For what plays; then it is shown as no longer certain, and the answer is waited for."""
    failed: float = 5
    """Before what failed is tried again. What plays is asked for again at once, then after longer and longer, up to
    twice this."""
    counted: float = 2
    """After a play has ended, before Plex's history is read: its row is written a moment later."""
    counted_late: float = 30
    """Before it is looked at once more, as that moment can be long."""
    settled: float = 1
    """A connection that lived this long was a good one: the next is tried at once."""
    waits: Callable[[], Iterator[float]] = backoff


PATIENT = Patience()


@dataclass(frozen=True, slots=True)
class Lost:
    """How a connection, or the try to make one, ended."""

    detail: str
    unauthorized: bool = False
    too_large: bool = False
    lived_ms: int | None = None
    """How long it was live; `None` if it never was."""


class Pauses:
    """How long to wait before the next try. Back-off starts anew when Plex was heard again, unless it keeps hanging up."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._waits = patience.waits()
        self._failed = False

    def after(self, lost: Lost) -> float:
        """Seconds, now that a connection has ended in this way."""
        settled = lost.lived_ms is not None and lost.lived_ms >= self._patience.settled * 1000
        if settled or (lost.lived_ms is not None and self._failed):
            self._waits = self._patience.waits()
        self._failed = lost.lived_ms is None
        if lost.unauthorized:
            return self._patience.refused
        wait = next(self._waits)
        return wait or next(self._waits) if lost.too_large else wait


async def listen(
    gateway: Gateway,
    settings: Settings,
    send: Send,
    *,
    now: Clock,
    wanted: Wanted,
    book: Book | None = None,
    epoch: int = 0,
    patience: Patience = PATIENT,
) -> NoReturn:
    """Listen for ever. Each connection sends `Connecting`, one first `Snapshot`, then frames and further snapshots.

    What happens while the first snapshot is taken is kept, so nothing is missed and nothing comes too early.
    `Disconnected` is sent when a connection ends or cannot be made, and again only when the reason changes.

    Args:
        gateway: what snapshots are read through.
        settings: address, token, TLS, `reconcile_seconds`, `privacy`.
        send: takes events in order. It must suspend (a bounded stream does), or a burst starves the rest.
        now: the clock.
        wanted: wishes for snapshots between the regular ones.
        book: what is known of Plex's own history, which is read from there on; without it, it is not read.
        epoch: the last one used; the first connection is the next.
        patience: how long to wait for what.
    """
    listener = _Listener(gateway, settings, send, now, wanted, book, epoch, patience)
    pauses = Pauses(patience)
    while True:
        lost = await listener.connection()
        await listener.tell(lost)
        await anyio.sleep(pauses.after(lost))


class _Direct(connect):
    """Follows no redirect: websockets would take the token along to another host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Listener:
    def __init__(
        self,
        gateway: Gateway,
        settings: Settings,
        send: Send,
        now: Clock,
        wanted: Wanted,
        book: Book | None,
        epoch: int,
        patience: Patience,
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._send = send
        self._now = now
        self._wanted = wanted
        self._book = book
        self._pages = count(1)
        self._facts = Facts()
        self._named = anyio.Event()
        self._epoch = epoch
        self._patience = patience
        self._told: Lost | None = None
        self._problems: dict[str, str] = {}
        self._unread: str | None = None
        self._asking = anyio.Lock()
        self._secrets = [secret.encode() for secret in settings.secrets() if secret]

    async def connection(self) -> Lost:
        """One connection from opening to end."""
        try:
            socket = await self._open()
        except (OSError, EOFError, UnicodeError, WebSocketException) as error:
            return self._not_opened(error)
        except ToolError as error:
            return _unread(error)
        async with socket:
            return await self._hear(socket)

    async def tell(self, lost: Lost) -> None:
        """Say why nothing is heard, unless that has been said."""
        if self._told is None or (lost.detail, lost.unauthorized) != (self._told.detail, self._told.unauthorized):
            _log.warning("Plex is not heard: %s", lost.detail)
            await self._say(Disconnected(lost.detail, lost.unauthorized))
        self._told = lost

    async def _open(self) -> ClientConnection:
        address = f"ws{(await self._gateway.find_url()).removeprefix('http')}{PATH}"
        token = self._settings.plex_token
        options: dict[str, Any] = {"ssl": tls_context(self._settings)} if address.startswith("wss:") else {}
        return await _Direct(
            address,
            additional_headers={"X-Plex-Token": token.get_secret_value()} if token else {},
            user_agent_header=f"plex-companion/{__version__}",
            proxy=None,  # as in wire.py: the token is for the server alone
            compression=None,
            open_timeout=self._patience.opening,
            ping_interval=self._patience.ping,
            ping_timeout=self._patience.pong,
            close_timeout=self._patience.closing,
            max_size=LARGEST_FRAME,
            max_queue=WAITING_FRAMES,
            logger=_socket_log,
            **options,
        )

    async def _hear(self, socket: ClientConnection) -> Lost:
        self._epoch += 1
        self._told = self._unread = None
        self._problems = {}
        await self._say(Connecting())
        self._wanted.for_sessions.take()
        self._wanted.for_library.take()
        self._named = anyio.Event()
        early: list[Frame] = []
        snapshot = await self._first(socket, early)
        if isinstance(snapshot, ToolError):
            return _unread(snapshot)
        live = self._now()
        await self._send([Heard(snapshot, live)])
        _log.info("Plex is heard")
        self._wanted.for_library.say()
        if snapshot.is_unreadable:
            self._unread = snapshot.detail
            self._wanted.for_sessions.say()
        for frame, moment in early:
            await self._hand_on(frame, _before(moment, live))
        lost = await self._until_lost(socket)
        return Lost(lost.detail, lost.unauthorized, lost.too_large, self._now().tick - live.tick)

    async def _first(self, socket: ClientConnection, early: list[Frame]) -> Snapshot | ToolError:
        """The first snapshot. Frames that come meanwhile are kept with the time they came at: what they tell may be over
        when Plex answers.
        """
        found: Snapshot | ToolError
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep, socket, early)
            try:
                found = await self._snapshot(first=True, library=False)
            except ToolError as error:
                found = error
            tasks.cancel_scope.cancel()
        return found

    async def _keep(self, socket: ClientConnection, early: list[Frame]) -> None:
        with suppress(ConnectionClosed):  # who reads on finds it closed
            while len(early) < WAITING_FRAMES:
                early.append((await socket.recv(decode=False), self._now()))

    async def _until_lost(self, socket: ClientConnection) -> Lost:
        """Frames and snapshots side by side; whichever ends first ends the other."""
        wanted, patience, often = self._wanted, self._patience, self._settings.reconcile_seconds
        sessions = partial(self._snapshots, wanted.for_sessions, often, patience.merge, library=False)
        library = partial(self._snapshots, wanted.for_library, math.inf, patience.library, library=True)
        history = [partial(self._history, self._book)] if self._book else []
        endings: list[Lost] = []
        async with anyio.create_task_group() as tasks:

            async def run(ending: Callable[[], Awaitable[Lost]]) -> None:
                endings.append(await ending())
                tasks.cancel_scope.cancel()

            for read in history:
                tasks.start_soon(read)
            tasks.start_soon(run, partial(self._frames, socket))
            tasks.start_soon(run, sessions)
            tasks.start_soon(run, library)
        return endings[0]

    async def _frames(self, socket: ClientConnection) -> Lost:
        try:
            while True:
                # As bytes: a text frame may hold half a character (PLEX.md 1.1), which must not end the connection.
                frame = await socket.recv(decode=False)
                await self._hand_on(frame, self._now())
        except ConnectionClosed as error:
            return self._closed(error)

    async def _hand_on(self, frame: bytes, moment: Moment) -> None:
        frame = self._redacted(frame)
        large = len(frame) > LARGE_FRAME
        events = await compute_off_loop(partial(parse_frame, frame)) if large else parse_frame(frame)
        for first in range(0, len(events), PORTION):
            await self._send([Heard(event, moment) for event in events[first : first + PORTION]])

    def _redacted(self, frame: bytes) -> bytes:
        """Plex may repeat the token, in a setting or a message; here it goes before anything else sees it."""
        for secret in self._secrets:
            if secret in frame:
                frame = frame.replace(secret, HIDDEN.encode())
        return frame

    async def _snapshots(self, wish: Wish, every: float, pause: float, *, library: bool) -> Lost:
        """Compare notes with Plex for ever; ends when the token is refused. Silence is for the pings to judge."""
        waits = self._patience.waits()
        while True:
            with anyio.move_on_after(every):
                await wish.wait()
            wish.take()
            async with self._asking:  # or an older answer might come after a newer one
                found = await self._reading(library=library)
                if not isinstance(found, ToolError):
                    self._unread = None
                    await self._say(found)
            match found:
                case PlexUnauthorized():
                    return _unread(found)
                case ToolError():
                    await self._tell_unread(found.message)
                    wish.say()
                    await anyio.sleep(min(next(waits), 2 * self._patience.failed))
                case _:
                    waits = self._patience.waits()
                    if library:
                        self._named.set()
            await anyio.sleep(pause)

    async def _reading(self, *, library: bool) -> Snapshot | ToolError:
        """A later snapshot, or why there is none. When Plex takes long, that is told before its answer is there."""
        found: Snapshot | ToolError
        async with anyio.create_task_group() as tasks:
            if not library:  # libraries may take long
                tasks.start_soon(self._tell_late)
            try:
                found = await self._snapshot(first=False, library=library)
            except ToolError as error:
                found = error
            tasks.cancel_scope.cancel()
        return found

    async def _tell_late(self) -> None:
        await anyio.sleep(self._patience.late)
        await self._tell_unread(f"Plex has not told for {self._patience.late:g} s what plays.")

    async def _tell_unread(self, detail: str) -> None:
        """Say that what plays cannot be read, unless that has been said for this reason."""
        if detail != self._unread:
            _log.warning("What plays could not be read: %s", detail)
            self._unread = detail
            await self._say(SessionsUnread(detail))

    async def _history(self, book: Book) -> NoReturn:
        """Read Plex's own history once its numbers have names, and again when a play has ended."""
        reader = Reader(self._gateway, book, self._say, self._pages, self._facts, self._now)
        wish, patience = self._wanted.for_history, self._patience
        await self._named.wait()
        wish.take()
        await self._read_through(reader)
        while True:
            await wish.wait()
            await anyio.sleep(patience.counted)
            wish.take()
            await self._read_through(reader)
            with anyio.move_on_after(patience.counted_late):
                await wish.wait()
                continue
            await self._read_through(reader)

    async def _read_through(self, reader: Reader) -> None:
        """Read to the end, going on where it was torn; where it is not allowed, not again on this connection."""
        waits = self._patience.waits()
        next(waits)
        while True:
            try:
                await reader.read()
            except (PlexForbidden, PlexUnauthorized) as error:
                await reader.unread(error.message)
                await anyio.sleep_forever()
            except ToolError as error:
                await reader.unread(error.message)
                await anyio.sleep(max(next(waits), self._patience.failed))
            else:
                return

    async def _snapshot(self, *, first: bool, library: bool) -> Snapshot:
        return await take_snapshot(
            self._gateway,
            epoch=self._epoch,
            first=first,
            now=self._now,
            want_library=library,
            private=self._settings.privacy,
            problems=self._problems,
        )

    async def _say(self, event: Event) -> None:
        await self._send([Heard(event, self._now())])

    def _not_opened(self, error: Exception) -> Lost:
        match error:
            case InvalidStatus():
                return _answered(error.response.status_code)
            case TimeoutError():
                return Lost(f"no answer within {self._patience.opening:g} s")
            case WebSocketException() if error.__cause__ is None or isinstance(error.__cause__, ValueError):
                return Lost("what answers does not speak websocket")
            case UnicodeError():  # as the codec for host names says
                return Lost("the host name is not a name")
            case _:
                return Lost(why(error))

    def _closed(self, error: ConnectionClosed) -> Lost:
        sent, received = error.sent, error.rcvd
        if sent and sent.code == _TOO_LARGE:
            return Lost(f"a frame larger than {LARGEST_FRAME >> 20} MB", too_large=True)
        if sent and "keepalive" in sent.reason and not received:
            return Lost(f"no pong for {self._patience.pong:g} s")
        if received:
            return Lost("closed by Plex" + ("" if received.code in _POLITE else f" with code {received.code}"))
        if sent:
            return Lost(f"a frame that breaks the protocol (code {sent.code})")
        return Lost(why(error))


def _before(moment: Moment, live: Moment) -> Moment:
    """The moment, earlier than the other also where a clock of milliseconds cannot tell them apart."""
    return replace(moment, tick=min(moment.tick, live.tick - 1))


def _answered(status: int) -> Lost:
    """What an HTTP answer to the handshake means."""
    match status:
        case 401 | 498:
            return Lost(f"HTTP {status}: the token was refused", unauthorized=True)
        case 503:
            return Lost("HTTP 503: Plex is starting")
        case 400:  # so says a server that wants https (PLEX.md 1.1)
            return Lost("HTTP 400 instead of a websocket: the server may want https")
        case _:
            return Lost(f"HTTP {status} instead of a websocket")


def _unread(error: ToolError) -> Lost:
    """Why a snapshot ends the connection."""
    match error:
        case PlexUnauthorized():
            return Lost("HTTP 401: the token was refused", unauthorized=True)
        case PlexStarting():
            return Lost("HTTP 503: Plex is starting")
        case PlexUnreachable():
            return Lost(str(error.facts.get("connection", "connection lost")))
        case TimedOut():
            return Lost("Plex does not answer what plays")
        case _:
            return Lost(error.message)
