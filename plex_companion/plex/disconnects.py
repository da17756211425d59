"""How a connection of the listener ended, and how long it waits for what."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LONGEST_WAIT = 60.0


def generate_backoff(chance: Callable[[], float] = random.random) -> Iterator[float]:
    """Yield the seconds to wait before each attempt: 0, 1, 2, 4 … 60, from the second on up to a quarter less."""
    yield 0.0
    wait = 1.0
    while True:
        yield wait * (1 - chance() / 4)
        wait = min(wait * 2, _LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class ListenerTimeouts:
    """How long the listener waits, in seconds. Tests use shorter times."""

    opening: float = 10
    ping: float = 10
    pong: float = 10
    closing: float = 1
    refused: float = 300
    """Between attempts with a token that Plex refuses."""
    merge: float = 0.3
    """Between snapshots of sessions, however many are requested."""
    library: float = 10
    """Between snapshots of libraries: while a season is added, every episode requests one."""
    late: float = 4
    """For the sessions. After that they are shown as no longer certain, and the answer is still awaited."""
    failed: float = 5
    """Before a failed request is repeated. Sessions are requested again at once, then with growing pauses of up to
    twice this."""
    after_play: float = 2
    """From the end of a play to reading Plex's history: Plex writes the row a moment later."""
    after_play_again: float = 30
    """Before the history is read once more, as that moment can be long."""
    settled: float = 1
    """A connection that lasted this long was a good one: the next is attempted at once."""
    waits: Callable[[], Iterator[float]] = generate_backoff


DEFAULT_TIMEOUTS = ListenerTimeouts()


class ServerTaken(Exception):
    """Another configured address leads to the same server. Raised by the receiver of a first snapshot."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Disconnect:
    """How a connection, or the attempt to open one, ended."""

    detail: str
    unauthorized: bool = False
    too_large: bool = False
    lived_ms: int | None = None
    """How long it was live; `None` if it never was."""
    duplicate: bool = False
    """Whether another configured address leads to the same server."""


class Backoff:
    """The waiting times between attempts. They start again at zero after a good connection, unless Plex keeps hanging up."""

    def __init__(self, timeouts: ListenerTimeouts) -> None:
        self._timeouts = timeouts
        self._waits = timeouts.waits()
        self._failed = False

    def compute_delay(self, lost: Disconnect) -> float:
        """Return the seconds to wait after a connection that ended in this way."""
        settled = lost.lived_ms is not None and lost.lived_ms >= self._timeouts.settled * 1000
        if settled or (lost.lived_ms is not None and self._failed):
            self._waits = self._timeouts.waits()
        self._failed = lost.lived_ms is None
        if lost.unauthorized:
            return self._timeouts.refused
        wait = next(self._waits)
        return wait or next(self._waits) if lost.too_large else wait
