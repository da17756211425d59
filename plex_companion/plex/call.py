"""One call of a worker thread to Plex: its requests, its deadline, and how another thread cancels it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plex_companion.errors import Partial, TimedOut, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHANGING = frozenset({"PUT", "POST", "DELETE"})
_SWITCH = "/switch"
"""Switching to a profile is a POST, but changes nothing."""
AT_ONCE = 1
"""Calls that work at a time. With two, a ping beside fifty calls waits 1.5 times as long."""
EVENT_LOOP_TURNS = 3
"""How many turns the event loop takes to encode and write a result. If the slot were free before, the next thread would
compete with that, and a ping would wait three times as long; with eight, fewer calls are answered a second."""
SHOWN = 10
"""Names or ids of one sort in an error."""


def join_few(names: Sequence[str]) -> str:
    """Join names for a message: the first ten, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def list_few(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return the first ten values as a fact of an error, with their number where there are more."""
    more = {f"{name}_count": len(values)} if len(values) > SHOWN else {}
    return {name: list(values[:SHOWN]), **more}


@dataclass(frozen=True, slots=True)
class StepProgress:
    """A write of several named steps, and how many of them are done.

    `facts` are added to the error, as the id of what was created. Where each step adds items, `counts` says how many, and
    `begun` how many were added before the first step.
    """

    names: list[str]
    facts: dict[str, Any]
    applied: list[str] = field(default_factory=list)
    counts: tuple[int, ...] = ()
    begun: int = 0

    @property
    def is_partial(self) -> bool:
        """Whether something has taken effect but not everything. Before the first step that is what `facts` describe."""
        return bool(self.applied or self.facts) and len(self.applied) < len(self.names)

    def build_partial_error(self, failure: ToolError) -> ToolError:
        """Return the error for a failed step: `failure` itself if nothing has taken effect, otherwise a `Partial`."""
        if not self.is_partial or isinstance(failure, Partial):
            return failure
        left = self.names[len(self.applied) :]
        facts = {**list_few("applied", self.applied), **list_few("failed", left), **self.facts}
        if self.counts:
            done, whole = self.begun + sum(self.counts[: len(self.applied)]), self.begun + sum(self.counts)
            message = f"Stopped half way: {done} of {whole} items are in, because: {failure.message}"
            return Partial(message, items_done=done, items_requested=whole, **facts)
        message = (
            f"Stopped half way. Done: {join_few(self.applied) or 'nothing'}. "
            f"Not done: {join_few(left)}, because: {failure.message}"
        )
        return Partial(message, **facts)


class ProcessorTurn:
    """Whether one call works on an answer. Its worker thread takes a slot, and the event loop gives it back.

    Several calls may wait for Plex at the same time. Reading XML and building a result is work under Python's one
    interpreter lock: eight threads that do it leave the event loop a ninth of the processor, and what they finish piles
    up there. So a call holds one of few slots from an answer of Plex until its own result is on its way. `slots` is
    shared by all calls of a gateway.
    """

    def __init__(self, slots: threading.Semaphore) -> None:
        self._free = slots
        self._guard = threading.Lock()
        self._held = False
        self._closed = False

    def begin(self, seconds: float) -> None:
        """Wait for a slot, at most `seconds`, and hold it. The work goes on without one."""
        if self._held or self._closed or not self._free.acquire(timeout=max(0.0, seconds)):
            return
        with self._guard:
            self._held = not self._closed
        if not self._held:  # the caller left while this waited
            self._free.release()

    def pause(self) -> None:
        """Give the slot back before something that waits: a request, or another call's answer."""
        with self._guard:
            held, self._held = self._held, False
        if held:
            self._free.release()

    def close_soon(self) -> None:
        """Give the slot back, never to take it again, once the event loop has written the result."""
        _run_later(EVENT_LOOP_TURNS, self._close)

    def _close(self) -> None:
        with self._guard:
            self._closed = True
        self.pause()


def _run_later(turns: int, function: Callable[[], None]) -> None:
    """Run a function after `turns` turns of the event loop."""
    if turns:
        asyncio.get_running_loop().call_soon(_run_later, turns - 1, function)
    else:
        function()


class PlexCall:
    """One call to Plex. Written by the worker thread, read by the event loop: attributes are replaced, never changed in place."""

    def __init__(self, seconds: float, turn: ProcessorTurn | None = None) -> None:
        self.seconds = seconds
        self._turn = turn
        self.requests: list[tuple[str, str]] = []
        self.status: int | None = None
        """HTTP status of the last answer; `None` while it is awaited."""
        self.retry_after_s: int | None = None
        self.plex_tv = False
        """Whether the last request went to plex.tv and not to the server."""
        self.progress: StepProgress | None = None
        """Set by a write of several steps, so that an error in the middle can say how far it came."""
        self._ends = time.monotonic() + seconds
        self._cancelled = False
        self._socket: socket.socket | None = None

    @property
    def last_request(self) -> str:
        """The last request in words for people, as `GET /library/sections`: no host, no query string."""
        method, path = self.requests[-1] if self.requests else ("GET", "/")
        return f"{method} {path}" + (" of plex.tv" if self.plex_tv else "")

    def begin_request(self, method: str, path: str, *, plex_tv: bool) -> None:
        """Record a request before it is sent.

        Raises:
            ToolError: the deadline has passed or the call was cancelled; a call of several steps stops here.
        """
        self.pause_work()
        self.compute_remaining()
        self.requests.append((method, path))
        self.plex_tv = plex_tv
        self.status = None
        self.retry_after_s = None

    def begin_work(self) -> None:
        """Wait until this call may work on the answer that it has read."""
        if self._turn is not None:
            self._turn.begin(self._ends - time.monotonic())

    def pause_work(self) -> None:
        """Let another call work while this one waits."""
        if self._turn is not None:
            self._turn.pause()

    def compute_remaining(self) -> float:
        """Return the seconds until the deadline of the call.

        Raises:
            ToolError: none are left, or the call was cancelled.
        """
        left = self._ends - time.monotonic()
        if left <= 0 or self._cancelled:
            raise self.build_timeout_error()
        return left

    def build_timeout_error(self) -> ToolError:
        """Return the error for a deadline that has passed. After a write it says that something may have changed."""
        if not self.requests:
            return TimedOut(
                f"Plex was not asked: earlier requests have kept it busy for {self.seconds:g} s. Try again."
            )
        message = f"{self.last_request}: no answer within {self.seconds:g} s. Plex may be busy; "
        if any(method in _CHANGING and not path.endswith(_SWITCH) for method, path in self.requests):
            message += "the change may have been made all the same, so check before you try again."
        else:
            message += "try again, or ask for less."
        return TimedOut(message) if self.progress is None else self.progress.build_partial_error(TimedOut(message))

    def attach_socket(self, sock: socket.socket | None) -> None:
        """Remember the connection in use, so that another thread can interrupt the wait for its answer."""
        self._socket = sock
        if self._cancelled:
            self._close_socket()

    def cancel(self) -> None:
        """End the call soon: a blocked read returns at once, and no further request is sent. Callable from any thread."""
        self._cancelled = True  # set before the socket is read; `attach_socket` does it the other way round, so one of the two sees the other's value
        self._close_socket()

    def _close_socket(self) -> None:
        if (sock := self._socket) is not None:
            with contextlib.suppress(OSError):  # closed in the meantime
                # Not `sock.shutdown`: on a TLS socket it drops the TLS state first, while another thread still reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


CURRENT_CALL: ContextVar[PlexCall | None] = ContextVar("plex_call", default=None)
