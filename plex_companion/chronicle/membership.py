"""Decides whether the database of a machine fits a chronicle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.replication.position import EMPTY, compute_digest
from plex_companion.errors import ChronicleMismatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.cache.replication.position import DatabaseStanding, Position
    from plex_companion.chronicle.log import About, Bounds, LogRow

MOST_CLOCK_MS = 60_000
"""The most that two clocks may differ. Times in entries are the leader's, and others tell by them whether it is silent."""


def check_membership(database: DatabaseStanding, about: About, bounds: Bounds) -> None:
    """Raise unless a database can apply the entries of a chronicle that come after its own.

    Raises:
        ChronicleMismatch: it cannot.
    """
    number = database.position.number
    if number == EMPTY and database.has_rows:
        raise ChronicleMismatch(
            "This database has rows of its own that are not in the chronicle. Start from a backup of a machine that belongs "
            "to the chronicle, or with a new file."
        )
    if not database.is_new and database.identity != about.identity:
        raise ChronicleMismatch(
            f"This database belongs to another chronicle ({database.identity}) than this one ({about.identity}). Start from "
            "a backup of a machine that belongs to this one, or name another group in PLEX_COMPANION_CHRONICLE_GROUP."
        )
    if number > bounds.last:
        raise ChronicleMismatch(
            f"This database has entry {number}, and the chronicle ends with {bounds.last}: PostgreSQL may have been "
            "restored from a backup. Start all machines from one backup, with a new PLEX_COMPANION_CHRONICLE_GROUP."
        )
    if number + 1 < bounds.first:
        what = "This database is new" if database.is_new else f"This database has the entries up to {number}"
        raise ChronicleMismatch(
            f"{what} and needs entry {number + 1}, and the chronicle begins with {bounds.first}. Start from a backup of "
            f"another machine that has entry {bounds.first - 1} or a later one."
        )


def check_position(position: Position, rows: Iterable[LogRow]) -> None:
    """Raise if the entry that a database says it has last is another one in the chronicle.

    Raises:
        ChronicleMismatch: it is.
    """
    for row in rows:
        if row.number == position.number and position.digest not in {None, compute_digest(row.body)}:
            raise ChronicleMismatch(
                f"Entry {row.number} of the chronicle is another one than in this database: one of the two was restored from "
                "a backup. Start from a backup of another machine."
            )


def check_clock(ours: int, theirs: int) -> None:
    """Raise unless two clocks agree, in milliseconds since 1970.

    Raises:
        ChronicleMismatch: they differ too much.
    """
    if abs(ours - theirs) > MOST_CLOCK_MS:
        seconds = round(abs(ours - theirs) / 1000)
        direction = "ahead of" if ours > theirs else "behind"
        raise ChronicleMismatch(
            f"The clock of this machine is {seconds} seconds {direction} PostgreSQL's. Set both by a time server (NTP)."
        )
