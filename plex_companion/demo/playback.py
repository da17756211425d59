"""Playing: the reports of clients, and what the server then stores and announces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.demo import frames
from plex_companion.demo.household.model import DemoItem
from plex_companion.demo.sessions import AUDIO_ONLY, DemoSession, DemoTranscode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.demo.household.model import DemoMedia, DemoPlayer, DemoUser
    from plex_companion.demo.server_state import ServerState

TICK = 10.0  # seconds between a client's reports
SEEN = 0.9  # from here on a play counts as watched
STORED_FROM = 60_000  # ms; earlier positions are not kept


def build_transcode_entry(server: ServerState, session: DemoSession) -> frames.Entry:
    """Build the TranscodeSession of a frame: real booleans, a full key, a float time."""
    work, source = session.transcode, session.media
    if work is None:
        return {}
    entry: frames.Entry = {
        "key": f"/transcode/sessions/{work.id}", "throttled": work.throttled, "complete": False,
        "progress": -1.0 if session.live else round(work.progress, 2), "size": -22, "speed": work.speed, "error": False,
        "duration": session.item.duration or 7_200_000, "remaining": 600, "context": "streaming",
        "sourceVideoCodec": source.video_codec if source else "", "sourceAudioCodec": source.audio_codec if source else "",
        "videoDecision": work.video_decision, "audioDecision": work.audio_decision,
        "protocol": work.protocol, "container": work.container,
        **_describe_output(work, source), "transcodeHwRequested": work.hardware, "transcodeHwFullPipeline": False,
        "timeStamp": work.started_at or server.clock(), "maxOffsetAvailable": session.offset / 1000 + 40.0,
        "minOffsetAvailable": session.offset / 1000,
    }  # fmt: skip
    if not work.video_decision:
        entry = {name: value for name, value in entry.items() if name not in _OF_PICTURES}
    return entry | ({"subtitleDecision": work.subtitle_decision} if work.subtitle_decision else {})


_OF_PICTURES = frozenset({"sourceVideoCodec", "videoDecision", "videoCodec", "width", "height"})
"""Attributes that the transcode of a music track does not have."""


def _describe_output(work: DemoTranscode, source: DemoMedia | None) -> frames.Entry:
    """Return what comes out of a transcoder: what is copied stays as it is in the file."""
    video = source if source and work.video_decision == "copy" else work
    audio = source if source and work.audio_decision == "copy" else work
    return {
        "videoCodec": video.video_codec, "audioCodec": audio.audio_codec, "audioChannels": audio.audio_channels,
        "width": video.width, "height": video.height,
    }  # fmt: skip


def start(
    server: ServerState,
    item: DemoItem,
    user: DemoUser,
    player: DemoPlayer,
    *,
    offset: int = 0,
    state: str = "playing",
    transcode: bool = False,
    delivery: Mapping[str, Any] | None = None,
    version: int = 0,
    live: str = "",
    announce: bool = True,
) -> DemoSession:
    """Start a session and announce it. It replaces the player's old session.

    The first report carries no transcodeSession yet, the second does. `delivery` sets fields of the transcode, such as
    `{"video_decision": "copy"}`; `version` is the position of the version that plays.
    """
    for old in [s for s in server.sessions.values() if s.player is player]:
        stop(server, old)
    session = DemoSession(
        str(server.next_session), server.new_uuid(), item, user, player, state, offset, server.clock(), live=live, version=version,
    )  # fmt: skip
    server.next_session += 1
    server.next_queue_item += 1
    server.next_queue += 1
    if not live:
        session.queue_id, session.queue_item_id = server.next_queue, server.next_queue_item
    server.sessions[session.key] = session
    if announce:
        server.announce(frames.build_playing(session.build_entry()))
    if transcode:
        begin_transcode(server, session, announce=announce, **(delivery or {}))
    return session


def begin_transcode(
    server: ServerState, session: DemoSession, *, announce: bool = True, **fields: Any
) -> DemoTranscode:
    """Start a transcode for this session; `fields` are those of `DemoTranscode`."""
    begun: dict[str, Any] = {"started_at": server.clock(), "speed": 4.2, "progress": 0.5}
    if session.media and not session.media.video_codec:
        begun |= AUDIO_ONLY
    session.transcode = DemoTranscode(f"{server.rng.getrandbits(96):024x}", **(begun | fields))
    if announce:
        server.announce(frames.build_transcode("start", build_transcode_entry(server, session)))
        server.announce(frames.build_playing(session.build_entry()))
    return session.transcode


def report(server: ServerState, session: DemoSession, state: str | None = None, offset: int | None = None) -> None:
    """Store and announce state and position, as a client's `/:/timeline` does."""
    session.state = session.state if state is None else state
    session.offset = session.offset if offset is None else offset
    server.announce(frames.build_playing(session.build_entry()))


def move(server: ServerState, session: DemoSession, seconds: float = TICK) -> None:
    """Play on for `seconds` and report once; a transcode reports too."""
    end = session.item.duration or 36_000_000
    offset = min(session.offset + int(seconds * 1000), end)
    report(server, session, offset=offset)
    if session.transcode:
        work = session.transcode
        work.progress = min(100.0, work.progress + seconds / 20)
        work.throttled = work.progress > 50  # noqa: PLR2004  # far enough ahead to rest
        work.speed = 0.0 if work.throttled else 3.4
        server.announce(frames.build_transcode("update", build_transcode_entry(server, session)))


def seek(server: ServerState, session: DemoSession, offset: int) -> None:
    """Report a seek, which shows as paused and playing."""
    report(server, session, "paused")
    report(server, session, "playing", offset)


def restart_transcode(server: ServerState, session: DemoSession) -> None:
    """Announce `end` and `start` with one key in the same second, as after a seek."""
    if session.transcode is None:
        return
    server.announce(frames.build_transcode("end", build_transcode_entry(server, session)))
    session.transcode.progress, session.transcode.speed = 0.0, 0.0
    server.announce(frames.build_transcode("start", build_transcode_entry(server, session)))


def stop(server: ServerState, session: DemoSession, *, announce: bool = True) -> None:
    """End a session: store the position, or count the play near its end."""
    session.state = "stopped"
    server.sessions.pop(session.key, None)
    remember(server, session)
    if announce:
        server.announce(frames.build_playing(session.build_entry()))
        if session.transcode:
            server.announce(frames.build_transcode("end", build_transcode_entry(server, session)))


def remember(server: ServerState, session: DemoSession) -> None:
    """Store the position, or count the item as watched and write history."""
    if session.item.key not in server.items or session.item.section not in server.sections:
        return
    view, duration = server.get_own_view(session.user, session.item.key), session.item.duration or 0
    if duration and session.offset >= duration * SEEN:
        view.count, view.offset, view.viewed_at = view.count + 1, 0, server.now
        server.add_play(session)
    elif session.offset > STORED_FROM:
        view.offset, view.viewed_at = session.offset, server.now
    server.mark_changed()


def forget(server: ServerState, session: DemoSession) -> None:
    """Drop a session without announcing it, as a stale row finally leaves `/status/sessions`."""
    server.sessions.pop(session.key, None)


def build_preroll_item(server: ServerState, key: str) -> DemoItem:
    """Build a clip of section -2, which no library lists."""
    return DemoItem(key, "clip", "-2", "Welcome to the Lighthouse", server.now, server.now, duration=6_000, index=1,
                guid=f"analyzed.prerolls://{server.rng.getrandbits(64):016x}", media=())  # fmt: skip


def build_live_item(server: ServerState, key: str) -> DemoItem:
    """Build an item of live TV: an invented programme with an invented guid."""
    return DemoItem(key, "episode", "", "Harbour Weather Live", server.now, server.now, duration=7_200_000, index=105, year=2026,
                guid="tv.demo.guide://episode/EP-DEMO-000105", summary="")  # fmt: skip
