"""Remote control: `/player/…` with a target player, as python-plexapi sends it through the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo import playback
from plex_companion.demo.contents import choose_playlist_kind
from plex_companion.demo.nodes.tree import Node, build_container, to_xml
from plex_companion.demo.request import DemoAnswer, DemoRequest, HttpRefusal, find_or_404

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.demo.household.model import DemoPlayer
    from plex_companion.demo.sessions import DemoSession

STEP_FORWARD, STEP_BACK = 30_000, -10_000  # ms
CONTROLLABLE = (
    "playPause,stop,volume,shuffle,repeat,audioStream,subtitleStream,seekTo,skipPrevious,skipNext,stepBack,stepForward"
)


def _find_session(request: DemoRequest, player: DemoPlayer) -> DemoSession | None:
    return next((s for s in request.state.sessions.values() if s.player is player), None)


def _find_player(request: DemoRequest) -> DemoPlayer:
    player = request.find_target()
    if not player.controllable:
        raise HttpRefusal(404)
    return player


def build_reply(player: DemoPlayer, code: int = 200) -> DemoAnswer:
    """Build the reply of a player: a bare `OK` from Android apps, XML from others. A failure is a 200 with a code inside."""
    if player.product.startswith("Plex for Android"):
        return DemoAnswer(b"OK", media_type="text/plain") if code == 200 else _build_xml(code)  # noqa: PLR2004  # the status
    return _build_xml(code)


def _build_xml(code: int) -> DemoAnswer:
    names = {200: "OK", 400: "Bad Request"}
    return DemoAnswer(to_xml(Node("Response", {"code": code, "status": names[code]})), media_type="text/xml")


def _seek(request: DemoRequest, session: DemoSession, offset: int) -> None:
    playback.seek(request.state, session, max(0, min(offset, session.item.duration or offset)))


def _skip(request: DemoRequest, session: DemoSession, by: int) -> None:
    siblings = request.state.list_children(session.item.parent or "")
    keys = [item.key for item in siblings]
    place = keys.index(session.item.key) + by if session.item.key in keys else -1
    if 0 <= place < len(siblings):
        playback.start(request.state, siblings[place], session.user, session.player)
    else:
        _seek(request, session, 0)


COMMANDS: dict[str, Callable[[DemoRequest, DemoSession], None]] = {
    "play": lambda request, session: playback.report(request.state, session, "playing"),
    "pause": lambda request, session: playback.report(request.state, session, "paused"),
    "stop": lambda request, session: playback.stop(request.state, session),
    "seekTo": lambda request, session: _seek(request, session, request.get_number("offset")),
    "stepForward": lambda request, session: _seek(request, session, session.offset + STEP_FORWARD),
    "stepBack": lambda request, session: _seek(request, session, session.offset + STEP_BACK),
    "skipNext": lambda request, session: _skip(request, session, 1),
    "skipPrevious": lambda request, session: _skip(request, session, -1),
}


def send_command(request: DemoRequest) -> DemoAnswer:
    """Answer `/player/playback/NAME`: act on the session of the player. If nothing plays, the reply is a 200 with code 400 inside."""
    player, name = _find_player(request), request.args["name"]
    if name == "setParameters":
        request.state.volumes[player.client_identifier] = request.get_number(
            "volume", request.state.volumes.get(player.client_identifier, 100)
        )
        return build_reply(player)
    session = _find_session(request, player)
    if session is None:
        return build_reply(player, 400)
    if name == "setStreams":
        session.audio_stream = request.get("audioStreamID", session.audio_stream)
        session.subtitle_stream = request.get("subtitleStreamID", session.subtitle_stream)
        playback.report(request.state, session)
    elif name in COMMANDS:
        COMMANDS[name](request, session)
    else:
        raise HttpRefusal(404)
    return build_reply(player)


def play_media(request: DemoRequest) -> DemoAnswer:
    """Answer `/player/playback/playMedia?key=&offset=`: start to play, instead of what the player played before."""
    player, server = _find_player(request), request.state
    key = request.get("key").removeprefix("/library/metadata/").removesuffix("/children")
    leaves = server.list_leaves(find_or_404(server.items, key).key)
    if not leaves:
        return build_reply(player, 400)
    playback.start(server, leaves[0], request.user, player, offset=request.get_number("offset"))
    return build_reply(player)


def navigate(request: DemoRequest) -> DemoAnswer:
    """Answer `/player/navigation/NAME`: the demo has no screens, so it only accepts the command."""
    player = _find_player(request)
    return build_reply(player, 200 if "navigation" in player.capabilities else 400)


def show_mirror(request: DemoRequest) -> DemoAnswer:
    """Answer `/player/mirror/details`."""
    return build_reply(_find_player(request))


def poll_timeline(request: DemoRequest) -> Node:
    """Answer `/player/timeline/poll`: one timeline each for music, photo and video."""
    player = _find_player(request)
    session = _find_session(request, player)
    kind = (
        {"audio": "music"}.get(choose_playlist_kind(session.item), choose_playlist_kind(session.item))
        if session
        else ""
    )
    rows = [
        _build_timeline(request, player, name, session if name == kind else None)
        for name in ("music", "photo", "video")
    ]
    return build_container(rows, commandID=request.get("commandID") or None, location="fullScreenVideo" if session else "navigation",
                     machineIdentifier=player.client_identifier)  # fmt: skip


def _build_timeline(request: DemoRequest, player: DemoPlayer, kind: str, session: DemoSession | None) -> Node:
    node = Node("Timeline", {"type": kind, "state": "stopped"})
    if session:
        item = session.item
        node.attributes |= {
            "state": session.state, "time": session.offset, "duration": item.duration, "key": f"/library/metadata/{item.key}",
            "ratingKey": item.key, "guid": item.guid, "itemType": item.type, "machineIdentifier": request.state.machine_identifier,
            "playQueueID": session.queue_id, "playQueueItemID": session.queue_item_id, "playQueueVersion": 1,
            "containerKey": f"/playQueues/{session.queue_id}", "volume": request.state.volumes.get(player.client_identifier, 100),
            "shuffle": False, "repeat": 0, "muted": False, "controllable": CONTROLLABLE, "protocol": "http", "address": "127.0.0.1",
            "port": request.state.port, "seekRange": f"0-{item.duration or 0}", "providerIdentifier": "com.plexapp.plugins.library",
        }  # fmt: skip
    return node


def get_player_resources(request: DemoRequest) -> Node:
    """Answer `GET /resources` of a player, proxied by the server."""
    player = _find_player(request)
    return build_container([Node("Player", {"machineIdentifier": player.client_identifier, "deviceClass": player.device_class,
                                      "platform": player.platform, "platformVersion": player.platform_version,
                                      "product": player.product, "protocol": "plex", "protocolCapabilities": player.capabilities,
                                      "protocolVersion": "3", "title": player.title, "version": player.version})])  # fmt: skip


ROUTES = (
    ("GET", "/player/playback/playMedia", play_media),
    ("GET", "/player/playback/{name}", send_command),
    ("GET", "/player/navigation/{name}", navigate),
    ("GET", "/player/mirror/details", show_mirror),
    ("GET", "/player/timeline/poll", poll_timeline),
    ("GET", "/resources", get_player_resources),
)
