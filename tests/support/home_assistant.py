"""Judges discovery as Home Assistant would, by a schema written from its documentation."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = Path(__file__).parents[1] / "mqtt" / "home_assistant_discovery.json"
TOPIC = re.compile(r"homeassistant/(\w+)/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)/config")
_VALUE = re.compile(r"\{\{ value_json\.(\w+) \}\}")


@cache
def _validator(component: str) -> Any:
    schema = json.loads(SCHEMA.read_text())
    return Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{component}"})


def find_wrong(configs: Mapping[str, Any]) -> list[str]:
    """What Home Assistant would refuse, or take for something else."""
    wrong: list[str] = []
    for topic, config in configs.items():
        found = TOPIC.fullmatch(topic)
        if found is None:
            wrong.append(f"{topic}: no topic of discovery")
            continue
        wrong += [f"{topic}: {error.message}" for error in _validator(found[1]).iter_errors(config)]
    ids = Counter(config["unique_id"] for config in configs.values() if "unique_id" in config)
    wrong += [f"{one} is not unique" for one, count in ids.items() if count > 1]
    triggers = Counter(
        (tuple(one["device"]["identifiers"]), one["type"], one["subtype"])
        for topic, one in configs.items()
        if "/device_automation/" in topic
    )
    wrong += [f"the trigger {one} is there twice" for one, count in triggers.items() if count > 1]
    return wrong


def read_entity(kept: Mapping[str, str], config: Mapping[str, Any]) -> Any:
    """The state that an entity would show: None for unknown, "unavailable" where a topic of availability says so."""
    for one in config.get("availability", ()):
        if kept.get(one["topic"]) != one.get("payload_available", "online"):
            return "unavailable"
    payload = kept.get(config["state_topic"])
    found = _VALUE.fullmatch(config.get("value_template", ""))
    return payload if found is None or payload is None else json.loads(payload)[found[1]]


def read_device(kept: Mapping[str, str], configs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the sensors of the device of this name show, by their names."""
    return {
        config["name"]: read_entity(kept, config)
        for topic, config in configs.items()
        if config["device"]["name"] == name and "/device_automation/" not in topic and "/event/" not in topic
    }


def list_devices(configs: Mapping[str, Any]) -> set[str]:
    """The names of all devices."""
    return {config["device"]["name"] for config in configs.values()}
