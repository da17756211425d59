"""Occurrences of media: added, upgraded, removed. What belongs to one season or album is one occurrence.

A group is recorded ten seconds after its last item was ready, and two minutes after its first at the latest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from plex_companion.changes.additions import choose_group
from plex_companion.changes.kinds import MediaReported, MediaWaits
from plex_companion.changes.state import CONTAINERS, MOST_NEW_ITEMS
from plex_companion.events import CataloguePage
from plex_companion.models import MEDIA_NEWS, LibraryChange, PendingMedia
from plex_companion.occurrences.media_data import build_media_data
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.changes.kinds import CatalogueRowsRead
    from plex_companion.models import CatalogueItem, User
    from plex_companion.occurrences.collector import OccurrenceCollector

SETTLED_MS = 10_000
LATEST_MS = 120_000
NO_MEDIA = frozenset({"collection", "playlist", "playlistfolder", "person", "trailer", "clip", "comic"})


def follow_item(change: LibraryChange, collector: OccurrenceCollector) -> None:
    """Let a change of the library wait for others, if it is news."""
    waiting = collector.before.pending_media.get(change.id)
    if waiting is not None:
        collector.changes.append(MediaWaits(replace(waiting, change=change, tick=collector.now.tick)))
    elif change.type not in NO_MEDIA and _is_news(change, collector):
        tick = collector.now.tick
        collector.changes.append(MediaWaits(PendingMedia(MEDIA_NEWS[change.change], change, tick, tick)))
        if change.change == "deleted":
            _forget_additions(change, collector)


def _is_news(change: LibraryChange, collector: OccurrenceCollector) -> bool:
    known = collector.before.known_media.get(change.item_id)
    if change.change == "updated":
        is_new = known is not None and abs(change.at - known.at) < DAY_MS
        return not is_new and _is_replaced(change, collector)
    return change.id >= collector.before.ids.change and (known is None or known.change != change.change)


def _is_replaced(change: LibraryChange, collector: OccurrenceCollector) -> bool:
    """Return whether Plex has begun to analyze another file of an item that is not new.

    When more was added lately than is remembered, an unknown item may be new.
    """
    before = collector.before
    unsettled = before.unsettled.get(change.item_id)
    begun = unsettled is not None and unsettled.id == change.id and unsettled.analyzed
    return (
        change.analyzed
        and not begun
        and len(before.known_media) < MOST_NEW_ITEMS
        and all(one.change.item_id != change.item_id for one in before.pending_media.values())
    )


def _forget_additions(change: LibraryChange, collector: OccurrenceCollector) -> None:
    """Record nothing of an item that is gone before its addition was recorded."""
    added = [
        one.change.id
        for one in collector.before.pending_media.values()
        if one.change.item_id == change.item_id and one.news == "media.added"
    ]
    if added:
        collector.changes.append(MediaReported((*added, change.id)))


def complete_items(change: CatalogueRowsRead, collector: OccurrenceCollector) -> None:
    """Add what the catalogue has read to the changes that wait, and items that it alone has found."""
    event, before = collector.event, collector.before
    waiting = {one.change.item_id: one for one in before.pending_media.values()}
    if not isinstance(event, CataloguePage):
        return
    _record_found_removals(event.removed, collector)
    if not (waiting or event.unannounced):
        return
    for item in change.items:
        known, users = waiting.get(item.rating_key), event.caught_up.get(item.rating_key, ())
        if known is not None:
            collector.changes.append(MediaWaits(replace(known, item=item, caught_up=users or known.caught_up)))
        elif item.rating_key in event.unannounced and _is_unknown_media(item, collector):
            collector.changes.append(MediaWaits(_build_found_media(item, users, collector)))


def _is_unknown_media(item: CatalogueItem, collector: OccurrenceCollector) -> bool:
    return _is_media(item) and item.rating_key not in collector.before.known_media


def _is_media(item: CatalogueItem) -> bool:
    return item.type not in NO_MEDIA | CONTAINERS and item.rating_key.isdecimal()


def _build_found_media(item: CatalogueItem, users: tuple[User, ...], collector: OccurrenceCollector) -> PendingMedia:
    """Build the addition of an item that the catalogue has found."""
    at = min(item.added_at or collector.now.at, collector.now.at)
    return _build_found_change(item, "created", at, collector, users)


def _build_found_change(
    item: CatalogueItem,
    change: Literal["created", "deleted"],
    at: int,
    collector: OccurrenceCollector,
    users: tuple[User, ...] = (),
) -> PendingMedia:
    """Build a change that no notification announced. It is no row of the journal of the library, so its id is none of those."""
    tick = collector.now.tick
    found = LibraryChange(
        -int(item.rating_key), at, item.rating_key, item.section_id, item.type, item.title, change, settled=True,
        parent_item_id=item.parent_key, root_item_id=item.grandparent_key,
    )  # fmt: skip
    return PendingMedia(MEDIA_NEWS[change], found, tick, tick, item, users, inferred=True)


def _record_found_removals(removed: Iterable[CatalogueItem], collector: OccurrenceCollector) -> None:
    """Record items that are gone, at once: their rows leave the catalogue in the same transaction."""
    groups: dict[tuple[str | None, str], list[PendingMedia]] = {}
    for item in removed:
        if _is_media(item) and not _is_known_as_deleted(item, collector):
            one = _build_found_change(item, "deleted", collector.now.at, collector)
            collector.changes.append(MediaWaits(one))
            groups.setdefault((one.change.section_id, _choose_key(one)), []).append(one)
    for group in groups.values():
        _record_group(group, collector)


def _is_known_as_deleted(item: CatalogueItem, collector: OccurrenceCollector) -> bool:
    known = collector.before.known_media.get(item.rating_key)
    return known is not None and known.change == "deleted"


def record_groups(collector: OccurrenceCollector) -> None:
    """Record the groups that are complete, or have waited for long enough."""
    groups: dict[tuple[str, str | None, str], list[PendingMedia]] = {}
    for one in collector.before.pending_media.values():
        groups.setdefault((one.news, one.change.section_id, _choose_key(one)), []).append(one)
    for group in groups.values():
        if _is_due(group, collector.now.tick):
            _record_group(group, collector)


def _choose_key(one: PendingMedia) -> str:
    if one.item is not None and one.change.parent_item_id is None:
        return choose_group(replace(one.change, parent_item_id=one.item.parent_key))
    return choose_group(one.change)


def _is_due(group: list[PendingMedia], tick: int) -> bool:
    settled = all(one.change.settled for one in group) and tick - max(one.tick for one in group) >= SETTLED_MS
    return settled or tick - min(one.since_tick for one in group) >= LATEST_MS


def _record_group(group: list[PendingMedia], collector: OccurrenceCollector) -> None:
    news, waiting = group[0].news, collector.before.pending_media.values()
    shown = list(_drop_containers(group)) or _keep_removed_containers(group, waiting)
    if shown:
        at = max(one.change.at for one in shown)
        inferred = all(one.inferred for one in shown)
        collector.record(news, at, build_media_data(shown, waiting, collector.before), inferred=inferred)
    collector.changes.append(MediaReported(tuple(one.change.id for one in group)))


def _drop_containers(group: Iterable[PendingMedia]) -> Iterable[PendingMedia]:
    return (one for one in group if one.change.type not in CONTAINERS)


def _keep_removed_containers(group: list[PendingMedia], waiting: Iterable[PendingMedia]) -> list[PendingMedia]:
    """Return shows, seasons and albums that were removed as a whole, without any word of what they contain."""
    removed = [
        one for one in waiting if one.news == "media.removed" and one.change.section_id == group[0].change.section_id
    ]
    return group if group[0].news == "media.removed" and not [*_drop_containers(removed)] else []
