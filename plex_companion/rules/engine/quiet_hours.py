"""When a message may be sent that quiet hours hold back. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

    from plex_companion.models import QuietHours

_MINUTES = 60


def find_end_of_quiet(quiet: QuietHours | None, at: int, zone: tzinfo) -> int:
    """Return `at`, or the end of the quiet hours that it is within. Their start is included, their end is not.

    Times are milliseconds since 1970; the hours are those of the zone's clocks on that day.
    """
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)
    minute = local.hour * _MINUTES + local.minute
    if quiet is None or not _is_within(quiet, minute):
        return at
    days = 1 if minute >= quiet.end_minute else 0
    hour, rest = divmod(quiet.end_minute, _MINUTES)
    end = (local + timedelta(days=days)).replace(hour=hour, minute=rest, second=0, microsecond=0, fold=0)
    return max(at, int(end.timestamp() * 1000))


def _is_within(quiet: QuietHours, minute: int) -> bool:
    if quiet.start_minute < quiet.end_minute:
        return quiet.start_minute <= minute < quiet.end_minute
    return minute >= quiet.start_minute or minute < quiet.end_minute
