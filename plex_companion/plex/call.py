"""One call of a worker thread: what it asked Plex last, how long it may go on, and how to call it back."""

from __future__ import annotations

import contextlib
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plex_companion.errors import Partial, TimedOut, ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHANGING = frozenset({"PUT", "POST", "DELETE"})
_SWITCH = "/switch"
"""A profile's token is asked for with POST; nothing changes by it."""


SHOWN = 10
"""Names or ids of one sort in an error."""


def join_few(names: Sequence[str]) -> str:
    """Join names for a message: the first ten, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def list_few(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return the first ten of a list as a fact of an error, with their number where there are more."""
    more = {f"{name}_count": len(values)} if len(values) > SHOWN else {}
    return {name: list(values[:SHOWN]), **more}


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A write of several named steps, and how far it came. `facts` are what it says besides, as the id of what was made.

    Where each step brings items, `counts` says how many, and `begun` how many were in before the first.
    """

    names: list[str]
    facts: dict[str, Any]
    applied: list[str] = field(default_factory=list)
    counts: tuple[int, ...] = ()
    begun: int = 0

    @property
    def is_partial(self) -> bool:
        """Whether something has taken effect (before the first step it may have been what `facts` tell)."""
        return bool(self.applied or self.facts) and len(self.applied) < len(self.names)

    def build_partial_error(self, failure: ToolError) -> ToolError:
        """What the caller is told when a step fails."""
        if not self.is_partial or isinstance(failure, Partial):
            return failure
        left = self.names[len(self.applied) :]
        facts = {**list_few("applied", self.applied), **list_few("failed", left), **self.facts}
        if self.counts:
            done, whole = self.begun + sum(self.counts[: len(self.applied)]), self.begun + sum(self.counts)
            message = f"Stopped half way: {done} of {whole} items are in, because: {failure.message}"
            return Partial(message, items_done=done, items_requested=whole, **facts)
        message = (
            f"Stopped half way. Done: {join_few(self.applied) or 'nothing of it'}. "
            f"Not done: {join_few(left)}, because: {failure.message}"
        )
        return Partial(message, **facts)


class PlexCall:
    """Written by the worker thread, read by the loop: attributes are replaced, never mended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.requests: list[tuple[str, str]] = []
        self.status: int | None = None
        """HTTP status of the last answer; `None` while it is awaited."""
        self.retry_after_s: int | None = None
        self.plex_tv = False
        """Whether the last request went to plex.tv and not to the server."""
        self.progress: StepProgress | None = None
        """Set by a write of several steps, so that a deadline in their midst can tell."""
        self._ends = time.monotonic() + seconds
        self._called_back = False
        self._socket: socket.socket | None = None

    @property
    def last_request(self) -> str:
        """The last request for people, as `GET /library/sections`: no host, no query string."""
        method, path = self.requests[-1] if self.requests else ("GET", "/")
        return f"{method} {path}" + (" of plex.tv" if self.plex_tv else "")

    def begin_request(self, method: str, path: str, *, plex_tv: bool) -> None:
        """Note a request before it is sent.

        Raises:
            ToolError: nobody waits for its answer any more; a multi-step call stops here.
        """
        self.compute_remaining()
        self.requests.append((method, path))
        self.plex_tv = plex_tv
        self.status = None
        self.retry_after_s = None

    def compute_remaining(self) -> float:
        """Seconds until the call must be back.

        Raises:
            ToolError: none are left, or it was called back.
        """
        left = self._ends - time.monotonic()
        if left <= 0 or self._called_back:
            raise self.build_timeout_error()
        return left

    def build_timeout_error(self) -> ToolError:
        """What the caller is told; of a write, whether something may have changed."""
        if not self.requests:
            return TimedOut(
                f"Plex was not asked: earlier requests have kept it busy for {self.seconds:g} s. Try again."
            )
        late = f"{self.last_request}: no answer within {self.seconds:g} s. Plex may be busy; "
        if any(method in _CHANGING and not path.endswith(_SWITCH) for method, path in self.requests):
            late += "what was to be changed may be changed all the same, so look before you try again."
        else:
            late += "try again, or ask for less."
        return TimedOut(late) if self.progress is None else self.progress.build_partial_error(TimedOut(late))

    def attach_socket(self, sock: socket.socket | None) -> None:
        """Remember the connection in use, so that another thread can end the wait for its answer."""
        self._socket = sock
        if self._called_back:
            self._close_socket()

    def cancel(self) -> None:
        """End it soon: a blocked read returns at once, and no further request is begun. Callable from any thread."""
        self._called_back = (
            True  # before the look at the socket, as `attach_socket` looks the other way round: one of them sees it
        )
        self._close_socket()

    def _close_socket(self) -> None:
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):  # closed in the meantime
                # Not `sock.shutdown`: a TLS socket would first forget that it is one, under the reader's feet.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


CURRENT_CALL: ContextVar[PlexCall | None] = ContextVar("plex_call", default=None)
