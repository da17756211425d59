"""Periods without a connection to Plex, derived from the journal and the alerts. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from plex_companion.models import Alert
    from plex_companion.times import Window


@dataclass(frozen=True, slots=True)
class Outage:
    """A period without a connection, from `since` to `until`. Without `until` it goes on."""

    since: int
    until: int | None

    def measure_blind_ms(self, within: Window) -> int:
        """Return how many milliseconds of a window the outage covers."""
        until = within.until if self.until is None else min(self.until, within.until)
        return max(0, until - max(self.since, within.since))


def find_outages(
    connections: Sequence[sqlite3.Row], alerts: Iterable[Alert], *, down_since: int | None, journal_from: int | None
) -> list[Outage]:
    """Return every outage once, oldest first.

    The journal holds exact times. Before its start, alerts are used, which are kept for longer.
    """
    found = [*_read_journal(connections)]
    found += [one for one in _read_alerts(alerts) if journal_from is None or one.since < journal_from]
    if down_since is not None:
        found.append(Outage(down_since, None))
    return _merge(found)


def select_overlapping(found: Iterable[Outage], window: Window) -> list[Outage]:
    """Return the outages that overlap a window."""
    return [one for one in found if one.since <= window.until and (one.until is None or one.until >= window.since)]


def _read_journal(connections: Sequence[sqlite3.Row]) -> Iterator[Outage]:
    for row in connections:
        since = json.loads(row["payload"]).get("blind_since_ms")
        if isinstance(since, int) and since <= row["at"]:
            yield Outage(since, row["at"])


def _read_alerts(alerts: Iterable[Alert]) -> Iterator[Outage]:
    for alert in alerts:
        if alert.kind == "listener_gap":
            since, until = alert.detail.get("since_ms"), alert.detail.get("until_ms")
            if isinstance(since, int) and isinstance(until, int):
                yield Outage(since, until)
        elif alert.resolved_at is not None:
            yield Outage(alert.at, alert.resolved_at)


def _merge(found: Iterable[Outage]) -> list[Outage]:
    merged: list[Outage] = []
    for one in sorted(found, key=lambda outage: outage.since):
        last = merged[-1] if merged else None
        if last is None or (last.until is not None and one.since > last.until):
            merged.append(one)
        elif last.until is not None and (one.until is None or one.until > last.until):
            merged[-1] = Outage(last.since, one.until)
    return merged
