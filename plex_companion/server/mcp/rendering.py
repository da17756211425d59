"""The text of a notification on an event stream, made once for each URI and protocol era.

The SDK serialises every notification again for every subscriber. Here its models are serialised once, with marks where the
URI and the subscription id stand, so the text is the SDK's own, whatever its release.
"""

from __future__ import annotations

import functools
import json

from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY, ResourcesListChanged, ResourceUpdated
from mcp.shared.subscriptions import event_to_notification
from mcp_types import JSONRPCNotification

from plex_companion.server.mcp.subscribers import LISTING

MOST_CACHED_TEXTS = 1024
"""How many texts are kept. A URI has 2 kB at most."""
_URI, _ID = "a URI", "a subscription id"


def render_legacy(spelling: str) -> bytes:
    """Return the event that says, in a protocol version up to 2025-11-25, that this URI or the list of resources changed."""
    return _render(spelling, legacy=True)[0]


def render_modern(spelling: str, subscription_id: bytes) -> bytes:
    """Return the event of 2026-07-28, stamped with a subscription id in JSON."""
    before, after = _render(spelling, legacy=False)
    return before + subscription_id + after


@functools.lru_cache(MOST_CACHED_TEXTS)
def _render(spelling: str, *, legacy: bool) -> tuple[bytes, bytes]:
    """Return the event before and after the subscription id."""
    before, _, after = _build_template(listing=spelling == LISTING, legacy=legacy).partition(json.dumps(_ID))
    uri = json.dumps(spelling, ensure_ascii=not legacy)  # as the SDK writes it
    return before.replace(json.dumps(_URI), uri).encode(), after.replace(json.dumps(_URI), uri).encode()


@functools.cache
def _build_template(*, listing: bool, legacy: bool) -> str:
    event = ResourcesListChanged() if listing else ResourceUpdated(uri=_URI)
    found = event_to_notification(event, {SUBSCRIPTION_ID_META_KEY: _ID}).model_dump(mode="json", by_alias=True)
    params = found["params"]
    if legacy:
        del params["_meta"]
    message = JSONRPCNotification(jsonrpc="2.0", method=found["method"], **({"params": params} if params else {}))
    data = message.model_dump_json(by_alias=True, exclude_unset=True)
    return f"event: message\r\ndata: {data}\r\n\r\n"
