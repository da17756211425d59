"""Time zones: by name, of this host, and how to name them."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tzlocal

from plex_companion.times import MINUTE_MS, list_offsets

_UTC_NAMES = frozenset(
    {"UTC", "Etc/UTC", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal", "GMT", "Etc/GMT"}
)


def find_zone(name: str) -> tzinfo:
    """Return the time zone with a name such as Europe/Vienna. Case does not matter.

    Raises:
        ValueError: no zone has that name.
    """
    given = name.strip()
    if given.casefold() in {known.casefold() for known in _UTC_NAMES}:
        return UTC
    try:
        return ZoneInfo(given)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(_normalize_name(given))


def _normalize_name(name: str) -> str:
    """Return a name in the spelling of the list of zones."""
    from zoneinfo import available_timezones  # noqa: PLC0415 - it reads hundreds of files

    folded = name.replace(" ", "_").casefold()
    for known in available_timezones():
        if known.casefold() == folded:
            return known
    message = f"there is no time zone {name[:60]!r}; write it as Europe/Vienna or America/New_York"
    raise ValueError(message)


def find_host_zone() -> tzinfo:
    """Return the time zone of this host; if it has no name, its present offset from UTC."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = tzlocal.reload_localzone()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return datetime.now(UTC).astimezone().tzinfo or UTC
    return UTC if name_zone(found) == "UTC" else found


def name_zone(zone: tzinfo) -> str:
    """Return the name of a zone, as Europe/Vienna, or its offset, as UTC+05:45."""
    name = getattr(zone, "key", None) or ("UTC" if zone is UTC else None)
    if name is None:
        minutes = list_offsets(zone, 0, 0)[0][2] // MINUTE_MS
        hours, rest = divmod(abs(minutes), 60)
        name = f"UTC{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}" if minutes else "UTC"
    return "UTC" if name in _UTC_NAMES else str(name)
