"""Which URIs a client may subscribe to: those of declared resources, and not endlessly many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.server.addresses import Addresses

MOST = 1024
"""Subscriptions of one client."""


def known(addresses: Addresses, uris: Iterable[str]) -> dict[str, str]:
    """The canonical URIs, each with the spelling asked for.

    Raises:
        MCPError: -32602 with `data.uri` for a URI that no declared resource has, or for too many.
    """
    wanted: dict[str, str] = {}
    for uri in uris:
        canonical = addresses.canonical(uri)
        if canonical is None:
            raise MCPError(INVALID_PARAMS, f"No resource is called {uri}. See resources/list.", {"uri": uri})
        wanted[canonical] = uri
        refuse_beyond(MOST, len(wanted), uri)
    return wanted


def refuse_beyond(most: int, count: int, uri: str) -> None:
    """Raise when one client holds more than `most` subscriptions."""
    if count > most:
        raise MCPError(INVALID_PARAMS, f"One client may hold {most} subscriptions.", {"uri": uri})
