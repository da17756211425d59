"""Whether the MQTT broker is connected, for the page of settings and the metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class BrokerStatus:
    """The connection to the broker, as far as this process keeps one."""

    connected: bool = False
    since: int | None = None
    """When it was connected or lost; `None` before the first attempt has ended."""
    problem: str | None = None
    """Why it is not connected, without the address."""
    connects: int = 0
    """How often it was connected."""
    published: int = 0
    """Messages that were published."""

    def begin(self) -> None:
        """Forget the connection of an earlier time, when this process listened before."""
        self.connected, self.since, self.problem = False, None, None

    def connect(self, at: int) -> None:
        """Say that it is connected."""
        self.connected, self.since, self.problem = True, at, None
        self.connects += 1

    def lose(self, problem: str, at: int) -> None:
        """Say that it is not connected, and why."""
        if self.connected or self.since is None:
            self.since = at
        self.connected, self.problem = False, problem
