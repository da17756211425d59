"""The shapes of what MCP Events sends: occurrences and the envelopes of webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.text import encode_json

if TYPE_CHECKING:
    from plex_companion.serialize import Json

LARGEST_BYTES = 256 * 1024
"""The most bytes of one webhook message (SEP-3415)."""


def build_event(row: Json) -> dict[str, Any]:
    """Build the wire form of an occurrence, without a cursor."""
    return {"eventId": row["id"], "name": row["type"], "timestamp": row["at"], "data": row["data"]}


def build_message_id(event: dict[str, Any]) -> str:
    """Return the `webhook-id` of an occurrence: its `eventId`, as the draft of SEP-3415 and every known receiver have it."""
    return str(event["eventId"])


def encode_delivery(event: dict[str, Any], watermark: str) -> bytes:
    """Encode the body of a webhook message. `watermark` is the cursor up to which everything is settled."""
    return encode_json({**event, "cursor": watermark}).encode()


def encode_gap(cursor: str) -> bytes:
    """Encode the message that occurrences before a cursor were lost."""
    return encode_json({"type": "gap", "cursor": cursor}).encode()


def encode_terminated(error: dict[str, object]) -> bytes:
    """Encode the message that a subscription does not exist any more."""
    return encode_json({"type": "terminated", "error": error}).encode()
