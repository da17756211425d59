"""The players: identity, state, and sending them commands.

Commands always go through the server (`X-Plex-Target-Client-Identifier`). The companion never connects to a player's
own address, and never sends it the owner's token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from plex_companion.changes.sessions import build_session
from plex_companion.errors import ClientUnreachable, NotFound, PlexError
from plex_companion.events import Snapshot
from plex_companion.plex.call import CURRENT_CALL, PlexCall
from plex_companion.plex.lookup import MultipleMatches
from plex_companion.plex.query import build_path, get, get_plex_tv, try_request
from plex_companion.plex.titles import match_title
from plex_companion.plex.xml import views
from plex_companion.plex.xml.attributes import read_flag, read_text
from plex_companion.text import HIDDEN, clean, mask

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plex_companion.companion import Companion
    from plex_companion.models import Session
    from plex_companion.plex.client import PlexServer

DEVICES_SECONDS = 300.0
_PLEX_ITSELF = frozenset({"401", "403", "429", "503"})
"""HTTP statuses that come from the server itself: the command never reached the player."""
PLAYING = frozenset({"playing", "paused", "buffering"})


@dataclass(frozen=True, slots=True)
class ControllablePlayer:
    """One player, as `/clients`, a session or plex.tv describe it. Later sources fill the gaps of earlier ones."""

    identifier: str
    name: str | None = None
    product: str | None = None
    version: str | None = None
    platform: str | None = None
    platform_version: str | None = None
    device: str | None = None
    device_class: str | None = None
    model: str | None = None
    vendor: str | None = None
    address: str | None = None
    local: bool | None = None
    protocol: str | None = None
    protocol_version: str | None = None
    capabilities: tuple[str, ...] = ()
    provides: str | None = None
    announced: bool = False
    """`/clients` lists the player: it says that it accepts commands."""
    present: bool = False
    """The server or plex.tv currently sees the player."""
    session: Session | None = None

    @property
    def online(self) -> bool:
        """Whether any source says that the player is there."""
        return self.announced or self.present or self.session is not None

    @property
    def active(self) -> bool:
        """Whether the player is playing or paused."""
        return self.session is not None and self.session.state in PLAYING

    def complete(self, other: ControllablePlayer) -> ControllablePlayer:
        """Return the player with its gaps filled from another source."""
        names = (name for name in type(self).__dataclass_fields__ if name != "identifier")
        open_ = {name: getattr(other, name) for name in names if getattr(self, name) in {None, (), False}}
        return replace(self, **open_)


@dataclass(frozen=True, slots=True)
class PlayerList:
    """All players found, and which sources failed."""

    known: dict[str, ControllablePlayer]
    note: str | None = None

    def sort(self) -> list[ControllablePlayer]:
        """Return the players, online ones first, then by name."""
        return sorted(self.known.values(), key=lambda player: (not player.online, player.name or "", player.identifier))


def list_players(plex: PlexServer, companion: Companion) -> PlayerList:
    """Return all players. At most 3 requests. If plex.tv is down, return those the server knows, and a note."""
    found: dict[str, ControllablePlayer] = {}
    for player in [*_fetch_announced(plex, companion), *_fetch_playing(plex, companion)]:
        _add(found, player)
    devices = try_request(
        lambda: companion.ttl_cache.get_or_fetch(
            "player devices", DEVICES_SECONDS, lambda: _fetch_devices(plex, companion)
        )
    )
    for player in devices or ():
        _add(found, player)
    note = "plex.tv did not answer: players that are idle and do not announce themselves are missing."
    return PlayerList(found, note if devices is None else None)


def list_active_players(plex: PlexServer, companion: Companion) -> list[ControllablePlayer]:
    """Return the players in sessions. No request while the connection to Plex is live, else one."""
    return [player for player in _fetch_playing(plex, companion) if player.active]


def _add(found: dict[str, ControllablePlayer], player: ControllablePlayer) -> None:
    known = found.get(player.identifier)
    found[player.identifier] = known.complete(player) if known else player


def _mask_address(value: str | None, companion: Companion) -> str | None:
    return HIDDEN if value and companion.settings.privacy else value


def _fetch_announced(plex: PlexServer, companion: Companion) -> list[ControllablePlayer]:
    """Fetch `/clients`. It is empty in most homes: only old players announce themselves on the local network (plexapi
    #115).
    """
    rows = (row for row in get(plex, "/clients") if row.get("machineIdentifier"))
    return [
        ControllablePlayer(
            identifier=clean(row.get("machineIdentifier", "")),
            name=_read_name(row, companion),
            product=read_text(row, "product"),
            version=read_text(row, "version"),
            device_class=read_text(row, "deviceClass"),
            address=_mask_address(row.get("address"), companion),
            local=True,
            protocol=read_text(row, "protocol"),
            protocol_version=read_text(row, "protocolVersion"),
            capabilities=tuple(part for part in row.get("protocolCapabilities", "").split(",") if part),
            provides="client",
            announced=True,
        )
        for row in rows
    ]


def _fetch_playing(plex: PlexServer, companion: Companion) -> list[ControllablePlayer]:
    sessions = companion.state.sessions.values() if companion.is_live else _try_request(plex, companion)
    found = []
    for session in sessions:
        of = session.player
        if of is not None and of.client_identifier is not None:
            player = ControllablePlayer(
                of.client_identifier,
                of.title,
                of.product,
                of.version,
                of.platform,
                device=of.device,
                address=of.address,
                local=of.local,
            )
            found.append(replace(player, session=session))
    return found


def _try_request(plex: PlexServer, companion: Companion) -> list[Session]:
    now = companion.clock()
    rows = [row for row in get(plex, "/status/sessions") if row.tag in {"Video", "Track", "Photo"}]
    asked = Snapshot(0, first=False, requested=now)
    listed = (views.parse_session_row(row, private=companion.settings.privacy) for row in rows)
    return [build_session(row, row.session_key or "", number, asked, now) for number, row in enumerate(listed)]


def _fetch_devices(plex: PlexServer, companion: Companion) -> list[ControllablePlayer]:
    """Fetch the account's devices that can play, from plex.tv."""
    found = get_plex_tv(plex, "/api/v2/resources", includeHttps=1, includeRelay=1, includeIPv6=1)
    rows = (row for row in found if "player" in row.get("provides", "").split(","))
    return [
        ControllablePlayer(
            identifier=clean(row.get("clientIdentifier", "")),
            name=_read_name(row, companion),
            product=read_text(row, "product"),
            version=read_text(row, "productVersion"),
            platform=read_text(row, "platform"),
            platform_version=read_text(row, "platformVersion"),
            device=read_text(row, "device"),
            address=_mask_address(row.get("publicAddress"), companion),
            provides=read_text(row, "provides"),
            present=read_flag(row, "presence") is True,
        )
        for row in rows
        if row.get("clientIdentifier")
    ]


def _read_name(row: Element, companion: Companion) -> str | None:
    """Return the device's name, masked: people name devices after themselves, some with their e-mail address."""
    name = read_text(row, "name")
    return mask(name) if name and companion.settings.privacy else name


def find_client(plex: PlexServer, companion: Companion, name: str, *, writes: bool) -> ControllablePlayer:
    """Find the player with this machine identifier or name.

    Raises:
        NotFound: no player matches; the error lists the names.
        MultipleMatches: more than one matches or, for writes, none matches exactly.
    """
    players = list_players(plex, companion)
    if name.strip() in players.known:
        return players.known[name.strip()]
    everyone = players.sort()
    matches = match_title(everyone, name, lambda player: [player.name or ""])
    if len(matches.exact) == 1:
        return matches.exact[0]
    if not matches.every:
        available = [player.name or player.identifier for player in everyone][:50]
        message = f"No client '{name}'. Clients: {', '.join(available) or 'none'}."
        raise NotFound(message, what="client", available=available)
    if len(matches.best) == 1 and not writes:
        return matches.best[0]
    message = (
        f"{len(matches.best)} clients match '{name}': repeat the call with the machineIdentifier of the one you mean."
    )
    raise MultipleMatches(message, [describe_match(player) for player in matches.best])


def describe_match(player: ControllablePlayer) -> dict[str, Any]:
    """Describe a player as one of several matches."""
    return {
        "title": player.name,
        "id": player.identifier,
        "machine_identifier": player.identifier,
        "type": "client",
        "platform": player.platform,
        "product": player.product,
    }


def read_command_history(companion: Companion, player: ControllablePlayer) -> dict[str, bool]:
    """Return which commands this player accepted and refused since this process started."""
    remembered: dict[str, bool] = companion.ttl_cache.recall(("commands", player.identifier)) or {}
    return remembered


def is_controllable(companion: Companion, player: ControllablePlayer) -> bool:
    """Return whether the player is online and has not refused a command so far."""
    return player.online and all(read_command_history(companion, player).values())


def send_command(
    plex: PlexServer, companion: Companion, player: ControllablePlayer, path: str, **params: object
) -> str:
    """Send a command to a player through the server and return the player's answer.

    Apps answer `OK`, XML, or XML that is never closed. A failure may come as HTTP 200 with an error code inside.

    Raises:
        ClientUnreachable: the player did not answer, or refused.
    """
    number = companion.ttl_cache.take_number(("commands of", player.identifier))
    command = build_path(f"/player/{path}", {"commandID": number, **params})
    code = ""
    message = ""
    try:
        answer = plex.fetch(command, headers={"X-Plex-Target-Client-Identifier": player.identifier})
        message, code = answer.text, "" if answer.ok else str(answer.status_code)
    except PlexError as error:  # our session raises on an error inside an HTTP 200
        code = str(error.facts.get("http_status", ""))
    if code in _PLEX_ITSELF:
        from plex_companion.plex.translate import translate_status  # noqa: PLC0415 - it imports requests

        raise translate_status(int(code), CURRENT_CALL.get() or PlexCall(0))
    if path != "timeline/poll":
        companion.ttl_cache.remember(
            ("commands", player.identifier), {**read_command_history(companion, player), path: not code}
        )
    if code:
        raise _build_unreachable(player, path, code)
    return message


def _build_unreachable(player: ControllablePlayer, path: str, code: str) -> ClientUnreachable:
    can_stop = player.session is not None and player.session.session_id is not None
    message = (
        f"'{player.name or player.identifier}' refused {path.rsplit('/', 1)[-1]} (it answered {code}). "
        "Many apps (Plex Web, Desktop, most TVs) do not allow remote control."
    )
    more = {"available_actions": ["stop"]} if can_stop else {}
    return ClientUnreachable(message, **more)
