"""Derives library changes from the steps in an item's life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from plex_companion.changes.kinds import Effect, LibraryItemChanged, RefreshRequest
from plex_companion.models import TYPE_NAMES, LibraryChange, MediaType

if TYPE_CHECKING:
    from plex_companion.changes.state import State
    from plex_companion.events import TimelineEntry
    from plex_companion.models import Moment

LIBRARY = "com.plexapp.plugins.library"
CREATED, PROGRESS, PROCESSED, DELETED = 0, 1, 5, 9
AGENTLESS = frozenset({MediaType.PICTURE, MediaType.PHOTO, MediaType.PHOTOALBUM})
"""Photos have no agent: progress (1) is the last state they reach."""


def handle_timeline(event: TimelineEntry, before: State, now: Moment) -> list[Effect]:
    """Handle an item that was added, changed or deleted.

    The programme guide and extras (section -1) are not part of the library.
    """
    of_library = event.identifier in {None, LIBRARY} and event.section_id != "-1"
    if not of_library or event.item_id is None or event.state is None:
        return []
    known = before.unsettled.get(event.item_id)
    deleted = event.state == DELETED or event.metadata_state == "deleted"
    settled = deleted or _is_ready(event)
    change: Literal["created", "updated", "deleted"] = "updated"
    if deleted:
        change = "deleted"
    elif event.state == CREATED or event.metadata_state == "created" or (known and known.change == "created"):
        change = "created"
    continued = known is not None and known.change == change
    library_change = LibraryChange(
        id=known.id if known and continued else before.ids.change,
        at=now.at,
        item_id=event.item_id,
        section_id=event.section_id or (known.section_id if known else None),
        type=TYPE_NAMES.get(event.media_type) if event.media_type is not None else known.type if known else None,
        title=event.title or (known.title if known else None),
        change=change,
        settled=settled,
        # Only the first entries of an item's life name its parents.
        parent_item_id=event.parent_item_id or (known.parent_item_id if known else None),
        root_item_id=event.root_item_id or (known.root_item_id if known else None),
        analyzed=event.media_state == "analyzing" or (known is not None and continued and known.analyzed),
    )
    return (
        [LibraryItemChanged(library_change), RefreshRequest("library")]
        if settled
        else [LibraryItemChanged(library_change)]
    )


def _is_ready(event: TimelineEntry) -> bool:
    """Return whether an item is processed and nothing is pending. Analysis may settle it again minutes later."""
    if event.metadata_state or event.media_state or event.queue_size:
        return False
    return event.state == PROCESSED or (event.state == PROGRESS and event.media_type in AGENTLESS)
