"""The models as JSON objects, in one shape for resources, tools and pages."""

from __future__ import annotations

import json
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from plex_companion.cache.rows import parse_delivered_stream, parse_flag, parse_titles
from plex_companion.models import KEYLESS, SAME_SERVER, Player, User
from plex_companion.streams.reasons import derive_reasons, describe_reason
from plex_companion.text import encode_json
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from plex_companion.cache.rows import Row
    from plex_companion.changes.state import State
    from plex_companion.models import (
        Activity,
        Alert,
        Client,
        Connection,
        History,
        Item,
        LibraryChange,
        Section,
        Session,
        Timeline,
        Transcode,
    )
    from plex_companion.streams.reasons import DeliveredStream

Json = dict[str, Any]
_TWO_DIGITS = [f"{number:02d}" for number in range(60)]
_CLOCK = [f"{hour}:{minute}" for hour in _TWO_DIGITS[:24] for minute in _TWO_DIGITS]
EPOCH_DAY = date(1970, 1, 1).toordinal()
LAST_MS = 253_402_300_799_000
"""The end of the year 9999. Anything later, or before 1970, cannot be a time from Plex."""


def format_iso(at_ms: int | None) -> str | None:
    """Format milliseconds since 1970 as ISO 8601 in UTC, with `Z`; `None` for a time that cannot be Plex's."""
    if at_ms is None or not 0 <= at_ms <= LAST_MS:
        return None
    days, rest = divmod(at_ms, DAY_MS)
    seconds, ms = divmod(rest, 1000)
    return f"{_format_date(days)}T{_CLOCK[seconds // 60]}:{_TWO_DIGITS[seconds % 60]}.{ms:03d}Z"


@lru_cache(maxsize=1024)
def _format_date(days: int) -> str:
    """Format a day since 1970. Cached, because a page of history repeats few days many times."""
    return date.fromordinal(EPOCH_DAY + days).isoformat()


def build_envelope(state: State, now_ms: int) -> Json:
    """Return the head of every resource: how fresh the data is, and which server it is from."""
    server = state.server
    return {
        "as_of": format_iso(now_ms),
        "connection": serialize_connection(state, now_ms),
        "server": {
            "name": server.name if server else None,
            "machine_identifier": server.machine_identifier if server else None,
            "version": server.version if server else None,
        },
    }


def build_shared_envelope(states: Sequence[State], now_ms: int) -> Json:
    """Return the head of an answer about several servers: the connection is the worst of all, `servers` has each."""
    return {
        "as_of": format_iso(now_ms),
        "connection": serialize_connection(find_worst(states), now_ms),
        "server": None,
        "servers": describe_servers(states, now_ms),
    }


def describe_row_server(state: State) -> Json:
    """Return the fields of a row that say which server it is of; null while it has not said who it is."""
    server = state.server
    return {
        "server": server.machine_identifier if server else None,
        "server_name": server.name if server else None,
    }


def describe_servers(states: Iterable[State], now_ms: int) -> list[Json]:
    """Return a row for each server: who it is, and the connection to it."""
    return [
        {**build_envelope(state, now_ms)["server"], "connection": serialize_connection(state, now_ms)}
        for state in states
    ]


def find_worst(states: Iterable[State]) -> State:
    """Return the server whose connection is worst. A link to a server that another link has does not count."""
    return min(states, key=lambda state: (_is_duplicate(state), WORST_FIRST.index(state.connection.state)))


WORST_FIRST = ("unauthorized", "offline", "down", "connecting", "live")


def _is_duplicate(state: State) -> bool:
    """Return whether a link leads to a server that another link has. It says nothing of that server."""
    return state.server is None and (state.connection.detail or "").startswith(SAME_SERVER)


def serialize_connection(state: State, now_ms: int) -> Json:
    """Serialize the connection to Plex. `stale_seconds` is the time since a frame or a snapshot confirmed the state."""
    link: Connection = state.connection
    fresh = state.refreshed_at
    return {
        "state": link.state,
        "since": format_iso(link.since_at),
        "last_event_at": format_iso(state.last_event_at),
        "stale_seconds": None if fresh is None else round(max(0, now_ms - fresh) / 1000, 1),
        "detail": link.detail,
    }


def serialize_item(of: Item) -> Json:
    """Serialize an item that is played."""
    return {
        "rating_key": of.rating_key,
        "guid": of.guid,
        "type": of.type,
        "title": of.title,
        "grandparent_title": of.grandparent_title,
        "parent_title": of.parent_title,
        "performer": of.performer,
        "edition": of.edition,
        "full_title": of.full_title,
        "year": of.year,
        "library": of.library,
        "library_id": of.library_id,
    }


def serialize_user(of: User | None) -> Json:
    """Serialize a user; without one every field is null."""
    known = of or User()
    return {"id": known.id, "name": known.name}


def serialize_player(of: Player | None) -> Json:
    """Serialize a player; without one every field is null."""
    known = of or Player()
    return {
        "client_identifier": known.client_identifier,
        "title": known.title,
        "product": known.product,
        "platform": known.platform,
        "device": known.device,
        "address": known.address,
        "local": known.local,
    }


def serialize_transcode(of: Transcode | None) -> Json | None:
    """Serialize a transcode session."""
    if of is None:
        return None
    names = (
        "video_decision",
        "audio_decision",
        "source_video_codec",
        "video_codec",
        "speed",
        "throttled",
        "progress",
        "hardware",
    )
    return {name: getattr(of, name) for name in names}


CONVERTED = frozenset({"direct stream", "transcode"})
"""The decisions that have reasons."""


def serialize_reasons(of: Session | DeliveredStream) -> list[Json]:
    """Serialize why something is not played as it is, each reason with a sentence for people."""
    return [describe_reason(reason) for reason in derive_reasons(of)]


def compute_percent(offset_ms: int | None, duration_ms: int | None) -> float | None:
    """Return the progress from 0 to 100 with one decimal; `None` if position or duration is unknown."""
    if offset_ms is None or not duration_ms or duration_ms < 0:
        return None
    return round(min(100.0, 100 * max(0, offset_ms) / duration_ms), 1)


def serialize_session(of: Session) -> Json:
    """Serialize a session that plays now."""
    what = serialize_item(of.item)
    return {
        "session_key": of.session_key,
        "session_id": of.session_id,
        **what,
        "user": serialize_user(of.user),
        "player": serialize_player(of.player),
        "state": of.state,
        "view_offset_ms": of.view_offset_ms,
        "duration_ms": of.item.duration_ms,
        "progress_percent": compute_percent(of.view_offset_ms, of.item.duration_ms),
        "started_at": format_iso(of.started_at),
        "updated_at": format_iso(of.updated_at),
        "paused_ms": of.paused_ms,
        "buffer_count": of.buffer_count,
        "live": of.item.live,
        "decision": of.decision,
        "transcode": serialize_transcode(of.transcode),
        "reasons": serialize_reasons(of),
        "bandwidth_kbps": of.bandwidth_kbps,
        "location": of.location,
        "stale": of.stale,
    }


def serialize_sessions(states: Iterable[State]) -> Json:
    """Serialize all sessions, oldest first, with their count and total bandwidth."""
    found = [(one, describe_row_server(state)) for state in states for one in state.sessions.values()]
    found.sort(key=lambda pair: (pair[0].started_at, pair[0].play_id))
    playing = [serialize_session(one) | where for one, where in found]
    return {
        "sessions": playing,
        "count": len(playing),
        "transcoding": sum(one["decision"] == "transcode" for one in playing),
        "bandwidth_kbps": sum(one["bandwidth_kbps"] or 0 for one in playing),
    }


def serialize_play(row: sqlite3.Row | Row) -> Json:
    """Serialize a play, live or ended, from its row: item, user and player as `serialize_session` does.

    It makes no objects of them, since a page of history has hundreds.
    """
    return {
        "id": str(row["id"]),
        "rating_key": row["rating_key"],
        "guid": row["guid"],
        "type": row["type"],
        "title": row["title"],
        "grandparent_title": row["grandparent_title"],
        "parent_title": row["parent_title"],
        "performer": row["performer"],
        "edition": row["edition"],
        "full_title": parse_titles(row).full_title,
        "year": row["year"],
        "library": row["library"],
        "library_id": row["library_id"],
        "user": {"id": row["user_id"], "name": row["user_name"]},
        "player": {
            "client_identifier": row["client_identifier"],
            "title": row["player_title"],
            "product": row["product"],
            "platform": row["platform"],
            "device": row["device"],
            "address": row["address"],
            "local": parse_flag(row["local"]),
        },
        "started_at": format_iso(row["started_at"]),
        "ended_at": format_iso(row["ended_at"]),
        "ended_by": row["ended_by"],
        "watched_ms": row["watched_ms"],
        "estimated": row["ended_by"] == "imported",
        "paused_ms": row["paused_ms"],
        "buffer_count": row["buffer_count"],
        "duration_ms": row["duration_ms"],
        "percent": compute_percent(row["view_offset_ms"], row["duration_ms"]),
        "decision": row["decision"],
        "reasons": serialize_reasons(parse_delivered_stream(row)) if row["decision"] in CONVERTED else [],
        "history_key": _describe_source(row["history_key"]),
        "viewed_at": format_iso(row["viewed_at"]),
    }


def _describe_source(history_key: str | None) -> str | None:
    return None if history_key is None or history_key.startswith(KEYLESS) else history_key


def serialize_alert(of: Alert) -> Json:
    """Serialize an alert, open or resolved."""
    return {
        "id": str(of.id),
        "at": format_iso(of.at),
        "kind": of.kind,
        "severity": of.severity,
        "title": of.title,
        "detail": dict(of.detail),
        "subject": of.subject,
        "resolved_at": format_iso(of.resolved_at),
        "acknowledged_at": format_iso(of.acknowledged_at),
    }


def serialize_play_event(row: sqlite3.Row) -> Json:
    """Serialize an event in the timeline of a play, from its row."""
    return {
        "at": format_iso(row["at"]),
        "kind": row["kind"],
        "view_offset_ms": row["view_offset_ms"],
        "detail": json.loads(row["detail"]),
    }


def build_alert_message(what: str, alert: Json, at: int) -> str:
    """Return the JSON body of a webhook call: a serialized alert was opened or resolved."""
    message = {"type": what, "timestamp": format_iso(at), "data": alert}
    return encode_json(message)


def serialize_event(row: sqlite3.Row) -> Json:
    """Serialize a row of the journal."""
    return {
        "id": str(row["id"]),
        "at": format_iso(row["at"]),
        "type": row["type"],
        "subject": row["subject"],
        "summary": row["summary"],
        "payload": json.loads(row["payload"]),
    }


def serialize_history(of: History) -> Json:
    """Serialize how far the import of Plex's own history is."""
    return {"imported": of.imported, "total": of.total, "complete": of.complete, "detail": of.detail}


def serialize_activity(of: Activity) -> Json:
    """Serialize an activity of Plex, such as a scan."""
    return {
        "uuid": of.uuid,
        "type": of.type,
        "title": of.title,
        "subtitle": of.subtitle,
        "progress": of.progress,
        "cancellable": of.cancellable,
        "user_id": of.user_id,
        "context": dict(of.context),
        "started_at": format_iso(of.started_at),
        "updated_at": format_iso(of.updated_at),
    }


def serialize_library_change(of: LibraryChange) -> Json:
    """Serialize a change of the library: an item was added, changed or deleted."""
    return {
        "id": str(of.id),
        "at": format_iso(of.at),
        "item_id": of.item_id,
        "section_id": of.section_id,
        "type": of.type,
        "title": of.title,
        "change": of.change,
        "settled": of.settled,
        "analyzed": of.analyzed,
    }


def serialize_timeline(of: Timeline, state: State, now_ms: int) -> Json:
    """Serialize the timeline of a client. `estimated_offset_ms` keeps counting while it plays and Plex is connected."""
    playing = of.state == "playing" and state.connection.state == "live"
    offset = of.view_offset_ms + (max(0, now_ms - of.updated_at) if playing else 0)
    return {
        "client_identifier": of.client_identifier,
        "state": of.state,
        "type": of.type,
        "rating_key": of.rating_key,
        "title": of.title,
        "view_offset_ms": of.view_offset_ms,
        "estimated_offset_ms": min(offset, of.duration_ms) if of.duration_ms else offset,
        "duration_ms": of.duration_ms,
        "session_key": of.session_key,
        "updated_at": format_iso(of.updated_at),
    }


def serialize_client(of: Client, last: Timeline | None, state: State, now_ms: int) -> Json:
    """Serialize a player with its last timeline."""
    return {
        "client_identifier": of.client_identifier,
        "title": of.title,
        "product": of.product,
        "platform": of.platform,
        "device": of.device,
        "version": of.version,
        "address": of.address,
        "local": of.local,
        "provides": of.provides.split(",") if of.provides else None,
        "first_seen_at": format_iso(of.first_seen_at),
        "last_seen_at": format_iso(of.last_seen_at),
        "timeline": serialize_timeline(last, state, now_ms) if last else None,
    }


def serialize_section(of: Section) -> Json:
    """Serialize a library as it was last read."""
    return {
        "section_id": of.section_id,
        "title": of.title,
        "type": of.type,
        "uuid": of.uuid,
        "agent": of.agent,
        "scanner": of.scanner,
        "language": of.language,
        "count": of.count,
        "refreshing": of.refreshing,
        "updated_at": format_iso(of.updated_at),
        "scanned_at": format_iso(of.scanned_at),
    }
