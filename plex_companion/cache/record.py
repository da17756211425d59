"""Writes changes with at most one statement per table and batch, however large the batch."""

from __future__ import annotations

import sys
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from msgspec.structs import astuple

from plex_companion.cache.catalogue_write import CATALOGUE, build_catalogue_rows
from plex_companion.cache.history_write import HISTORY_PLAYS
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.cache.replication.named_write import NamedWrite, WriteCall, execute, execute_many
from plex_companion.cache.rows import (
    Row,
    build_activity_row,
    build_alert_row,
    build_history_row,
    build_imported_row,
    build_occurrence_row,
    build_play_event_row,
    build_play_row,
    build_rule_firing_row,
    build_rule_row,
    build_section_row,
    build_subscription_row,
    build_task_row,
    encode_milestones,
    read_fields,
)
from plex_companion.changes.kinds import (
    AccountsSeen,
    ActivityChanged,
    ActivityEnded,
    AlertAcknowledged,
    AlertMuteChanged,
    AlertOpened,
    AlertReopened,
    AlertResolved,
    CatalogueChanged,
    CataloguePageWritten,
    CatalogueRowsRead,
    Change,
    ClientSeen,
    ConditionSeen,
    ConnectionChanged,
    DeliveryChanged,
    DevicesSeen,
    EventSubscriptionChanged,
    EventSubscriptionRemoved,
    HistoryPageWritten,
    HistoryProgressed,
    Journaled,
    LibraryItemChanged,
    MediaReported,
    MediaWaits,
    MilestonesReached,
    OccurrenceRecorded,
    PlayEventRecorded,
    PlaysImported,
    PlaysRepeated,
    PlexTvUsersSeen,
    ReadabilityChanged,
    RuleChanged,
    RuleFired,
    RuleFiringChanged,
    RuleRemoved,
    RulesPositionMoved,
    RuleTimerBegun,
    RuleTimerEnded,
    SectionsSeen,
    ServerSeen,
    SessionChanged,
    SessionEnded,
    SessionStarted,
    StateConfirmed,
    ToolTaskChanged,
    TranscodeSeen,
)
from plex_companion.changes.state import build_timeline
from plex_companion.models import RuleTimer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from plex_companion.changes.rules_state import RuleChange
    from plex_companion.models import Session

NO_SESSIONS: Mapping[str, Session] = MappingProxyType({})
JournalRow = tuple[Any, ...]
"""The values of `JOURNAL_COLUMNS`."""


def coalesce(changes: Iterable[Change], journal_rows: int = sys.maxsize) -> list[Change]:
    """Return the changes that leave the same rows behind, in as few as possible.

    Changes that write nothing are dropped, as are all but the last of those that write one row. Of the journal, the
    newest `journal_rows` stay.
    """
    kept: list[Change] = []
    seen: set[tuple[str, object]] = set()
    for change in reversed(list(changes)):
        if isinstance(change, Journaled):  # most are, and each has an id of its own
            journal_rows -= 1
            if journal_rows >= 0:
                kept.append(change)
            continue
        row = _identify_row(change)
        if row is not None and row not in seen:
            seen.add(row)
            kept.append(change)
    kept.reverse()
    return kept


def _identify_row(change: Change) -> tuple[str, object] | None:  # noqa: C901, PLR0911, PLR0912 - one line per kind of change
    """Return the table and key of the row a change writes; `None` if it writes none."""
    match change:  # the most frequent kinds first: each case that does not match takes time
        case SessionChanged() | SessionStarted() | SessionEnded():
            return "plays", change.session.play_id
        case TranscodeSeen() | ConditionSeen():
            return None
        case PlayEventRecorded():
            return "play_marks", change.mark_id
        case OccurrenceRecorded() | CatalogueRowsRead() | MediaReported() | AlertMuteChanged():
            return type(change).__name__, id(change)
        case MilestonesReached():
            return "milestones", change.play_id
        case AlertOpened() | AlertResolved() | AlertReopened():
            return "alerts", change.alert.id
        case AlertAcknowledged():
            return "acknowledged", change.alert_id
        case DeliveryChanged():
            return "deliveries", change.delivery.id
        case EventSubscriptionChanged():
            return "event_subscriptions", change.subscription.id
        case EventSubscriptionRemoved():
            return "event_subscriptions", change.id
        case ToolTaskChanged():
            return "tool_tasks", change.task.id
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
        case Journaled():
            return "events", change.id
        case MediaWaits(pending=pending):
            return "pending media", pending.change.id
        case HistoryPageWritten() | CatalogueChanged() | CataloguePageWritten():
            return None
        case ConnectionChanged() | StateConfirmed() | ReadabilityChanged():
            return None
        case _:
            return _identify_rule_row(change)


def _identify_rule_row(change: RuleChange) -> tuple[str, object]:
    match change:
        case RuleChanged() | RuleRemoved():
            return "rules", change.id
        case RuleFired(firing=firing) | RuleFiringChanged(firing=firing):
            return "rule_firings", firing.id
        case (
            RuleTimerBegun(timer=RuleTimer(rule_id=rule_id, subject=subject))
            | RuleTimerEnded(rule_id=rule_id, subject=subject)
        ):
            return "rule_timers", (rule_id, subject)
        case RulesPositionMoved():
            return "rules_position", None
        case _:
            assert_never(change)


class ServerBatch(NamedTuple):
    """Changes of one server."""

    changes: Sequence[Change]
    server: str
    """The server that the rows belong to."""
    unknown: str = UNKNOWN
    """The server that rows belong to before Plex has said which server it is."""
    committed: Mapping[str, Session] = NO_SESSIONS
    """The sessions by key whose rows are in the database as they say. Only what changed in them is written."""
    adopted: Sequence[str] = (UNKNOWN,)
    """The names under which rows may wait for the server: there may have been more links, or fewer, when they were written."""


class Statements:
    """The statements of a batch of changes: the last state of each row wins."""

    def __init__(self, server: str, at: int, committed: Mapping[str, Session] = NO_SESSIONS) -> None:
        """Begin an empty batch. The rows of `committed`, sessions by key, are in the database as they say."""
        self.server, self.at, self.committed = server, at, committed
        self.unknown = UNKNOWN
        self.adopted: Sequence[str] = (UNKNOWN,)
        self.tables: dict[str, dict[object, Row]] = {}
        self.preceding: list[WriteCall] = []
        """Writes that must run before the upserts, in order."""
        self.ongoing: dict[int, Row] = {}
        """Plays of the same item, user and player as when they were last written."""
        self.journal: list[JournalRow] = []
        self.imported: dict[tuple[str, str], Row] = {}
        """Imported plays, matched with the companion's own after those are written."""
        self.catalogue: list[CatalogueRowsRead] = []
        self.occurrences: list[Row] = []
        self.milestones: dict[int, int] = {}
        """By play: the occurrences that were recorded, as bits."""
        self.pending_media: dict[int, bool] = {}
        """By change of the library: whether it waits for others."""

    def add_batch(self, batch: ServerBatch) -> None:
        """Add the rows that the changes of one server write."""
        self.server, self.committed = batch.server, batch.committed
        self.unknown, self.adopted = batch.unknown, batch.adopted
        if batch.server == batch.unknown != UNKNOWN:
            self.preceding.append(UNKNOWN_SERVER.call({"server": batch.server}))
        for change in coalesce(batch.changes):
            self.add(change)

    def list_calls(self) -> list[WriteCall]:
        """Return the writes, in order."""
        calls = list(self.preceding)
        if self.journal:
            calls.append(JOURNAL.call({"columns": JOURNAL_COLUMNS, "rows": self.journal}))
        if self.ongoing:
            calls.append(ONGOING_PLAYS.call(list(self.ongoing.values())))
        for table, by_key in self.tables.items():
            if rows := list(by_key.values()):
                calls.append(UPSERT.call({"table": table, "rows": rows}))
        calls += self._list_occurrences()  # before the import, which makes its rows known
        if self.imported:
            calls.append(HISTORY_PLAYS.call(list(self.imported.values())))
        return [*calls, *(CATALOGUE.call(build_catalogue_rows(read)) for read in self.catalogue)]

    def _list_occurrences(self) -> list[WriteCall]:
        calls = []
        if self.milestones:
            calls.append(MILESTONES.call([(bits, play) for play, bits in self.milestones.items()]))
        if self.pending_media:
            calls.append(PENDING_MEDIA.call([(waits, change) for change, waits in self.pending_media.items()]))
        if self.occurrences:
            calls.append(OCCURRENCES.call(self.occurrences))
        return calls

    def run(self, connection: sqlite3.Connection) -> None:
        """Write the rows."""
        for call in self.list_calls():
            call.run(connection)

    def add(self, change: Change) -> None:  # noqa: C901, PLR0912 - one flat table of every kind of change
        """Add the rows that one change writes."""
        match change:  # the most frequent kinds first: each case that does not match takes time
            case Journaled():
                self.journal.append((*astuple(change), self.server))
            case SessionChanged(session=session) | SessionStarted(session=session):
                self._write_play(session)
            case PlayEventRecorded():
                self._put("play_marks", change.mark_id, build_play_event_row(change, self.server))
            case OccurrenceRecorded() | MilestonesReached() | CatalogueRowsRead() | MediaWaits() | MediaReported():
                self._append(change)
            case SessionEnded(session=session):
                self._write_play(session, change)
            case AlertOpened(alert=alert) | AlertResolved(alert=alert) | AlertReopened(alert=alert):
                self._put("alerts", alert.id, build_alert_row(alert, getattr(change, "server", None) or self.server))
            case AlertAcknowledged() | AlertMuteChanged():
                self._note_person(change)
            case DeliveryChanged() | EventSubscriptionChanged() | EventSubscriptionRemoved() | ToolTaskChanged():
                self._write_own_work(change)
            case ActivityChanged(activity=activity) | ActivityEnded(activity=activity):
                ended_at = activity.updated_at if isinstance(change, ActivityEnded) else None
                self._put("activities", activity.uuid, build_activity_row(activity, self.server, ended_at))
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
            case TranscodeSeen() | HistoryPageWritten() | ConditionSeen() | CataloguePageWritten() | CatalogueChanged():
                pass  # kept in memory only
            case ConnectionChanged() | StateConfirmed() | ReadabilityChanged():
                pass  # in the leader's status row, see `leadership.py`
            case _:
                self._write_rule(change)  # a kind that is missing above is a type error here

    def _append(
        self, change: CatalogueRowsRead | OccurrenceRecorded | MilestonesReached | MediaWaits | MediaReported
    ) -> None:
        """Add rows that are written by statements of their own."""
        match change:
            case OccurrenceRecorded(occurrence=occurrence):
                self.occurrences.append(build_occurrence_row(occurrence, self.server))
            case MilestonesReached(play_id=play_id, milestones=milestones):
                self.milestones[play_id] = encode_milestones(milestones)
            case CatalogueRowsRead():
                self.catalogue.append(change)
            case MediaWaits(pending=pending):
                self.pending_media[pending.change.id] = True
            case MediaReported(change_ids=change_ids):
                self.pending_media |= dict.fromkeys(change_ids, False)

    def _write_own_work(
        self, change: DeliveryChanged | EventSubscriptionChanged | EventSubscriptionRemoved | ToolTaskChanged
    ) -> None:
        """Add the rows of what the companion itself does."""
        match change:
            case DeliveryChanged(delivery=delivery):
                self._put("deliveries", delivery.id, read_fields(delivery))
            case EventSubscriptionChanged(subscription=subscription):
                self._put("event_subscriptions", subscription.id, build_subscription_row(subscription))
            case EventSubscriptionRemoved(id=subscription_id):
                self.preceding.append(REMOVE_SUBSCRIPTION.call({"id": subscription_id}))
            case ToolTaskChanged(task=task):
                self._put("tool_tasks", task.id, build_task_row(task, self.server))

    def _write_rule(self, change: RuleChange) -> None:
        """Add the rows of rules that households write. They belong to no server."""
        match change:
            case RuleChanged(rule=rule):
                self._put("rules", rule.id, build_rule_row(rule))
            case RuleRemoved(rule_id=rule_id):
                self.preceding.append(REMOVE_RULE.call({"id": rule_id}))
            case RuleFired(firing=firing) | RuleFiringChanged(firing=firing):
                self._put("rule_firings", firing.id, build_rule_firing_row(firing))
            case RuleTimerBegun(timer=timer):
                self._put("rule_timers", (timer.rule_id, timer.subject), read_fields(timer))
            case RuleTimerEnded(rule_id=rule_id, subject=subject):
                self.preceding.append(END_RULE_TIMER.call({"rule_id": rule_id, "subject": subject}))
            case RulesPositionMoved(position=position):
                self._put("rules_position", 1, {"id": 1, "position": position})

    def _put(self, table: str, key: object, row: Row) -> None:
        self.tables.setdefault(table, {})[key if table in _NUMBERED else (self.server, key)] = row

    def _replace_table(self, table: str, rows: dict[object, Row]) -> None:
        """Replace every row of this server."""
        self.preceding.append(CLEAR_TABLE.call({"table": table, "server": self.server}))
        others = {key: row for key, row in self.tables.get(table, {}).items() if row["server"] != self.server}
        self.tables[table] = {**others, **{(self.server, key): row for key, row in rows.items()}}

    def _write_play(self, session: Session, ended: SessionEnded | None = None) -> None:
        row = (
            build_play_row(session, self.server, ended.ended_at, ended.ended_by)
            if ended
            else build_play_row(session, self.server)
        )
        if ended is None and self._is_ongoing(session):
            self.ongoing[session.play_id] = row
        else:
            self._put("plays", session.play_id, row)
        timeline = build_timeline(session, "stopped") if ended else None
        if timeline is not None:
            self._put("timelines", timeline.client_identifier, {**read_fields(timeline), "server": self.server})

    def _is_ongoing(self, session: Session) -> bool:
        known = self.committed.get(session.session_key)
        return known is not None and (known.play_id, known.item, known.user, known.player) == (
            session.play_id,
            session.item,
            session.user,
            session.player,
        )

    def _note_person(self, change: AlertAcknowledged | AlertMuteChanged) -> None:
        """Add the rows of what a person has said about alerts."""
        match change:
            case AlertAcknowledged(alert_id=alert_id, at=at):
                self._acknowledge(alert_id, at)
            case AlertMuteChanged(kind=kind, muted=True, at=at):
                self.preceding.append(MUTE_KIND.call({"kind": kind, "at": at}))
            case AlertMuteChanged(kind=kind):
                self.preceding.append(UNMUTE_KIND.call({"kind": kind}))

    def _acknowledge(self, alert_id: int, at: int) -> None:
        pending = self.tables.get("alerts", {}).get(alert_id)
        if pending is not None:
            pending["acknowledged_at"] = pending["acknowledged_at"] or at
        self.preceding.append(ACKNOWLEDGE.call({"id": alert_id, "at": at}))

    def _adopt_server(self, server: str, row: Row) -> None:
        """Record the server, and give it the rows that were written before it was known."""
        self.preceding.append(SERVER.call(row))
        self.preceding += [ADOPT_ROWS.call({"server": server, "unknown": unknown}) for unknown in self.adopted]
        if self.server == self.unknown:
            self._rename_pending(self.unknown, server)
        self.server = server

    def _rename_pending(self, before: str, server: str) -> None:
        self.journal = [(*columns, server if own == before else own) for *columns, own in self.journal]
        for pending in chain(self.ongoing.values(), self.occurrences):
            pending["server"] = server if pending["server"] == before else pending["server"]
        for table, rows in self.tables.items():
            renamed: dict[object, Row] = {}
            for key, row in rows.items():
                if row.get("server") == before:
                    row["server"] = server
                    renamed[key if table in _NUMBERED else (server, key[1])] = row  # type: ignore[index]  # (server, key)
                else:
                    renamed[key] = row
            self.tables[table] = renamed


SERVER = execute(
    "server",
    """
    INSERT INTO servers VALUES (:machine_identifier, :name, :version, :platform, :platform_version, :seen_at, :seen_at)
    ON CONFLICT (machine_identifier) DO UPDATE SET name = excluded.name, version = excluded.version,
        platform = excluded.platform, platform_version = excluded.platform_version, last_seen_at = excluded.last_seen_at
    """,
)
UNKNOWN_SERVER = execute(
    "unknown_server", "INSERT INTO servers VALUES (:server, NULL, NULL, NULL, NULL, 0, 0) ON CONFLICT DO NOTHING"
)
ACKNOWLEDGE = execute(
    "acknowledge", "UPDATE alerts SET acknowledged_at = coalesce(acknowledged_at, :at) WHERE id = :id"
)
MUTE_KIND = execute("mute_kind", "INSERT INTO muted_kinds VALUES (:kind, :at) ON CONFLICT DO NOTHING")
UNMUTE_KIND = execute("unmute_kind", "DELETE FROM muted_kinds WHERE kind = :kind")
REMOVE_SUBSCRIPTION = execute("remove_subscription", "DELETE FROM event_subscriptions WHERE id = :id")
REMOVE_RULE = execute("remove_rule", "DELETE FROM rules WHERE id = :id")
END_RULE_TIMER = execute("end_rule_timer", "DELETE FROM rule_timers WHERE rule_id = :rule_id AND subject = :subject")
MILESTONES = execute_many("milestones", "UPDATE plays SET occurred = ? WHERE id = ?")
PENDING_MEDIA = execute_many("pending_media", "UPDATE library_changes SET pending = ? WHERE id = ?")
_LOOKED_AT = 10_000
"""The most plays of a player, the newest, that are looked at for one of the same user."""
_IS_FIRST_ON_PLAYER = f"""
    CASE
    WHEN json_extract(:data, '$.user.id') IS NULL OR json_extract(:data, '$.player.client_identifier') IS NULL THEN 'null'
    WHEN EXISTS (
        SELECT 1 FROM (
            SELECT user_id FROM plays INDEXED BY plays_by_player
            WHERE client_identifier = json_extract(:data, '$.player.client_identifier')
                AND id < CAST(json_extract(:data, '$.play_id') AS INTEGER)
            ORDER BY started_at DESC, id DESC LIMIT {_LOOKED_AT}
        ) WHERE user_id = json_extract(:data, '$.user.id')
    ) THEN 'false'
    ELSE 'true' END
"""  # noqa: S608 - our own number
_INSERT_OCCURRENCE = f"""
    INSERT INTO occurrences (server, at, type, inferred, data, streams)
    VALUES (:server, :at, :type, :inferred,
        iif(:type = 'play.started', json_set(:data, '$.first_on_player', json({_IS_FIRST_ON_PLAYER})), :data), :streams)
"""  # noqa: S608 - the same
_PLAY_OF_HISTORY = "SELECT 1 FROM plays WHERE server = :server AND history_key = :history_key"
_KEYS = {
    "events": ("id",),
    "occurrences": ("id",),
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
    "event_subscriptions": ("id",),
    "devices": ("server", "id"),
    "history": ("server",),
    "plex_tv_users": ("server", "id"),
    "tool_tasks": ("id",),
    "rules": ("id",),
    "rule_firings": ("id",),
    "rule_timers": ("rule_id", "subject"),
    "rules_position": ("id",),
}
_WITHOUT_SERVER = frozenset(
    {"deliveries", "event_subscriptions", "rules", "rule_firings", "rule_timers", "rules_position"}
)
_NUMBERED = frozenset(table for table, keys in _KEYS.items() if keys == ("id",))
"""Tables whose rows cannot clash with another server's. `OR REPLACE` would also override the conflict handling of the
triggers of `plays` (sqlite.org/lang_createtrigger.html)."""
ADOPT_ROWS = execute(
    "adopt_rows",
    *(
        f"UPDATE {'' if table in _NUMBERED else 'OR REPLACE '}{table} SET server = :server WHERE server = :unknown"  # noqa: S608 - our own table names
        for table in _KEYS
        if table not in _WITHOUT_SERVER
    ),
)
_ONGOING_COLUMNS = (
    *("epoch", "session_key", "session_id", "state", "view_offset_ms", "updated_at", "watched_ms", "paused_ms"),
    *("buffer_count", "transcode", "decision", "bandwidth_kbps", "location", "video_resolution", "bitrate_kbps"),
    *("source", "listed", "stale"),
)
"""Columns of a play that change while its item, user and player stay the same."""
_STEADY_COLUMNS = ("epoch", "decision", "video_resolution")
"""Columns of them that seldom change, and that indexes have: SQLite writes an index again if one of its columns is set."""
_UPDATE_ONGOING = f"UPDATE plays SET {', '.join(f'{name} = :{name}' for name in _ONGOING_COLUMNS)} WHERE id = :id"  # noqa: S608 - our own column names
_UPDATE_STEADY = (
    f"UPDATE plays SET {', '.join(f'{name} = :{name}' for name in _ONGOING_COLUMNS if name not in _STEADY_COLUMNS)} "  # noqa: S608 - the same
    f"WHERE id = :id AND ({', '.join(_STEADY_COLUMNS)}) IS ({', '.join(f':{name}' for name in _STEADY_COLUMNS)})"
)
_CONSTANT_COLUMNS = {"plays": {"server", "started_at"}, "alerts": {"server"}, "play_marks": {"server"}}
"""Columns that keep their first value: a play and an alert belong to the server they began on."""


JOURNAL_COLUMNS = (*Journaled.__struct_fields__, "server")
JOURNAL_ROWS = (50, 10, 1)
"""Rows of the journal per statement, the most first: among fifty a row costs two thirds of what it costs alone."""


def _insert_journal_rows(connection: sqlite3.Connection, journal: Row) -> None:
    """Insert or update rows of the journal, as many with each execution of a statement as there are."""
    rows: Sequence[JournalRow] = journal["rows"]
    first = 0
    for size in JOURNAL_ROWS:
        last = len(rows) - (len(rows) - first) % size
        portions = [tuple(chain.from_iterable(rows[at : at + size])) for at in range(first, last, size)]
        if portions:
            connection.executemany(_build_journal_upsert(size, tuple(journal["columns"])), portions)
        first = last


def _update_ongoing_plays(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Update the rows of plays that go on, with as few of their indexes as can be; rows that are missing are inserted.

    An upsert names every column, so SQLite writes each index of `plays` again, and begins and syncs the tables of titles,
    whose triggers it might call: three times the work.
    """
    for sql in (_UPDATE_STEADY, _UPDATE_ONGOING, build_upsert("plays", rows[0])):
        if connection.executemany(sql, rows).rowcount >= len(rows):
            return


def _insert_occurrences(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Insert occurrences, those apart whose play was known from Plex's history. Ids have no holes."""
    for row in rows:
        if row["history_key"] is None or connection.execute(_PLAY_OF_HISTORY, row).fetchone() is None:
            connection.execute(_INSERT_OCCURRENCE, {"streams": None, **row})  # an earlier version logged none


def _upsert_rows(connection: sqlite3.Connection, upsert: Row) -> None:
    rows = upsert["rows"]
    connection.executemany(build_upsert(upsert["table"], rows[0]), rows)


def _clear_table(connection: sqlite3.Connection, clear: Row) -> None:
    """Delete all rows of a server."""
    table = _require_name(clear["table"], _KEYS)
    connection.execute(f"DELETE FROM {table} WHERE server = ?", (clear["server"],))  # noqa: S608 - our own table names


JOURNAL = NamedWrite("journal", _insert_journal_rows)
ONGOING_PLAYS = NamedWrite("ongoing_plays", _update_ongoing_plays)
OCCURRENCES = NamedWrite("occurrences", _insert_occurrences)
UPSERT = NamedWrite("upsert", _upsert_rows)
CLEAR_TABLE = NamedWrite("clear_table", _clear_table)


@cache
def _build_journal_upsert(rows: int, columns: tuple[str, ...]) -> str:
    row = f"({', '.join('?' * len(columns))})"
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "id")
    return (
        f"INSERT INTO events ({_join_names(columns)}) VALUES {', '.join([row] * rows)} "  # noqa: S608 - column names, checked
        f"ON CONFLICT (id) DO UPDATE SET {updates}"
    )


def _join_names(columns: Iterable[str]) -> str:
    """Return the names of columns for SQL. Those of a log come from another machine."""
    return ", ".join(_require_name(name) for name in columns)


def _require_name(name: str, known: Collection[str] = ()) -> str:
    if not name.isidentifier() or (known and name not in known):
        raise ValueError(f"no such table or column: {name!r}")
    return name


def build_upsert(table: str, row: Row) -> str:
    """Build the statement that inserts or updates rows with these columns."""
    return _build_upsert(table, tuple(row))


@cache
def _build_upsert(table: str, names: tuple[str, ...]) -> str:
    keys, constant = _KEYS[_require_name(table, _KEYS)], _CONSTANT_COLUMNS.get(table, set())
    columns, values = _join_names(names), ", ".join(f":{name}" for name in names)
    updates = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys and name not in constant)
    return (
        f"INSERT INTO {table} ({columns}) VALUES ({values}) "  # noqa: S608 - our own table and column names
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {updates}"
    )
