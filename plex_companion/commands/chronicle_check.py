"""Examines the chronicle for the command `doctor`, without writing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.connections import open_connection, run_read
from plex_companion.cache.replication.position import read_standing
from plex_companion.chronicle.membership import check_clock, check_membership, check_position
from plex_companion.chronicle.open_chronicle import open_chronicle
from plex_companion.companion import read_clock
from plex_companion.settings import find_database_path
from plex_companion.text import format_count

if TYPE_CHECKING:
    from plex_companion.cache.replication.position import DatabaseStanding
    from plex_companion.chronicle.connection import ChronicleConnection
    from plex_companion.chronicle.log import Bounds
    from plex_companion.settings import Settings


async def examine_chronicle(settings: Settings) -> str:
    """Return what is found in PostgreSQL, in words.

    Raises:
        SettingsError, StartError: this machine cannot belong to the chronicle.
        ChronicleAway: PostgreSQL cannot be reached.
    """
    async with open_chronicle(settings) as chronicle:
        if chronicle is None:
            return "None is configured."
        session = await chronicle.open()
        check_clock(read_clock().at, await chronicle.log.read_clock(session))
        about = await chronicle.log.read_about(session)
        if about is None:
            return f"PostgreSQL answers. The chronicle {settings.chronicle_group} begins with the first machine that starts."
        standing = await _read_standing(settings)  # before the bounds: a leader may append between the two
        bounds = await chronicle.log.read_bounds(session)
        if standing is not None:
            check_membership(standing, about, bounds)
            check_position(standing.position, await chronicle.log.read_after(session, standing.position.number - 1, 1))
        return await _describe(chronicle, bounds, standing)


async def _read_standing(settings: Settings) -> DatabaseStanding | None:
    path = find_database_path(settings)
    if not path.exists():
        return None
    async with open_connection(path, read_only=True) as connection:
        return await run_read(connection, read_standing)


async def _describe(chronicle: ChronicleConnection, bounds: Bounds, standing: DatabaseStanding | None) -> str:
    """Describe the entries there are, those of this machine, and whether a machine leads."""
    session = await chronicle.open()
    number = standing.position.number if standing else 0
    lacks = format_count(max(0, bounds.last - number), "entry", "entries")
    leads = "A machine leads" if await chronicle.log.is_led(session) else "No machine leads"
    return (
        f"PostgreSQL answers. The chronicle has the entries {bounds.first} to {bounds.last}; this machine lacks {lacks}. "
        f"{leads}."
    )
