"""Toolset `sessions`: current sessions and plays of an item, under the names that callers of the predecessor know."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from plex_companion import serialize
from plex_companion.changes.sessions import build_session
from plex_companion.companion import Companion
from plex_companion.errors import PlexError, TimedOut
from plex_companion.events import Snapshot
from plex_companion.models import Player, Transcode, User
from plex_companion.plex.lookup import find_item
from plex_companion.plex.query import clamp_limit, get, get_page
from plex_companion.plex.xml import views
from plex_companion.plex.xml.attributes import drop_nulls, parse_identifier
from plex_companion.times import MINUTE_MS
from plex_companion.tools.declare import Access, Shape, Toolset
from plex_companion.tools.parameters import LibraryName, MediaId, MediaTitle, Username
from plex_companion.tools.play_history import (
    HISTORY,
    NEWEST_FIRST,
    describe_media,
    describe_media_match,
    describe_view,
    get_accounts,
    get_devices,
)
from plex_companion.tools.results import ItemPlayPage
from plex_companion.tools.users import find_user

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from plex_companion.models import Item, Session, SessionRow
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.lookup import FoundItem

SESSIONS = Toolset("sessions", "Who is playing what, and the plays of one item")
MOST_PLAYS = 500
_DECISIONS = {"direct play": "direct_play", "direct stream": "direct_stream", "transcode": "transcode"}


@dataclass(frozen=True, slots=True)
class ActiveSessions:
    """All current sessions, and how many of them are delivered in which way."""

    status: str
    message: str
    sessions_count: int
    transcode_count: int
    direct_play_count: int
    direct_stream_count: int
    total_bitrate_kbps: int
    sessions: list[dict[str, Any]]
    as_of: str
    connection: dict[str, Any]
    source: str = field(default="cache")


@SESSIONS.tool(Access.READ, title="Active sessions")
async def sessions_get_active(companion: Companion, unused: Any = None) -> ActiveSessions:  # noqa: ARG001 - the predecessor's parameter
    """List what is playing right now: player, user, progress, quality, transcoding, and ids for follow-up calls.

    Answers from live data and asks Plex only while the connection is down. `source` says which. With `source` "cache"
    and a `connection.state` other than "live", this is the last known state.
    """
    state = companion.state
    if companion.is_live and state.sessions_read:
        return _build_answer(companion, state.sessions.values(), "cache")
    knows = state.sessions_read if not companion.is_live else bool(state.sessions_unreadable and state.sessions)
    if not knows:  # there is no cached state, or only the owner may know: the error says why
        return _build_answer(companion, await _fetch_sessions(companion), "plex")
    with suppress(PlexError, TimedOut):
        return _build_answer(companion, await _fetch_sessions(companion), "plex")
    return _build_answer(companion, companion.state.sessions.values(), "cache")


@SESSIONS.tool(Access.READ, title="Playback history of a title", open_world=True)
def sessions_get_media_playback_history(
    plex: PlexServer,
    companion: Companion,
    media_title: MediaTitle | None = None,
    library_name: LibraryName | None = None,
    media_id: MediaId | None = None,
    username: Username | None = None,
    limit: int = 50,
    offset: int = 0,
) -> Annotated[dict[str, Any], Shape(ItemPlayPage)]:
    """List who played an item, when and on which device, newest first. Shows and albums include plays of their parts.

    Needs the owner's token. Plex's history leaves out items that were only marked as watched or stopped early;
    `history_query` has more.
    """
    limit = clamp_limit(limit, MOST_PLAYS, offset)
    user = find_user(plex, companion, username) if username and username.strip() else None
    found = _find_item(plex, companion, media_title, media_id, library_name)
    about = {"metadataItemID": found.row.get("ratingKey"), "accountID": user.account_id if user else None}
    plays = get_page(plex, HISTORY, offset=offset, limit=limit, sort=NEWEST_FIRST, **about)
    return {
        "status": "success",
        "media": describe_media(found.row),
        "play_count": plays.total,
        "history": _list_views(plex, companion, plays.rows),
        **plays.as_dict(),
        **found.guess,
        **({} if plays.rows else {"message": "No plays found."}),
    }


def _find_item(
    plex: PlexServer, companion: Companion, title: str | None, media_id: str | None, library_name: str | None
) -> FoundItem:
    return find_item(
        plex,
        companion.ttl_cache,
        title=title,
        media_id=media_id,
        library_name=library_name,
        writes=False,
        match=describe_media_match,
    )


def _list_views(plex: PlexServer, companion: Companion, rows: list[Element]) -> list[dict[str, Any]]:
    """Describe the plays. The names of users and devices are fetched only if there is a play to describe."""
    if not rows:
        return []
    accounts, players = get_accounts(plex, companion), get_devices(plex, companion)
    return [describe_view(row, companion, accounts, players) for row in rows]


async def _fetch_sessions(companion: Companion) -> list[Session]:
    moment = companion.clock()
    rows = await companion.gateway.call(partial(_fetch_rows, private=companion.settings.privacy))
    asked = Snapshot(0, first=False, requested=moment)
    return [build_session(row, row.session_key or "", number, asked, moment) for number, row in enumerate(rows)]


def _fetch_rows(plex: PlexServer, *, private: bool) -> list[SessionRow]:
    rows = get(plex, "/status/sessions")
    return [views.parse_session_row(row, private=private) for row in rows if row.tag in {"Video", "Track", "Photo"}]


def _build_answer(companion: Companion, sessions: Iterable[Session], source: str) -> ActiveSessions:
    playing = sorted(sessions, key=lambda session: (session.started_at, session.play_id))
    decisions = [session.decision for session in playing]
    now, lacks = companion.now_ms, companion.state.connection.detail if source == "cache" else None
    found = f"Found {len(playing)} active sessions." if playing else "No active sessions found."
    return ActiveSessions(
        status="success",
        message=f"{found} {lacks}" if lacks else found,
        sessions_count=len(playing),
        transcode_count=decisions.count("transcode"),
        direct_play_count=decisions.count("direct play"),
        direct_stream_count=decisions.count("direct stream"),
        total_bitrate_kbps=sum(session.bitrate_kbps or 0 for session in playing),
        sessions=[_describe_session(number, session) for number, session in enumerate(playing, 1)],
        as_of=serialize.format_iso(now) or "",
        connection=serialize.serialize_connection(companion.state, now),
        source=source,
    )


def _describe_session(number: int, session: Session) -> dict[str, Any]:
    player, user, item = session.player or Player(), session.user or User(), session.item
    rating_key = item.rating_key
    shown: dict[str, Any] = {
        "session_id": number,
        "state": session.state,
        "player_name": player.title,
        "user": user.name,
        "content_type": item.type,
        **drop_nulls({"year": item.year, "edition": item.edition, "performer": item.performer}),
        "content_description": describe_item(item),
        "player": {
            "ip": player.address,
            "platform": player.platform,
            "product": player.product,
            "device": player.device,
            "version": player.version,
        },
        "progress": _describe_progress(session),
        **_describe_media(session),
        "transcoding": _describe_transcode(session),
        "session_key": parse_identifier(session.session_key or None),
        "session_uuid": session.session_id,
        "rating_key": parse_identifier(rating_key),
        "guid": item.guid,
        "user_id": parse_identifier(user.id),
        "machine_identifier": player.client_identifier,
        "location": session.location,
        "view_offset_ms": session.view_offset_ms,
        "duration_ms": item.duration_ms,
        "decision": _DECISIONS[session.decision] if session.decision else None,
        "live": item.live,
        "stale": session.stale,
    }
    return shown


def describe_item(item: Item) -> str:
    """Return one line for a person: `Show - S1E2 - Title (TV Episode)`, `Title (Year) (Movie)`, `Title (type)`."""
    title = item.title or "Unknown title"
    match item.type:
        case "episode":
            number = f"S{_format_number(item.parent_index)}E{_format_number(item.index)}"
            return f"{item.grandparent_title or 'Unknown show'} - {number} - {title} (TV Episode)"
        case "movie":
            return f"{title} ({item.year}) (Movie)" if item.year is not None else f"{title} (Movie)"
        case _:
            return f"{title} ({item.type or 'unknown'})"


def _format_number(number: int | None) -> str:
    return "?" if number is None else str(number)


def _describe_progress(session: Session) -> dict[str, Any]:
    duration = session.item.duration_ms
    left = None if duration is None else max(0, duration - session.view_offset_ms) // MINUTE_MS
    return {"percent": serialize.compute_percent(session.view_offset_ms, duration), "minutes_remaining": left}


def _describe_media(session: Session) -> dict[str, Any]:
    if session.bitrate_kbps is None and session.video_resolution is None:
        return {}
    bitrate = None if session.bitrate_kbps is None else f"{session.bitrate_kbps} kbps"
    return {"media_info": {"bitrate": bitrate, "resolution": session.video_resolution}}


def _describe_transcode(session: Session) -> dict[str, Any]:
    transcode = session.transcode or Transcode("")
    if session.decision != "transcode":
        return {"active": False, "mode": "Direct Play/Stream"}
    return {
        "active": True,
        "video": _format_conversion(transcode.source_video_codec, transcode.video_codec),
        "audio": _format_conversion(transcode.source_audio_codec, transcode.audio_codec),
        "resolution": f"{transcode.width}x{transcode.height}" if transcode.width and transcode.height else None,
    }


def _format_conversion(source: str | None, target: str | None) -> str | None:
    """Return the codec and its target; `None` if Plex gives neither."""
    return f"{source or 'unknown'} → {target or 'unknown'}" if source or target else None
