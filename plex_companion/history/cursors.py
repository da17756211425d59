"""Cursors over plays: opaque to the caller, and valid only for the same query on the same database."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any

from plex_companion.cache.queries.plays import KeysetPosition
from plex_companion.errors import Invalid
from plex_companion.text import encode_json
from plex_companion.times import Window

if TYPE_CHECKING:
    from plex_companion.cache.queries.plays import HistoryStatus

LONGEST_SHOWN = 40
START_OVER = "leave the cursor out to start over"


def digest_query(*filters: str | None) -> str:
    """Return a digest of the filters of a query. Times count as written: `7d` is the same query a minute later."""
    return hashlib.sha256(json.dumps(filters).encode()).hexdigest()[:8]


def encode_cursor(status: HistoryStatus, query: str, place: KeysetPosition, window: Window | None) -> str:
    """Encode where the next page of a query begins. The window stays that of the first page."""
    bounds = [window.since, window.until] if window else []
    content = encode_json([status.tag, query, place.at, place.id, *bounds])
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_cursor(text: str, status: HistoryStatus, query: str) -> tuple[KeysetPosition, Window | None]:
    """Return the position of a cursor and the window of its query.

    Raises:
        Invalid: the text is not a cursor, or belongs to another database, another query, or plays that do not exist yet.
    """
    parts = _split_parts(text)
    if parts is None:
        shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
        raise _build_error(
            f"{shown!r} is not a cursor: pass next_cursor of the last answer unchanged, or {START_OVER}."
        )
    tag, cursor_query, at, play, *bounds = parts
    if tag != status.tag:
        raise _build_error(f"This cursor belongs to another database: {START_OVER}.")
    if cursor_query != query:
        message = f"This cursor belongs to another question: repeat all other arguments unchanged, or {START_OVER}."
        raise _build_error(message)
    if play > status.newest:
        message = f"This cursor is from the future: it names play {play}, the newest is {status.newest}; {START_OVER}."
        raise _build_error(message)
    return KeysetPosition(at, play), Window(*bounds) if bounds else None


def _split_parts(text: str) -> list[Any] | None:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeError, binascii.Error, ValueError, RecursionError):
        return None
    kinds = [type(part) for part in content] if isinstance(content, list) else []
    fits = kinds in ([str, str, int, int], [str, str, int, int, int, int])
    return content if fits and all(abs(part) < 2**63 for part in content[2:]) else None


def _build_error(message: str) -> Invalid:
    return Invalid(message, argument="cursor")
