"""Cursors over plays: opaque to the caller, and of no use for another question or another database."""

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
ANEW = "leave the cursor out to begin anew"


def digest_question(*asked: str | None) -> str:
    """A digest of what was asked. Times count as they were written: `7d` is the same question a minute later."""
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:8]


def encode_cursor(ledger: HistoryStatus, question: str, place: KeysetPosition, window: Window | None) -> str:
    """Where the next page of this question begins; the window stays the one of the first page."""
    bounds = [window.since, window.until] if window else []
    said = encode_json([ledger.tag, question, place.at, place.id, *bounds])
    return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def decode_cursor(text: str, ledger: HistoryStatus, question: str) -> tuple[KeysetPosition, Window | None]:
    """The place a cursor names, and the window it was asked in.

    Raises:
        Invalid: it is none, or that of another database, of another question, or of plays yet to come.
    """
    parts = _split_parts(text)
    if parts is None:
        shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
        raise _build_error(f"{shown!r} is no cursor: give next_cursor of the last answer as it is, or {ANEW}.")
    tag, asked, at, play, *bounds = parts
    if tag != ledger.tag:
        raise _build_error(f"This cursor belongs to another database: {ANEW}.")
    if asked != question:
        message = (
            "This cursor belongs to another question: repeat user, title, library, since and until as they were, "
            f"or {ANEW}."
        )
        raise _build_error(message)
    if play > ledger.newest:
        message = f"This cursor is from the future: it names play {play}, the newest is {ledger.newest}; {ANEW}."
        raise _build_error(message)
    return KeysetPosition(at, play), Window(*bounds) if bounds else None


def _split_parts(text: str) -> list[Any] | None:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        said = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeError, binascii.Error, ValueError, RecursionError):
        return None
    kinds = [type(part) for part in said] if isinstance(said, list) else []
    fits = kinds in ([str, str, int, int], [str, str, int, int, int, int])
    return said if fits and all(abs(part) < 2**63 for part in said[2:]) else None


def _build_error(message: str) -> Invalid:
    return Invalid(message, argument="cursor")
