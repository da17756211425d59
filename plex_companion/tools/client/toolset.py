"""Toolset `client`: the players, and remote control of those that allow it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from plex_companion import serialize
from plex_companion.companion import Companion
from plex_companion.errors import ClientUnreachable, Invalid, NotSupported, PlexError
from plex_companion.models import User
from plex_companion.plex.lookup import find_item
from plex_companion.plex.query import get, send
from plex_companion.plex.xml.attributes import (
    drop_nulls,
    parse_identifier,
    read_flag,
    read_kind,
    read_number,
    read_performer,
    read_text,
)
from plex_companion.text import format_count
from plex_companion.tools.arguments import choose
from plex_companion.tools.client.client_results import (
    ActivePlayers,
    PlaybackCommand,
    PlaybackStart,
    PlayerDetails,
    Players,
    PlayerTimeline,
    StreamChange,
)
from plex_companion.tools.client.players import (
    ControllablePlayer,
    find_client,
    is_controllable,
    list_active_players,
    list_players,
    read_command_history,
    send_command,
)
from plex_companion.tools.client.stop_stream import terminate_session
from plex_companion.tools.declare import Access, Id, Shape, Toolset
from plex_companion.tools.parameters import ClientName, LibraryName, MediaId, MediaTitle
from plex_companion.tools.sessions import describe_item

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plex_companion.models import Session
    from plex_companion.plex.client import PlexServer

CLIENT = Toolset("client", "Players: list, details, timelines, remote control")
ALIAS = {"client_id": "client_name"}
SEEK_MS = 30_000
FULL_VOLUME = 100
MUSIC, PHOTO, VIDEO = "music", "photo", "video"
SIMPLE = {"play", "pause", "stop", "skipNext", "skipPrevious", "stepForward", "stepBack"}
ACTIONS = (*sorted(SIMPLE), "seekTo", "seekForward", "seekBack", "mute", "unmute", "setVolume")
MOVES = ("moveUp", "moveDown", "moveLeft", "moveRight", "select", "back", "home", "contextMenu")
PLAYABLE = ("movie", "show", "season", "episode", "artist", "album", "track", "photo", "clip")


# -- listing players


@CLIENT.tool(Access.READ, title="List players", open_world=True)
def client_list(
    plex: PlexServer, companion: Companion, include_details: bool = True, active_only: bool = False
) -> Annotated[dict[str, Any], Shape(Players)]:
    """List the players: those playing, those that announce themselves, and those of the plex.tv account. Online ones
    come first.

    `controllable` means that no command has failed so far; many apps refuse remote control.
    """
    players = list_players(plex, companion)
    shown = [player for player in players.sort() if player.active or not active_only]
    clients = [_describe_player(companion, player, brief=not include_details) for player in shown]
    listed = {
        "status": "success",
        "message": f"Found {format_count(len(clients), 'client')}.",
        "count": len(clients),
        "clients": clients,
        **_describe_freshness(companion, "plex"),
    }
    return listed if not clients else {**listed, "note": players.note or "Commands go through the server."}


def _describe_player(companion: Companion, player: ControllablePlayer, *, brief: bool) -> dict[str, Any]:
    session = player.session
    short = {
        "machineIdentifier": player.identifier,
        "name": player.name,
        "online": player.online,
        "active": player.active,
        "rating_key": parse_identifier(session.item.rating_key) if session else None,
    }
    if brief:
        return short
    seen = companion.state.clients.get(player.identifier)
    return {
        **short,
        "user": session.user.name if session and session.user else None,
        "state": _describe_state(player),
        "nowPlaying": describe_item(session.item) if session else None,
        "platform": player.platform,
        "product": player.product,
        "provides": player.provides,
        "address": player.address,
        "controllable": is_controllable(companion, player),
        "session_key": parse_identifier(session.session_key) if session else None,
        "last_seen": serialize.format_iso(seen.last_seen_at) if seen else None,
    }


def _describe_state(player: ControllablePlayer) -> str:
    if player.session is not None:
        return player.session.state
    return "idle" if player.online else "offline"


@CLIENT.tool(Access.READ, title="Active players")
def client_get_active(plex: PlexServer, companion: Companion) -> Annotated[dict[str, Any], Shape(ActivePlayers)]:
    """List the players that are playing or paused right now, with title and progress."""
    active = [
        _describe_active(player, player.session) for player in list_active_players(plex, companion) if player.session
    ]
    return {
        "status": "success",
        "message": f"Found {len(active)} active clients.",
        "count": len(active),
        "active_clients": active,
        **_describe_freshness(companion, "cache" if companion.is_live else "plex"),
    }


def _describe_freshness(companion: Companion, source: str) -> dict[str, Any]:
    """Return the time and source of the data, and whether the connection to Plex is live."""
    now = companion.now_ms
    connection = serialize.serialize_connection(companion.state, now)
    return {"as_of": serialize.format_iso(now), "connection": connection, "source": source}


def _describe_active(player: ControllablePlayer, session: Session) -> dict[str, Any]:
    item = session.item
    media = {
        "title": item.title,
        "type": item.type,
        "show": item.grandparent_title if item.type == "episode" else None,
        "season": item.parent_title if item.type == "episode" else None,
        "seasonEpisode": f"S{item.parent_index}E{item.index}" if item.type == "episode" else None,
        "year": item.year,
        **drop_nulls({"performer": item.performer, "edition": item.edition}),
    }
    return {
        "name": player.name,
        "device": player.device,
        "product": player.product,
        "platform": player.platform,
        "state": session.state,
        "user": (session.user or User()).name,
        "media": drop_nulls(media),
        "progress": serialize.compute_percent(session.view_offset_ms, item.duration_ms),
        "transcoding": session.decision == "transcode",
        "machine_identifier": player.identifier,
        "session_key": parse_identifier(session.session_key),
        "rating_key": parse_identifier(item.rating_key),
    }


@CLIENT.tool(Access.READ, title="Show a player", open_world=True, aliases=ALIAS)
def client_get_details(
    plex: PlexServer, companion: Companion, client_name: ClientName
) -> Annotated[dict[str, Any], Shape(PlayerDetails)]:
    """Show everything known about one player, including which commands it recently accepted or refused."""
    player = find_client(plex, companion, client_name, writes=False)
    details: dict[str, Any] = {
        "machineIdentifier": player.identifier,
        "name": player.name,
        "device": player.device,
        "deviceClass": player.device_class,
        "model": player.model,
        "product": player.product,
        "version": player.version,
        "platform": player.platform,
        "platformVersion": player.platform_version,
        "state": _describe_state(player),
        "protocolCapabilities": list(player.capabilities),
        "address": player.address,
        "local": player.local,
        "protocol": player.protocol,
        "protocolVersion": player.protocol_version,
        "vendor": player.vendor,
        "controllable": is_controllable(companion, player),
        "commands": {
            path.rsplit("/", 1)[-1]: obeyed for path, obeyed in read_command_history(companion, player).items()
        },
    }
    if not player.announced and not player.present:
        note = "Seen only in a session: only a command can show whether it can be controlled."
        details |= {"controllable": False, "note": note}
    return {"status": "success", "client": details}


# -- timelines


@CLIENT.tool(Access.READ, title="Position of a player", open_world=True, aliases=ALIAS)
def client_get_timelines(
    plex: PlexServer, companion: Companion, client_name: ClientName
) -> Annotated[dict[str, Any], Shape(PlayerTimeline)]:
    """Get the state, title, position and duration of one player, plus volume and repeat where it reports them.

    Uses live data while it plays; otherwise asks the player. A player that does not answer is not an error.
    """
    player = find_client(plex, companion, client_name, writes=False)
    name = player.name or player.identifier
    if player.session is not None and not player.session.stale:
        return {
            "status": "success",
            "client_name": name,
            "source": "session",
            "timeline": _describe_session(player.session),
        }
    row = _poll_timeline(plex, companion, player) if player.announced else None
    if row is not None:
        timeline = _describe_timeline(row, player.session)
        return {"status": "success", "client_name": name, "source": "timeline", "timeline": timeline}
    if player.online:
        return {"status": "info", "message": f"'{name}' plays nothing.", "client_name": name}
    return {"status": "warning", "message": f"'{name}' does not answer. It seems to be off.", "client_name": name}


def _describe_session(session: Session) -> dict[str, Any]:
    duration = session.item.duration_ms
    return {
        "state": session.state,
        "time": session.view_offset_ms,
        "duration": duration,
        "progress": serialize.compute_percent(session.view_offset_ms, duration),
        "title": session.item.title,
        "type": session.item.type,
        "ratingKey": parse_identifier(session.item.rating_key),
        "key": session.item.key,
        "guid": session.item.guid,
    }


def _poll_timeline(plex: PlexServer, companion: Companion, player: ControllablePlayer) -> Element | None:
    """Ask the player for the timeline of what it plays; `None` if it plays nothing."""
    from xml.etree.ElementTree import ParseError  # noqa: PLC0415 - only here

    from plex_companion.plex.client import read_answer  # noqa: PLC0415 - imports plexapi

    with suppress(ClientUnreachable, ParseError):  # some apps answer nothing or invalid XML; that is not an error
        answer = read_answer(send_command(plex, companion, player, "timeline/poll", wait=0).encode())
        rows = () if answer is None else answer.iter("Timeline")
        return next((row for row in rows if row.get("state", "stopped") != "stopped"), None)
    return None


def _describe_timeline(row: Element, session: Session | None) -> dict[str, Any]:
    time, duration = read_number(row, "time"), read_number(row, "duration")
    return {
        "type": read_text(row, "type"),
        "state": read_text(row, "state"),
        "time": time,
        "duration": duration,
        "progress": serialize.compute_percent(time or 0, duration),
        "key": read_text(row, "key"),
        "ratingKey": parse_identifier(read_text(row, "ratingKey")),
        "playQueueItemID": read_number(row, "playQueueItemID"),
        "playbackRate": read_text(row, "playbackRate"),
        "shuffled": read_flag(row, "shuffle"),
        "repeated": read_number(row, "repeat"),
        "muted": read_flag(row, "muted"),
        "volume": read_number(row, "volume"),
        "title": session.item.title if session else None,
        "guid": read_text(row, "guid"),
    }


# -- remote control

ActionParameter = Annotated[
    int | None,
    Field(description="seekTo: milliseconds. seekForward, seekBack: seconds (default 30). setVolume: 0 to 100."),
]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that a player accepted."""

    status: str
    message: str
    action: str
    client: str | None


@CLIENT.tool(
    Access.WRITE, title="Control playback", additive=True, open_world=True, aliases={**ALIAS, "offset": "parameter"}
)
def client_control_playback(
    plex: PlexServer,
    companion: Companion,
    client_name: ClientName,
    action: str,
    parameter: ActionParameter = None,
    media_type: Literal["video", "music", "photo"] = "video",
) -> Annotated[dict[str, Any], Shape(PlaybackCommand)]:
    """Control a player: play, pause, stop, skipNext, skipPrevious, stepForward, stepBack, seekTo, seekForward,
    seekBack, mute, unmute, setVolume.

    If the player refuses remote control, `stop` ends its session on the server instead.
    """
    action = choose(action, ACTIONS)
    _check_action(action, parameter)
    player = find_client(plex, companion, client_name, writes=True)
    path, more = _build_command(companion, player, action, parameter)
    done: dict[str, Any] = {
        "status": "success",
        "message": f"Asked '{player.name}' to {action}.",
        "action": action,
        "client": player.name,
        "parameter": parameter,
    }
    session_id = player.session.session_id if player.session else None
    if action == "stop" and session_id is not None and not (player.announced and is_controllable(companion, player)):
        terminate_session(plex, session_id)
        note = "This player cannot be controlled, so its session was ended on the server."
        return {**done, "message": f"The session of '{player.name}' was ended.", "timeline": None, "note": note}
    _require_reachable(player, action)
    if action == "mute":
        _remember_volume(companion, player, _poll_timeline(plex, companion, player))
    send_command(plex, companion, player, path, type=media_type, **more)
    row = _poll_timeline(plex, companion, player)
    requested = ("state", "time", "duration", "volume", "muted")
    timeline = {name: _describe_timeline(row, player.session)[name] for name in requested} if row is not None else None
    return {**done, "timeline": timeline}


def _check_action(action: str, parameter: int | None) -> None:
    if action not in ACTIONS:
        message = f"No action '{action}'. Actions: {', '.join(ACTIONS)}."
        raise Invalid(message, argument="action", allowed=list(ACTIONS))
    if action in {"seekTo", "setVolume"} and parameter is None:
        unit = "milliseconds" if action == "seekTo" else "0 to 100"
        raise Invalid(f"{action} needs `parameter`: {unit}.", argument="parameter")
    if action == "setVolume" and not 0 <= (parameter or 0) <= FULL_VOLUME:
        raise Invalid(f"The volume must be 0 to 100; got {parameter}.", argument="parameter")
    if parameter is not None and parameter < 0:
        raise Invalid(f"`parameter` must not be negative; got {parameter}.", argument="parameter")


def _build_command(  # noqa: PLR0911 - a table
    companion: Companion, player: ControllablePlayer, action: str, parameter: int | None
) -> tuple[str, dict[str, object]]:
    """Return the path and parameters of an action."""
    here = _find_position(companion, player)
    far = (parameter or 0) * 1000 or SEEK_MS
    match action:
        case "seekTo":
            return "playback/seekTo", {"offset": parameter}
        case "seekForward":
            return "playback/seekTo", {"offset": here + far}
        case "seekBack":
            return "playback/seekTo", {"offset": max(0, here - far)}
        case "mute":
            return "playback/setParameters", {"volume": 0}
        case "unmute":
            before = companion.ttl_cache.recall(("volume", player.identifier))
            return "playback/setParameters", {"volume": before or FULL_VOLUME}
        case "setVolume":
            companion.ttl_cache.remember(("volume", player.identifier), parameter)
            return "playback/setParameters", {"volume": parameter}
        case _:
            return f"playback/{action}", {}


def _remember_volume(companion: Companion, player: ControllablePlayer, row: Element | None) -> None:
    """Remember the volume that unmute restores."""
    volume = read_number(row, "volume") if row is not None else None
    if volume:
        companion.ttl_cache.remember(("volume", player.identifier), volume)


def _find_position(companion: Companion, player: ControllablePlayer) -> int:
    """Return the current position in milliseconds, as far as live data has it."""
    if player.session is None:
        return 0
    timeline = companion.state.find_timeline(player.identifier)
    now = (
        serialize.serialize_timeline(timeline, companion.state, companion.now_ms)["estimated_offset_ms"]
        if timeline
        else None
    )
    return int(now if now is not None else player.session.view_offset_ms)


def _require_reachable(player: ControllablePlayer, action: str) -> None:
    if player.online:
        return
    message = f"'{player.name or player.identifier}' is offline and cannot {action}. client_list shows which players are online."
    raise ClientUnreachable(message)


@CLIENT.tool(
    Access.WRITE, title="Press a remote button", additive=True, open_world=True, aliases={**ALIAS, "command": "action"}
)
def client_navigate(plex: PlexServer, companion: Companion, client_name: ClientName, action: str) -> CommandResult:
    """Navigate a player's menus: moveUp, moveDown, moveLeft, moveRight, select, back, home, contextMenu."""
    action = choose(action, MOVES)
    if action not in MOVES:
        message = f"No move '{action}'. Moves: {', '.join(MOVES)}."
        raise Invalid(message, argument="action", allowed=list(MOVES))
    player = find_client(plex, companion, client_name, writes=True)
    _require_reachable(player, action)
    send_command(plex, companion, player, f"navigation/{action}")
    return CommandResult("success", f"Asked '{player.name}' to {action}.", action, player.name)


@CLIENT.tool(
    Access.WRITE, title="Choose audio and subtitles", idempotent=True, additive=True, open_world=True, aliases=ALIAS
)
def client_set_streams(
    plex: PlexServer,
    companion: Companion,
    client_name: ClientName,
    audio_stream_id: Id | None = None,
    subtitle_stream_id: Annotated[Id | None, Field(description="0 switches subtitles off.")] = None,
    video_stream_id: Id | None = None,
) -> Annotated[dict[str, Any], Shape(StreamChange)]:
    """Select the audio, subtitle or video stream of what a player is playing, by stream id."""
    asked = {
        "audio_stream": ("audioStreamID", 2, audio_stream_id),
        "subtitle_stream": ("subtitleStreamID", 3, subtitle_stream_id),
        "video_stream": ("videoStreamID", 1, video_stream_id),
    }
    chosen = {name: what for name, what in asked.items() if what[2] is not None}
    if not chosen:
        raise Invalid("audio_stream_id, subtitle_stream_id or video_stream_id is required.", argument="audio_stream_id")
    player = find_client(plex, companion, client_name, writes=True)
    if player.session is None:
        message = f"'{player.name}' is not playing anything, so there are no streams to choose."
        raise NotSupported(message, reason="nothing is playing")
    _check_streams(plex, player.session, chosen)
    send_command(
        plex, companion, player, "playback/setStreams", type=VIDEO, **{what[0]: what[2] for what in chosen.values()}
    )
    changes = {name: parse_identifier(what[2]) for name, what in chosen.items()}
    return {
        "status": "success",
        "message": f"Asked '{player.name}' to change streams.",
        "client": player.name,
        "changes": changes,
    }


def _check_streams(plex: PlexServer, session: Session, chosen: dict[str, tuple[str, int, str | None]]) -> None:
    """Check that the streams belong to what plays: Plex accepts ids of another item and does nothing."""
    container = get(plex, f"/library/metadata/{session.item.rating_key}")
    streams = [(stream.get("streamType"), stream.get("id")) for stream in container.iter("Stream")]
    for name, (_, kind_number, identifier) in chosen.items():
        allowed = [found for of, found in streams if of == str(kind_number)]
        off = name == "subtitle_stream" and identifier == "0"
        if not off and identifier not in allowed:
            message = f"{name}_id {identifier} is not one of the {name.split('_')[0]} streams of what is playing. Ids: {', '.join(map(str, allowed)) or 'none'}."
            raise Invalid(message, argument=f"{name}_id", allowed=allowed)


# -- starting playback


@CLIENT.tool(Access.WRITE, title="Start playback", additive=True, open_world=True, aliases=ALIAS)
def client_start_playback(
    plex: PlexServer,
    companion: Companion,
    media_title: MediaTitle | None = None,
    client_name: ClientName | None = None,
    offset: Annotated[int, Field(description="Start position in milliseconds.")] = 0,
    library_name: LibraryName | None = None,
    use_external_player: Annotated[bool, Field(description="Not supported.")] = False,
    rating_key: MediaId | None = None,
) -> Annotated[dict[str, Any], Shape(PlaybackStart)]:
    """Start playing an item on a player. Replaces what the player is playing.

    Without `client_name`, nothing starts and the answer lists the available players.
    """
    if use_external_player:
        raise NotSupported(
            "use_external_player is not supported: only players that Plex knows can be controlled.",
            reason="no such call",
        )
    if offset < 0:
        raise Invalid(f"offset must not be negative; got {offset}.", argument="offset")
    known = companion.ttl_cache
    row = find_item(
        plex, known, title=media_title, media_id=rating_key, library_name=library_name, kinds=PLAYABLE, writes=True
    ).row
    if client_name is None:
        return _offer_players(plex, companion)
    player = find_client(plex, companion, client_name, writes=True)
    _require_reachable(player, "play")
    _send_play(plex, companion, player, row, offset)
    return _describe_start(player, row, offset)


def _describe_start(player: ControllablePlayer, row: Element, offset: int) -> dict[str, Any]:
    media = {
        "title": read_text(row, "title"),
        "type": read_kind(row),
        "formatted_title": _format_title(row),
        "rating_key": parse_identifier(row.get("ratingKey")),
    }
    return {
        "status": "success",
        "message": f"Asked '{player.name}' to play '{media['title']}'.",
        "media": media,
        "client": player.name,
        "offset": offset,
        "machine_identifier": player.identifier,
    }


def _format_title(row: Element) -> str:
    performer = read_performer(row) or read_text(row, "grandparentTitle")
    parts = (performer, read_text(row, "parentTitle"), read_text(row, "title"))
    return " - ".join(part for part in parts if part)


def _offer_players(plex: PlexServer, companion: Companion) -> dict[str, Any]:
    """List the players to choose from, when none was named."""
    online = [player for player in list_players(plex, companion).sort() if player.online]
    if not online:
        raise ClientUnreachable("No client is online. Open Plex on a player and try again.", available_actions=[])
    available = [{"name": one.name, "platform": one.platform, "machine_identifier": one.identifier} for one in online]
    message = "Nothing was started: repeat the call with one of these as client_name."
    return {"status": "client_selection", "message": message, "available_clients": available}


def _send_play(plex: PlexServer, companion: Companion, player: ControllablePlayer, row: Element, offset: int) -> None:
    """Create a play queue and a delegation token, and send the player the command. Three requests, four with the
    address.
    """
    key, medium = row.get("key", "").removesuffix("/children"), _choose_medium(row)
    machine = plex.machineIdentifier
    uri = f"server://{machine}/com.plexapp.plugins.library{key}"
    queue = send(plex, "POST", "/playQueues", type=medium, uri=uri, shuffle=0, repeat=0, continuous=0)
    queue_id = queue.get("playQueueID") if queue is not None else None
    if queue_id is None:
        raise PlexError(f"Plex created no play queue for '{row.get('title')}'. Nothing was started.")
    token = get(plex, "/security/token", type="delegation", scope="all").get("token")
    send_command(
        plex,
        companion,
        player,
        "playback/playMedia",
        **_parse_server_address(companion),
        machineIdentifier=machine,
        providerIdentifier="com.plexapp.plugins.library",
        containerKey=f"/playQueues/{queue_id}?window=100&own=1",
        key=key,
        offset=offset,
        token=token,
        type={"audio": MUSIC}.get(medium, medium),
    )


def _choose_medium(row: Element) -> str:
    match read_kind(row):
        case "artist" | "album" | "track":
            return "audio"
        case "photo":
            return PHOTO
        case _:
            return VIDEO


def _parse_server_address(companion: Companion) -> dict[str, object]:
    """Return the server's address in parts, so that the player can fetch the media from it."""
    parts = urlsplit(companion.gateway.url)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return {"protocol": parts.scheme, "address": parts.hostname, "port": port}
