"""The way to Plex over HTTP: the only worker threads, their deadlines, and the one place where its failures become ours."""

from __future__ import annotations

import gc
import re
from collections import Counter
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from plex_companion.errors import PlexError, PlexUnauthorized, PlexUnreachable, SettingsError, TimedOut
from plex_companion.plex.call import CURRENT_CALL, PlexCall
from plex_companion.plex.tls import choose_verify
from plex_companion.plex.xml import views
from plex_companion.setting_values import has_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from plex_companion.models import ServerIdentity
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.session import PlexSession
    from plex_companion.settings import Settings

T = TypeVar("T")

TOOLS = 8
"""How many tools ask Plex at a time; others wait their turn, within their own deadline."""
AHEAD = 4
"""The same for the listener, which never waits behind tools."""
MOST_THREADS = 4 * (TOOLS + AHEAD)
"""With those that were given up and have not yet noticed (a name lookup cannot be interrupted)."""
HTTPS_SECONDS = 2.0
"""How long an address without a scheme may take to answer over https, before http is tried."""
NO_PORT = "PLEX_URL names no port: Plex's is usually 32400."
_NOBODY = frozenset({400, 404})
"""What is answered where Plex is not, or where it wants https."""


class Gateway:
    """Runs plexapi in worker threads. Made by `open_gateway`."""

    def __init__(self, settings: Settings) -> None:
        _check_settings(settings)
        self.requests: Counter[tuple[str, str]] = Counter()
        """How often each (method, path) was asked, for tests and metrics; ids are written `{id}`."""
        self._settings = settings
        self._token = settings.plex_token.get_secret_value() if settings.plex_token else ""
        self._lanes = {False: anyio.CapacityLimiter(TOOLS), True: anyio.CapacityLimiter(AHEAD)}
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
            function: what to ask; it may ask several times.
            timeout: seconds for all of it, waiting for a slot included; by default `plex_timeout_seconds`.
            ahead: for the listener's few reads, which do not queue behind tools.

        Raises:
            ToolError: one of the tree in `errors`; whatever else `function` raises flies through.
        """
        with self._open_call(timeout) as call, _limit_time(call):
            plex = await self._get_server(call, ahead)
            return await self._send(call, lambda: function(plex), ahead)

    async def fetch_identity(self) -> ServerIdentity | None:
        """Who answers at the address, asked without a token; `None` if it is no Plex server. For `doctor`.

        Raises:
            ToolError: as `call`.
        """
        with self._open_call(None) as call, _limit_time(call):
            return await self._send(
                call, lambda: _read_identity(self._get_session(), str(self._settings.plex_url)), ahead=True
            )

    async def call_plex_tv(self, function: Callable[[PlexSession], T]) -> T:
        """Run `function` with the bare HTTP session, for what plex.tv is asked before a server is known. For `login`.

        Raises:
            ToolError: as `call`.
        """
        with self._open_call(None) as call, _limit_time(call):
            return await self._send(call, lambda: function(self._get_session()), ahead=True)

    @property
    def url(self) -> str:
        """The address of the server; without its scheme where none is set and none has answered yet."""
        return str(self._settings.plex_url)

    async def find_url(self) -> str:
        """Return the address with its scheme. Where none is set, the server is asked over https, then over http.

        Raises:
            ToolError: as `call`.
        """
        if not _has_scheme(self._settings):
            with self._open_call(None) as call, _limit_time(call):
                await self._send(call, self._get_session, ahead=True)
        return self.url

    def forget(self) -> None:
        """Make the `PlexServer` anew at the next call: after a reconnect it may be another version, or another server."""
        self._plex = None

    def close(self) -> None:
        """End what is under way and close the connections."""
        for call in tuple(self._under_way):
            call.cancel()
        if self._session is not None:
            self._session.close()

    @contextmanager
    def _open_call(self, seconds: float | None) -> Iterator[PlexCall]:
        """One call, from the slot it waits for to the requests it has made."""
        if len(self._under_way) >= MOST_THREADS:
            raise TimedOut(f"Plex has left {MOST_THREADS} requests unanswered; nothing more is asked until it does.")
        call = PlexCall(seconds or self._settings.plex_timeout_seconds)
        try:
            yield call
        except PlexUnauthorized:
            if not call.plex_tv:
                self.forget()
            raise
        except PlexUnreachable as error:
            if not has_port(self.url):
                error.message += f" {NO_PORT}"
            raise
        finally:
            call.cancel()
            self.requests.update((method, _normalize_path(path)) for method, path in call.requests)

    async def _get_server(self, call: PlexCall, ahead: bool) -> PlexServer:
        """The one `PlexServer`; making it asks `GET /`."""
        async with self._making:
            if self._plex is None:
                self._plex = await self._send(call, lambda: _connect(self._get_session(), self._settings), ahead)
                _spare_from_collection()
            return self._plex

    async def _send(self, call: PlexCall, function: Callable[[], T], ahead: bool) -> T:
        """Run it in a thread that the caller need not wait for."""

        def run() -> T:
            CURRENT_CALL.set(call)
            self._under_way.add(call)
            try:
                return _run_translated(function, call, self._token)
            finally:
                self._under_way.discard(call)

        return await anyio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=self._lanes[ahead])

    def _get_session(self) -> PlexSession:
        """The one HTTP session. Made in the thread that first needs it: requests takes long to import."""
        from plex_companion.plex.session import PlexSession  # noqa: PLC0415 - see above

        if self._session is None:
            if not _has_scheme(self._settings):
                self._settings = _add_scheme(self._settings)
            self._session = PlexSession(self._settings, TOOLS + AHEAD)
        return self._session


def _has_scheme(settings: Settings) -> bool:
    return "://" in (settings.plex_url or "")


def _add_scheme(settings: Settings) -> Settings:
    """Return the settings with the scheme at which a server answers: https if it can be, otherwise http.

    Nothing secret is sent. When neither is answered, what keeps it from being heard over http is raised, or what is wrong
    with its certificate.
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
    """Let what is asked take a while at most: a server that speaks only http may keep silent instead of refusing TLS."""
    whole = CURRENT_CALL.get() or PlexCall(HTTPS_SECONDS)
    before = CURRENT_CALL.set(PlexCall(min(HTTPS_SECONDS, whole.compute_remaining() / 2)))
    try:
        yield
    finally:
        CURRENT_CALL.reset(before)


def _find_answering_scheme(settings: Settings, scheme: str) -> Settings | None:
    """Return the settings with this scheme, if what answers may be Plex."""
    from plex_companion.plex.session import PlexSession  # noqa: PLC0415 - takes long to import

    tried = settings.model_copy(update={"plex_url": f"{scheme}://{settings.plex_url}"})
    with closing(PlexSession(tried, 1)) as session:
        answer = session.get(f"{tried.plex_url}/identity")
    return None if answer.status_code in _NOBODY or answer.is_redirect else tried


def _check_settings(settings: Settings) -> None:
    """Complain now rather than at the first request.

    Raises:
        SettingsError: the address cannot be one, or the file of authorities is not there.
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
    """The result, or our error. Raised outside the `except`, so that no log can follow it to Plex's own words."""
    from plex_companion.plex.translate import FAILURES, translate  # noqa: PLC0415 - imports plexapi

    try:
        return function()
    except FAILURES as error:
        failure = translate(error, call, token)
    raise failure


def _connect(session: PlexSession, settings: Settings) -> PlexServer:
    """Return the one `PlexServer`; asks `GET /`."""
    from plex_companion.plex.client import connect  # noqa: PLC0415 - imports plexapi

    return connect(session, settings)


def _spare_from_collection() -> None:
    """What is loaded by now, plexapi being the last, stays for good.

    Looking through it for garbage stops everything for 50 to 90 ms, and under load a few times a second.
    """
    if not gc.get_freeze_count():
        gc.freeze()


def _read_identity(session: PlexSession, address: str) -> ServerIdentity | None:
    """`/identity`, which needs no token."""
    from plex_companion.plex.client import read_answer  # noqa: PLC0415 - imports plexapi
    from plex_companion.plex.translate import translate_status  # noqa: PLC0415 - the same

    response = session.get(f"{address}/identity")
    if not response.ok or response.is_redirect:
        call = CURRENT_CALL.get() or PlexCall(0)
        raise translate_status(response.status_code, call)
    return views.parse_server_identity(read_answer(response.content))


def _normalize_path(path: str) -> str:
    """The path without its ids, so that there are only so many."""
    return _ID.sub("/{id}", path)


_ID = re.compile(r"/(?:[\d,]+|[0-9a-fA-F-]{16,})(?=/|$)")


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway to the server that the settings name. Asks nothing yet."""
    gateway = Gateway(settings)
    try:
        yield gateway
    finally:
        gateway.close()
