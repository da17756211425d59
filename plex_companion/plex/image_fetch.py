"""Fetches a picture from an address that a caller gave, and from nowhere else.

The name is resolved once. Every address of it is checked before anything is sent, and the connection goes to a checked
address (the certificate must still be for the name). No redirect is followed and no proxy is used.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from plex_companion import __version__
from plex_companion.errors import Invalid, PathNotAllowed, TimedOut, TooLarge
from plex_companion.plex.call import CURRENT_CALL
from plex_companion.plex.failures import explain_failure

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse
    from urllib3.util import Url

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Rule = Callable[[Address], bool]
Resolver = Callable[[str, int], Sequence[str]]

SECONDS = 15.0
CONNECT_SECONDS = 4.0
TRIED = 4
"""Addresses of one name, in the system's order of preference."""
_CHUNK = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
"""The IPv6 addresses that are assigned to the internet (RFC 4291 and IANA's registry of address space)."""
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            # IANA's registries of special-purpose addresses. Python's `is_global` lacks some of them, each version others.
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        ),
    )
)
_OWN = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
"""Home networks (RFC 1918, RFC 4193), and what VPNs like Tailscale use for them (RFC 6598)."""


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """The addresses that are allowed, and how names are resolved. Only tests change it."""

    allowed: Rule
    resolve: Resolver
    authorities: str
    """The file of trusted certificate authorities."""

    @classmethod
    def create(cls, *, own_network: bool) -> FetchPolicy:
        """Allow the public internet; with `own_network` also private addresses, but never this machine or link-local ones."""
        return cls(is_public_or_private if own_network else is_public, resolve_host, certifi.where())


def is_public(address: Address) -> bool:
    """Return whether the address is public. An address that is not known to be public is not."""
    inner = _unwrap(address)
    handed_out = isinstance(inner, ipaddress.IPv4Address) or inner in _UNICAST
    return handed_out and not _is_in(inner, _SPECIAL)


def is_public_or_private(address: Address) -> bool:
    """Return whether the address is public or private: not link-local (clouds keep credentials there), not loopback."""
    inner = _unwrap(address)
    return is_public(inner) or _is_in(inner, _OWN)


def _is_in(address: Address, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _unwrap(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for: mapped (RFC 4291), or translated by NAT64 (RFC 6052).

    Tunnels to IPv4 (6to4, Teredo) are out of use; their addresses as such are not public.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses of a name, from the system. It also resolves the unusual forms of one (`127.1`, `0x7f.1`)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _DeadlinePassed(OSError):
    """The deadline of the fetch or of the call has passed."""


@dataclass(frozen=True, slots=True)
class _FetchRequest:
    """A picture to fetch."""

    url: Url
    argument: str
    policy: FetchPolicy
    most: int
    ends: float

    @property
    def host(self) -> str:
        return (self.url.host or "").strip("[]")

    @property
    def port(self) -> int:
        return self.url.port or _PORTS[self.url.scheme or "http"]

    def compute_remaining(self) -> float:
        """Return the seconds that are left, of the fetch and of the whole call."""
        left = _compute_remaining(self.ends - time.monotonic())
        if left <= 0:
            raise _DeadlinePassed
        return left

    def build_timeout(self, seconds: float) -> TimedOut:
        return TimedOut(f"{self.argument}: {self.host} did not deliver the picture in {seconds:g} s.")

    def build_invalid(self, words: str) -> Invalid:
        return Invalid(f"{self.argument}: no picture from {self.host}: {words}.", argument=self.argument)


def fetch_image(url: str, policy: FetchPolicy, *, most: int, argument: str = "url", seconds: float = SECONDS) -> bytes:
    """Return the picture at an address.

    Raises:
        Invalid: it is no address, or there is no picture.
        PathNotAllowed: the address is not allowed; nothing was sent.
        TooLarge: more than `most` bytes.
        TimedOut: it took longer than `seconds`.
    """
    request = _FetchRequest(_parse(url, argument), argument, policy, most, time.monotonic() + seconds)
    call = CURRENT_CALL.get()
    if call is not None:
        call.pause_work()
    addresses = _resolve_allowed(request)
    try:
        return _request_any(request, addresses)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        late = isinstance(error, _DeadlinePassed | urllib3.exceptions.ReadTimeoutError)
        raise (
            request.build_timeout(seconds) if late else request.build_invalid(explain_failure(error).partition(";")[0])
        ) from None
    finally:
        _attach_socket(None)


def _parse(url: str, argument: str) -> Url:
    try:
        asked = urllib3.util.parse_url(url.strip())
    except urllib3.exceptions.LocationParseError:
        asked = urllib3.util.Url()
    if asked.scheme not in _PORTS or not asked.host or asked.port == 0:
        raise Invalid(f"{argument} must be an http:// or https:// address of a picture.", argument=argument)
    if asked.auth:
        raise Invalid(f"{argument} must not hold a name or password.", argument=argument)
    return asked


def _resolve_allowed(request: _FetchRequest) -> list[str]:
    """Return the addresses of the host, if every one of them is allowed."""
    try:
        addresses = list(request.policy.resolve(request.host, request.port))
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise request.build_invalid("the name has no address")
    if not all(request.policy.allowed(ipaddress.ip_address(address)) for address in addresses):
        message = (
            f"{request.argument}: '{request.host}' is an address in a private network or of this machine, which is not allowed. "
            "Use a public address or a file; PLEX_COMPANION_ALLOW_PRIVATE_IMAGE_URLS=true opens private networks."
        )
        raise PathNotAllowed(message)
    return addresses[:TRIED]


def _request_any(request: _FetchRequest, addresses: Sequence[str]) -> bytes:
    """Fetch from the first address that accepts a connection."""
    for address in addresses[:-1]:
        try:
            return _request(request, address)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
            continue
    return _request(request, addresses[-1])


def _request(request: _FetchRequest, address: str) -> bytes:
    headers = {
        "Host": request.url.netloc or "",
        "Accept": "image/*",
        "Accept-Encoding": "identity",
        "User-Agent": f"plex-companion/{__version__}",
    }
    path = request.url.request_uri
    with (
        closing(_build_pool(request, address)) as pool,
        closing(
            pool.urlopen("GET", path, headers=headers, retries=False, redirect=False, preload_content=False)
        ) as response,
    ):
        _check(request, response)
        return _read_body(request, response)


def _build_pool(request: _FetchRequest, address: str) -> HTTPConnectionPool:
    where = f"[{address}]" if ":" in address else address
    left = request.compute_remaining()
    timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, left), read=left)
    if request.url.scheme == "http":
        return _FetchHttpPool(where, request.port, timeout=timeout, maxsize=1)
    return _FetchHttpsPool(
        where,
        request.port,
        timeout=timeout,
        maxsize=1,
        cert_reqs="CERT_REQUIRED",
        ca_certs=request.policy.authorities,
        server_hostname=request.host,
    )


def _check(request: _FetchRequest, response: BaseHTTPResponse) -> None:
    if response.get_redirect_location():
        raise request.build_invalid("it redirects, which is not followed; give the final address")
    if response.status != 200:  # noqa: PLR2004 - OK
        raise request.build_invalid(f"the server answered with HTTP {response.status}")


def _read_body(request: _FetchRequest, response: BaseHTTPResponse) -> bytes:
    stated = response.headers.get("Content-Length", "")
    body = bytearray()
    while not _exceeds(stated, request.most) and len(body) <= request.most:
        request.compute_remaining()
        # What has arrived, not a full chunk: the timeout is for silence only, so a slow trickle would never end.
        part = response.read1(_CHUNK, decode_content=False)
        if not part:
            return bytes(body)
        body += part
    message = f"{request.argument}: the picture at {request.host} is larger than {request.most >> 20} MiB."
    raise TooLarge(message, limit_bytes=request.most)


def _exceeds(stated: str, most: int) -> bool:
    return stated.isdecimal() and int(stated[:20]) > most


def _compute_remaining(seconds: float) -> float:
    call = CURRENT_CALL.get()
    return min(seconds, call.compute_remaining()) if call is not None else seconds


def _attach_socket(sock: socket.socket | None) -> None:
    """Give the socket to the current call, which can then interrupt the wait."""
    call = CURRENT_CALL.get()
    if call is not None:
        call.attach_socket(sock)


class _FetchHttp(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _attach_socket(self.sock)


class _FetchHttps(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _attach_socket(self.sock)


class _FetchHttpPool(HTTPConnectionPool):
    ConnectionCls = _FetchHttp


class _FetchHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _FetchHttps
