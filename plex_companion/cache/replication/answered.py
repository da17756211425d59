"""Events that the leader's own machine forwarded: an entry names those it handles.

A leader may end after an entry was appended and before its database committed it. The events are still in its database then,
and must not be forwarded again when that database applies the entry.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence


def read_answered(connection: sqlite3.Connection, ids: Iterable[int]) -> list[str]:
    """Return the digests of forwarded events by their ids. Other databases have the same ids for other events."""
    events = {row[0]: row[1:] for row in _read_events(connection)}
    return [_compute_digest(events[one]) for one in ids if one in events]


def delete_answered(connection: sqlite3.Connection, answered: Sequence[str]) -> None:
    """Delete forwarded events that an entry has handled, where they are in this database: one for each digest."""
    if not answered:
        return
    left = list(answered)
    for id_, *event in _read_events(connection):
        if (digest := _compute_digest(event)) in left:
            left.remove(digest)
            connection.execute("DELETE FROM letters WHERE id = ?", (id_,))


def _read_events(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return list(map(tuple, connection.execute("SELECT id, at, kind, body, link FROM letters ORDER BY id")))


def _compute_digest(event: Sequence[object]) -> str:
    return hashlib.blake2b(json.dumps(list(event)).encode(), digest_size=16).hexdigest()
