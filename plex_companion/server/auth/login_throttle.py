"""Delays the answers to wrong tokens, longer each time.

While the most allowed answers are waiting, only addresses that recently sent the right token are checked.
"""

from __future__ import annotations

import ipaddress
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FREE_ATTEMPTS = 2
"""Wrong tokens without a delay: typing errors."""
FIRST_SECONDS = 0.5
MOST_SECONDS = 8.0
FORGOTTEN_SECONDS = 600.0
WAITING_EACH = 4
WAITING_ALL = 64
"""Answers that wait at a time, for one address and for all. Each holds a connection."""
MOST_ADDRESSES = 4_096
KNOWN_SECONDS = 3_600.0
"""How long an address that sent the right token is always checked, however many others guess."""
MOST_KNOWN = 1_024
TOGETHER = 100
"""So many failures of all addresses together count as one failure of each."""


@dataclass(slots=True)
class _FailureRecord:
    count: int = 0
    last: float = 0.0
    waiting: int = 0

    def compute_delay(self, now: float) -> int:
        return self.count if now - self.last < FORGOTTEN_SECONDS else 0

    def fail(self, now: float) -> int:
        self.count = self.compute_delay(now) + 1
        self.last = now
        return self.count


class LoginThrottle:
    """Counts wrong tokens by address and in total. Its memory is bounded."""

    def __init__(self, now: Callable[[], float] = time.monotonic, *, first_seconds: float = FIRST_SECONDS) -> None:
        self._now, self._first = now, first_seconds
        self._everyone = _FailureRecord()
        self._records: dict[str, _FailureRecord] = {}
        self._known: dict[str, float] = {}
        """When each address last sent the right token, the latest last."""

    def __len__(self) -> int:
        """Return how many addresses are remembered."""
        return len(self._records)

    def is_throttled(self, address: str) -> bool:
        """Return whether too many answers wait, so that the next token from this address must not be checked.

        Its own waiting answers always count. Those of all addresses count too, unless this one sent the right token
        within `KNOWN_SECONDS`.
        """
        network = _find_network(address)
        record = self._records.get(network)
        own = record is not None and record.waiting >= WAITING_EACH
        return own or (self._everyone.waiting >= WAITING_ALL and not self._is_known(network))

    def reset(self, address: str) -> None:
        """Remember that this address sent the right token."""
        network = _find_network(address)
        self._known.pop(network, None)
        self._known[network] = self._now()
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def _is_known(self, network: str) -> bool:
        shown = self._known.get(network)
        return shown is not None and self._now() - shown < KNOWN_SECONDS

    @contextmanager
    def count_failure(self, address: str) -> Iterator[float]:
        """Count a wrong token; give the delay in seconds. Stay in the block that long, then answer."""
        now = self._now()
        record = self._get_record(_find_network(address))
        grown = max(record.fail(now) - FREE_ATTEMPTS, self._everyone.fail(now) // TOGETHER)
        record.waiting += 1
        self._everyone.waiting += 1
        try:
            yield min(MOST_SECONDS, self._first * 2 ** min(grown - 1, 10)) if grown > 0 else 0.0
        finally:
            record.waiting -= 1
            self._everyone.waiting -= 1

    def _get_record(self, network: str) -> _FailureRecord:
        """Return the record of a network, as the newest; drop the oldest if there are too many."""
        record = self._records.pop(network, None) or _FailureRecord()
        self._records[network] = record
        if len(self._records) > MOST_ADDRESSES:
            del self._records[next(iter(self._records))]
        return record


def _find_network(address: str) -> str:
    """Return the /64 network of an IPv6 address, else the address. A host usually owns its whole /64 (RFC 4291)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004 - that is its name
        return address
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
