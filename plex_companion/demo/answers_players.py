"""Remote control: `/player/…` with a target player, as python-plexapi sends it through the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo import playback
from plex_companion.demo.ask import Answer, Ask, Refused, found
from plex_companion.demo.contents import list_kind
from plex_companion.demo.tree import Node, container, to_xml

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.demo.household import Player
    from plex_companion.demo.playback import Session

STEP_FORWARD, STEP_BACK = 30_000, -10_000  # ms
CONTROLLABLE = (
    "playPause,stop,volume,shuffle,repeat,audioStream,subtitleStream,seekTo,skipPrevious,skipNext,stepBack,stepForward"
)


def _playing(ask: Ask, player: Player) -> Session | None:
    return next((s for s in ask.house.sessions.values() if s.player is player), None)


def _player(ask: Ask) -> Player:
    player = ask.target()
    if not player.controllable:
        raise Refused(404)
    return player


def replied(player: Player, code: int = 200) -> Answer:
    """What the player says: Android apps a bare `OK`, others XML. A failure is a 200 with a code inside."""
    if player.product.startswith("Plex for Android"):
        return Answer(b"OK", media_type="text/plain") if code == 200 else _xml(code)  # noqa: PLR2004  # the status
    return _xml(code)


def _xml(code: int) -> Answer:
    names = {200: "OK", 400: "Bad Request"}
    return Answer(to_xml(Node("Response", {"code": code, "status": names[code]})), media_type="text/xml")


def _seek(ask: Ask, session: Session, offset: int) -> None:
    playback.seek(ask.house, session, max(0, min(offset, session.item.duration or offset)))


def _skip(ask: Ask, session: Session, by: int) -> None:
    siblings = ask.house.children_of(session.item.parent or "")
    keys = [item.key for item in siblings]
    place = keys.index(session.item.key) + by if session.item.key in keys else -1
    if 0 <= place < len(siblings):
        playback.start(ask.house, siblings[place], session.user, session.player)
    else:
        _seek(ask, session, 0)


COMMANDS: dict[str, Callable[[Ask, Session], None]] = {
    "play": lambda ask, session: playback.report(ask.house, session, "playing"),
    "pause": lambda ask, session: playback.report(ask.house, session, "paused"),
    "stop": lambda ask, session: playback.stop(ask.house, session),
    "seekTo": lambda ask, session: _seek(ask, session, ask.number("offset")),
    "stepForward": lambda ask, session: _seek(ask, session, session.offset + STEP_FORWARD),
    "stepBack": lambda ask, session: _seek(ask, session, session.offset + STEP_BACK),
    "skipNext": lambda ask, session: _skip(ask, session, 1),
    "skipPrevious": lambda ask, session: _skip(ask, session, -1),
}


def command(ask: Ask) -> Answer:
    """`/player/playback/NAME`: acts on what the player plays; nothing playing is a refusal inside a 200."""
    player, name = _player(ask), ask.args["name"]
    if name == "setParameters":
        ask.house.volumes[player.client_identifier] = ask.number(
            "volume", ask.house.volumes.get(player.client_identifier, 100)
        )
        return replied(player)
    session = _playing(ask, player)
    if session is None:
        return replied(player, 400)
    if name == "setStreams":
        session.audio_stream = ask.get("audioStreamID", session.audio_stream)
        session.subtitle_stream = ask.get("subtitleStreamID", session.subtitle_stream)
        playback.report(ask.house, session)
    elif name in COMMANDS:
        COMMANDS[name](ask, session)
    else:
        raise Refused(404)
    return replied(player)


def play_media(ask: Ask) -> Answer:
    """`/player/playback/playMedia?key=&offset=`: the player begins; what it played before is replaced."""
    player, house = _player(ask), ask.house
    key = ask.get("key").removeprefix("/library/metadata/").removesuffix("/children")
    leaves = house.leaves_of(found(house.items, key).key)
    if not leaves:
        return replied(player, 400)
    playback.start(house, leaves[0], ask.user, player, offset=ask.number("offset"))
    return replied(player)


def navigate(ask: Ask) -> Answer:
    """`/player/navigation/NAME`: nobody sees the demo's screens, so it only says yes."""
    player = _player(ask)
    return replied(player, 200 if "navigation" in player.capabilities else 400)


def mirror(ask: Ask) -> Answer:
    """`/player/mirror/details`."""
    return replied(_player(ask))


def poll(ask: Ask) -> Node:
    """`/player/timeline/poll`: one timeline each for music, photo and video."""
    player = _player(ask)
    session = _playing(ask, player)
    kind = {"audio": "music"}.get(list_kind(session.item), list_kind(session.item)) if session else ""
    rows = [_timeline(ask, player, name, session if name == kind else None) for name in ("music", "photo", "video")]
    return container(rows, commandID=ask.get("commandID") or None, location="fullScreenVideo" if session else "navigation",
                     machineIdentifier=player.client_identifier)  # fmt: skip


def _timeline(ask: Ask, player: Player, kind: str, session: Session | None) -> Node:
    node = Node("Timeline", {"type": kind, "state": "stopped"})
    if session:
        item = session.item
        node.attributes |= {
            "state": session.state, "time": session.offset, "duration": item.duration, "key": f"/library/metadata/{item.key}",
            "ratingKey": item.key, "guid": item.guid, "itemType": item.type, "machineIdentifier": ask.house.machine_identifier,
            "playQueueID": session.queue_id, "playQueueItemID": session.queue_item_id, "playQueueVersion": 1,
            "containerKey": f"/playQueues/{session.queue_id}", "volume": ask.house.volumes.get(player.client_identifier, 100),
            "shuffle": False, "repeat": 0, "muted": False, "controllable": CONTROLLABLE, "protocol": "http", "address": "127.0.0.1",
            "port": ask.demo.port, "seekRange": f"0-{item.duration or 0}", "providerIdentifier": "com.plexapp.plugins.library",
        }  # fmt: skip
    return node


def player_resources(ask: Ask) -> Node:
    """`GET /resources` of a player, asked through the server."""
    player = _player(ask)
    return container([Node("Player", {"machineIdentifier": player.client_identifier, "deviceClass": player.device_class,
                                      "platform": player.platform, "platformVersion": player.platform_version,
                                      "product": player.product, "protocol": "plex", "protocolCapabilities": player.capabilities,
                                      "protocolVersion": "3", "title": player.title, "version": player.version})])  # fmt: skip


ROUTES = (
    ("GET", "/player/playback/playMedia", play_media),
    ("GET", "/player/playback/{name}", command),
    ("GET", "/player/navigation/{name}", navigate),
    ("GET", "/player/mirror/details", mirror),
    ("GET", "/player/timeline/poll", poll),
    ("GET", "/resources", player_resources),
)
