"""Events that followers forward to the leader: kept in the database until the leader has written their changes."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

from plex_companion.events import Acknowledged, Audit, Event, Malformed, PlexTvUsersRead, ReceivedEvent
from plex_companion.models import Moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from plex_companion.cache.database import Cache

logger = logging.getLogger(__name__)

FORWARDABLE = {kind.type: kind for kind in (Audit, Acknowledged, PlexTvUsersRead)}
"""Events that our own tools cause. Their fields must be JSON."""


def is_forwardable(event: Event) -> bool:
    """Return whether an event can be forwarded to another process."""
    return event.type in FORWARDABLE


async def write_forwarded(cache: Cache, events: Sequence[ReceivedEvent]) -> None:
    """Write events for the leader to receive: all of them, or none when it raises.

    Raises:
        StorageError: none was written.
    """
    rows = [(moment.at, event.type, json.dumps(asdict(event))) for event, moment, _ in events]
    sql = "INSERT INTO letters (at, kind, body) VALUES (?, ?, ?)"
    await cache.transact(lambda connection: connection.executemany(sql, rows))


async def read_forwarded(cache: Cache, last: int, now: Moment) -> list[ReceivedEvent]:
    """Return the events forwarded after the id `last`, with the moments they were written at.

    Ids grow in the order of commits, because SQLite has one writer at a time, so no event is skipped. A row that cannot
    be decoded becomes `Malformed`.
    """
    sql = "SELECT * FROM letters WHERE id > ? ORDER BY id"
    return list(_decode_rows(await cache.reader.execute_fetchall(sql, (last,)), now))


def _decode_rows(rows: Iterable[sqlite3.Row], now: Moment) -> Iterator[ReceivedEvent]:
    for row in rows:
        moment = Moment(row["at"], now.tick - max(0, now.at - row["at"]))
        yield ReceivedEvent(_decode_event(row), moment, row["id"])


def _decode_event(row: sqlite3.Row) -> Event:
    try:
        return FORWARDABLE[row["kind"]](**json.loads(row["body"]))
    except (KeyError, TypeError, ValueError):
        logger.warning("A forwarded event of the kind %r cannot be read and is dropped", row["kind"])
        return Malformed(f"a forwarded event of the kind {row['kind']!r}")
