"""Everything that the broker keeps, by device: discovery and states. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.mqtt.discovery import build_companion_configs, build_player_configs, build_server_configs
from plex_companion.mqtt.home_state import ShownPlayer, ShownServer, describe_home
from plex_companion.mqtt.topics import COMPANION, OFF, OFFLINE, ON, ONLINE
from plex_companion.text import encode_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.changes.state import State
    from plex_companion.mqtt.home_state import ShownHome
    from plex_companion.mqtt.topics import Topics


@dataclass(frozen=True, slots=True)
class CompanionDevice:
    """The companion's own device: the sum of all servers."""

    servers: tuple[ShownServer, ...]
    is_connected: bool
    """Whether every configured server is connected."""


@dataclass(frozen=True, slots=True)
class PlayerDevice:
    """The device of a player."""

    player: ShownPlayer
    several: bool
    """Whether its server has a device of its own."""


Device = CompanionDevice | ShownServer | PlayerDevice


class RetainedMessages:
    """What the broker should keep. Of a device that has not changed, nothing is built again."""

    def __init__(self, topics: Topics) -> None:
        """Begin with nothing built."""
        self._topics = topics
        self._built: dict[str, tuple[Device, dict[str, str]]] = {}

    def build(self, states: Sequence[State], now_ms: int) -> dict[str, dict[str, str]]:
        """Return messages by topic, by device. Those of an unchanged device are the same object as before.

        Discovery comes first, since Home Assistant listens to a state only after it.
        """
        devices = _list_devices(describe_home(states, now_ms))
        self._built = {name: self._find_or_build(name, device) for name, device in devices.items()}
        return {name: messages for name, (_, messages) in self._built.items()}

    def _find_or_build(self, name: str, device: Device) -> tuple[Device, dict[str, str]]:
        known = self._built.get(name)
        return known if known is not None and known[0] == device else (device, _build_messages(self._topics, device))


def _list_devices(home: ShownHome) -> dict[str, Device]:
    devices: dict[str, Device] = {COMPANION: CompanionDevice(home.servers, home.is_connected)}
    for server in home.servers if home.several else ():
        devices[f"server_{server.key}"] = server
    for player in home.players:
        devices[f"player_{player.key}"] = PlayerDevice(player, home.several)
    return devices


def _build_messages(topics: Topics, device: Device) -> dict[str, str]:
    match device:
        case CompanionDevice(servers=servers, is_connected=connected):
            return {
                **build_companion_configs(topics),
                topics.plex: ONLINE if any(server.is_connected for server in servers) else OFFLINE,
                topics.name_connection(COMPANION): _format_flag(flag=connected),
                topics.name_state(COMPANION): _encode_figures(servers),
            }
        case ShownServer(key=key):
            return {
                **build_server_configs(topics, key, device.name, device.version),
                topics.name_connection(f"server_{key}"): _format_flag(flag=device.is_connected),
                topics.name_state(f"server_{key}"): _encode_figures((device,)),
            }
        case PlayerDevice(player=one, several=several):
            server = one.server if several else None
            return {
                **build_player_configs(topics, one.key, one.name, one.product, one.platform, server),
                topics.name_state(f"player_{one.key}"): _encode_player(one),
            }


def _format_flag(*, flag: bool) -> str:
    return ON if flag else OFF


def _encode_figures(servers: tuple[ShownServer, ...]) -> str:
    figures = {
        "streams": sum(server.streams for server in servers),
        "transcodes": sum(server.transcodes for server in servers),
        "bandwidth": sum(server.bandwidth_kbps for server in servers),
    }
    return encode_json(figures)


def _encode_player(player: ShownPlayer) -> str:
    return encode_json(
        {"state": player.playback, "title": player.title, "progress": player.progress, "user": player.user}
    )
