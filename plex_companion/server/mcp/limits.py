"""Limits of subscriptions: only URIs of declared resources, and not too many or too long ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.server.mcp.subscribers import Subscribers
    from plex_companion.server.mcp.uri_index import UriIndex

MOST_URIS = 1024
"""The most subscriptions of one client."""
LONGEST_BYTES = 2_048
"""The most bytes of a URI, and of anything else of a client that is stored while it listens."""
MOST_BYTES = 1024 * 1024
"""The most bytes of all URIs of one client."""
MOST_TOGETHER = 64 * 1024 * 1024
"""The most characters of all URIs of all clients."""
_SHOWN = 100


def resolve_uris(addresses: UriIndex, uris: Sequence[str]) -> dict[str, str]:
    """Return the canonical URIs, each with the spelling of the client.

    Raises:
        MCPError: -32602 with `data.uri` for a URI that no declared resource has or that is too long, or for too many.
    """
    check_limit(uris)
    wanted: dict[str, str] = {}
    for uri in uris:
        canonical = addresses.canonicalize(uri)
        if canonical is None:
            raise MCPError(INVALID_PARAMS, f"No resource is called {uri}. See resources/list.", {"uri": uri})
        wanted[canonical] = uri
    return wanted


def check_limit(uris: Sequence[str]) -> None:
    """Refuse subscriptions over the limits of one client. A repeated URI counts again if it is stored twice.

    Raises:
        MCPError: -32602 with `data.uri` for a URI that is too long, for too many, or for too many bytes.
    """
    for uri in uris:
        refuse_too_long(uri)
    if len(uris) > MOST_URIS:
        raise MCPError(INVALID_PARAMS, f"One client may hold {MOST_URIS} subscriptions.", {"uri": uris[MOST_URIS]})
    if sum(map(_count_bytes, uris)) > MOST_BYTES:
        message = f"The URIs that one client subscribes to may have {MOST_BYTES:,} bytes together."
        raise MCPError(INVALID_PARAMS, message, {"uri": uris[-1]})


def refuse_over_total(subscribers: Subscribers) -> None:
    """Refuse one more subscription while all clients together are at the limit.

    Raises:
        MCPError: -32603.
    """
    if subscribers.characters > MOST_TOGETHER:
        raise MCPError(INTERNAL_ERROR, "The clients of this server hold too many subscriptions. Try again later.")


def refuse_too_long(uri: str) -> None:
    """Refuse a URI that is too long for any of ours, or contains half a character.

    Raises:
        MCPError: -32602 with the beginning of the URI as `data.uri`.
    """
    size = _count_bytes(uri)
    if size > LONGEST_BYTES:
        message = f"The URI {uri[:_SHOWN]}… has {size:,} bytes, and {LONGEST_BYTES:,} are the most. See resources/list."
        raise MCPError(INVALID_PARAMS, message, {"uri": uri[:_SHOWN]})
    if not uri.isascii() and any("\ud800" <= char <= "\udfff" for char in uri):
        raise MCPError(INVALID_PARAMS, "A URI cannot hold half a character. See resources/list.", {"uri": ""})


def _count_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
