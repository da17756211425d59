"""All writes that entries of the log may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.catalogue_write import CATALOGUE
from plex_companion.cache.history_write import HISTORY_PLAYS
from plex_companion.cache.leadership import LINKS, LINKS_MOVED
from plex_companion.cache.link_rows import LINK_UPDATE
from plex_companion.cache.prune import PRUNE
from plex_companion.cache.record import (
    ACKNOWLEDGE,
    ADOPT_ROWS,
    CLEAR_TABLE,
    END_RULE_TIMER,
    JOURNAL,
    MILESTONES,
    MUTE_KIND,
    OCCURRENCES,
    ONGOING_PLAYS,
    PENDING_MEDIA,
    REMOVE_RULE,
    REMOVE_SUBSCRIPTION,
    SERVER,
    UNKNOWN_SERVER,
    UNMUTE_KIND,
    UPSERT,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.cache.replication.named_write import NamedWrite

_ALL = (
    ACKNOWLEDGE,
    ADOPT_ROWS,
    CATALOGUE,
    CLEAR_TABLE,
    END_RULE_TIMER,
    HISTORY_PLAYS,
    JOURNAL,
    LINKS,
    LINKS_MOVED,
    LINK_UPDATE,
    MILESTONES,
    MUTE_KIND,
    OCCURRENCES,
    ONGOING_PLAYS,
    PENDING_MEDIA,
    PRUNE,
    REMOVE_RULE,
    REMOVE_SUBSCRIPTION,
    SERVER,
    UNKNOWN_SERVER,
    UNMUTE_KIND,
    UPSERT,
)
NAMED_WRITES: Mapping[str, NamedWrite] = {write.name: write for write in _ALL}
"""By name. A write stays here as long as a log may name it: logs are kept for days."""
