"""One errand of a worker thread: what it asked Plex last, how long it may go on, and how to call it back."""

from __future__ import annotations

import contextlib
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from plex_companion.errors import Partial, TimedOut, ToolError

_CHANGING = frozenset({"PUT", "POST", "DELETE"})
_SWITCH = "/switch"
"""A profile's token is asked for with POST; nothing changes by it."""


@dataclass(frozen=True, slots=True)
class Way:
    """A write of several named steps, and how far it came. `facts` are what it says besides, as the id of what was made."""

    names: list[str]
    facts: dict[str, Any]
    applied: list[str] = field(default_factory=list)

    @property
    def is_half_gone(self) -> bool:
        """Whether something has taken effect (before the first step it may have been what `facts` tell)."""
        return bool(self.applied or self.facts) and len(self.applied) < len(self.names)

    def stopped(self, failure: ToolError) -> ToolError:
        """What the caller is told when a step fails."""
        if not self.is_half_gone or isinstance(failure, Partial):
            return failure
        left, done = self.names[len(self.applied) :], ", ".join(self.applied) or "nothing of it"
        message = f"Stopped half way. Done: {done}. Not done: {', '.join(left)}, because: {failure.message}"
        return Partial(message, applied=list(self.applied), failed=left, **self.facts)


class Errand:
    """Written by the worker thread, read by the loop: attributes are replaced, never mended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.requests: list[tuple[str, str]] = []
        self.status: int | None = None
        """HTTP status of the last answer; `None` while it is awaited."""
        self.retry_after_s: int | None = None
        self.plex_tv = False
        """Whether the last request went to plex.tv and not to the server."""
        self.way: Way | None = None
        """Set by a write of several steps, so that a deadline in their midst can tell."""
        self._ends = time.monotonic() + seconds
        self._called_back = False
        self._socket: socket.socket | None = None

    @property
    def asked(self) -> str:
        """The last request for people, as `GET /library/sections`: no host, no query string."""
        method, path = self.requests[-1] if self.requests else ("GET", "/")
        return f"{method} {path}" + (" of plex.tv" if self.plex_tv else "")

    def asks(self, method: str, path: str, *, plex_tv: bool) -> None:
        """Note a request before it is sent.

        Raises:
            ToolError: nobody waits for its answer any more; a multi-step errand stops here.
        """
        self.left()
        self.requests.append((method, path))
        self.plex_tv = plex_tv
        self.status = None
        self.retry_after_s = None

    def left(self) -> float:
        """Seconds until the errand must be back.

        Raises:
            ToolError: none are left, or it was called back.
        """
        left = self._ends - time.monotonic()
        if left <= 0 or self._called_back:
            raise self.late()
        return left

    def late(self) -> ToolError:
        """What the caller is told; of a write, whether something may have changed."""
        if not self.requests:
            return TimedOut(
                f"Plex was not asked: earlier requests have kept it busy for {self.seconds:g} s. Try again."
            )
        late = f"{self.asked}: no answer within {self.seconds:g} s. Plex may be busy; "
        if any(method in _CHANGING and not path.endswith(_SWITCH) for method, path in self.requests):
            late += "what was to be changed may be changed all the same, so look before you try again."
        else:
            late += "try again, or ask for less."
        return TimedOut(late) if self.way is None else self.way.stopped(TimedOut(late))

    def holds(self, sock: socket.socket | None) -> None:
        """Remember the connection in use, so that another thread can end the wait for its answer."""
        self._socket = sock
        if self._called_back:
            self._hang_up()

    def call_back(self) -> None:
        """End it soon: a blocked read returns at once, and no further request is begun. Callable from any thread."""
        self._called_back = (
            True  # before the look at the socket, as `holds` looks the other way round: one of them sees it
        )
        self._hang_up()

    def _hang_up(self) -> None:
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):  # closed in the meantime
                # Not `sock.shutdown`: a TLS socket would first forget that it is one, under the reader's feet.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


CURRENT: ContextVar[Errand | None] = ContextVar("errand", default=None)
