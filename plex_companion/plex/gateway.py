"""Runs every call to Plex in a worker thread, with a deadline, and turns its failures into errors of ours."""

from __future__ import annotations

import gc
import re
import sys
import threading
from collections import Counter
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from pydantic import SecretStr

from plex_companion.errors import PlexError, PlexUnauthorized, PlexUnreachable, SettingsError, TimedOut
from plex_companion.plex.call import AT_ONCE, CURRENT_CALL, PlexCall, ProcessorTurn
from plex_companion.plex.tls import choose_verify
from plex_companion.plex.xml import views
from plex_companion.private_files import RenewedTokenFile
from plex_companion.setting_values import has_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from plex_companion.models import ServerIdentity
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.session import PlexSession
    from plex_companion.settings import Settings

T = TypeVar("T")

TOOLS = 8
"""How many tools ask Plex at the same time; others wait, within their own deadline."""
AHEAD = 4
"""How many calls of the listener run at the same time; they never wait behind tools."""
MOST_THREADS = 4 * (TOOLS + AHEAD)
"""Including abandoned threads that still run (a name lookup cannot be interrupted)."""
HTTPS_SECONDS = 2.0
"""How long an address without a scheme may take to answer over https, before http is tried."""
PLEXAPI = "plexapi.server"
"""The module whose import is the last large one."""
NO_PORT = "PLEX_URL names no port: Plex's is usually 32400."
_NOT_PLEX = frozenset({400, 404})
"""Statuses of a server that is not Plex, or of Plex where it wants https."""


class Gateway:
    """Runs calls to Plex in worker threads. Created by `open_gateway`."""

    def __init__(self, settings: Settings, renewed: RenewedTokenFile | None = None) -> None:
        _check_settings(settings)
        self._renewed = renewed or RenewedTokenFile()
        self._token_changed = anyio.Event()
        self.requests: Counter[tuple[str, str]] = Counter()
        """The number of requests by (method, path), for tests and metrics; ids are written `{id}`."""
        self._settings = settings
        self._lanes = {False: anyio.CapacityLimiter(TOOLS), True: anyio.CapacityLimiter(AHEAD)}
        self._processor = threading.Semaphore(AT_ONCE)
        self._under_way: set[PlexCall] = set()
        self._session: PlexSession | None = None
        self._plex: PlexServer | None = None
        self._making = anyio.Lock()

    async def call(
        self,
        function: Callable[[PlexServer], T],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the deadline is ours to enforce: it must end the thread too
        ahead: bool = False,
    ) -> T:
        """Run `function` in a worker thread with the one `PlexServer`. Cancelling frees the slot and ends the thread.

        Args:
            function: sends the requests, one or several.
            timeout: seconds for the whole call, including the wait for a slot; by default `plex_timeout_seconds`.
            ahead: for the listener's few reads, which do not wait behind tools.

        Raises:
            ToolError: one of the tree in `errors`. Any other exception of `function` passes through.
        """
        with self._open_call(timeout, ahead=ahead) as call, _limit_time(call):
            plex = await self._get_server(call, ahead)
            return await self._send(call, lambda: function(plex), ahead)

    async def fetch_identity(self) -> ServerIdentity | None:
        """Ask without a token which server answers; return `None` if it is no Plex server. For `doctor`.

        Raises:
            ToolError: as `call`.
        """
        with self._open_call(None) as call, _limit_time(call):
            return await self._send(
                call, lambda: _read_identity(self._get_session(), str(self._settings.plex_url)), ahead=True
            )

    async def call_plex_tv(self, function: Callable[[PlexSession], T]) -> T:
        """Run `function` with the bare HTTP session, for requests to plex.tv before a server is known. For `login`.

        Raises:
            ToolError: as `call`.
        """
        with self._open_call(None) as call, _limit_time(call):
            return await self._send(call, lambda: function(self._get_session()), ahead=True)

    @property
    def token(self) -> str:
        """The token that Plex gets; empty without one."""
        return self._settings.plex_token.get_secret_value() if self._settings.plex_token else ""

    async def adopt_token(self, token: SecretStr, machine_identifier: str | None) -> None:
        """Use another token from now on, in every process, if the same server accepts it as its owner's.

        Raises:
            PlexForbidden: it is of somebody whom the server does not show its sessions.
            PlexError: another server answers.
            ToolError: as `call`.
        """
        settings = self._settings.model_copy(update={"plex_token": token})
        with self._open_call(None) as call, _limit_time(call):
            check = partial(_check_owner, machine_identifier=machine_identifier)
            await self._send(call, lambda: check(_connect(self._get_session(), settings)), ahead=True)
        self._use_token(token)
        self._renewed.write(token.get_secret_value())

    def reload_token(self) -> bool:
        """Use the token that was renewed by another process or earlier. Return whether there is one.

        Call after Plex refused the present one.
        """
        token = self._renewed.read()
        if token is None or token == self.token:
            return False
        self._use_token(SecretStr(token))
        return True

    async def wait_for_token(self, seconds: float) -> None:
        """Wait until the token is renewed in this process, at most so many seconds."""
        with anyio.move_on_after(seconds):
            await self._token_changed.wait()

    def _use_token(self, token: SecretStr) -> None:
        self._settings = self._settings.model_copy(update={"plex_token": token})
        self.forget()
        self._token_changed.set()
        self._token_changed = anyio.Event()

    @property
    def url(self) -> str:
        """The address of the server; without a scheme while none is set and none has answered yet."""
        return str(self._settings.plex_url)

    async def find_url(self) -> str:
        """Return the address with its scheme. Where none is set, try https first, then http.

        Raises:
            ToolError: as `call`.
        """
        if not _has_scheme(self._settings):
            with self._open_call(None) as call, _limit_time(call):
                await self._send(call, self._get_session, ahead=True)
        return self.url

    def forget(self) -> None:
        """Connect again at the next call: after a reconnect it may be another version, or another server."""
        self._plex = None

    def close(self) -> None:
        """Cancel the running calls and close the connections."""
        for call in tuple(self._under_way):
            call.cancel()
        if self._session is not None:
            self._session.close()

    @contextmanager
    def _open_call(self, seconds: float | None, *, ahead: bool = True) -> Iterator[PlexCall]:
        """Track one call, from waiting for a slot to counting its requests."""
        if len(self._under_way) >= MOST_THREADS:
            raise TimedOut(f"Plex has left {MOST_THREADS} requests unanswered. Nothing more is sent until it answers.")
        turn = None if ahead else ProcessorTurn(self._processor)
        call = PlexCall(seconds or self._settings.plex_timeout_seconds, turn)
        try:
            yield call
        except PlexUnauthorized:
            if not call.plex_tv:
                self.forget()
                self.reload_token()
            raise
        except PlexUnreachable as error:
            if not has_port(self.url):
                error.message += f" {NO_PORT}"
            raise
        finally:
            call.cancel()
            if turn is not None:
                turn.close_soon()
            self.requests.update((method, _normalize_path(path)) for method, path in call.requests)

    async def _get_server(self, call: PlexCall, ahead: bool) -> PlexServer:
        """Return the one `PlexServer`; the first call connects, which asks `GET /`."""
        async with self._making:
            if self._plex is None:
                first = PLEXAPI not in sys.modules
                self._plex = await self._send(call, lambda: _connect(self._get_session(), self._settings), ahead)
                if first:
                    _spare_from_collection()
            return self._plex

    async def _send(self, call: PlexCall, function: Callable[[], T], ahead: bool) -> T:
        """Run a function in a thread that can be left behind when the caller is cancelled."""

        def run() -> T:
            CURRENT_CALL.set(call)
            self._under_way.add(call)
            try:
                return _run_translated(function, call, self.token)
            finally:
                self._under_way.discard(call)

        return await anyio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=self._lanes[ahead])

    def _get_session(self) -> PlexSession:
        """Return the one HTTP session. It is created in the thread that first needs it: requests takes long to import."""
        from plex_companion.plex.session import PlexSession  # noqa: PLC0415 - see above

        if self._session is None:
            if not _has_scheme(self._settings):
                self._settings = _add_scheme(self._settings)
            self._session = PlexSession(self._settings, TOOLS + AHEAD)
        return self._session


def _has_scheme(settings: Settings) -> bool:
    return "://" in (settings.plex_url or "")


def _add_scheme(settings: Settings) -> Settings:
    """Return the settings with the scheme at which a server answers: https if possible, otherwise http.

    Nothing secret is sent. If neither answers, raise the reason why http failed, or the fault of the certificate.
    """
    from requests.exceptions import SSLError  # noqa: PLC0415 - takes long to import
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - the same

    untrusted: Exception | None = None
    try:
        with _share_time():
            if found := _find_answering_scheme(settings, "https"):
                return found
    except (PlexError, TimedOut, HTTPError, OSError) as error:
        untrusted = error if isinstance(error, SSLError) else None
    try:
        found = _find_answering_scheme(settings, "http")
    except (HTTPError, OSError) as error:
        raise untrusted or error from None
    if found is None and untrusted is not None:
        raise untrusted
    return found or settings.model_copy(update={"plex_url": f"http://{settings.plex_url}"})


@contextmanager
def _share_time() -> Iterator[None]:
    """Limit the block to a part of the time left: a server that speaks only http may keep silent instead of refusing TLS."""
    whole = CURRENT_CALL.get() or PlexCall(HTTPS_SECONDS)
    before = CURRENT_CALL.set(PlexCall(min(HTTPS_SECONDS, whole.compute_remaining() / 2)))
    try:
        yield
    finally:
        CURRENT_CALL.reset(before)


def _find_answering_scheme(settings: Settings, scheme: str) -> Settings | None:
    """Return the settings with this scheme, if the answer may be from Plex."""
    from plex_companion.plex.session import PlexSession  # noqa: PLC0415 - takes long to import

    tried = settings.model_copy(update={"plex_url": f"{scheme}://{settings.plex_url}"})
    with closing(PlexSession(tried, 1)) as session:
        answer = session.get(f"{tried.plex_url}/identity")
    return None if answer.status_code in _NOT_PLEX or answer.is_redirect else tried


def _check_settings(settings: Settings) -> None:
    """Check the address and the file of authorities now rather than at the first request.

    Raises:
        SettingsError: the address is invalid, or the file of authorities is missing.
    """
    choose_verify(settings)
    try:
        address = urlsplit(settings.plex_url if _has_scheme(settings) else f"http://{settings.plex_url or ''}")
        usable = address.hostname and address.port != 0
    except ValueError:  # half a bracket, a port beyond 65535
        usable = False
    if not usable:
        raise SettingsError("PLEX_URL must be set, as http://host:32400.")


@contextmanager
def _limit_time(call: PlexCall) -> Iterator[None]:
    try:
        with anyio.fail_after(call.seconds):
            yield
    except TimeoutError:
        raise call.build_timeout_error() from None


def _run_translated(function: Callable[[], T], call: PlexCall, token: str) -> T:
    """Return the result, or raise our error. Raised outside the `except`, so that no log can follow it to Plex's own text."""
    from plex_companion.plex.translate import FAILURES, translate  # noqa: PLC0415 - imports plexapi

    try:
        return function()
    except FAILURES as error:
        failure = translate(error, call, token)
    raise failure


def _connect(session: PlexSession, settings: Settings) -> PlexServer:
    """Return a new `PlexServer`; asks `GET /`."""
    from plex_companion.plex.client import connect  # noqa: PLC0415 - imports plexapi

    return connect(session, settings)


def _check_owner(plex: PlexServer, machine_identifier: str | None) -> None:
    """Insist that the server is the known one, and lists its sessions, which it does only for its owner."""
    if machine_identifier not in {None, plex.machineIdentifier}:
        raise PlexError("Another Plex server answers than the one that this database belongs to.")
    plex.query("/status/sessions")


def _spare_from_collection() -> None:
    """Exempt every object that exists now from garbage collection, once plexapi is imported.

    Looking through them stops everything for 50 to 90 ms, and under load a few times a second.
    """
    gc.freeze()


def _read_identity(session: PlexSession, address: str) -> ServerIdentity | None:
    """Return the answer of `/identity`, which needs no token."""
    from plex_companion.plex.client import read_answer  # noqa: PLC0415 - imports plexapi
    from plex_companion.plex.translate import translate_status  # noqa: PLC0415 - the same

    response = session.get(f"{address}/identity")
    if not response.ok or response.is_redirect:
        call = CURRENT_CALL.get() or PlexCall(0)
        raise translate_status(response.status_code, call)
    return views.parse_server_identity(read_answer(response.content))


def _normalize_path(path: str) -> str:
    """Replace the ids in a path, so that the number of different paths stays small."""
    return _ID.sub("/{id}", path)


_ID = re.compile(r"/(?:[\d,]+|[0-9a-fA-F-]{16,})(?=/|$)")


@asynccontextmanager
async def open_gateway(settings: Settings, renewed: RenewedTokenFile | None = None) -> AsyncIterator[Gateway]:
    """Open a gateway to the server of the settings. Sends nothing yet. A renewed token is kept in the file, if one is given."""
    with closing(Gateway(settings, renewed)) as gateway:
        yield gateway
