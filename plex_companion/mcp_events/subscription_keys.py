"""The identity of an event subscription: its id is derived from who subscribed what, and where to send it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ID_DIGITS = 32


def canonicalize_arguments(arguments: Mapping[str, Any]) -> str:
    """Return the one spelling of these arguments: keys in order, no blanks."""
    return json.dumps(arguments, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def derive_subscription_id(principal: str, url: str, name: str, arguments: str) -> str:
    """Return the id of a subscription, the same after a restart. It permits nothing (SEP-3415).

    `arguments` are canonical. Each part is written with its length, so that no two subscriptions share a text.
    """
    parts = "".join(f"{len(part)}:{part}" for part in (principal, url, name, arguments))
    return f"sub_{hashlib.sha256(parts.encode()).hexdigest()[:_ID_DIGITS]}"
