"""Listens to Plex: owns the websocket, and sends on each event, with a snapshot first and then from time to time."""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from plex_companion import __version__
from plex_companion.errors import PlexForbidden, PlexStarting, PlexUnauthorized, PlexUnreachable, TimedOut, ToolError
from plex_companion.events import Connecting, Disconnected, Event, ReceivedEvent, SessionsUnread
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.parsing.websocket_frames import parse_frame
from plex_companion.plex.disconnects import DEFAULT_TIMEOUTS, Backoff, Disconnect, ListenerTimeouts, ServerTaken
from plex_companion.plex.failures import explain_failure
from plex_companion.plex.history_importer import HistoryImporter, ItemEnricher
from plex_companion.plex.snapshot import take_snapshot
from plex_companion.plex.tls import build_tls_context
from plex_companion.text import HIDDEN, clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from plex_companion.events import Snapshot
    from plex_companion.models import Moment
    from plex_companion.plex.gateway import Gateway
    from plex_companion.plex.history_importer import ImportProgress
    from plex_companion.plex.refresh import RefreshFlag, RefreshRequests
    from plex_companion.settings import Settings

    Frame = tuple[bytes, Moment]
    Send = Callable[[Sequence[ReceivedEvent]], Awaitable[None]]
    Clock = Callable[[], Moment]

PATH = "/:/websockets/notifications"
LARGEST_FRAME = 4 * 1024 * 1024
LARGE_FRAME, PORTION = 64 * 1024, 500
"""A frame of more bytes is parsed in a thread; its events are sent on in portions."""
WAITING_FRAMES = 4096
"""Frames that are kept while the first snapshot is taken. When they are full, nothing is read, not even Plex's pings."""
_TOO_LARGE = 1009
_POLITE = frozenset({1000, 1001, 1005})
_log = logging.getLogger(__name__)
_socket_log = logging.getLogger(f"{__name__}.socket")
_socket_log.setLevel(logging.INFO)  # below it websockets logs headers, the token among them


async def listen(
    gateway: Gateway,
    settings: Settings,
    send: Send,
    *,
    now: Clock,
    refresh: RefreshRequests,
    history: ImportProgress | None = None,
    epoch: int = 0,
    timeouts: ListenerTimeouts = DEFAULT_TIMEOUTS,
    place: str | None = None,
) -> NoReturn:
    """Listen forever. Each connection sends `Connecting`, one first `Snapshot`, then frames and further snapshots.

    Frames that arrive during the first snapshot are sent after it, so nothing is missed and nothing comes too early.
    `Disconnected` is sent when a connection ends or cannot be made, and again only when the reason changes.

    Args:
        gateway: reads the snapshots.
        settings: address, token, TLS, `reconcile_seconds`, `privacy`.
        send: takes events in order. It must suspend (a bounded stream does), or a burst starves the rest.
        now: the clock.
        refresh: requests for snapshots between the regular ones.
        history: how far Plex's own history is imported; if `None`, it is not read.
        epoch: the last one used; the first connection gets the next.
        timeouts: how long to wait.
        place: how the log calls the server, where there are several.
    """
    listener = _Listener(gateway, settings, send, now, refresh, history, epoch, timeouts, place)
    backoff = Backoff(timeouts)
    while True:
        lost = await listener.run_connection()
        await listener.report_disconnect(lost)
        if not (lost.unauthorized and gateway.reload_token()):
            await gateway.wait_for_token(backoff.compute_delay(lost))


class _NoRedirectConnect(connect):
    """A connection that follows no redirect: websockets would send the token to another host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Listener:
    def __init__(
        self,
        gateway: Gateway,
        settings: Settings,
        send: Send,
        now: Clock,
        refresh: RefreshRequests,
        history: ImportProgress | None,
        epoch: int,
        timeouts: ListenerTimeouts,
        place: str | None,
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._send = send
        self._now = now
        self._refresh = refresh
        self._import_progress = history
        self._pages = count(1)
        self._enricher = ItemEnricher()
        self._library_ready = anyio.Event()
        self._epoch = epoch
        self._timeouts = timeouts
        self._name = place or "Plex"
        self._place = place
        self._last_disconnect: Disconnect | None = None
        self._problems: dict[str, str] = {}
        self._unread: str | None = None
        self._snapshot_lock = anyio.Lock()
        self._secrets: list[bytes] = []

    async def run_connection(self) -> Disconnect:
        """Run one connection from opening to end, and return how it ended."""
        try:
            socket = await self._open()
        except (OSError, EOFError, UnicodeError, WebSocketException) as error:
            return self._explain_open_failure(error)
        except ToolError as error:
            return _explain_snapshot_failure(error)
        async with socket:
            try:
                return await self._run(socket)
            except ServerTaken as taken:
                return Disconnect(taken.detail, duplicate=True)

    async def report_disconnect(self, lost: Disconnect) -> None:
        """Send `Disconnected`, unless the reason is still the one that was sent last."""
        if self._last_disconnect is None or (lost.detail, lost.unauthorized) != (
            self._last_disconnect.detail,
            self._last_disconnect.unauthorized,
        ):
            _log.warning("Can't reach %s: %s", self._name, lost.detail)
            await self._send_event(Disconnected(lost.detail, lost.unauthorized, lost.duplicate))
        self._last_disconnect = lost

    async def _open(self) -> ClientConnection:
        address = f"ws{(await self._gateway.find_url()).removeprefix('http')}{PATH}"
        if self._last_disconnect is not None and self._last_disconnect.unauthorized:
            self._gateway.reload_token()  # another process may have renewed it meanwhile
        token = self._gateway.token
        self._secrets = [secret.encode() for secret in (*self._settings.list_secrets(), token) if secret]
        options: dict[str, Any] = {"ssl": build_tls_context(self._settings)} if address.startswith("wss:") else {}
        return await _NoRedirectConnect(
            address,
            additional_headers={"X-Plex-Token": token} if token else {},
            user_agent_header=f"plex-companion/{__version__}",
            proxy=None,  # as in session.py: a proxy would see the token
            compression=None,
            open_timeout=self._timeouts.opening,
            ping_interval=self._timeouts.ping,
            ping_timeout=self._timeouts.pong,
            close_timeout=self._timeouts.closing,
            max_size=LARGEST_FRAME,
            max_queue=WAITING_FRAMES,
            logger=_socket_log,
            **options,
        )

    async def _run(self, socket: ClientConnection) -> Disconnect:
        self._epoch += 1
        self._unread = None
        if not (
            self._last_disconnect and self._last_disconnect.duplicate
        ):  # it is shown until a snapshot says otherwise
            self._last_disconnect = None
        self._problems = {}
        await self._send_event(Connecting())
        self._refresh.sessions.clear()
        self._refresh.library.clear()
        self._library_ready = anyio.Event()
        early: list[Frame] = []
        snapshot = await self._take_first_snapshot(socket, early)
        if isinstance(snapshot, ToolError):
            return _explain_snapshot_failure(snapshot)
        live = self._now()
        await self._send([ReceivedEvent(snapshot, live)])
        self._last_disconnect = None
        if self._place and snapshot.server and snapshot.server.name:
            self._name = f"{self._place} ({clean(snapshot.server.name)})"
        _log.info("Connected to %s", self._name)
        self._refresh.library.set()
        if snapshot.is_unreadable:
            self._unread = snapshot.detail
            self._refresh.sessions.set()
        for frame, moment in early:
            await self._dispatch(frame, _clamp_before(moment, live))
        lost = await self._run_until_disconnect(socket)
        return Disconnect(lost.detail, lost.unauthorized, lost.too_large, self._now().tick - live.tick)

    async def _take_first_snapshot(self, socket: ClientConnection, early: list[Frame]) -> Snapshot | ToolError:
        """Take the first snapshot, and buffer the frames that arrive meanwhile.

        They keep their time of arrival, since what they report may be over when Plex answers.
        """
        found: Snapshot | ToolError
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._buffer_frames, socket, early)
            try:
                found = await self._take_snapshot(first=True, library=False)
            except ToolError as error:
                found = error
            tasks.cancel_scope.cancel()
        return found

    async def _buffer_frames(self, socket: ClientConnection, early: list[Frame]) -> None:
        with suppress(ConnectionClosed):  # the next reader finds it closed
            while len(early) < WAITING_FRAMES:
                early.append((await socket.recv(decode=False), self._now()))

    async def _run_until_disconnect(self, socket: ClientConnection) -> Disconnect:
        """Receive frames and take snapshots side by side; the one that ends first ends the others."""
        refresh, timeouts, often = self._refresh, self._timeouts, self._settings.reconcile_seconds
        sessions = partial(self._poll_snapshots, refresh.sessions, often, timeouts.merge, library=False)
        library = partial(self._poll_snapshots, refresh.library, math.inf, timeouts.library, library=True)
        history = [partial(self._import_history, self._import_progress)] if self._import_progress else []
        endings: list[Disconnect] = []
        async with anyio.create_task_group() as tasks:

            async def run(ending: Callable[[], Awaitable[Disconnect]]) -> None:
                endings.append(await ending())
                tasks.cancel_scope.cancel()

            for read in history:
                tasks.start_soon(read)
            tasks.start_soon(run, partial(self._receive_frames, socket))
            tasks.start_soon(run, sessions)
            tasks.start_soon(run, library)
        return endings[0]

    async def _receive_frames(self, socket: ClientConnection) -> Disconnect:
        try:
            while True:
                # As bytes: a text frame may hold half a character (PLEX.md 1.1), which must not end the connection.
                frame = await socket.recv(decode=False)
                await self._dispatch(frame, self._now())
        except ConnectionClosed as error:
            return self._explain_close(error)

    async def _dispatch(self, frame: bytes, moment: Moment) -> None:
        frame = self._redact(frame)
        parse = partial(parse_frame, frame)
        events = await compute_off_loop(parse) if len(frame) > LARGE_FRAME else parse()
        for first in range(0, len(events), PORTION):
            await self._send([ReceivedEvent(event, moment) for event in events[first : first + PORTION]])

    def _redact(self, frame: bytes) -> bytes:
        """Remove the token, which Plex may repeat in a setting or a message, before anything else sees the frame."""
        for secret in self._secrets:
            if secret in frame:
                frame = frame.replace(secret, HIDDEN.encode())
        return frame

    async def _poll_snapshots(self, flag: RefreshFlag, every: float, pause: float, *, library: bool) -> Disconnect:
        """Take snapshots forever, and return when the token is refused. Pings notice a silent connection, not this."""
        waits = self._timeouts.waits()
        while True:
            with anyio.move_on_after(every):
                await flag.wait()
            flag.clear()
            async with self._snapshot_lock:  # otherwise an older answer could follow a newer one
                found = await self._read_snapshot(library=library)
                if not isinstance(found, ToolError):
                    self._unread = found.detail if found.is_unreadable else None
                    await self._send_event(found)
                    if found.is_unreadable:
                        self._refresh.sessions.set()
            match found:
                case PlexUnauthorized():
                    return _explain_snapshot_failure(found)
                case ToolError():
                    await self._report_unread(found.message)
                    flag.set()
                    await anyio.sleep(min(next(waits), 2 * self._timeouts.failed))
                case _:
                    waits = self._timeouts.waits()
                    if library:
                        self._library_ready.set()
            await anyio.sleep(pause)

    async def _read_snapshot(self, *, library: bool) -> Snapshot | ToolError:
        """Take a later snapshot, or return its error. If Plex takes long, report that before its answer arrives."""
        found: Snapshot | ToolError
        async with anyio.create_task_group() as tasks:
            if not library:  # libraries may take long
                tasks.start_soon(self._report_late)
            try:
                found = await self._take_snapshot(first=False, library=library)
            except ToolError as error:
                found = error
            tasks.cancel_scope.cancel()
        return found

    async def _report_late(self) -> None:
        await anyio.sleep(self._timeouts.late)
        await self._report_unread(f"Plex has not listed its sessions for {self._timeouts.late:g} s.")

    async def _report_unread(self, detail: str) -> None:
        """Send `SessionsUnread`, unless the reason is still the one that was sent last."""
        if detail != self._unread:
            _log.warning("The sessions of %s could not be read: %s", self._name, detail)
            self._unread = detail
            await self._send_event(SessionsUnread(detail))

    async def _import_history(self, history: ImportProgress) -> NoReturn:
        """Read Plex's own history once accounts and devices are known, and again when a play has ended."""
        reader = HistoryImporter(self._gateway, history, self._send_event, self._pages, self._enricher, self._now)
        flag, timeouts = self._refresh.history, self._timeouts
        await self._library_ready.wait()
        flag.clear()
        await self._read_history(reader)
        while True:
            await flag.wait()
            await anyio.sleep(timeouts.after_play)
            flag.clear()
            await self._read_history(reader)
            with anyio.move_on_after(timeouts.after_play_again):
                await flag.wait()
                continue
            await self._read_history(reader)

    async def _read_history(self, reader: HistoryImporter) -> None:
        """Read to the end, and continue after an error. If it is not allowed, do not try again on this connection."""
        waits = self._timeouts.waits()
        next(waits)
        while True:
            try:
                await reader.read_all()
            except (PlexForbidden, PlexUnauthorized) as error:
                await reader.report_failure(error.message)
                await anyio.sleep_forever()
            except ToolError as error:
                await reader.report_failure(error.message)
                await anyio.sleep(max(next(waits), self._timeouts.failed))
            else:
                return

    async def _take_snapshot(self, *, first: bool, library: bool) -> Snapshot:
        return await take_snapshot(
            self._gateway,
            epoch=self._epoch,
            first=first,
            now=self._now,
            want_library=library,
            private=self._settings.privacy,
            problems=self._problems,
        )

    async def _send_event(self, event: Event) -> None:
        await self._send([ReceivedEvent(event, self._now())])

    def _explain_open_failure(self, error: Exception) -> Disconnect:
        match error:
            case InvalidStatus():
                return _explain_status(error.response.status_code)
            case TimeoutError():
                return Disconnect(f"no answer within {self._timeouts.opening:g} s")
            case WebSocketException() if error.__cause__ is None or isinstance(error.__cause__, ValueError):
                return Disconnect("the server does not speak the websocket protocol")
            case UnicodeError():  # raised by the codec for host names
                return Disconnect("the host name is not valid")
            case _:
                return Disconnect(explain_failure(error))

    def _explain_close(self, error: ConnectionClosed) -> Disconnect:
        sent, received = error.sent, error.rcvd
        if sent and sent.code == _TOO_LARGE:
            return Disconnect(f"a frame larger than {LARGEST_FRAME >> 20} MB", too_large=True)
        if sent and "keepalive" in sent.reason and not received:
            return Disconnect(f"no pong for {self._timeouts.pong:g} s")
        if received:
            return Disconnect("closed by Plex" + ("" if received.code in _POLITE else f" with code {received.code}"))
        if sent:
            return Disconnect(f"a frame that breaks the protocol (code {sent.code})")
        return Disconnect(explain_failure(error))


def _clamp_before(moment: Moment, live: Moment) -> Moment:
    """Return the moment, moved before `live` where the millisecond clock shows both as equal."""
    return replace(moment, tick=min(moment.tick, live.tick - 1))


def _explain_status(status: int) -> Disconnect:
    """Return the reason for a handshake that got an HTTP status."""
    match status:
        case 401 | 498:
            return Disconnect(f"HTTP {status}: the token was refused", unauthorized=True)
        case 503:
            return Disconnect("HTTP 503: Plex is starting")
        case 400:  # the answer of a server that wants https (PLEX.md 1.1)
            return Disconnect("HTTP 400 instead of a websocket: the server may want https")
        case _:
            return Disconnect(f"HTTP {status} instead of a websocket")


def _explain_snapshot_failure(error: ToolError) -> Disconnect:
    """Return the reason for a connection that ends because there is no snapshot."""
    match error:
        case PlexUnauthorized():
            return Disconnect("HTTP 401: the token was refused", unauthorized=True)
        case PlexStarting():
            return Disconnect("HTTP 503: Plex is starting")
        case PlexUnreachable():
            return Disconnect(str(error.facts.get("connection", "connection lost")))
        case TimedOut():
            return Disconnect("Plex does not list its sessions")
        case _:
            return Disconnect(error.message)
