"""Wrong tokens: who gives them waits longer and longer for the answer.

While as many answers are held back as may be, a token is looked at only where the right one has been shown of late.
"""

from __future__ import annotations

import ipaddress
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FREE = 2
"""Slips of the hand."""
FIRST_SECONDS = 0.5
MOST_SECONDS = 8.0
FORGOTTEN_SECONDS = 600.0
WAITING_EACH = 4
WAITING_ALL = 64
"""Answers held back at a time, for one address and for all: each holds a connection."""
MOST_ADDRESSES = 4_096
KNOWN_SECONDS = 3_600.0
"""How long an address that has shown the right token is looked at, whoever else guesses."""
MOST_KNOWN = 1_024
TOGETHER = 100
"""Failures of all addresses together that count as one of each."""


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
    """Counts wrong tokens by address and in total. Bounded, whoever tries however often."""

    def __init__(self, now: Callable[[], float] = time.monotonic, *, first_seconds: float = FIRST_SECONDS) -> None:
        self._now = now
        self._first = first_seconds
        self._everyone = _FailureRecord()
        self._records: dict[str, _FailureRecord] = {}
        self._known: dict[str, float] = {}
        """When each address last showed the right token, the latest last."""

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._records)

    def is_throttled(self, address: str) -> bool:
        """Return whether so many answers are held back already that the next try of this address is not looked at.

        The answers of all addresses count, unless this one has shown the right token within `KNOWN_SECONDS`; its own
        always do.
        """
        network = _find_network(address)
        record = self._records.get(network)
        own = record is not None and record.waiting >= WAITING_EACH
        return own or (self._everyone.waiting >= WAITING_ALL and not self._is_known(network))

    def reset(self, address: str) -> None:
        """Remember that this address has shown the right token."""
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
        """Count a wrong token. Stay inside for as many seconds as this gives, then answer."""
        now = self._now()
        record = self._get_record(_find_network(address))
        grown = max(record.fail(now) - FREE, self._everyone.fail(now) // TOGETHER)
        record.waiting += 1
        self._everyone.waiting += 1
        try:
            yield min(MOST_SECONDS, self._first * 2 ** min(grown - 1, 10)) if grown > 0 else 0.0
        finally:
            record.waiting -= 1
            self._everyone.waiting -= 1

    def _get_record(self, network: str) -> _FailureRecord:
        """The record of a network, which is now the youngest; the oldest makes room."""
        record = self._records.pop(network, None) or _FailureRecord()
        self._records[network] = record
        if len(self._records) > MOST_ADDRESSES:
            del self._records[next(iter(self._records))]
        return record


def _find_network(address: str) -> str:
    """Who has one address of IPv6 has all of its /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004 - that is its name
        return address
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
