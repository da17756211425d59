"""Signatures of webhook messages (Standard Webhooks 1.0) with keys that the client chose."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

from plex_companion.mcp_events.event_errors import build_invalid

if TYPE_CHECKING:
    from plex_companion.models import EventSubscription

PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64
_LONGEST_TEXT = 128


def decode_secret(text: str) -> bytes:
    """Return the key in a secret: `whsec_` and base64 of 24 to 64 bytes.

    Raises:
        EventError: it is none. The message does not repeat it.
    """
    encoded = text.removeprefix(PREFIX)
    try:
        key = b"" if encoded == text or len(text) > _LONGEST_TEXT else base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        message = f"delivery.secret must be {PREFIX} and the base64 of {SHORTEST_KEY} to {LONGEST_KEY} random bytes."
        raise build_invalid(message, "delivery.secret")
    return key


def list_keys(subscription: EventSubscription, at: int) -> list[bytes]:
    """Return the keys to sign with: the present one, and for a while after a change the one before."""
    keys = [decode_secret(subscription.secret)]
    if subscription.previous_secret is not None and at < (subscription.previous_until or 0):
        keys.append(decode_secret(subscription.previous_secret))
    return keys


def sign(message_id: str, timestamp: int, body: bytes, keys: list[bytes]) -> str:
    """Return the value of `webhook-signature`: one signature for each key."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def build_signed_headers(
    subscription_id: str, message_id: str, timestamp: int, body: bytes, keys: list[bytes]
) -> dict[str, str]:
    """Build the headers of one attempt to send a message. `timestamp` is in seconds."""
    return {
        "content-type": "application/json",
        "user-agent": "plex-companion",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(message_id, timestamp, body, keys),
        "x-mcp-subscription-id": subscription_id,
    }
