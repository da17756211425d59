"""Verifies a callback before anything is delivered to it: it must return a challenge, which nobody else knows."""

from __future__ import annotations

import hmac
import json
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.mcp_events.callback_client import send_callback
from plex_companion.mcp_events.event_errors import build_callback_error, build_exhausted
from plex_companion.mcp_events.signatures import build_signed_headers
from plex_companion.text import encode_json
from plex_companion.times import MINUTE_MS

if TYPE_CHECKING:
    from plex_companion.mcp_events.callback_client import CallbackPolicy
    from plex_companion.mcp_events.callback_urls import CallbackUrl
    from plex_companion.mcp_events.event_errors import EventError

MOST_PER_HOST = 20
"""Challenges a minute to one host,"""
MOST_TOGETHER = 60
"""and to all."""
_MOST_BYTES = 4_096


@dataclass(slots=True)
class VerificationLimiter:
    """Limits the challenges that are sent in a minute, so that nobody is flooded on a client's behalf. Pure."""

    _sent: deque[tuple[int, str]] = field(default_factory=deque)

    def count(self, host: str, tick: int) -> None:
        """Count one challenge. `tick` is in milliseconds of a clock that never jumps.

        Raises:
            EventError: there were too many in the last minute.
        """
        while self._sent and tick - self._sent[0][0] >= MINUTE_MS:
            self._sent.popleft()
        if sum(host == other for _, other in self._sent) >= MOST_PER_HOST:
            raise _build_error(MOST_PER_HOST)
        if len(self._sent) >= MOST_TOGETHER:
            raise _build_error(MOST_TOGETHER)
        self._sent.append((tick, host))


async def verify_callback(
    url: CallbackUrl, subscription_id: str, key: bytes, timestamp: int, policy: CallbackPolicy
) -> None:
    """Send a challenge, and expect it back in the same request.

    Raises:
        EventError: the callback cannot be reached, or did not return it. What it answered stays unsaid.
    """
    challenge = secrets.token_urlsafe(32)
    body = encode_json({"type": "verification", "challenge": challenge}).encode()
    message = build_control_id("verification")
    headers = build_signed_headers(subscription_id, message, timestamp, body, [key])
    answer = await send_callback(url, headers, body, policy, most_bytes=_MOST_BYTES)
    if answer.problem is not None:
        raise build_callback_error(answer.problem)
    if not hmac.compare_digest(_read_challenge(answer.body).encode(), challenge.encode()):
        raise build_callback_error("challenge_failed")


def build_control_id(kind: str) -> str:
    """Build the `webhook-id` of a message that is not about an occurrence."""
    return f"msg_{kind}_{secrets.token_hex(16)}"


def _read_challenge(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    challenge = answer.get("challenge") if isinstance(answer, dict) else None
    return challenge.encode("utf-8", "replace").decode() if isinstance(challenge, str) else ""


def _build_error(most: int) -> EventError:
    return build_exhausted("Too many callback URLs were verified in the last minute. Try again.", "verifications", most)
