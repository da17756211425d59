"""What wants attention: for every kind of alert what raises it, what ends it, and what comes near it and is none.

A scenario bears the name of the alert; `…_over` ends what it began, `…_near` must raise nothing. Times are the usual limits.
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

JOB_TICK = 5.0  # seconds between a transcoder's reports
NEWER = "1.99.0.10001-demo00001"


def _find_newest(demo: Demo) -> DemoSession:
    return list(demo.sessions.values())[-1]


def _describe_session(session: DemoSession) -> Done:
    return {"session_key": session.key, "rating_key": session.item.key, "title": session.item.title}


async def connection_lost(demo: Demo, seconds: float = 60) -> Done:
    """The server is gone; it comes back after a minute (`seconds`) with the same sessions."""
    await demo.shut_down()
    demo.run_later(_come_back_later, demo, seconds)
    return {"seconds": seconds}


async def _come_back_later(demo: Demo, seconds: float) -> None:
    await demo.wait(seconds)
    await connection_lost_over(demo)


async def connection_lost_over(demo: Demo) -> Done:
    """The server is there again."""
    await demo.reopen(keep_sessions=True)
    return {}


async def connection_lost_near(demo: Demo, seconds: float = 1) -> Done:
    """Nothing moves on the connections for a second (`seconds`), and then what waited arrives."""
    demo.go_silent(everything=True)
    await demo.wait(seconds)
    demo.speak_again()
    return {"seconds": seconds}


async def unauthorized(demo: Demo) -> Done:
    """The token is refused, everywhere."""
    demo.revoke_token()
    return {"reset": demo.reset_connections(websockets_only=True)}


async def unauthorized_over(demo: Demo) -> Done:
    """The token is good again."""
    demo.restore_token()
    return {}


async def unauthorized_near(demo: Demo) -> Done:
    """plex.tv refuses the token for a while, the server does not."""
    demo.answer_plex_tv_with(401)
    await demo.wait(1)
    demo.answer_plex_tv_with(None)
    return {}


async def remote_access_lost(demo: Demo) -> Done:
    """The server finds that it cannot be reached from outside."""
    demo.announce(frames.build_reachability(reachable=False))
    return {}


async def remote_access_lost_over(demo: Demo) -> Done:
    """The server can be reached from outside."""
    demo.announce(frames.build_reachability(reachable=True))
    return {}


async def remote_access_lost_near(demo: Demo) -> Done:
    """Remote access is checked and works."""
    return await remote_access_lost_over(demo)


async def update_available(demo: Demo) -> Done:
    """The server finds a newer version of itself. Unverified: no such frame is on record."""
    demo.announce(frames.build_update_state("available", NEWER))
    return {"version": NEWER}


async def update_available_over(demo: Demo) -> Done:
    """The server runs the newer version; its websockets are reset."""
    demo.state.version = NEWER
    demo.reset_connections(websockets_only=True)
    return {"version": NEWER}


async def update_available_near(demo: Demo) -> Done:
    """The server looks for a newer version and finds none."""
    demo.announce(frames.build_update_state())
    return {}


def _report_transcode(demo: Demo, session: DemoSession, speed: float, *, throttled: bool = False) -> None:
    """The transcoder reports how fast it is."""
    if session.transcode:
        session.transcode.speed, session.transcode.throttled = speed, throttled
        demo.announce(frames.build_transcode("update", playback.build_transcode_entry(demo.state, session)))


async def transcode_slow(demo: Demo, seconds: float = 25) -> Done:
    """A transcoder makes 0.6 seconds a second, for 25 seconds (`seconds`)."""
    session = demo.start(player=3, user=1, transcode=True)
    _report_transcode(demo, session, 0.6)
    for _ in range(int(seconds / JOB_TICK)):
        await demo.wait(JOB_TICK)
        _report_transcode(demo, session, 0.6)
    return _describe_session(session)


async def transcode_slow_over(demo: Demo) -> Done:
    """The transcoder catches up."""
    session = _find_newest(demo)
    _report_transcode(demo, session, 1.8)
    return _describe_session(session)


async def transcode_slow_near(demo: Demo) -> Done:
    """A transcoder is slow for five seconds, then so fast that it rests for half a minute, at speed 0."""
    session = demo.start(player=3, user=1, transcode=True)
    _report_transcode(demo, session, 0.6)
    await demo.wait(JOB_TICK)
    _report_transcode(demo, session, 4.0)
    for _ in range(6):
        _report_transcode(demo, session, 0.0, throttled=True)
        await demo.wait(JOB_TICK)
    demo.stop(session)
    return _describe_session(session)


def _find_film(demo: Demo, *, four_k: bool) -> DemoItem:
    films = (item for item in demo.state.list_kind("movie") if item.media)
    return next(item for item in films if (item.media[0].resolution == "4k") is four_k)


async def transcode_4k(demo: Demo) -> Done:
    """The picture of a 4K film is transcoded."""
    session = demo.start(_find_film(demo, four_k=True), player=3, user=1, transcode=True)
    return _describe_session(session)


async def transcode_4k_over(demo: Demo) -> Done:
    """The player takes the file as it is."""
    session = _find_newest(demo)
    session.transcode = None
    demo.move(session)
    return _describe_session(session)


async def transcode_4k_near(demo: Demo) -> Done:
    """A 4K film of which only the sound is transcoded, and a smaller one whose picture is."""
    large = demo.start(_find_film(demo, four_k=True), player=3, user=1)
    job = playback.begin_transcode(demo.state, large, announce=False)
    job.video_decision = "copy"
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
    """A session runs dry three times within seconds."""
    return _describe_session(await _buffer_repeatedly(demo, 3))


async def buffering_over(demo: Demo) -> Done:
    """It is stopped."""
    session = _find_newest(demo)
    demo.stop(session)
    return _describe_session(session)


async def buffering_near(demo: Demo) -> Done:
    """A session runs dry twice, and is stopped."""
    session = await _buffer_repeatedly(demo, 2)
    demo.stop(session)
    return _describe_session(session)


async def playback_error(demo: Demo) -> Done:
    """A player reports state `error` at position 0, and no reason."""
    session = demo.start(player=5, user=3)
    await demo.wait(1)
    playback.report(demo.state, session, "error", 0)
    return _describe_session(session)


async def playback_error_over(demo: Demo) -> Done:
    """It plays after all."""
    session = _find_newest(demo)
    demo.resume(session)
    return _describe_session(session)


async def playback_error_near(demo: Demo) -> Done:
    """A session is stopped as soon as it has begun."""
    session = demo.start(player=5, user=3)
    demo.stop(session)
    return _describe_session(session)


async def concurrent_streams(demo: Demo) -> Done:
    """One user plays on four players at once, for a quarter of a minute."""
    started = [demo.start(demo.get_movie(number), player=number, user=1) for number in range(4)]
    await demo.wait(15)
    return {"user": started[0].user.name, "session_keys": [session.key for session in started]}


async def concurrent_streams_over(demo: Demo) -> Done:
    """One of the four is stopped."""
    session = _find_newest(demo)
    demo.stop(session)
    return _describe_session(session)


async def concurrent_streams_near(demo: Demo) -> Done:
    """Three streams of a user and one of another; a fourth of the first overlaps for two seconds, between two players."""
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
    """A session is paused for half an hour (`minutes`), and its player goes on saying so."""
    return _describe_session(await _pause(demo, minutes * 60))


async def paused_long_over(demo: Demo) -> Done:
    """It goes on."""
    session = _find_newest(demo)
    demo.resume(session)
    return _describe_session(session)


async def paused_long_near(demo: Demo, minutes: float = 20) -> Done:
    """A session is paused for twenty minutes (`minutes`) and goes on."""
    session = await _pause(demo, minutes * 60)
    demo.resume(session)
    demo.stop(session)
    return _describe_session(session)


async def new_device(demo: Demo) -> Done:
    """Somebody plays on a player that the household never had."""
    number = len(demo.state.players) + 1
    player = DemoPlayer(number, f"demo-visitor-{number}", f"Visitor's Phone {number}", "Plex for iOS", "iOS", "18.2", "Pocket 8",
                    "phone", "8.40", "192.168.7.99", "Orchard", "Pocket8,1", "iOS")  # fmt: skip
    demo.state.players[player.client_identifier] = player
    session = demo.start(player=number - 1, user=1)
    return {**_describe_session(session), "client_identifier": player.client_identifier}


async def new_device_near(demo: Demo) -> Done:
    """Somebody plays on a player that the household has had for long."""
    session = demo.start(player=0, user=1)
    await demo.wait(playback.TICK)
    demo.move(session)
    return _describe_session(session)


async def scan_finished(demo: Demo, episodes: float = 3) -> Done:
    """A scan finds a new season of three `episodes` and ends before Plex has read what they are."""
    server = demo.state
    show = server.list_kind("show")[0]
    builder = HouseholdBuilder(server.now, server.rng, next_key=server.last_key, next_media=9000 + server.last_key)
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
    """What the scan found is ready."""
    season = demo.state.list_kind("season")[-1]
    for item in (season, *demo.state.list_children(season.key)):
        demo.state.announce_timeline(item, 3, metadataState="loading")
        demo.state.announce_timeline(item, 5)
    return {"season": season.key}


async def scan_finished_near(demo: Demo) -> Done:
    """An item is refreshed, which is no scan."""
    await background.run_refresh(demo.state, demo.get_movie().key)
    return {}


async def listener_gap(demo: Demo, seconds: float = 60) -> Done:
    """The server is gone for a minute (`seconds`): nobody knows what happened meanwhile."""
    await demo.shut_down()
    demo.run_later(_come_back_later, demo, seconds)
    return {"seconds": seconds}


async def listener_gap_near(demo: Demo) -> Done:
    """The websockets are reset, and let in again at once."""
    return {"reset": demo.reset_connections(websockets_only=True)}


async def sessions_unreadable(demo: Demo) -> Done:
    """Whatever is asked is answered with HTTP 500, while the notifications go on: somebody begins to play."""
    demo.answer_with(500)
    return _describe_session(demo.start(player=1, user=1))


async def sessions_unreadable_over(demo: Demo) -> Done:
    """Questions are answered again."""
    demo.answer_with(None)
    return {}


async def sessions_unreadable_near(demo: Demo, seconds: float = 10) -> Done:
    """The same for ten seconds (`seconds`), then questions are answered again."""
    demo.answer_with(500)
    session = demo.start(player=1, user=1)
    await demo.wait(seconds)
    demo.answer_with(None)
    demo.stop(session)
    return _describe_session(session)


async def plex_status(demo: Demo) -> Done:
    """The server has a sentence for people."""
    demo.announce(frames.build_status("Library scan complete"))
    return {}


async def plex_status_near(demo: Demo) -> Done:
    """The server does something and says nothing to people."""
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
