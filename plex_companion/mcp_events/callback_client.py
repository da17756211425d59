"""Sends to addresses that clients named, and to nowhere else.

A name is resolved at every attempt, every address of it is checked, and the connection goes to a checked address; the
certificate must still be for the name. No redirect is followed and no proxy of the environment is used. Connections are
not reused: two names may share an address, and a certificate was checked for one of them only.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import httpx2

from plex_companion.plex.image_fetch import TRIED, is_public
from plex_companion.webhooks import parse_retry_after_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.mcp_events.callback_urls import CallbackUrl
    from plex_companion.mcp_events.event_errors import CallbackProblem
    from plex_companion.plex.image_fetch import Rule

AsyncResolver = Callable[[str, int], Awaitable[Sequence[str]]]

ATTEMPT_SECONDS = 8.0
_OK, _MULTIPLE, _SERVER_ERROR = 200, 300, 500


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """The result of one attempt: an HTTP status or, without one, why there was none."""

    status: int | None
    problem: CallbackProblem | None
    """`None` if it was accepted."""
    retry_after_ms: int | None = None
    body: bytes = b""


async def resolve_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a name, from the system."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class CallbackPolicy:
    """The addresses that are allowed, how names are resolved, and whose certificates count. Only tests change it."""

    allowed: Rule = is_public
    resolve: AsyncResolver = resolve_addresses
    tls: ssl.SSLContext | None = None
    seconds: float = ATTEMPT_SECONDS


async def send_callback(
    url: CallbackUrl, headers: Mapping[str, str], body: bytes, policy: CallbackPolicy, *, most_bytes: int = 0
) -> CallbackAnswer:
    """Make one attempt. Of the answer, the status, Retry-After and at most `most_bytes` of the body are read."""
    try:
        with anyio.fail_after(policy.seconds):
            addresses = await _resolve_allowed(url, policy)
            return await _send_to_any(url, addresses, _Message(headers, body, most_bytes), policy)
    except (TimeoutError, httpx2.TimeoutException):
        return CallbackAnswer(None, "timeout")
    except (OSError, UnicodeError, ValueError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        return CallbackAnswer(None, "tls_error" if _is_of_tls(error) else "connection_refused")


@dataclass(frozen=True, slots=True)
class _Message:
    headers: Mapping[str, str]
    body: bytes
    most_bytes: int

    @property
    def at(self) -> int:
        """When it is sent, in milliseconds."""
        return int(self.headers["webhook-timestamp"]) * 1_000


async def _resolve_allowed(url: CallbackUrl, policy: CallbackPolicy) -> list[str]:
    """Return the addresses of the host, if every one of them is allowed.

    Raises:
        OSError: it has none, or one that is not allowed: the client cannot tell which.
    """
    if url.is_loopback:
        return [url.host]
    addresses = list(await policy.resolve(url.host, url.port))
    if not addresses or not all(policy.allowed(ipaddress.ip_address(address)) for address in addresses):
        raise OSError
    return addresses[:TRIED]


async def _send_to_any(
    url: CallbackUrl, addresses: Sequence[str], message: _Message, policy: CallbackPolicy
) -> CallbackAnswer:
    """Send to the first address that accepts a connection."""
    async with httpx2.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        verify=policy.tls or _load_trust(),
        timeout=policy.seconds,
        limits=httpx2.Limits(max_keepalive_connections=0),
    ) as client:
        for address in addresses[:-1]:
            try:
                return await _send(client, url, address, message)
            except httpx2.ConnectError:
                continue
        return await _send(client, url, addresses[-1], message)


@functools.cache
def _load_trust() -> ssl.SSLContext:
    """Load the authorities that are trusted, which takes some 20 ms, once."""
    return httpx2.create_ssl_context(trust_env=False)


async def _send(client: httpx2.AsyncClient, url: CallbackUrl, address: str, message: _Message) -> CallbackAnswer:
    request = client.stream(
        "POST",
        httpx2.URL(url.text).copy_with(host=address),
        content=message.body,
        headers={**message.headers, "host": url.authority, "accept-encoding": "identity"},
        extensions={"sni_hostname": url.host},
    )
    async with request as response:
        retry = parse_retry_after_ms(response.headers.get("retry-after"), message.at)
        body = await _read_body(response, message.most_bytes)
        return CallbackAnswer(response.status_code, _judge(response.status_code), retry, body)


async def _read_body(response: httpx2.Response, most_bytes: int) -> bytes:
    body = b""
    if most_bytes:
        async for part in response.aiter_raw():
            body += part
            if len(body) > most_bytes:
                return b""
    return body


def _judge(status: int) -> CallbackProblem | None:
    """Return the category of a status. There is none for redirects: they count as a refusal."""
    if _OK <= status < _MULTIPLE:
        return None
    return "http_5xx" if status >= _SERVER_ERROR else "http_4xx"


def _is_of_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
