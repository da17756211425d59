"""The one HTTP session to Plex and plex.tv: bounded, without redirects, and closed to every other host."""

from __future__ import annotations

import ipaddress
import logging
import re
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from plex_companion.errors import PlexError, SettingsError
from plex_companion.plex.call import CURRENT_CALL, PlexCall
from plex_companion.plex.tls import choose_verify
from plex_companion.text import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from urllib.parse import SplitResult

    from requests import Response

    from plex_companion.settings import Settings

PLEX_TV = "https://plex.tv"
LARGEST = 64 * 1024 * 1024
"""Bytes of an answer, unpacked. The reader of a streamed download sets its own limit."""
CONNECT_SECONDS = 4.0
_CHUNK = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_REFUSAL = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>\s*)?<Response\b[^>]*\bcode=\"([45]\d\d)\"")
_log = logging.getLogger(__name__)


class PlexSession(requests.Session):
    """The HTTP session that plexapi uses. `connections` is how many connections are kept open."""

    def __init__(self, settings: Settings, connections: int) -> None:
        super().__init__()
        self._adapter = _PlexAdapter(settings, connections)
        self.mount("https://", self._adapter)
        self.mount("http://", self._adapter)
        if not settings.plex_verify:
            _log.warning("The certificate of the Plex server is not checked, as PLEX_COMPANION_PLEX_VERIFY asks")
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # reported once, above

    def request(  # type: ignore[override]  # the parameters of requests that plexapi and we use
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        timeout: object = None,  # noqa: ARG002 - ours is stricter
        allow_redirects: bool = True,  # noqa: ARG002 - none is followed
    ) -> Response:
        """Send one request, without the extra work of requests, which doubles the processor time.

        No password from `~/.netrc`, no cookies, and no redirect: the token travels in a header that requests does not know to
        be secret.
        """
        request = PreparedRequest()
        request.prepare(method, url, {**self.headers, **(headers or {})}, data=data, params=params, json=json)
        return self._adapter.send(request, stream)


class _TrackedConnection:
    """A connection that reports to the current call which socket it waits on."""

    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # a mixin before urllib3's connections
        _attach_socket(self.sock)

    def request(self, *args: Any, **options: Any) -> None:
        _attach_socket(self.sock)
        super().request(*args, **options)  # type: ignore[misc]  # the same


def _attach_socket(sock: Any) -> None:
    call = CURRENT_CALL.get()
    if call is not None:
        call.attach_socket(sock)


class _TrackedHttp(_TrackedConnection, HTTPConnection):
    pass


class _TrackedHttps(_TrackedConnection, HTTPSConnection):
    pass


class _TrackedHttpPool(HTTPConnectionPool):
    ConnectionCls = _TrackedHttp


class _TrackedHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _TrackedHttps


class _PlexAdapter(HTTPAdapter):
    """The adapter that every request and every answer passes through."""

    def __init__(self, settings: Settings, connections: int) -> None:
        super().__init__(pool_connections=4, pool_maxsize=connections)
        self.poolmanager.pool_classes_by_scheme = {"http": _TrackedHttpPool, "https": _TrackedHttpsPool}
        self._origin = _parse_origin(urlsplit(settings.plex_url or ""))
        self._plex_tv = None if settings.plex_tv_url == PLEX_TV else _find_replacement(settings.plex_tv_url)
        self._verify = choose_verify(settings)
        self._seconds = settings.plex_timeout_seconds
        self._secrets = [secret.encode() for secret in settings.list_secrets()]

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: object = None,  # noqa: ARG002 - ours is stricter
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        """Send one request and read its whole answer, unless it is streamed.

        Raises:
            TimedOut: the deadline of the call has passed.
            PlexError: the request is for another host, or the answer is too large or a refusal.
        """
        call = CURRENT_CALL.get() or PlexCall(self._seconds)
        address = urlsplit(str(request.url))
        plex_tv = self._is_plex_tv(address)
        call.begin_request(request.method or "GET", address.path or "/", plex_tv=plex_tv)
        if plex_tv and self._plex_tv:
            self._replace_plex_tv(request, address)
        elif plex_tv:
            proxies, verify = _read_proxies(str(request.url))
        else:
            # No proxy: it would see the token of a server in the same home.
            verify = self._verify
        left = call.compute_remaining()
        try:
            response = super().send(request, stream, (min(CONNECT_SECONDS, left), left), verify, cert, proxies)
            call.status = response.status_code
            call.retry_after_s = _parse_seconds(response.headers.get("Retry-After"))
            if stream:
                return response
            with closing(response):  # returns the connection to the pool, or closes it when the answer is refused
                read = _read(response, call, () if plex_tv else self._secrets)
            call.begin_work()
            return read
        finally:
            if not stream:
                call.attach_socket(None)

    def _is_plex_tv(self, address: SplitResult) -> bool:
        host = address.hostname or ""
        if address.scheme == "https" and (host == "plex.tv" or host.endswith(".plex.tv")):
            return True
        if _parse_origin(address) == self._origin:
            return False
        raise PlexError("A request to a host that is neither the Plex server nor plex.tv was refused.")

    def _replace_plex_tv(self, request: PreparedRequest, address: SplitResult) -> None:
        request.url = f"{self._plex_tv}{address.path}" + (f"?{address.query}" if address.query else "")
        request.headers["X-Forwarded-Host"] = address.hostname or ""


def _read_proxies(url: str) -> tuple[Any, Any]:
    """Return the proxies of the environment and the file of authorities to verify with."""
    found = requests.Session().merge_environment_settings(url, {}, stream=False, verify=None, cert=None)
    return found["proxies"], found["verify"]


def _parse_origin(address: SplitResult) -> tuple[str, str | None, int | None]:
    return address.scheme, address.hostname, address.port or _PORTS.get(address.scheme)


def _find_replacement(address: str) -> str:
    """Return the address that stands in for plex.tv, for the demo and for tests.

    Raises:
        SettingsError: it is on another machine, which must not get a real token.
    """
    host = urlsplit(address).hostname or ""
    if host != "localhost" and not _is_loopback(host):
        raise SettingsError("PLEX_TV_URL must be https://plex.tv or an address of this machine.")
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_seconds(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdecimal() and len(value) < 6 else None  # noqa: PLR2004 - a day


def _read(response: Response, call: PlexCall, secrets: Iterable[bytes]) -> Response:
    """Return the answer with its body in memory, checked, and without the token that Plex may repeat in it."""
    body = bytearray()
    stated = response.headers.get("Content-Length", "")
    too_large = stated.isdecimal() and int(stated[:20]) > LARGEST
    chunks = iter(()) if too_large else response.iter_content(_CHUNK)
    for chunk in chunks:
        body += chunk
        call.compute_remaining()  # requests times out on silence only, so a slow trickle would never end
        too_large = too_large or len(body) > LARGEST
        if too_large:
            break
    if too_large:
        raise PlexError(f"{call.last_request}: the answer is larger than {LARGEST >> 20} MB. Ask for a smaller part.")
    for secret in secrets:
        body = body.replace(secret, HIDDEN.encode())
    return _fill_response(response, _check_body(bytes(body), call))


def _fill_response(response: Response, body: bytes) -> Response:
    response._content = body  # noqa: SLF001 - requests has no other way to hand a body over
    # PMS states utf-8 or nothing. Without this, requests reads text/xml as latin-1 or guesses, which takes seconds.
    response.encoding = "utf-8"
    return response


def _check_body(body: bytes, call: PlexCall) -> bytes:
    """Return the body, unless it is a refusal under HTTP 200.

    Raises:
        PlexError: it is a refusal.
    """
    if call.status is None or not requests.codes.ok <= call.status < requests.codes.multiple_choices:
        return body
    if refusal := _REFUSAL.match(body, 0, 1024):
        # Companion players answer so, through the server (PLEX.md 2.1).
        status = int(refusal[1])
        raise PlexError(f"{call.last_request}: Plex refused it with code {status}.", http_status=status)
    return body
