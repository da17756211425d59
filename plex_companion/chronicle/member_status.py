"""What a process shows of its machine's part in the chronicle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ChronicleRole = Literal["lead", "replay", "follow"]
"""`lead`: it listens to Plex and appends. `replay`: it applies what another machine appends. `follow`: another process of this
machine does one or the other."""


@dataclass(slots=True)
class ChronicleStatus:
    """The part of this machine, as last known."""

    role: ChronicleRole = "follow"
    number: int = 0
    """The last entry in the database of this machine."""
    newest: int = 0
    """The newest entry that was seen in the chronicle."""
    complete_at: int | None = None
    """When this machine last had every entry, in milliseconds since 1970."""
    problem: str | None = None
    """Why the chronicle cannot be used."""

    def note(self, number: int, newest: int, at: int) -> None:
        """Record how far this machine is."""
        self.number, self.newest = number, max(number, newest)
        if self.number == self.newest:
            self.complete_at = at

    @property
    def behind(self) -> int | None:
        """How many entries this machine lacks, as last seen; `None` in a process that does not look."""
        return None if self.role == "follow" else self.newest - self.number
