"""What can become of an entry that the leader appends."""

from __future__ import annotations

from plex_companion.cache.leadership import LeadershipLost
from plex_companion.cache.replication.entry import AppendFailed


class ChronicleAway(AppendFailed):
    """PostgreSQL cannot be reached or takes nothing. The entry is not in the chronicle unless its answer was lost."""


class LeadershipUncertain(LeadershipLost):
    """PostgreSQL could not be reached for so long that it may have given the lock to another machine."""
