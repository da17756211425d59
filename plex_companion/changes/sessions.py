"""Derives the changes of sessions from reports of clients and transcoders, and from snapshots."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.changes.kinds import (
    Change,
    ClientSeen,
    Effect,
    RefreshRequest,
    SessionChanged,
    SessionEnded,
    SessionStarted,
    TranscodeSeen,
)
from plex_companion.changes.state import MOST_PER_KIND
from plex_companion.models import Client, Item, Player, Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.changes.state import State
    from plex_companion.events import Playing, Snapshot, TranscodeReport
    from plex_companion.models import Decision, EndedBy, Moment, SessionRow, Transcode

QUIET_MS = 5 * 60_000
"""A session that has not reported for longer than this is stale (Tautulli's rule; a playing client reports every 10 s)."""
UNLISTED_MS = 30_000
"""A session that is missing from `/status/sessions` for longer than this has ended."""
ASK_AGAIN_MS = 3_000
"""How often Plex is asked about a session that it reports but does not list yet."""
BLIND_MS = 60_000
"""Between reports further apart than this, the time played is measured by how far the position moved."""
PLAUSIBLE_MS = 60_000
"""How far a position may be from what time alone explains, for a session to be the same after an outage."""
STILL_MS = 10_000
"""A listed session that ended in an earlier connection and moved less than this since has not started again."""
LONGEST_KEY = 18
STATES = frozenset({"playing", "paused", "buffering", "error"})


def handle_playing(event: Playing, before: State, now: Moment) -> list[Effect]:
    """Handle a client's report. An unknown session is shown at once; `/status/sessions` is asked for the rest."""
    candidates = _find_reported(event, before, now)
    if len(candidates) > 1:
        return [RefreshRequest("sessions")]  # a guess would be recorded forever; Plex knows
    known = candidates[0] if candidates else None
    if event.state == "stopped":
        return _handle_stop(event, known, before, now)
    return _handle_report(event, known, before, now)


def _handle_report(event: Playing, known: Session | None, before: State, now: Moment) -> list[Effect]:
    if event.state not in STATES or (known is None and _parse_counter(event.session_key) is None):
        return []
    if known is None:
        return _handle_unknown(event, before, now)
    lost = _is_key_reused(known, event, before, now)
    if lost or is_other_item(event, known):
        ended = _end(known, "inferred", known.updated_at) if lost else _end(known, "replaced", now.at)
        if _parse_counter(event.session_key) is None:
            return [ended, RefreshRequest("sessions")]
        return [
            ended,
            SessionStarted(_start_from_report(event, before, now, before.ids.play)),
            RefreshRequest("sessions"),
        ]
    return _handle_progress(known, event, before, now)


def _handle_unknown(event: Playing, before: State, now: Moment) -> list[Effect]:
    if now.tick < before.first_snapshot_tick:
        return [RefreshRequest("sessions")]  # a newer snapshot lacks it: it has ended, or is not listed yet
    if len(before.sessions) >= MOST_PER_KIND:
        return []
    started = _start_from_report(event, before, now, before.ids.play)
    return [*_find_session_without_key(event, before, now), SessionStarted(started), RefreshRequest("sessions")]


def _parse_counter(key: str | None) -> int | None:
    """Return a session key as the counter that Plex takes it from; `None` for anything else."""
    return int(key) if key and key.isdecimal() and len(key) <= LONGEST_KEY else None


def _is_key_reused(known: Session, event: Playing, before: State, now: Moment) -> bool:
    """Return whether a session is of an earlier connection, and this report is of another session with the same key.

    The first snapshot settles that, unless Plex does not show us its sessions.
    """
    if known.epoch == before.connection.epoch:
        return False
    same_client = event.client_identifier is not None and event.client_identifier == known.client_identifier
    offset = known.view_offset_ms if event.view_offset_ms is None else event.view_offset_ms
    return is_other_item(event, known) or not (same_client and _is_plausible(known, offset, now))


def _find_reported(event: Playing, before: State, now: Moment) -> list[Session]:
    """Return the sessions a report may be about: by its key, or without a key by its client (PlexKodiConnect #504).

    Of several, the item decides, then the position. If several are left, nothing says which one it is.
    """
    if event.session_key is not None:
        known = before.sessions.get(event.session_key)
        return [known] if known else []
    if event.client_identifier is None:
        return []
    candidates = [one for one in before.find_sessions(event.client_identifier) if not is_other_item(event, one)]
    if len(candidates) > 1 and event.view_offset_ms:  # a broken stop reports 0, which is not a position
        near = [one for one in candidates if _is_plausible(one, event.view_offset_ms, now)]
        return near if len(near) == 1 else candidates
    return candidates


def _find_session_without_key(event: Playing, before: State, now: Moment) -> list[Change]:
    """End a live TV session that a snapshot listed without a session key and that reports its key now.

    Several clients may watch one channel: then the client decides, or else the next snapshot.
    """
    candidates = [
        session
        for session in before.sessions.values()
        if session.item.live and not session.session_key.isdecimal() and session.item.key == event.key
    ]
    if len(candidates) > 1:
        candidates = [one for one in candidates if one.client_identifier == event.client_identifier]
    return [_end(candidates[0], "replaced", now.at)] if len(candidates) == 1 else []


def is_other_item(event: Playing, session: Session) -> bool:
    """Return whether the report names another item. Live TV rows have no usable rating key, so the path counts too."""
    if event.rating_key is None or event.rating_key == session.item.rating_key:
        return False
    return event.key is None or event.key != session.item.key


def _handle_stop(event: Playing, session: Session | None, before: State, now: Moment) -> list[Effect]:
    """End the session that a stop frame refers to.

    A key that Plex uses again ends the old session as inferred. A late or repeated stop changes nothing. If no session
    matches, Plex is asked for the list.
    """
    if session is not None and _is_key_reused(session, event, before, now):
        return [_end(session, "inferred", session.updated_at)]
    if session is not None and not is_other_item(event, session):
        return [_end(update_position(session, event, before, now), "stopped", now.at)]
    ended = before.ended.get(event.session_key or "")
    if session is not None or (ended is not None and ended.epoch == before.connection.epoch):
        return []  # late or repeated: the session plays something else now, or has ended
    older = _find_under_older_key(event, before)
    if older is not None:
        return [_end(update_position(older, event, before, now), "stopped", now.at)]
    return [RefreshRequest("sessions")] if before.sessions else []


def _find_under_older_key(event: Playing, before: State) -> Session | None:
    """Return the session that stops under a newer key than the one it played under (node-plex-api #80)."""
    number = _parse_counter(event.session_key)
    if event.rating_key is None or number is None:
        return None
    candidates = [
        session
        for session in before.sessions.values()
        if not is_other_item(event, session)
        and event.client_identifier in {None, session.client_identifier}
        and (_parse_counter(session.session_key) or number) < number
    ]
    return candidates[0] if len(candidates) == 1 else None


def _start_from_report(event: Playing, before: State, now: Moment, play_id: int) -> Session:
    client = before.clients.get(event.client_identifier or "")
    transcode = before.transcodes.get(event.transcode_key or "")
    return Session(
        play_id=play_id,
        epoch=before.connection.epoch,
        session_key=event.session_key or "",
        item=Item(
            rating_key=event.rating_key,
            key=event.key,
            guid=event.guid,
            live=(event.key or "").startswith("/livetv/"),
        ),
        state=event.state,
        started_at=now.at,
        updated_at=now.at,
        heard_tick=now.tick,
        player=_build_player(client)
        if client
        else Player(event.client_identifier)
        if event.client_identifier
        else None,
        view_offset_ms=event.view_offset_ms or 0,
        transcode_key=event.transcode_key,
        transcode=transcode,
        decision=transcode.decision if transcode else None,
        stale=before.sessions_unreadable,
    )


def _build_player(client: Client) -> Player:
    return Player(
        client.client_identifier,
        client.title,
        client.product,
        client.platform,
        client.device,
        client.version,
        client.address,
        client.local,
    )


def _handle_progress(known: Session, event: Playing, before: State, now: Moment) -> list[Effect]:
    session = update_position(known, event, before, now)
    material = (
        session.state != known.state or session.transcode_key != known.transcode_key or session.stale != known.stale
    )
    effects: list[Effect] = [SessionChanged(session, progress_only=not material)]
    unexplained = session.transcode_key != known.transcode_key and session.transcode is None and session.transcode_key
    if unexplained or is_request_due(known, now):
        effects.append(RefreshRequest("sessions"))
    return effects


def is_request_due(known: Session, now: Moment) -> bool:
    """Return whether to request an unlisted session from Plex again: every few seconds, not at every report."""
    return not known.listed and now.tick // ASK_AGAIN_MS != known.heard_tick // ASK_AGAIN_MS


def update_position(known: Session, event: Playing, before: State, now: Moment) -> Session:
    """Return the session after a report of its client: position, state, and the time it played and paused since."""
    offset = known.view_offset_ms if event.view_offset_ms is None else event.view_offset_ms
    stops = event.state == "stopped"
    if stops and offset == 0:
        offset = known.view_offset_ms  # a broken stop has no position
    watched, paused = _measure_elapsed(known, offset, now)
    key = known.transcode_key if stops else event.transcode_key
    is_buffering = event.state == "buffering" and (known.state != "buffering" or known.buffer_count > 0)
    transcode = before.transcodes.get(key or "") or (known.transcode if key == known.transcode_key else None)
    return replace(
        known,
        epoch=before.connection.epoch,
        state=known.state if stops else event.state,
        updated_at=now.at,
        heard_tick=max(now.tick, known.heard_tick),
        view_offset_ms=offset,
        watched_ms=known.watched_ms + watched,
        paused_ms=known.paused_ms + paused,
        buffer_count=known.buffer_count + is_buffering,
        transcode_key=key,
        transcode=transcode,
        decision=_choose_decision(known, key, transcode),
        stale=before.sessions_unreadable,
    )


def _choose_decision(known: Session, key: str | None, transcode: Transcode | None) -> Decision | None:
    if transcode is not None:
        return transcode.decision
    return "direct play" if key is None and known.transcode_key is not None else known.decision


def _measure_elapsed(known: Session, offset: int, now: Moment) -> tuple[int, int]:
    """Return the milliseconds watched and paused since the last report, by the monotonic clock."""
    passed = max(0, now.tick - known.heard_tick)
    if passed > BLIND_MS:
        advanced = min(passed, max(0, offset - known.view_offset_ms))
        return (advanced, 0) if known.state != "paused" else (0, passed - advanced)
    return passed if known.state == "playing" else 0, passed if known.state == "paused" else 0


def _end(session: Session, ended_by: EndedBy, at: int) -> SessionEnded:
    return SessionEnded(session, ended_by, max(at, session.started_at))  # the clock may have been set back


def handle_transcode(event: TranscodeReport, before: State) -> list[Change]:
    """Handle a transcoder's report.

    An end ends no session: a seek is an end and a start with one key (Tautulli #1221).
    """
    key = event.transcode.key
    if not key:
        return []
    changes: list[Change] = [TranscodeSeen(event.transcode, ended=event.phase == "end")]
    if event.phase == "end":
        return changes
    candidates = [session for session in before.sessions.values() if session.transcode_key == key]
    session = candidates[0] if len(candidates) == 1 else None
    if session is not None and session.transcode != event.transcode:
        material = session.transcode is None or _strip_progress(session.transcode) != _strip_progress(event.transcode)
        moved = replace(session, transcode=event.transcode, decision=event.transcode.decision)
        changes.append(SessionChanged(moved, progress_only=not material))
    return changes


def _strip_progress(transcode: Transcode) -> Transcode:
    return replace(transcode, speed=None, progress=None, complete=None)


def handle_session_snapshot(event: Snapshot, before: State, now: Moment) -> list[Change]:
    """Adopt what `/status/sessions` lists, and end sessions that it no longer lists.

    A session goes on if a row that could not be read may be its own.
    """
    if event.sessions is None:
        return []
    plays = count(before.ids.play)
    changes: list[Change] = []
    listed, room = set[str](), MOST_PER_KIND - len(before.sessions)
    for row in event.sessions:
        known = _find_same_session(row, listed, before)
        key = known.session_key if known else find_session_key(row)
        if key is None or key in listed or (known is None and room <= 0):
            continue
        listed.add(key)
        room -= known is None
        changes.extend(_merge_row(row, key, known, event, before, now, plays))
    for session in before.sessions.values():
        if session.session_key in listed:
            continue
        if event.is_complete and session.session_key not in event.unread_keys:
            changes.extend(_handle_unlisted(session, event, before, now))
        else:
            changes.extend(_update_staleness(session, BLIND_MS, now))
    return changes


def _find_same_session(row: SessionRow, taken: set[str], before: State) -> Session | None:
    if row.session_key is not None:
        return before.sessions.get(row.session_key)
    candidates = [
        session
        for session in before.sessions.values()
        if session.item.key and session.item.key == row.item.key and session.session_key not in taken
    ]
    if len(candidates) > 1:  # several clients may watch one channel
        client = row.player.client_identifier if row.player else None
        candidates = [session for session in candidates if session.client_identifier == client]
    return candidates[0] if len(candidates) == 1 else None


def find_session_key(row: SessionRow) -> str | None:
    """Return the key of a row. Live TV without one uses the uuid in its path, which no counter ever reaches."""
    if row.session_key is not None:
        return row.session_key
    uuid = (row.item.key or "").rsplit("/", 1)[-1]
    return uuid if uuid and not uuid.isdecimal() else None


def _merge_row(
    row: SessionRow, key: str, known: Session | None, event: Snapshot, before: State, now: Moment, plays: Iterator[int]
) -> list[Change]:
    if known is None:
        ended = before.ended.get(key)
        if ended is not None and _is_stale_row(ended, row, event, now):
            return []
        return _start_from_row(row, key, event, before, now, plays)
    if not _is_same_play(known, row, event, now):
        if known.heard_tick > event.requested.tick:
            return []  # it has reported since the snapshot was requested, so the row is older than what is known
        ended_by: EndedBy = "replaced" if known.epoch == event.epoch else "inferred"
        ended_at = now.at if known.epoch == event.epoch else known.updated_at
        return [_end(known, ended_by, ended_at), *_start_from_row(row, key, event, before, now, plays)]
    return _reconcile(known, row, event, before, now)


def _is_same_play(known: Session, row: SessionRow, event: Snapshot, now: Moment) -> bool:
    """Return whether a row continues a known session.

    Within a connection, the key and the item decide. Across connections, keys start at 1 again (Tautulli #925), so the
    client must be the same too, and the position must be plausible for the time that passed.
    """
    same_path = row.item.key is not None and row.item.key == known.item.key
    same_item = same_path or row.item.rating_key == known.item.rating_key or _is_nameless(row)
    if known.epoch == event.epoch:
        return same_item
    client = row.player.client_identifier if row.player else None
    same_client = client is not None and client == known.client_identifier
    return same_item and same_client and _is_plausible(known, row.view_offset_ms, now)


def _is_nameless(row: SessionRow) -> bool:
    """Return whether a row does not say what plays; it then contradicts nothing."""
    return row.item.rating_key is None and row.item.key is None


def _is_plausible(known: Session, offset: int | None, now: Moment) -> bool:
    passed = max(0, now.tick - known.heard_tick)
    return -PLAUSIBLE_MS <= (offset or 0) - known.view_offset_ms <= passed + PLAUSIBLE_MS


def _is_stale_row(ended: Session, row: SessionRow, event: Snapshot, now: Moment) -> bool:
    """Return whether a row is of a session that has ended.

    Plex lists such sessions for 3 to 30 minutes after the stop, and across a short outage. If it plays after all, its
    next report says so.
    """
    if ended.epoch != event.epoch and abs((row.view_offset_ms or 0) - ended.view_offset_ms) > STILL_MS:
        return False
    return ended.item.rating_key is None or _is_same_play(ended, row, event, now)


def _start_from_row(
    row: SessionRow, key: str, event: Snapshot, before: State, now: Moment, plays: Iterator[int]
) -> list[Change]:
    session = build_session(row, key, next(plays), event, now)
    return [SessionStarted(session), *update_client(session, before, now)]


def build_session(row: SessionRow, key: str, play_id: int, event: Snapshot, now: Moment) -> Session:
    """Build a session that only `/status/sessions` has listed."""
    blank = Session(
        play_id=play_id,
        epoch=event.epoch,
        session_key=key,
        item=row.item,
        state=row.state or "playing",
        started_at=now.at,
        updated_at=now.at,
        heard_tick=now.tick,
        view_offset_ms=row.view_offset_ms or 0,
    )
    return _apply_row(blank, row, event)


def _reconcile(known: Session, row: SessionRow, event: Snapshot, before: State, now: Moment) -> list[Change]:
    session = _apply_row(known, row, event)
    reported_since = known.heard_tick > event.requested.tick
    if known.epoch != event.epoch:  # the same play, found again after an outage
        watched, paused = _measure_elapsed(known, row.view_offset_ms or known.view_offset_ms, now)
        session = replace(
            session,
            heard_tick=now.tick,
            updated_at=now.at,
            watched_ms=known.watched_ms + watched,
            paused_ms=known.paused_ms + paused,
        )
    if not reported_since and (known.epoch != event.epoch or known.stale):
        session = replace(
            session,
            state=row.state or known.state,
            view_offset_ms=known.view_offset_ms if row.view_offset_ms is None else row.view_offset_ms,
            stale=is_quiet(session, now),
        )
    elif known.stale:
        session = replace(session, stale=is_quiet(session, now))
    if session == known:
        return []
    return [SessionChanged(session), *update_client(session, before, now)]


def _apply_row(session: Session, row: SessionRow, event: Snapshot) -> Session:
    """Return the session with what only `/status/sessions` knows. Reports decide position and state."""
    newer = session.heard_tick <= event.requested.tick or session.transcode_key is None
    transcode = row.transcode if row.transcode is not None and newer else session.transcode
    item = session.item if _is_nameless(row) else row.item
    if session.item.live and session.item.rating_key is not None:
        item = replace(item, rating_key=session.item.rating_key, live=True)
    return replace(
        session,
        epoch=event.epoch,
        item=item,
        session_id=row.session_id or session.session_id,
        user=row.user or session.user,
        player=_merge_player(row.player, session.player),
        transcode=transcode,
        transcode_key=transcode.key or None if transcode else session.transcode_key,
        decision=transcode.decision if transcode else row.decision or session.decision,
        bandwidth_kbps=row.bandwidth_kbps,
        location=row.location,
        video_resolution=row.video_resolution,
        bitrate_kbps=row.bitrate_kbps,
        source=row.source or session.source,
        listed=True,
    )


def _merge_player(listed: Player | None, reported: Player | None) -> Player | None:
    if listed is None or reported is None:
        return listed or reported
    return replace(listed, client_identifier=listed.client_identifier or reported.client_identifier)


def _handle_unlisted(session: Session, event: Snapshot, before: State, now: Moment) -> list[Change]:
    if session.heard_tick > event.requested.tick:
        return _update_staleness(session, QUIET_MS, now)  # it has reported since the snapshot was requested
    if not session.epoch == before.connection.epoch == event.epoch:
        return [_end(session, "inferred", session.updated_at)]  # the connection was lost meanwhile
    waiting = not session.listed and now.tick - session.heard_tick < UNLISTED_MS
    if waiting:
        return _update_staleness(session, QUIET_MS, now)
    return [_end(session, "stale" if is_quiet(session, now) else "inferred", session.updated_at)]


def _update_staleness(session: Session, longest_ms: int, now: Moment) -> list[Change]:
    """Set whether a session that is not listed is stale, from the time of its last report."""
    stale = now.tick - session.heard_tick > longest_ms
    return [] if stale == session.stale else [SessionChanged(replace(session, stale=stale))]


def end_all(before: State) -> list[Change]:
    """End every session at its last report: the server they played on is gone."""
    return [_end(session, "inferred", session.updated_at) for session in before.sessions.values()]


def is_quiet(session: Session, now: Moment) -> bool:
    """Return whether a session has been silent for longer than `QUIET_MS`: its stop must have been lost."""
    return now.tick - session.heard_tick > QUIET_MS


def handle_tick(before: State, now: Moment) -> list[Effect]:
    """Mark sessions that fell silent as stale; a snapshot decides whether they have ended."""
    quiet = [s for s in before.sessions.values() if not s.stale and is_quiet(s, now)]
    changes = [SessionChanged(replace(session, stale=True)) for session in quiet]
    return [*changes, RefreshRequest("sessions")] if changes else []


def mark_stale(before: State) -> list[Change]:
    """Mark every session as stale while Plex is disconnected, so that its last state is not taken for the present."""
    return [SessionChanged(replace(s, stale=True)) for s in before.sessions.values() if not s.stale]


def update_client(session: Session, before: State, now: Moment) -> list[Change]:
    """Return the client a session plays on, if anything about it is new."""
    player = session.player
    if player is None or player.client_identifier is None:
        return []
    known = before.clients.get(player.client_identifier)
    client = Client(
        player.client_identifier,
        player.title,
        player.product,
        player.platform,
        player.device,
        player.version,
        player.address,
        player.local,
        provides=known.provides if known else None,
        first_seen_at=known.first_seen_at if known else now.at,
        last_seen_at=now.at,
    )
    if known is not None and replace(client, last_seen_at=known.last_seen_at) == known:
        return []
    return [ClientSeen(client, new=known is None)]
