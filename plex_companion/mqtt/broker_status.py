"""Whether the MQTT broker is connected, for the metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class BrokerStatus:
    """The connection to the broker, as far as this process keeps one."""

    connected: bool = False
    connects: int = 0
    """How often it was connected."""
    published: int = 0
    """Messages that were published."""
