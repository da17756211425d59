"""Writes changes with at most one statement per table and batch, however large the batch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, assert_never

from plex_companion.cache.history_import import import_rows
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.cache.rows import (
    Row,
    build_activity_row,
    build_alert_row,
    build_history_row,
    build_imported_row,
    build_play_event_row,
    build_play_row,
    build_section_row,
    read_fields,
)
from plex_companion.changes.kinds import (
    AccountsSeen,
    ActivityChanged,
    ActivityEnded,
    AlertAcknowledged,
    AlertOpened,
    AlertReopened,
    AlertResolved,
    Change,
    ClientSeen,
    ConditionSeen,
    ConnectionChanged,
    DeliveryChanged,
    DevicesSeen,
    HistoryPageWritten,
    HistoryProgressed,
    Journaled,
    LibraryItemChanged,
    PlayEventRecorded,
    PlaysImported,
    PlaysRepeated,
    PlexTvUsersSeen,
    ReadabilityChanged,
    SectionsSeen,
    ServerSeen,
    SessionChanged,
    SessionEnded,
    SessionStarted,
    StateConfirmed,
    TranscodeSeen,
)
from plex_companion.changes.state import build_timeline

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from plex_companion.models import Session


def coalesce(changes: Iterable[Change], journal_rows: int = sys.maxsize) -> list[Change]:
    """Return the changes that leave the same rows behind, in as few as possible.

    Changes that write nothing are dropped, as are all but the last of those that write one row. Of the journal, the
    newest `journal_rows` stay.
    """
    kept: list[Change] = []
    seen: set[tuple[str, object]] = set()
    for change in reversed(list(changes)):
        row = _identify_row(change)
        journal_rows -= isinstance(change, Journaled)
        if row is None or row in seen or (isinstance(change, Journaled) and journal_rows < 0):
            continue
        seen.add(row)
        kept.append(change)
    kept.reverse()
    return kept


def _identify_row(change: Change) -> tuple[str, object] | None:  # noqa: C901, PLR0911, PLR0912 - one line per kind of change
    """Return the table and key of the row a change writes; `None` if it writes none."""
    match change:
        case Journaled():
            return "events", change.id
        case SessionStarted() | SessionChanged() | SessionEnded():
            return "plays", change.session.play_id
        case PlayEventRecorded():
            return "play_marks", change.mark_id
        case AlertOpened() | AlertResolved() | AlertReopened():
            return "alerts", change.alert.id
        case AlertAcknowledged():
            return "acknowledged", change.alert_id
        case DeliveryChanged():
            return "deliveries", change.delivery.id
        case ActivityChanged() | ActivityEnded():
            return "activities", change.activity.uuid
        case LibraryItemChanged():
            return "library_changes", change.change.id
        case ClientSeen():
            return "clients", change.client_identifier
        case ServerSeen():
            return "servers", change
        case SectionsSeen() | AccountsSeen() | DevicesSeen() | HistoryProgressed():
            return type(change).__name__, None
        case PlexTvUsersSeen():
            return "plex_tv_users", change
        case PlaysImported(plays=plays) | PlaysRepeated(plays=plays):
            return "imported plays", plays[0].play_id
        case TranscodeSeen() | HistoryPageWritten() | ConnectionChanged():
            return None
        case StateConfirmed() | ReadabilityChanged() | ConditionSeen():
            return None
        case _:
            assert_never(change)


class Statements:
    """The statements of a batch of changes: the last state of each row wins."""

    def __init__(self, server: str, at: int) -> None:
        self.server, self.at = server, at
        self.tables: dict[str, dict[object, Row]] = {}
        self.preceding: list[tuple[str, Row]] = []
        """Statements that must run before the upserts, in order."""
        self.imported: dict[tuple[str, str], Row] = {}
        """Imported plays, matched with the companion's own after those are written."""

    def run(self, connection: sqlite3.Connection) -> None:
        """Execute the statements."""
        for sql, row in self.preceding:
            connection.execute(sql, row)
        for table, by_key in self.tables.items():
            if rows := list(by_key.values()):
                connection.executemany(build_upsert(table, rows[0]), rows)
        import_rows(connection, list(self.imported.values()))

    def add(self, change: Change) -> None:  # noqa: C901, PLR0912 - one flat table of every kind of change
        """Add the rows that one change writes."""
        match change:
            case Journaled():
                self._put("events", change.id, {**read_fields(change), "server": self.server})
            case SessionEnded(session=session):
                self._write_play(session, change)
            case SessionStarted(session=session) | SessionChanged(session=session):
                self._write_play(session)
            case PlayEventRecorded():
                self._put("play_marks", change.mark_id, build_play_event_row(change, self.server))
            case AlertOpened(alert=alert) | AlertResolved(alert=alert) | AlertReopened(alert=alert):
                self._put("alerts", alert.id, build_alert_row(alert, self.server))
            case AlertAcknowledged(alert_id=alert_id, at=at):
                self._acknowledge(alert_id, at)
            case DeliveryChanged(delivery=delivery):
                self._put("deliveries", delivery.id, read_fields(delivery))
            case ActivityChanged(activity=activity):
                self._put("activities", activity.uuid, build_activity_row(activity, self.server, None))
            case ActivityEnded(activity=activity):
                self._put("activities", activity.uuid, build_activity_row(activity, self.server, activity.updated_at))
            case LibraryItemChanged(change=library_change):
                self._put("library_changes", library_change.id, {**read_fields(library_change), "server": self.server})
            case ClientSeen(client=client):
                self._put("clients", client.client_identifier, {**read_fields(client), "server": self.server})
            case ServerSeen(server=identity):
                self._adopt_server(identity.machine_identifier, {**read_fields(identity), "seen_at": self.at})
            case SectionsSeen(sections=sections):
                self._replace_table("sections", {s.section_id: build_section_row(s, self.server) for s in sections})
            case AccountsSeen(accounts=accounts):
                self._replace_table("accounts", {a.id: {**read_fields(a), "server": self.server} for a in accounts})
            case PlexTvUsersSeen(users=users):
                for user in users:
                    self._put("plex_tv_users", user.id, {**read_fields(user), "server": self.server})
            case DevicesSeen(devices=devices):
                self._replace_table("devices", {d.id: {**read_fields(d), "server": self.server} for d in devices})
            case PlaysImported(plays=plays) | PlaysRepeated(plays=plays):
                self.imported |= {
                    (self.server, play.history_key): build_imported_row(play, self.server) for play in plays
                }
            case HistoryProgressed(history=history):
                self._put("history", self.server, build_history_row(history, self.server))
            case TranscodeSeen() | HistoryPageWritten() | ConditionSeen():
                pass  # kept in memory only
            case ConnectionChanged() | StateConfirmed() | ReadabilityChanged():
                pass  # in the leader's status row, see `leadership.py`
            case _:
                assert_never(change)

    def _put(self, table: str, key: object, row: Row) -> None:
        self.tables.setdefault(table, {})[key] = row

    def _replace_table(self, table: str, rows: dict[object, Row]) -> None:
        """Replace every row of this server."""
        self.preceding.append((f"DELETE FROM {table} WHERE server = :server", {"server": self.server}))  # noqa: S608 - our own table names
        self.tables[table] = rows

    def _write_play(self, session: Session, ended: SessionEnded | None = None) -> None:
        row = (
            build_play_row(session, self.server, ended.ended_at, ended.ended_by)
            if ended
            else build_play_row(session, self.server)
        )
        self._put("plays", session.play_id, row)
        timeline = build_timeline(session, "stopped") if ended else None
        if timeline is not None:
            self._put("timelines", timeline.client_identifier, {**read_fields(timeline), "server": self.server})

    def _acknowledge(self, alert_id: int, at: int) -> None:
        pending = self.tables.get("alerts", {}).get(alert_id)
        if pending is not None:
            pending["acknowledged_at"] = pending["acknowledged_at"] or at
        self.preceding.append((_ACKNOWLEDGE, {"id": alert_id, "at": at}))

    def _adopt_server(self, server: str, row: Row) -> None:
        """Record the server, and give it the rows that were written before it was known."""
        self.preceding.append((_SERVER, row))
        self.preceding += [(sql, {"server": server, "unknown": UNKNOWN}) for sql in _ADOPT]
        if self.server == UNKNOWN:
            for rows in self.tables.values():
                for pending in rows.values():
                    if "server" in pending:
                        pending["server"] = server
        self.server = server


_SERVER = """
    INSERT INTO servers VALUES (:machine_identifier, :name, :version, :platform, :platform_version, :seen_at, :seen_at)
    ON CONFLICT (machine_identifier) DO UPDATE SET name = excluded.name, version = excluded.version,
        platform = excluded.platform, platform_version = excluded.platform_version, last_seen_at = excluded.last_seen_at
"""
_ACKNOWLEDGE = "UPDATE alerts SET acknowledged_at = coalesce(acknowledged_at, :at) WHERE id = :id"
_KEYS = {
    "events": ("id",),
    "plays": ("id",),
    "alerts": ("id",),
    "library_changes": ("id",),
    "play_marks": ("id",),
    "activities": ("server", "uuid"),
    "clients": ("server", "client_identifier"),
    "timelines": ("server", "client_identifier"),
    "sections": ("server", "section_id"),
    "accounts": ("server", "id"),
    "deliveries": ("id",),
    "devices": ("server", "id"),
    "history": ("server",),
    "plex_tv_users": ("server", "id"),
}
_WITHOUT_SERVER = frozenset({"deliveries"})
_NUMBERED = frozenset(table for table, keys in _KEYS.items() if keys == ("id",))
"""Tables whose rows cannot clash with another server's. `OR REPLACE` would also override the conflict handling of the
triggers of `plays` (sqlite.org/lang_createtrigger.html)."""
_ADOPT = tuple(
    f"UPDATE {'' if table in _NUMBERED else 'OR REPLACE '}{table} SET server = :server WHERE server = :unknown"  # noqa: S608 - our own table names
    for table in _KEYS
    if table not in _WITHOUT_SERVER
)
_CONSTANT_COLUMNS = {"plays": {"server", "started_at"}, "alerts": {"server"}, "play_marks": {"server"}}
"""Columns that keep their first value: a play and an alert belong to the server they began on."""


def build_upsert(table: str, row: Row) -> str:
    """Build the statement that inserts or updates rows with these columns."""
    keys, constant = _KEYS[table], _CONSTANT_COLUMNS.get(table, set())
    columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    updates = ", ".join(f"{name} = excluded.{name}" for name in row if name not in keys and name not in constant)
    return (
        f"INSERT INTO {table} ({columns}) VALUES ({values}) "  # noqa: S608 - our own table and column names
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {updates}"
    )
