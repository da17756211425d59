"""Events that followers forward to the leader: kept in the database until the leader has written their changes."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, NamedTuple, cast

from msgspec import ValidationError, convert, to_builtins

from plex_companion.events import (
    Acknowledged,
    AlertKindMuted,
    Audit,
    Event,
    EventSubscribed,
    EventUnsubscribed,
    Malformed,
    PlexTvUsersRead,
    ReceivedEvent,
    RuleCreated,
    RuleDeleted,
    RulesImported,
    RuleSwitched,
    RuleUpdated,
    ToolTaskReport,
)
from plex_companion.models import Moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from plex_companion.cache.database import Cache

logger = logging.getLogger(__name__)

FORWARDABLE = {
    kind.type: kind
    for kind in (
        Audit,
        Acknowledged,
        AlertKindMuted,
        PlexTvUsersRead,
        EventSubscribed,
        EventUnsubscribed,
        ToolTaskReport,
        RuleCreated,
        RuleUpdated,
        RuleSwitched,
        RuleDeleted,
        RulesImported,
    )
}
"""Events that our own tools cause, by their names."""


def is_forwardable(event: Event) -> bool:
    """Return whether an event can be forwarded to another process."""
    return event.type in FORWARDABLE


async def write_forwarded(cache: Cache, events: Mapping[str, Sequence[ReceivedEvent]]) -> None:
    """Write events by link for the leader to receive: all of them, or none when it raises.

    Raises:
        StorageError: none was written.
    """
    rows = [
        (moment.at, event.type, json.dumps(to_builtins(event)), link)
        for link, some in events.items()
        for event, moment, _ in some
    ]
    sql = "INSERT INTO letters (at, kind, body, link) VALUES (?, ?, ?, ?)"
    await cache.transact(lambda connection: connection.executemany(sql, rows))


class StoredEvent(NamedTuple):
    """A forwarded event as it is stored until the leader has written its changes."""

    id: int
    at: int
    kind: str
    body: str
    link: str | None

    def decode(self, now: Moment) -> ReceivedEvent:
        """Return the event with the moment it was stored at. If it cannot be decoded, it is `Malformed`."""
        return ReceivedEvent(self._decode_event(), Moment(self.at, now.tick - max(0, now.at - self.at)), self.id)

    def _decode_event(self) -> Event:
        try:
            event = cast("Event", convert(json.loads(self.body), FORWARDABLE[self.kind]))
        except (KeyError, ValueError, ValidationError):
            logger.warning("A forwarded event of the kind %r cannot be read and is dropped", self.kind)
            return Malformed(f"a forwarded event of the kind {self.kind!r}")
        return event


async def read_stored(cache: Cache, last: int = 0) -> list[StoredEvent]:
    """Return the events forwarded after the id `last`, oldest first.

    Ids grow in the order of commits, because SQLite has one writer at a time, so no event is skipped.
    """
    sql = "SELECT id, at, kind, body, link FROM letters WHERE id > ? ORDER BY id"
    return [StoredEvent(*row) for row in await cache.reader.execute_fetchall(sql, (last,))]


async def read_forwarded(cache: Cache, last: int, now: Moment) -> list[tuple[str | None, ReceivedEvent]]:
    """Return the events forwarded after the id `last` with their links, with the moments they were written at."""
    return [(stored.link, stored.decode(now)) for stored in await read_stored(cache, last)]


async def delete_stored(cache: Cache, events: Iterable[StoredEvent]) -> None:
    """Delete events that were passed on to another machine.

    Raises:
        StorageError: none was deleted.
    """
    ids = [(stored.id,) for stored in events]
    await cache.transact(lambda connection: connection.executemany("DELETE FROM letters WHERE id = ?", ids))
