"""Converts models to rows and back: which columns hold what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec import structs
from msgspec.json import decode, encode

from plex_companion.models import (
    Account,
    Activity,
    Alert,
    CatalogueItem,
    Client,
    Delivery,
    DeliveryProgress,
    Device,
    EndedPlay,
    EventSubscription,
    FiredAction,
    History,
    ImportedPlay,
    Item,
    LibraryChange,
    MediaFile,
    NearMiss,
    Occurrence,
    Player,
    PlayMilestones,
    PlexTvUser,
    RuleFiring,
    RuleTimer,
    Section,
    ServerIdentity,
    Session,
    SourceFile,
    StoredRule,
    StreamCounts,
    Timeline,
    Titles,
    ToolTask,
    Transcode,
    User,
)
from plex_companion.names.search_text import prepare_titles
from plex_companion.streams.reasons import DeliveredStream
from plex_companion.text import encode_finite

if TYPE_CHECKING:
    import sqlite3

    from msgspec import Struct

    from plex_companion.changes.kinds import PlayEventRecorded

Row = dict[str, Any]


def build_play_row(session: Session, server: str, ended_at: int | None = None, ended_by: str | None = None) -> Row:
    """Build the row of `plays` of a session."""
    user, player = session.user or User(), session.player or Player()
    return {
        "id": session.play_id,
        "server": server,
        "epoch": session.epoch,
        "session_key": session.session_key,
        "session_id": session.session_id,
        **_build_item_columns(session.item),
        "user_id": user.id,
        "user_name": user.name,
        "client_identifier": player.client_identifier,
        "player_title": player.title,
        "product": player.product,
        "platform": player.platform,
        "device": player.device,
        "player_version": player.version,
        "address": player.address,
        "local": player.local,
        "state": session.state,
        "view_offset_ms": session.view_offset_ms,
        "started_at": session.started_at,
        "updated_at": session.updated_at,
        "ended_at": ended_at,
        "ended_by": ended_by,
        "watched_ms": session.watched_ms,
        "paused_ms": session.paused_ms,
        "buffer_count": session.buffer_count,
        "transcode": json.dumps(structs.asdict(session.transcode)) if session.transcode else None,
        "decision": session.decision,
        "bandwidth_kbps": session.bandwidth_kbps,
        "location": session.location,
        "video_resolution": session.video_resolution,
        "bitrate_kbps": session.bitrate_kbps,
        "source": json.dumps(structs.asdict(session.source)) if session.source else None,
        "listed": session.listed,
        "stale": session.stale,
    }


def build_imported_row(play: ImportedPlay, server: str) -> Row:
    """Build the row of `plays` of an imported play. Plex's history has a single time per play, and no watch time: the
    length of the item is an estimate.
    """
    user, player, at = play.user or User(), play.player or Player(), play.viewed_at
    return {
        "id": play.play_id,
        "server": server,
        **_build_item_columns(play.item),
        "user_id": user.id,
        "user_name": user.name,
        "client_identifier": player.client_identifier,
        "player_title": player.title,
        "platform": player.platform,
        "started_at": at,
        "updated_at": at,
        "ended_at": at,
        "ended_by": "imported",
        "watched_ms": play.item.duration_ms,
        "listed": False,
        "stale": False,
        "history_key": play.history_key,
        "viewed_at": at,
    }


def _build_item_columns(item: Item) -> Row:
    titles = (item.title, item.grandparent_title, item.parent_title, item.performer, item.edition)
    return {
        "search_title": prepare_titles(*titles),
        "rating_key": item.rating_key,
        "key": item.key,
        "guid": item.guid,
        "type": item.type,
        "title": item.title,
        "grandparent_title": item.grandparent_title,
        "parent_title": item.parent_title,
        "item_index": item.index,
        "parent_index": item.parent_index,
        "year": item.year,
        "library": item.library,
        "library_id": item.library_id,
        "duration_ms": item.duration_ms,
        "live": item.live,
        "grandparent_rating_key": item.grandparent_rating_key,
        "grandparent_guid": item.grandparent_guid,
        "performer": item.performer,
        "edition": item.edition,
    }


def parse_session(row: sqlite3.Row, heard_tick: int, *, stale: bool) -> Session:
    """Parse a row of `plays` into a session. Ticks do not outlive a process, so `heard_tick` is passed in."""
    transcode = _parse_transcode(row)
    return Session(
        play_id=row["id"],
        epoch=row["epoch"],
        session_key=row["session_key"],
        item=parse_item(row),
        state=row["state"],
        started_at=row["started_at"],
        updated_at=row["updated_at"],
        heard_tick=heard_tick,
        session_id=row["session_id"],
        user=parse_user(row),
        player=parse_player(row),
        view_offset_ms=row["view_offset_ms"],
        watched_ms=row["watched_ms"],
        paused_ms=row["paused_ms"],
        buffer_count=row["buffer_count"],
        transcode_key=transcode.key if transcode else None,
        transcode=transcode,
        decision=row["decision"],
        bandwidth_kbps=row["bandwidth_kbps"],
        location=row["location"],
        video_resolution=row["video_resolution"],
        bitrate_kbps=row["bitrate_kbps"],
        source=_parse_source(row),
        listed=bool(row["listed"]),
        stale=stale,
    )


def _parse_transcode(row: sqlite3.Row | Row) -> Transcode | None:
    return Transcode(**json.loads(row["transcode"])) if row["transcode"] else None


def _parse_source(row: sqlite3.Row | Row) -> SourceFile | None:
    return SourceFile(**json.loads(row["source"])) if row["source"] else None


def parse_delivered_stream(row: sqlite3.Row | Row) -> DeliveredStream:
    """Parse what is known of how a play reached its player."""
    return DeliveredStream(
        row["decision"],
        _parse_transcode(row),
        _parse_source(row),
        row["video_resolution"],
        row["bitrate_kbps"],
        row["location"],
    )


def parse_item(row: sqlite3.Row | Row) -> Item:
    """Parse the item that was played."""
    return Item(
        rating_key=row["rating_key"],
        key=row["key"],
        guid=row["guid"],
        type=row["type"],
        title=row["title"],
        grandparent_title=row["grandparent_title"],
        parent_title=row["parent_title"],
        index=row["item_index"],
        parent_index=row["parent_index"],
        year=row["year"],
        library=row["library"],
        library_id=row["library_id"],
        duration_ms=row["duration_ms"],
        live=bool(row["live"]),
        grandparent_rating_key=row["grandparent_rating_key"],
        grandparent_guid=row["grandparent_guid"],
        performer=row["performer"],
        edition=row["edition"],
    )


def parse_titles(row: sqlite3.Row | Row) -> Titles:
    """Parse what the item that was played is called."""
    return Titles(
        row["type"],
        row["title"],
        row["grandparent_title"],
        row["parent_title"],
        row["item_index"],
        row["parent_index"],
        row["year"],
        row["performer"],
        row["edition"],
    )


def parse_user(row: sqlite3.Row | Row) -> User | None:
    """Parse the user who played; `None` if unknown."""
    known = row["user_id"] is not None or row["user_name"] is not None
    return User(row["user_id"], row["user_name"]) if known else None


def parse_player(row: sqlite3.Row | Row) -> Player | None:
    """Parse the player of a play; `None` if unknown."""
    player = Player(
        client_identifier=row["client_identifier"],
        title=row["player_title"],
        product=row["product"],
        platform=row["platform"],
        device=row["device"],
        version=row["player_version"],
        address=row["address"],
        local=parse_flag(row["local"]),
    )
    return None if player == Player() else player


def build_alert_row(alert: Alert, server: str) -> Row:
    """Build the row of an alert."""
    return {**read_fields(alert), "server": server, "detail": json.dumps(alert.detail)}


def parse_alert(row: sqlite3.Row) -> Alert:
    """Parse a row into an alert."""
    names = ("id", "at", "kind", "severity", "title", "subject", "resolved_at", "acknowledged_at")
    return Alert(detail=json.loads(row["detail"]), **{name: row[name] for name in names})


def build_play_event_row(play_event: PlayEventRecorded, server: str) -> Row:
    """Build the row of an event in a play. Its tick is left out: ticks do not outlive a process."""
    return {
        "id": play_event.mark_id,
        "server": server,
        "play_id": play_event.play_id,
        "at": play_event.at,
        "kind": play_event.kind,
        "view_offset_ms": play_event.view_offset_ms,
        "detail": json.dumps(play_event.detail),
    }


def parse_delivery(row: sqlite3.Row) -> Delivery:
    """Parse a row into a delivery."""
    return Delivery(**{name: row[name] for name in Delivery.__struct_fields__})


def build_occurrence_row(occurrence: Occurrence, server: str) -> Row:
    """Build the row of an occurrence. Its id is the database's to give."""
    return {
        "type": occurrence.type,
        "at": occurrence.at,
        "data": encode_finite(occurrence.data),
        "inferred": occurrence.inferred,
        "history_key": occurrence.history_key,
        "server": occurrence.server or server,
        "streams": encode(occurrence.streams).decode() if occurrence.streams else None,
    }


def parse_stream_counts(row: sqlite3.Row | Row) -> StreamCounts | None:
    """Parse what played at the moment of an occurrence; `None` if that was not recorded."""
    return decode(row["streams"], type=StreamCounts) if row["streams"] else None


def build_rule_row(rule: StoredRule) -> Row:
    """Build the row of a rule."""
    return {**read_fields(rule), "last_near_misses": encode(rule.last_near_misses).decode()}


def parse_rule_row(row: sqlite3.Row) -> StoredRule:
    """Parse a row into a rule."""
    fields = {name: row[name] for name in StoredRule.__struct_fields__}
    near_misses = decode(row["last_near_misses"], type=tuple[NearMiss, ...])
    return StoredRule(**{**fields, "enabled": bool(row["enabled"]), "last_near_misses": near_misses})


def build_rule_firing_row(firing: RuleFiring) -> Row:
    """Build the row of a firing. Its actions are JSON, since nothing is asked about them but whether one is pending."""
    return {**read_fields(firing), "actions": encode(firing.actions).decode(), "pending": firing.is_pending}


def parse_rule_firing(row: sqlite3.Row) -> RuleFiring:
    """Parse a row into a firing."""
    fields = {name: row[name] for name in RuleFiring.__struct_fields__}
    return RuleFiring(**{**fields, "actions": decode(row["actions"], type=tuple[FiredAction, ...])})


def parse_rule_timer(row: sqlite3.Row) -> RuleTimer:
    """Parse a row into a timer of a rule."""
    return RuleTimer(**{name: row[name] for name in RuleTimer.__struct_fields__})


_STARTED, _PAUSED, _WATCHED = 1, 2, 4


def encode_milestones(milestones: PlayMilestones) -> int:
    """Encode the milestones of a play as the bits of `plays.occurred`."""
    return _STARTED * milestones.started | _PAUSED * milestones.paused | _WATCHED * milestones.watched


def parse_milestones(row: sqlite3.Row) -> PlayMilestones:
    """Parse the milestones of a play."""
    bits = row["occurred"]
    return PlayMilestones(bool(bits & _STARTED), bool(bits & _PAUSED), bool(bits & _WATCHED), row["history_key"])


def parse_ended_play(row: sqlite3.Row, tick: int) -> EndedPlay:
    """Parse a play that ended recently."""
    return EndedPlay(parse_session(row, tick, stale=False), row["ended_at"], row["ended_by"], parse_milestones(row))


def build_subscription_row(subscription: EventSubscription) -> Row:
    """Build the row of an event subscription. Its progress is JSON, since nothing is asked about it."""
    return {**read_fields(subscription), "progress": encode(subscription.progress).decode()}


def parse_subscription(row: sqlite3.Row) -> EventSubscription:
    """Parse a row into an event subscription."""
    fields = {name: row[name] for name in EventSubscription.__struct_fields__}
    return EventSubscription(**{**fields, "progress": decode(row["progress"], type=DeliveryProgress)})


def build_activity_row(activity: Activity, server: str, ended_at: int | None) -> Row:
    """Build the row of an activity."""
    row = {**read_fields(activity), "server": server, "ended_at": ended_at}
    return {**row, "context": json.dumps(activity.context)}


def parse_activity(row: sqlite3.Row) -> Activity:
    """Parse a row into an activity."""
    names = ("uuid", "type", "title", "subtitle", "progress", "user_id", "started_at", "updated_at")
    values = {name: row[name] for name in names}
    return Activity(cancellable=parse_flag(row["cancellable"]), context=json.loads(row["context"]), **values)


def build_task_row(task: ToolTask, server: str) -> Row:
    """Build the row of a task."""
    lists = {"sections": json.dumps(task.sections), "running": json.dumps(task.running)}
    return {**read_fields(task), **lists, "server": server}


def parse_task(row: sqlite3.Row) -> ToolTask:
    """Parse a row into a task."""
    names = ("id", "principal", "tool", "activity", "result", "status", "message")
    values = {name: row[name] for name in (*names, "created_at", "updated_at", "finished_at")}
    sections, running = json.loads(row["sections"]), json.loads(row["running"])
    return ToolTask(sections=tuple(sections), running=tuple(running), **values)


def parse_library_change(row: sqlite3.Row) -> LibraryChange:
    """Parse a row into a library change."""
    names = ("id", "at", "item_id", "section_id", "type", "title", "change", "parent_item_id", "root_item_id")
    values = {name: row[name] for name in names}
    return LibraryChange(settled=bool(row["settled"]), analyzed=bool(row["analyzed"]), **values)


MEDIA_ITEMS = """
    SELECT items.*, (
        SELECT json_group_array(json_object('media_id', media_id, 'size_bytes', size_bytes, 'resolution', resolution))
        FROM files WHERE files.item_id = items.id
    ) AS files
    FROM items WHERE server = :server AND rating_key IN (SELECT value FROM json_each(:keys))
"""


def parse_media_item(row: sqlite3.Row) -> CatalogueItem:
    """Parse what occurrences say of an item of the catalogue."""
    names = ("rating_key", "section_id", "type", "title", "guid", "year", "item_index", "parent_index", "parent_key")
    values = {
        name: row[name] for name in (*names, "grandparent_key", "parent_title", "grandparent_title", "duration_ms")
    }
    return CatalogueItem(**values, files=tuple(MediaFile(**file) for file in json.loads(row["files"])))


def parse_client(row: sqlite3.Row) -> Client:
    """Parse a row into a client."""
    names = ("client_identifier", "title", "product", "platform", "device", "version", "address", "provides")
    times = ("first_seen_at", "last_seen_at")
    return Client(local=parse_flag(row["local"]), **{name: row[name] for name in (*names, *times)})


def parse_timeline(row: sqlite3.Row) -> Timeline:
    """Parse a row into a timeline."""
    return Timeline(**{name: row[name] for name in Timeline.__struct_fields__})


def build_section_row(section: Section, server: str) -> Row:
    """Build the row of a library."""
    return {**read_fields(section), "server": server, "locations": json.dumps(section.locations)}


def parse_section(row: sqlite3.Row) -> Section:
    """Parse a row into a library."""
    values = {name: row[name] for name in Section.__struct_fields__}
    values |= {"refreshing": bool(row["refreshing"]), "locations": tuple(json.loads(row["locations"]))}
    return Section(**values)


def parse_account(row: sqlite3.Row) -> Account:
    """Parse a row into an account."""
    return Account(row["id"], row["name"])


def parse_plex_tv_user(row: sqlite3.Row) -> PlexTvUser:
    """Parse a row into a user of plex.tv."""
    return PlexTvUser(**{name: row[name] for name in PlexTvUser.__struct_fields__})


def parse_device(row: sqlite3.Row) -> Device:
    """Parse a row into a device."""
    return Device(**{name: row[name] for name in Device.__struct_fields__})


def build_history_row(history: History, server: str) -> Row:
    """Build the row of the history import. Why it failed is not written: the process that tried knows."""
    row = {**read_fields(history), "server": server}
    del row["detail"]
    return row


def parse_history(row: sqlite3.Row) -> History:
    """Parse a row into the progress of the history import."""
    return History(row["mark_s"], row["imported"], row["total"], bool(row["complete"]))


def parse_server(row: sqlite3.Row) -> ServerIdentity:
    """Parse a row into a server."""
    return ServerIdentity(**{name: row[name] for name in ServerIdentity.__struct_fields__})


def read_fields(model: Struct) -> Row:
    """Return the fields of a model whose columns have the same names."""
    return structs.asdict(model)


def parse_flag(value: int | None) -> bool | None:
    """Parse a flag: 0, 1 or unknown."""
    return None if value is None else bool(value)
