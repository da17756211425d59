"""The situations of PLEX.md 1.4, each playable by its letter, and those of `alert_scenarios.py` by their names.

`list_scenarios` and the documentation show the docstrings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.demo import frames, playback
from plex_companion.demo.simulation import background
from plex_companion.demo.simulation.alert_scenarios import ALERT_SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plex_companion.demo.demo_server import Demo
    from plex_companion.demo.sessions import DemoSession

    Scenario = Callable[..., Awaitable[dict[str, Any]]]

MINUTE = 60.0
BUFFERINGS = 12
FLOOD = 1_556


async def _watch(demo: Demo, session: DemoSession, ticks: int = 2) -> None:
    for _ in range(ticks):
        await demo.wait(playback.TICK)
        demo.move(session)


async def ordinary(demo: Demo) -> dict[str, Any]:
    """Start a film, pause, resume, seek and stop."""
    session = demo.start()
    await _watch(demo, session, 3)
    demo.pause(session)
    await demo.wait(playback.TICK)
    demo.pause(session)
    demo.resume(session)
    await _watch(demo, session, 1)
    demo.seek(session, 20 * 60_000)
    await _watch(demo, session, 1)
    demo.stop(session)
    return _describe_session(session, frames=11)


async def auto_advance(demo: Demo) -> dict[str, Any]:
    """Play an episode to its end and start the next under a new session key, transcoding."""
    first, following = demo.get_episode(0), demo.get_episode(1)
    session = demo.start(first, player=3, user=1, transcode=True, offset=(first.duration or 0) - 12_000)
    await _watch(demo, session, 1)
    session.offset = first.duration or 0
    demo.stop(session)
    after = demo.start(following, player=3, user=1)
    playback.begin_transcode(demo.state, after)
    await _watch(demo, after, 1)
    return {**_describe_session(after), "previous_session_key": session.key, "previous_rating_key": first.key}


async def stop_without_key(demo: Demo) -> dict[str, Any]:
    """Announce a stop without session key and with empty keys; the session is gone from `/status/sessions`."""
    session = demo.start(player=2)
    await _watch(demo, session, 1)
    demo.state.sessions.pop(session.key)
    playback.remember(demo.state, session)
    demo.announce(frames.build_playing({"clientIdentifier": session.player.client_identifier, "guid": "", "ratingKey": "", "url": "",
                                  "key": "", "viewOffset": 0, "state": "stopped"}))  # fmt: skip
    return _describe_session(session)


async def stop_under_new_key(demo: Demo) -> dict[str, Any]:
    """Stop a paused session under a session key that was never used before."""
    session = demo.start(player=2)
    await _watch(demo, session, 1)
    demo.pause(session)
    entry = session.build_entry("stopped") | {"sessionKey": str(demo.state.next_session)}
    demo.state.next_session += 1
    demo.state.sessions.pop(session.key)
    playback.remember(demo.state, session)
    demo.announce(frames.build_playing(entry))
    return {**_describe_session(session), "stopped_as": entry["sessionKey"]}


async def stop_never_sent(demo: Demo, ghost_seconds: float = 3 * MINUTE) -> dict[str, Any]:
    """Send no stop: the row stays in /status/sessions for three minutes (`ghost_seconds`), then it is gone."""
    session = demo.start(player=4, user=2)
    await _watch(demo, session, 1)
    demo.run_later(_remove_stale_later, demo, session, ghost_seconds)
    return {**_describe_session(session), "ghost_seconds": ghost_seconds}


async def _remove_stale_later(demo: Demo, session: DemoSession, seconds: float) -> None:
    await demo.wait(seconds)
    if demo.state.sessions.get(session.key) is session:
        demo.forget(session)


async def stop_twice(demo: Demo) -> dict[str, Any]:
    """Announce one stop twice."""
    session = demo.start(player=2)
    await _watch(demo, session, 1)
    demo.stop(session)
    demo.announce(frames.build_playing(session.build_entry()))
    return _describe_session(session)


async def buffering(demo: Demo) -> dict[str, Any]:
    """Buffer twelve times in a row, then play on."""
    session = demo.start(player=5, user=3)
    for _ in range(BUFFERINGS):
        await demo.wait(1)
        demo.buffer(session)
    demo.resume(session)
    return {**_describe_session(session), "buffered": BUFFERINGS}


async def playback_error(demo: Demo) -> dict[str, Any]:
    """Fail to play: state `error` at position 0, without a reason, then a stop."""
    session = demo.start(player=5, user=3)
    await demo.wait(1)
    playback.report(demo.state, session, "error", 0)
    await demo.wait(1)
    demo.stop(session)
    return _describe_session(session)


async def live_tv(demo: Demo) -> dict[str, Any]:
    """Play live TV: the rating key is a guid, the key a live session, progress unknown."""
    server = demo.state
    item = playback.build_live_item(server, server.new_key())
    session = playback.start(
        server, item, demo.get_user(), demo.get_player(), state="buffering", transcode=True, live=server.new_uuid()
    )
    demo.resume(session)
    await _watch(demo, session, 2)
    return {**_describe_session(session), "rating_key": item.guid}


async def preroll(demo: Demo) -> dict[str, Any]:
    """Play a pre-roll clip of section -2, then the film under the next session key."""
    server = demo.state
    clip = playback.start(
        server, playback.build_preroll_item(server, server.new_key()), demo.get_user(), demo.get_player()
    )
    await demo.wait(6)
    clip.offset = 6_000
    demo.stop(clip)
    session = demo.start()
    await _watch(demo, session, 1)
    return {**_describe_session(session), "clip_session_key": clip.key, "clip_rating_key": clip.item.key}


async def transcode_restart(demo: Demo) -> dict[str, Any]:
    """Seek: a transcode ends and starts again with the same key, so it is not over."""
    session = demo.start(player=3, transcode=True)
    await _watch(demo, session, 1)
    demo.seek(session, 30 * 60_000)
    playback.restart_transcode(demo.state, session)
    await _watch(demo, session, 1)
    return {**_describe_session(session), "transcode": session.transcode.id if session.transcode else ""}


async def added_movie(demo: Demo) -> dict[str, Any]:
    """Add a film: seven timeline entries, its trailer under section -1, and entries of the programme guide."""
    background.announce_guide_entries(demo.state)
    movie, extra = background.create_movie(demo.state, demo.get_movie().section)
    await background.announce_added(demo.state, movie, extra)
    background.announce_guide_entries(demo.state, 2)
    return {"rating_key": movie.key, "title": movie.title, "extra": extra.key, "section": movie.section}


async def scan_flood(demo: Demo, files: float = FLOOD) -> dict[str, Any]:
    """Scan one section with 1,556 activity updates in a few seconds."""
    section = demo.get_movie().section
    await demo.scan(section, files=int(files))
    return {"section": section, "frames": int(files) + 4}


async def restart(demo: Demo, down: float = 1.0, starting: float = 3.0) -> dict[str, Any]:
    """Restart the server: every socket is reset, then refused, then 503 for some seconds; session keys start at 1."""
    before = demo.start()
    demo.move(before)
    await demo.restart(down=down, starting=starting)
    return {**_describe_session(demo.start(before.item, offset=before.offset)), "previous_session_key": before.key}


async def silence(demo: Demo) -> dict[str, Any]:
    """Let open websockets go silent: TCP stays open, nothing is sent, no pongs. New connections work."""
    demo.go_silent()
    session = demo.start()
    return _describe_session(session)


async def token_revoked(demo: Demo) -> dict[str, Any]:
    """Revoke the token: websockets are reset, then 401 on every handshake and call until it is restored."""
    demo.revoke_token()
    reset = demo.reset_connections(websockets_only=True)
    return {"reset": reset}


async def broken_frames(demo: Demo) -> dict[str, Any]:
    """Send broken frames: cut UTF-8, no JSON, no container, an unknown type, two entries in one, a wrong size."""
    title = frames.build_progress("Scanning 雨の中の時計屋").payload
    encoded = title.encode() if isinstance(title, str) else title
    cut = encoded.replace("屋".encode(), "屋".encode()[:2])
    session = demo.start()
    entry = session.build_entry()
    sent: list[frames.Frame] = [
        frames.build_raw(cut),
        frames.build_raw("this is not JSON {"),
        frames.build_raw('{"type":"playing","size":1}'),
        frames.build_frame("provider.content.change", "ProviderContentChangeNotification", {"whatever": 1}),
        frames.build_frame("playing", "PlaySessionStateNotification", entry, {**entry, "viewOffset": 10_000}),
        frames.build_frame("reachability", "ReachabilityNotification", {"reachability": True}, size=7),
    ]
    for frame in sent:
        demo.announce(frame)
    demo.stop(session)
    return {**_describe_session(session), "frames": len(sent)}


async def legacy_format(demo: Demo) -> dict[str, Any]:
    """Send a frame in the format before 2016: `_elementType` and `_children`, no container."""
    session = demo.start()
    child = {**session.build_entry(), "_elementType": "PlaySessionStateNotification", "viewOffset": 10_000}
    body = {"_elementType": "NotificationContainer", "_children": [child], "type": "playing", "size": 1}
    demo.send_raw(frames.encode(body))
    demo.stop(session)
    return _describe_session(session)


async def integer_ids(demo: Demo) -> dict[str, Any]:
    """Send ids as integers instead of strings."""
    session = demo.start()
    entry = session.build_entry() | {
        "sessionKey": int(session.key),
        "ratingKey": int(session.item.key),
        "viewOffset": 10_000,
    }
    demo.announce(frames.build_playing(entry))
    one = frames.build_timeline_entry(session.item.section, session.item.key, 1, session.item.title, 5, demo.state.now)
    numbers = one | {"sectionID": int(session.item.section), "itemID": int(session.item.key)}
    demo.announce(frames.build_frame("timeline", "TimelineEntry", numbers))
    return _describe_session(session)


async def every_second(demo: Demo, seconds: float = 30) -> dict[str, Any]:
    """Report every second for half a minute (`seconds`)."""
    session = demo.start(player=1)
    for _ in range(int(seconds)):
        await demo.wait(1)
        demo.move(session, 1)
    return _describe_session(session)


def _describe_session(session: DemoSession, **more: Any) -> dict[str, Any]:
    return {
        "session_key": session.key, "session_id": session.id, "rating_key": session.item.key, "title": session.item.title,
        "client_identifier": session.player.client_identifier, "user": session.user.name, "state": session.state,
        "view_offset": session.offset, **more,
    }  # fmt: skip


SCENARIOS: dict[str, Scenario] = {
    "a": ordinary, "b": auto_advance, "c": stop_without_key, "d": stop_under_new_key, "e": stop_never_sent, "f": stop_twice,
    "g": buffering, "h": playback_error, "i": live_tv, "j": preroll, "k": transcode_restart, "l": added_movie,
    "m": scan_flood, "n": restart, "o": silence, "p": token_revoked, "q": broken_frames, "r": legacy_format, "s": integer_ids,
    "t": every_second, **ALERT_SCENARIOS,
}  # fmt: skip


def list_scenarios() -> dict[str, str]:
    """Return every scenario's name with its description."""
    return {name: (scenario.__doc__ or "").strip() for name, scenario in SCENARIOS.items()}
