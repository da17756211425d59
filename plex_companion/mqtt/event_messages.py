"""Occurrences as messages: for event entities, and for device triggers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from plex_companion.mqtt.home_state import tidy_text
from plex_companion.mqtt.topics import COMPANION, digest_identifier
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.text import encode_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from plex_companion.mqtt.topics import Topics
    from plex_companion.serialize import Json

GROUPS = {"play": "Plays", "media": "Library", "alert": "Alerts", "server": "Server"}
"""The event entities and their names. What is in no group by the first word of its type is about the server."""
TRIGGERS = {"play.started": "started", "play.paused": "paused", "play.stopped": "stopped", "play.watched": "watched"}
"""The occurrences that are device triggers, and the types of these."""
MOST_TITLES = 10
"""How many titles a message about new media names: Home Assistant stores 16 kB of attributes at most."""
_NAMED: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "play": (("title", "item", "full_title"), ("type", "item", "type"), ("library", "item", "library"),
             ("user", "user", "name"), ("player", "player", "title")),
    "client": (("player", "player", "title"),),
    "alert": (("title", "alert", "title"), ("kind", "alert", "kind"), ("severity", "alert", "severity")),
}  # fmt: skip
"""By the first word of a type: attributes, and where in the data of the occurrence they are."""


class EventMessage(NamedTuple):
    """A message that is sent once and not kept by the broker."""

    topic: str
    payload: str


def find_group(name: str) -> str:
    """Return the group of a type of occurrence."""
    first = name.partition(".")[0]
    return first if first in GROUPS else "server"


def list_event_types(group: str) -> list[str]:
    """Return the types of occurrences in a group."""
    return [name for name in OCCURRENCE_TYPES if find_group(name) == group]


def build_event_messages(row: Json, topics: Topics) -> list[EventMessage]:
    """Return the messages of an occurrence: for the companion's device and, of a play, for the device of its player."""
    group, payload = find_group(row["type"]), encode_json(describe_occurrence(row))
    found: list[EventMessage] = []
    for device in _list_devices(row):
        found.append(EventMessage(topics.name_events(device, group), payload))
        if row["type"] in TRIGGERS:
            found.append(EventMessage(topics.name_trigger(device), row["type"]))
    return found


def _list_devices(row: Json) -> Iterator[str]:
    yield COMPANION
    player = row["data"].get("player") or {}
    if find_group(row["type"]) == "play" and player.get("client_identifier"):
        yield f"player_{digest_identifier(player['client_identifier'])}"


def describe_occurrence(row: Json) -> Json:
    """Return the attributes of an event: few and flat, so that a template needs one word for each."""
    data: Mapping[str, Any] = row["data"]
    plain: Json = {name: value for name, value in data.items() if isinstance(value, str | int | float)}
    for attribute, part, name in _NAMED.get(row["type"].partition(".")[0], ()):
        plain[attribute] = (data.get(part) or {}).get(name)
    if "items" in data:
        plain["titles"] = [tidy_text(item.get("title")) for item in data["items"][:MOST_TITLES]]
    elif "titles" in data:
        plain["titles"] = [tidy_text(title) for title in data["titles"][:MOST_TITLES]]
    tidied = {name: tidy_text(value) if isinstance(value, str) else value for name, value in plain.items()}
    return {**tidied, "event_type": row["type"], "id": row["id"], "at": row["at"], "inferred": row["inferred"]}
