"""Why a connection failed, in plain words without address, name or token."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


import errno
import re
import socket
import ssl
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ERRNO = re.compile(r"\[Errno (\d+)\]")
_BY_ERRNO = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "the network is unreachable",
    errno.ETIMEDOUT: "no answer to the connection attempt",
    errno.ECONNABORTED: "connection aborted",
}


def explain_failure(error: BaseException) -> str:
    """The most telling cause in the chain of an error, for people."""
    return next((words for cause in _walk_causes(error) if (words := _describe(cause))), "connection lost")


def _walk_causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what is behind it: causes, contexts, and reasons that libraries carry along (depth first)."""
    waiting, seen = [error], set[int]()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        behind = (cause.__context__, cause.__cause__, vars(cause).get("reason"), *cause.args)
        waiting += [inner for inner in behind if isinstance(inner, BaseException)]


def _describe(error: BaseException) -> str | None:  # noqa: PLR0911 - a table, with types for keys
    match error:
        case ssl.SSLCertVerificationError():
            return _describe_certificate(error)
        case ssl.SSLError():
            return "TLS failed: is the address really https?"
        case socket.gaierror():
            return "the host name is not known"
        case TimeoutError():
            return "no answer to the connection attempt"
        case EOFError() | RemoteDisconnected():
            return "connection closed without a word"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError() | BrokenPipeError():
            return "connection reset"
        case OSError():
            return _BY_ERRNO.get(error.errno or _describe_os_error(error))
        case _:
            return None


def _describe_os_error(error: OSError) -> int:
    """Asyncio joins the failures of several addresses into one text."""
    found = _ERRNO.search(str(error))
    return int(found[1]) if found else 0


def _describe_certificate(error: ssl.SSLCertVerificationError) -> str:
    match error.verify_code:
        case 10:
            reason = "it has expired"
        case 62 | 64:
            reason = "it is for another name; use the plex.direct address"
        case 18 | 19 | 20 | 21:
            reason = "its authority is not known; name it as PLEX_COMPANION_PLEX_CA_FILE"
        case _:
            reason = "it is not valid"
    return f"the TLS certificate is not trusted: {reason}"


_LONGEST_WAIT = 60.0


def generate_backoff(chance: Callable[[], float] = random.random) -> Iterator[float]:
    """Seconds to wait before each try: 0, 1, 2, 4 … 60, from the second on up to a quarter less."""
    yield 0.0
    wait = 1.0
    while True:
        yield wait * (1 - chance() / 4)
        wait = min(wait * 2, _LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class ListenerTimeouts:
    """How long the listener waits, in seconds. Tests have less of it."""

    opening: float = 10
    ping: float = 10
    pong: float = 10
    closing: float = 1
    refused: float = 300
    """Between tries with a token that Plex refuses."""
    merge: float = 0.3
    """Between snapshots of sessions, however many are wanted."""
    library: float = 10
    """Between those of libraries: while a season comes in, every episode wants one."""
    late: float = 4
    """For what plays; then it is shown as no longer certain, and the answer is waited for."""
    failed: float = 5
    """Before what failed is tried again. What plays is asked for again at once, then after longer and longer, up to
    twice this."""
    after_play: float = 2
    """After a play has ended, before Plex's history is read: its row is written a moment later."""
    after_play_again: float = 30
    """Before it is looked at once more, as that moment can be long."""
    settled: float = 1
    """A connection that lived this long was a good one: the next is tried at once."""
    waits: Callable[[], Iterator[float]] = generate_backoff


DEFAULT_TIMEOUTS = ListenerTimeouts()


@dataclass(frozen=True, slots=True)
class Disconnect:
    """How a connection, or the try to make one, ended."""

    detail: str
    unauthorized: bool = False
    too_large: bool = False
    lived_ms: int | None = None
    """How long it was live; `None` if it never was."""


class Backoff:
    """How long to wait before the next try. Back-off starts anew when Plex was heard again, unless it keeps hanging up."""

    def __init__(self, patience: ListenerTimeouts) -> None:
        self._patience = patience
        self._waits = patience.waits()
        self._failed = False

    def compute_delay(self, lost: Disconnect) -> float:
        """Seconds, now that a connection has ended in this way."""
        settled = lost.lived_ms is not None and lost.lived_ms >= self._patience.settled * 1000
        if settled or (lost.lived_ms is not None and self._failed):
            self._waits = self._patience.waits()
        self._failed = lost.lived_ms is None
        if lost.unauthorized:
            return self._patience.refused
        wait = next(self._waits)
        return wait or next(self._waits) if lost.too_large else wait
