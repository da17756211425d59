"""Scenarios for every kind of alert: one that opens it, one that resolves it, and one that comes near and must not open it.

A scenario has the name of the alert; `…_over` resolves it, `…_near` must open nothing. Times fit the default limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.demo import frames, playback
from plex_companion.demo.household.built_in import HouseholdBuilder, add_season
from plex_companion.demo.household.model import DemoPlayer
from plex_companion.demo.simulation import background

if TYPE_CHECKING:
    from plex_companion.demo.demo_server import Demo
    from plex_companion.demo.household.model import DemoItem
    from plex_companion.demo.sessions import DemoSession

    Done = dict[str, Any]

TRANSCODE_TICK = 5.0  # seconds between two reports of a transcoder
NEWER_VERSION = "1.99.0.10001-demo00001"


def _find_newest(demo: Demo) -> DemoSession:
    return list(demo.sessions.values())[-1]


def _describe_session(session: DemoSession) -> Done:
    return {"session_key": session.key, "rating_key": session.item.key, "title": session.item.title}


async def connection_lost(demo: Demo, seconds: float = 60) -> Done:
    """Shut the server down; it comes back after a minute (`seconds`) with the same sessions."""
    await demo.shut_down()
    demo.run_later(_come_back_later, demo, seconds)
    return {"seconds": seconds}


async def _come_back_later(demo: Demo, seconds: float) -> None:
    await demo.wait(seconds)
    await connection_lost_over(demo)


async def connection_lost_over(demo: Demo) -> Done:
    """Start the server again."""
    await demo.reopen(keep_sessions=True)
    return {}


async def connection_lost_near(demo: Demo, seconds: float = 1) -> Done:
    """Move nothing on the connections for a second (`seconds`), then deliver what waited."""
    demo.go_silent(everything=True)
    await demo.wait(seconds)
    demo.speak_again()
    return {"seconds": seconds}


async def unauthorized(demo: Demo) -> Done:
    """Refuse the token everywhere."""
    demo.revoke_token()
    return {"reset": demo.reset_connections(websockets_only=True)}


async def unauthorized_over(demo: Demo) -> Done:
    """Accept the token again."""
    demo.restore_token()
    return {}


async def unauthorized_near(demo: Demo) -> Done:
    """Refuse the token at plex.tv for a while, but not at the server."""
    demo.answer_plex_tv_with(401)
    await demo.wait(1)
    demo.answer_plex_tv_with(None)
    return {}


async def remote_access_lost(demo: Demo) -> Done:
    """Report that the server cannot be reached from outside."""
    demo.announce(frames.build_reachability(reachable=False))
    return {}


async def remote_access_lost_over(demo: Demo) -> Done:
    """Report that the server can be reached from outside."""
    demo.announce(frames.build_reachability(reachable=True))
    return {}


async def remote_access_lost_near(demo: Demo) -> Done:
    """Check remote access and report that it works."""
    return await remote_access_lost_over(demo)


async def update_available(demo: Demo) -> Done:
    """Announce a newer version of the server. Unverified: no such frame is recorded."""
    demo.announce(frames.build_update_state("available", NEWER_VERSION))
    return {"version": NEWER_VERSION}


async def update_available_over(demo: Demo) -> Done:
    """Run the newer version; the websockets are reset."""
    demo.state.version = NEWER_VERSION
    demo.reset_connections(websockets_only=True)
    return {"version": NEWER_VERSION}


async def update_available_near(demo: Demo) -> Done:
    """Check for a newer version and find none."""
    demo.announce(frames.build_update_state())
    return {}


def _report_transcode(demo: Demo, session: DemoSession, speed: float, *, throttled: bool = False) -> None:
    """Report the speed of a transcoder."""
    if session.transcode:
        session.transcode.speed, session.transcode.throttled = speed, throttled
        demo.announce(frames.build_transcode("update", playback.build_transcode_entry(demo.state, session)))


async def transcode_slow(demo: Demo, seconds: float = 25) -> Done:
    """Transcode at speed 0.6 for 25 seconds (`seconds`)."""
    session = demo.start(player=3, user=1, transcode=True)
    _report_transcode(demo, session, 0.6)
    for _ in range(int(seconds / TRANSCODE_TICK)):
        await demo.wait(TRANSCODE_TICK)
        _report_transcode(demo, session, 0.6)
    return _describe_session(session)


async def transcode_slow_over(demo: Demo) -> Done:
    """Let the transcoder catch up."""
    session = _find_newest(demo)
    _report_transcode(demo, session, 1.8)
    return _describe_session(session)


async def transcode_slow_near(demo: Demo) -> Done:
    """Transcode slowly for five seconds, then so fast that the transcoder is throttled for half a minute, at speed 0."""
    session = demo.start(player=3, user=1, transcode=True)
    _report_transcode(demo, session, 0.6)
    await demo.wait(TRANSCODE_TICK)
    _report_transcode(demo, session, 4.0)
    for _ in range(6):
        _report_transcode(demo, session, 0.0, throttled=True)
        await demo.wait(TRANSCODE_TICK)
    demo.stop(session)
    return _describe_session(session)


def _find_film(demo: Demo, *, four_k: bool) -> DemoItem:
    films = (item for item in demo.state.list_kind("movie") if item.media)
    return next(item for item in films if (item.media[0].resolution == "4k") is four_k)


async def transcode_4k(demo: Demo) -> Done:
    """Transcode the video of a 4K film."""
    session = demo.start(_find_film(demo, four_k=True), player=3, user=1, transcode=True)
    return _describe_session(session)


async def transcode_4k_over(demo: Demo) -> Done:
    """Play the file directly."""
    session = _find_newest(demo)
    session.transcode = None
    demo.move(session)
    return _describe_session(session)


async def transcode_4k_near(demo: Demo) -> Done:
    """Transcode only the audio of a 4K film, and the video of a smaller one."""
    large = demo.start(_find_film(demo, four_k=True), player=3, user=1)
    work = playback.begin_transcode(demo.state, large, announce=False)
    work.video_decision = "copy"
    demo.move(large)
    small = demo.start(_find_film(demo, four_k=False), player=4, user=2, transcode=True)
    await demo.wait(playback.TICK)
    for session in (large, small):
        demo.move(session)
        demo.stop(session)
    return _describe_session(large)


async def _buffer_repeatedly(demo: Demo, times: int) -> DemoSession:
    session = demo.start(player=4, user=2)
    for _ in range(times):
        await demo.wait(2)
        demo.buffer(session)
        await demo.wait(1)
        demo.resume(session)
    return session


async def buffering(demo: Demo) -> Done:
    """Buffer three times within seconds."""
    return _describe_session(await _buffer_repeatedly(demo, 3))


async def buffering_over(demo: Demo) -> Done:
    """Stop the session."""
    session = _find_newest(demo)
    demo.stop(session)
    return _describe_session(session)


async def buffering_near(demo: Demo) -> Done:
    """Buffer twice, then stop."""
    session = await _buffer_repeatedly(demo, 2)
    demo.stop(session)
    return _describe_session(session)


async def playback_error(demo: Demo) -> Done:
    """Report state `error` at position 0, without a reason."""
    session = demo.start(player=5, user=3)
    await demo.wait(1)
    playback.report(demo.state, session, "error", 0)
    return _describe_session(session)


async def playback_error_over(demo: Demo) -> Done:
    """Let the session play after all."""
    session = _find_newest(demo)
    demo.resume(session)
    return _describe_session(session)


async def playback_error_near(demo: Demo) -> Done:
    """Stop a session as soon as it has started."""
    session = demo.start(player=5, user=3)
    demo.stop(session)
    return _describe_session(session)


async def concurrent_streams(demo: Demo) -> Done:
    """Let one user play on four players at once, for 15 seconds."""
    started = [demo.start(demo.get_movie(number), player=number, user=1) for number in range(4)]
    await demo.wait(15)
    return {"user": started[0].user.name, "session_keys": [session.key for session in started]}


async def concurrent_streams_over(demo: Demo) -> Done:
    """Stop one of the four."""
    session = _find_newest(demo)
    demo.stop(session)
    return _describe_session(session)


async def concurrent_streams_near(demo: Demo) -> Done:
    """Play three streams of one user and one of another; the first moves to another player, with two seconds of overlap."""
    started = [demo.start(demo.get_movie(number), player=number, user=1) for number in range(3)]
    started.append(demo.start(demo.get_movie(3), player=3, user=2))
    moved = demo.start(demo.get_movie(4), player=4, user=1)
    await demo.wait(2)
    demo.stop(started[0])
    await demo.wait(15)
    for session in (*started[1:], moved):
        demo.stop(session)
    return _describe_session(moved)


async def _pause(demo: Demo, seconds: float) -> DemoSession:
    session = demo.start(player=2, user=1)
    await demo.wait(playback.TICK)
    demo.move(session)
    demo.pause(session)
    for _ in range(int(seconds / playback.TICK)):
        await demo.wait(playback.TICK)
        demo.pause(session)
    return session


async def paused_long(demo: Demo, minutes: float = 31) -> Done:
    """Pause a session for half an hour (`minutes`); its player keeps reporting it."""
    return _describe_session(await _pause(demo, minutes * 60))


async def paused_long_over(demo: Demo) -> Done:
    """Resume the session."""
    session = _find_newest(demo)
    demo.resume(session)
    return _describe_session(session)


async def paused_long_near(demo: Demo, minutes: float = 20) -> Done:
    """Pause a session for twenty minutes (`minutes`), then resume it."""
    session = await _pause(demo, minutes * 60)
    demo.resume(session)
    demo.stop(session)
    return _describe_session(session)


async def new_device(demo: Demo) -> Done:
    """Play on a device that was never used before."""
    number = len(demo.state.players) + 1
    player = DemoPlayer(number, f"demo-visitor-{number}", f"Visitor's Phone {number}", "Plex for iOS", "iOS", "18.2", "Pocket 8",
                    "phone", "8.40", "192.168.7.99", "Orchard", "Pocket8,1", "iOS")  # fmt: skip
    demo.state.players[player.client_identifier] = player
    session = demo.start(player=number - 1, user=1)
    return {**_describe_session(session), "client_identifier": player.client_identifier}


async def new_device_near(demo: Demo) -> Done:
    """Play on a device that has been in use for long."""
    session = demo.start(player=0, user=1)
    await demo.wait(playback.TICK)
    demo.move(session)
    return _describe_session(session)


async def scan_finished(demo: Demo, episodes: float = 3) -> Done:
    """Scan a new season of three `episodes`; the scan ends before their metadata is loaded."""
    server = demo.state
    show = server.list_kind("show")[0]
    builder = HouseholdBuilder(
        server.now, server.rng, next_key=server.last_key, next_media=9000 + server.last_key, house=server.house
    )
    season = add_season(builder, show, len(server.list_children(show.key)) + 1, int(episodes))
    server.last_key = builder.next_key
    scan = background.begin_scan(demo.state, show.section)
    for item in builder.items:
        server.add(item)
        above = {"parentItemID": season.key} if item is not season else {}
        server.announce_timeline(item, 0, title="", metadataState="created", **above, rootItemID=show.key)
    server.move_activity(scan, 100, librarySectionID=show.section)
    background.end_scan(demo.state, show.section, scan)
    return {"section": show.section, "season": season.key, "show": show.title}


async def scan_finished_over(demo: Demo) -> Done:
    """Load the metadata of the new season."""
    season = demo.state.list_kind("season")[-1]
    for item in (season, *demo.state.list_children(season.key)):
        demo.state.announce_timeline(item, 3, metadataState="loading")
        demo.state.announce_timeline(item, 5)
    return {"season": season.key}


async def scan_finished_near(demo: Demo) -> Done:
    """Refresh an item, which is not a scan."""
    await background.run_refresh(demo.state, demo.get_movie().key)
    return {}


async def listener_gap(demo: Demo, seconds: float = 60) -> Done:
    """Shut the server down for a minute (`seconds`), so that its events are missed."""
    await demo.shut_down()
    demo.run_later(_come_back_later, demo, seconds)
    return {"seconds": seconds}


async def listener_gap_near(demo: Demo) -> Done:
    """Reset the websockets and accept them again at once."""
    return {"reset": demo.reset_connections(websockets_only=True)}


async def sessions_unreadable(demo: Demo) -> Done:
    """Answer every request with HTTP 500 while notifications go on: somebody starts to play."""
    demo.answer_with(500)
    return _describe_session(demo.start(player=1, user=1))


async def sessions_unreadable_over(demo: Demo) -> Done:
    """Answer requests again."""
    demo.answer_with(None)
    return {}


async def sessions_unreadable_near(demo: Demo, seconds: float = 10) -> Done:
    """Answer every request with HTTP 500 for ten seconds (`seconds`), then answer again."""
    demo.answer_with(500)
    session = demo.start(player=1, user=1)
    await demo.wait(seconds)
    demo.answer_with(None)
    demo.stop(session)
    return _describe_session(session)


async def plex_status(demo: Demo) -> Done:
    """Announce a status message, which is no alert."""
    demo.announce(frames.build_status("Library scan complete"))
    return {}


async def plex_status_near(demo: Demo) -> Done:
    """Run an activity without a status message."""
    await background.run_activity(demo.state, "media.generate.credits", "Detecting credits")
    return {}


ALERT_SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        connection_lost, connection_lost_over, connection_lost_near, unauthorized, unauthorized_over, unauthorized_near,
        remote_access_lost, remote_access_lost_over, remote_access_lost_near, update_available, update_available_over,
        update_available_near, transcode_slow, transcode_slow_over, transcode_slow_near, transcode_4k, transcode_4k_over,
        transcode_4k_near, buffering, buffering_over, buffering_near, playback_error, playback_error_over,
        playback_error_near, concurrent_streams, concurrent_streams_over, concurrent_streams_near, paused_long,
        paused_long_over, paused_long_near, new_device, new_device_near, scan_finished, scan_finished_over,
        scan_finished_near, listener_gap, listener_gap_near, sessions_unreadable,
        sessions_unreadable_over, sessions_unreadable_near, plex_status, plex_status_near,
    )
}  # fmt: skip
