"""What occurrences say of a library that was compared with Plex: its size, and for how long nothing has happened to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.events import CataloguePage
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from plex_companion.occurrences.collector import OccurrenceCollector


def record_checks(collector: OccurrenceCollector) -> None:
    """Record the libraries whose daily comparison has ended."""
    event, now = collector.event, collector.now.at
    for check in event.checks if isinstance(event, CataloguePage) else ():
        data = {
            "library": check.title,
            "library_id": check.section_id,
            "library_type": check.type,
            "count": check.count,
            "size_bytes": check.size_bytes,
            "days_since_scan": _count_days(check.scanned_at, now),
            "days_since_added": _count_days(check.added_at, now),
        }
        collector.record("library.checked", now, data)


def _count_days(since: int | None, now: int) -> int | None:
    """Return the whole days since a time by Plex's clock, which may be ahead of ours."""
    return None if since is None else max(0, now - since) // DAY_MS
