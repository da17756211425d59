"""The names of MQTT topics, and the few payloads that are words."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

HOME_ASSISTANT = "homeassistant"
"""The prefix of discovery, and of Home Assistant's own status, unless somebody changed it there."""
HOME_ASSISTANT_STATUS = f"{HOME_ASSISTANT}/status"
ONLINE, OFFLINE = "online", "offline"
ON, OFF = "ON", "OFF"
COMPANION = "companion"
"""The key of the companion's own device."""


@lru_cache(maxsize=4_096)
def digest_identifier(text: str) -> str:
    """Return a key for a player or a server: identifiers may hold signs that no topic and no object id may have."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one companion."""

    node: str
    """Tells it from other companions on the same broker: the name of its database."""

    @property
    def base(self) -> str:
        """What all of its own topics begin with."""
        return f"plex-companion/{self.node}"

    @property
    def status(self) -> str:
        """`online` or `offline`: whether the companion runs."""
        return f"{self.base}/status"

    @property
    def plex(self) -> str:
        """`online` or `offline`: whether any server is connected, so that what is published is the present."""
        return f"{self.base}/plex"

    @property
    def position(self) -> str:
        """The cursor of the last occurrence that was published."""
        return f"{self.base}/position"

    @property
    def marker(self) -> str:
        """A message to ourselves, which arrives after all that the broker had kept."""
        return f"{self.base}/marker"

    def name_connection(self, device: str) -> str:
        """Return the topic of `ON` or `OFF`: whether every server of a device is connected."""
        return f"{self.base}/{device}/connection"

    def name_state(self, device: str) -> str:
        """Return the topic of the figures of a server, or of what a player does."""
        return f"{self.base}/{device}/state"

    def name_events(self, device: str, group: str) -> str:
        """Return the topic of the occurrences of a group that concern a device."""
        return f"{self.base}/{device}/events/{group}"

    def name_trigger(self, device: str) -> str:
        """Return the topic of the device triggers."""
        return f"{self.base}/{device}/trigger"

    def name_config(self, component: str, object_id: str) -> str:
        """Return the topic of the discovery of an entity or trigger."""
        return f"{HOME_ASSISTANT}/{component}/{self.node}/{object_id}/config"

    @property
    def every_config(self) -> str:
        """The filter that all discovery of this companion fits, also what an earlier version or process published."""
        return f"{HOME_ASSISTANT}/+/{self.node}/+/config"
