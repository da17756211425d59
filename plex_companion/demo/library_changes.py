"""Changes of the library that a client must survive: libraries deleted, renamed and added again, twins, shows added as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from plex_companion.demo.household.built_in import HouseholdBuilder, add_show, make_section

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoItem
    from plex_companion.demo.server_state import ServerState


def delete_section(server: ServerState, key: str) -> None:
    """Delete a library with everything in it; each item is announced with state 9. Files stay."""
    for item in [item for item in server.items.values() if item.section == key]:
        if item.key in server.items:  # it may have gone with its show
            server.delete_item(item.key)
    for row in [row for row in server.collections.values() if row.section == key]:
        del server.collections[row.key]
    del server.sections[key]
    server.refreshing.discard(key)
    server.mark_changed()


def rename_section(server: ServerState, key: str, title: str) -> None:
    """Give a library another title. Plex announces nothing of this (unverified)."""
    server.sections[key] = replace(server.sections[key], title=title)
    server.mark_changed(key)


def move_section(server: ServerState, key: str) -> str:
    """Delete a library and add it again: another id, and every item under another rating key, with the guid it had.

    Returns the new id.
    """
    old = server.sections[key]
    items = [replace(item, tags=dict(item.tags)) for item in server.items.values() if item.section == key]
    delete_section(server, key)
    new = str(max((int(one) for one in (*server.sections, key) if one.isdigit()), default=0) + 1)
    server.sections[new] = replace(old, key=new, uuid=make_section(new, old.title, old.type).uuid)
    server.scanned_at[new], server.changed_at[new] = server.now, 1
    keys = {item.key: server.new_key() for item in items}
    for item in items:
        parent = keys.get(item.parent or "")
        moved = replace(
            item, key=keys[item.key], section=new, parent=parent, added_at=server.now, updated_at=server.now
        )
        moved.extras = tuple(keys.get(extra, extra) for extra in item.extras)
        server.add(moved)
        server.announce_timeline(moved, 5)
    return new


def copy_item(server: ServerState, key: str, section: str) -> DemoItem:
    """Add an item without children once more, in any library of its kind: the same guid, another rating key."""
    item = server.items[key]
    twin = replace(
        item, key=server.new_key(), section=section, tags=dict(item.tags), added_at=server.now, updated_at=server.now
    )
    server.add(twin)
    server.announce_timeline(twin, 5)
    return twin


def strip_item(server: ServerState, key: str, names: set[str]) -> None:
    """Leave attributes of an item out of every answer, and announce that the item has changed."""
    item = server.items[key]
    item.missing, item.updated_at = names, server.now
    server.mark_changed(item.section)
    server.announce_timeline(item, 5)


def create_show(server: ServerState, section: str, title: str, seasons: int, episodes: int) -> list[DemoItem]:
    """Create a show with its seasons and episodes, without adding it to a library."""
    builder = HouseholdBuilder(
        server.now, server.rng, next_key=server.last_key, next_media=9000 + server.last_key, house=server.house
    )
    add_show(builder, section, title, "Drama", seasons, episodes)
    server.last_key = builder.next_key
    for item in builder.items:
        item.added_at = item.updated_at = server.now
    return builder.items


def add_all(server: ServerState, items: list[DemoItem], *, announced: bool = True) -> None:
    """Add items and announce each when it is ready, as at the end of a scan."""
    for item in items:
        server.add(item)
    for item in items if announced else []:
        above = server.items.get(item.parent or "")
        more = {"parentItemID": above.key, "rootItemID": above.parent or above.key} if above else {}
        server.announce_timeline(item, 5, **more)


def touch_items(server: ServerState, items: list[DemoItem]) -> None:
    """Refresh the metadata of items: `updatedAt` moves, and each is announced with state 5."""
    for item in items:
        item.updated_at = max(server.now, item.updated_at + 1)
        server.mark_changed(item.section)
        server.announce_timeline(item, 5)
