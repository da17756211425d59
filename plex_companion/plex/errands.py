"""One errand of a worker thread: what it asked Plex last, how long it may go on, and how to call it back."""

from __future__ import annotations

import contextlib
import socket
import time
from contextvars import ContextVar

from plex_companion.errors import TimedOut


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
            TimedOut: nobody waits for its answer any more; a multi-step errand stops here.
        """
        self.left()
        self.requests.append((method, path))
        self.plex_tv = plex_tv
        self.status = None
        self.retry_after_s = None

    def left(self) -> float:
        """Seconds until the errand must be back.

        Raises:
            TimedOut: none are left, or it was called back.
        """
        left = self._ends - time.monotonic()
        if left <= 0 or self._called_back:
            raise self.late()
        return left

    def late(self) -> TimedOut:
        """What the caller is told."""
        if not self.requests:
            return TimedOut(
                f"Plex was not asked: earlier requests have kept it busy for {self.seconds:g} s. Try again."
            )
        return TimedOut(
            f"{self.asked}: no answer within {self.seconds:g} s. Plex may be busy; try again, or ask for less."
        )

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
