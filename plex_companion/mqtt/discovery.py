"""Home Assistant's discovery: a message for each entity and device trigger. Pure.

The fields are those of Home Assistant's documentation of `sensor.mqtt`, `binary_sensor.mqtt`, `event.mqtt` and
`device_trigger.mqtt`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from plex_companion import __version__
from plex_companion.mqtt.event_messages import GROUPS, TRIGGERS, list_event_types
from plex_companion.mqtt.topics import COMPANION, OFF, OFFLINE, ON, ONLINE
from plex_companion.text import encode_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.mqtt.topics import Topics

    Config = dict[str, Any]

MAKER = "plex-companion"
ORIGIN: Config = {"name": MAKER, "sw_version": __version__}
_FIGURES: dict[str, Config] = {
    "streams": {"name": "Streams", "icon": "mdi:play-network", "unit_of_measurement": "streams"},
    "transcodes": {"name": "Transcodes", "icon": "mdi:cog-play", "unit_of_measurement": "streams"},
    "bandwidth": {"name": "Bandwidth", "device_class": "data_rate", "unit_of_measurement": "kbit/s"},
}
_OF_PLAYER: dict[str, Config] = {
    "state": {"name": "Playback", "icon": "mdi:cast", "device_class": "enum", "options": ["playing", "paused", "idle"]},
    "title": {"name": "Title", "icon": "mdi:movie-open"},
    "progress": {"name": "Progress", "icon": "mdi:progress-clock", "unit_of_measurement": "%"},
    "user": {"name": "User", "icon": "mdi:account"},
}
_EVENT_ICON = "mdi:bell-ring"


@lru_cache(maxsize=8)
def build_companion_configs(topics: Topics) -> dict[str, str]:
    """Return the discovery of the companion's own device, by topic."""
    device = {**_name_device(topics, COMPANION), "name": "Plex Companion", "model": "Listener", "manufacturer": MAKER}
    device["sw_version"] = __version__
    listed = [
        *_list_figures(topics, COMPANION, [_follow(topics.plex, ONLINE, OFFLINE)]),
        _build_connection(topics, COMPANION),
        *(_build_events(topics, COMPANION, group) for group in GROUPS),
        *_list_triggers(topics, COMPANION),
    ]
    return _encode(topics, device, listed)


@lru_cache(maxsize=64)
def build_server_configs(topics: Topics, key: str, name: str, version: str | None) -> dict[str, str]:
    """Return the discovery of the device of one of several servers, by topic."""
    named = f"server_{key}"
    device = {**_name_device(topics, named), "name": name, "model": "Plex Media Server", "manufacturer": "Plex"}
    device |= {"via_device": _name_identifier(topics, COMPANION), **({"sw_version": version} if version else {})}
    connected = _follow(topics.name_connection(named), ON, OFF)
    return _encode(topics, device, [*_list_figures(topics, named, [connected]), _build_connection(topics, named)])


@lru_cache(maxsize=256)
def build_player_configs(
    topics: Topics, key: str, name: str, product: str | None, platform: str | None, server: str | None
) -> dict[str, str]:
    """Return the discovery of the device of a player, by topic. `server` is the key of its server, if there are several."""
    named = f"player_{key}"
    device = {**_name_device(topics, named), "name": name, "via_device": _name_identifier(topics, COMPANION)}
    model = f"{product} ({platform})" if product and platform else product or platform
    device |= {"model": model} if model else {}
    plex = (
        _follow(topics.name_connection(f"server_{server}"), ON, OFF)
        if server
        else _follow(topics.plex, ONLINE, OFFLINE)
    )
    sensors = [
        ("sensor", f"{named}_{field}", _build_sensor(topics, named, field, config, [plex]))
        for field, config in _OF_PLAYER.items()
    ]
    return _encode(topics, device, [*sensors, _build_events(topics, named, "play"), *_list_triggers(topics, named)])


def _encode(topics: Topics, device: Config, listed: list[tuple[str, str, Config]]) -> dict[str, str]:
    return {
        topics.name_config(component, object_id): encode_json({**config, "device": device, "origin": ORIGIN})
        for component, object_id, config in listed
    }


def _name_identifier(topics: Topics, device: str) -> str:
    return f"plex-companion_{topics.node}_{device}"


def _name_device(topics: Topics, device: str) -> Config:
    return {"identifiers": [_name_identifier(topics, device)]}


def _follow(topic: str, available: str, unavailable: str) -> Config:
    return {"topic": topic, "payload_available": available, "payload_not_available": unavailable}


def _describe_entity(topics: Topics, object_id: str, *more: Config) -> Config:
    """Return what every entity has: an id, and the topics that say whether what it shows is the present."""
    status = _follow(topics.status, ONLINE, OFFLINE)
    return {"unique_id": f"{topics.node}_{object_id}", "availability": [status, *more], "availability_mode": "all"}


def _build_sensor(topics: Topics, device: str, field: str, config: Config, availability: list[Config]) -> Config:
    return {
        **config,
        **_describe_entity(topics, f"{device}_{field}", *availability),
        "state_topic": topics.name_state(device),
        "value_template": f"{{{{ value_json.{field} }}}}",
    }


def _list_figures(topics: Topics, device: str, availability: list[Config]) -> Iterator[tuple[str, str, Config]]:
    for field, config in _FIGURES.items():
        sensor = _build_sensor(topics, device, field, {**config, "state_class": "measurement"}, availability)
        yield "sensor", f"{device}_{field}", sensor


def _build_connection(topics: Topics, device: str) -> tuple[str, str, Config]:
    object_id = f"{device}_connection"
    config = {
        "name": "Connection to Plex",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        **_describe_entity(topics, object_id),
        "state_topic": topics.name_connection(device),
        "payload_on": ON,
        "payload_off": OFF,
    }
    return "binary_sensor", object_id, config


def _build_events(topics: Topics, device: str, group: str) -> tuple[str, str, Config]:
    object_id = f"{device}_events_{group}"
    config = {
        "name": GROUPS[group],
        "icon": _EVENT_ICON,
        **_describe_entity(topics, object_id),
        "state_topic": topics.name_events(device, group),
        "event_types": list_event_types(group),
    }
    return "event", object_id, config


def _list_triggers(topics: Topics, device: str) -> Iterator[tuple[str, str, Config]]:
    for name, kind in TRIGGERS.items():
        config = {
            "automation_type": "trigger",
            "topic": topics.name_trigger(device),
            "payload": name,
            "type": kind,
            "subtype": "play",
        }
        yield "device_automation", f"{device}_trigger_{kind}", config
