"""Changes by hand: editing, deleting, playlists, collections, artwork; each is announced as Plex announces it."""

from __future__ import annotations

import re
from urllib.parse import unquote

from plex_companion.demo import frames
from plex_companion.demo.contents import (
    choose_playlist_kind,
    list_collection_items,
    list_playlist_entries,
    resolve_uri,
    resolve_uri_leaves,
)
from plex_companion.demo.edits import edit_fields, parse_rating
from plex_companion.demo.household.model import TYPE_NAMES, TYPE_NUMBERS, DemoCollection, DemoItem, DemoPlaylist
from plex_companion.demo.item_prefs import prefs_of_item
from plex_companion.demo.nodes.describe import build_collection_node, build_playlist_node
from plex_companion.demo.nodes.tree import Node, build_container
from plex_companion.demo.query.filtering import TAG_FIELDS
from plex_companion.demo.request import DONE, DemoAnswer, DemoRequest, HttpRefusal, find_or_404
from plex_companion.demo.routes.library import find_own_playlist

_TAG = re.compile(r"(?P<field>\w+)\[(?P<index>\d*)\]\.tag\.tag(?P<minus>-?)$")


def announce_edit(ask: DemoRequest, kind: str, key: str, title: str, state: int, section: str = "-1") -> None:
    """Playlists and collections give a timeline entry on every edit; a playlist's section is unverified."""
    more = {0: {"metadataState": "created"}, 9: {"metadataState": "deleted"}}.get(state, {})
    ask.state.announce(frames.build_timeline(section, key, TYPE_NUMBERS[kind], title, state, ask.state.now, **more))


# -- items


def edit(ask: DemoRequest) -> DemoAnswer:
    """`PUT /library/sections/N/all?type=&id=&title.value=&…`: several items, several fields, all locked as asked.

    Without `id` it is every item of the type.
    """
    ask.require_owner()
    section, kind = ask.find_section(), TYPE_NAMES.get(ask.get_number("type"), "")
    every = [item.key for item in ask.state.list_section(section.key, kind)]
    for key in ask.get("id").split(",") if ask.get("id") else every:
        if ask.get_number("type") == TYPE_NUMBERS["collection"]:
            _edit_collection(ask, find_or_404(ask.state.collections, key))
        else:
            _edit_item(ask, find_or_404(ask.state.items, key))
    ask.state.mark_changed(ask.args["section"])
    return DONE


def _edit_item(ask: DemoRequest, item: DemoItem) -> None:
    edit_fields(item, ask.params)
    _edit_rating(ask, item.key)
    for field, kind in TAG_FIELDS.items():
        if kind == "Collection":
            _edit_membership(ask, item)
        elif kind == "Role":
            names = compute_tags(ask, field, tuple(item.roles))
            item.roles = {name: item.roles.get(name, "") for name in names}
        else:
            item.tags[kind] = compute_tags(ask, field, item.tags.get(kind, ()))
    item.updated_at = ask.state.now
    ask.state.announce_timeline(item, 5)


def _edit_rating(ask: DemoRequest, key: str) -> None:
    """Set the asker's own rating, if the edit names it."""
    for name, value in ask.params:
        if name == "userRating.value":
            ask.state.rate(ask.user, key, parse_rating(value))


def compute_tags(ask: DemoRequest, field: str, old: tuple[str, ...]) -> tuple[str, ...]:
    """The tags after an edit: `field[0].tag.tag=` lists replace, or add where several items are edited; `field[].tag.tag-=` takes away."""
    replaced: list[str] = []
    taken: set[str] = set()
    touched = False
    for name, value in ask.params:
        match = _TAG.match(name)
        if match and match["field"] == field:
            if match["minus"]:
                taken.update(unquote(tag) for tag in value.split(","))  # each is quoted once more for itself
            else:
                touched = True
                replaced.append(value)
    several = "," in ask.get("id") or not ask.get("id")
    base = (*(old if several or not touched else ()), *replaced)
    return tuple(dict.fromkeys(tag for tag in base if tag and tag not in taken))


def _edit_membership(ask: DemoRequest, item: DemoItem) -> None:
    house = ask.state
    held = tuple(c.title for c in house.collections.values() if item.key in c.items)
    wanted = compute_tags(ask, "collection", held)
    known = {c.title for c in house.collections.values() if c.section == item.section}
    for title in wanted:
        if title not in known:
            made = DemoCollection(house.new_key(), title, item.section, item.type, house.now, house.now)
            house.collections[made.key] = made
            announce_edit(ask, "collection", made.key, title, 0, made.section)
    for collection in house.collections.values():
        if collection.title in wanted and item.key not in collection.items and collection.section == item.section:
            collection.items.append(item.key)
        elif collection.title not in wanted and item.key in collection.items:
            collection.items.remove(item.key)


def delete_item(ask: DemoRequest) -> DemoAnswer:
    """`DELETE /library/metadata/ID`; refused with 403 while media deletion is off (the status is unverified)."""
    ask.require_owner()
    if not ask.state.prefs["allowMediaDeletion"].value:
        raise HttpRefusal(403)
    key = ask.args["id"]
    if key in ask.state.collections:
        return delete_collection(ask)
    if key in ask.state.playlists:
        return delete_playlist(ask)
    ask.demo.delete_item(ask.find_item().key)
    return DONE


def refresh(ask: DemoRequest) -> DemoAnswer:
    """`PUT /library/metadata/ID/refresh`, `/analyze`, `/match` and their like."""
    ask.require_owner()
    ask.demo.refresh_item(ask.find_item().key)
    return DONE


# -- sections


def run_section_task(ask: DemoRequest) -> DemoAnswer:
    """`…/N/emptyTrash` takes out what is in the trash; `/analyze` and `/indexes` are only an activity."""
    ask.require_owner()
    section = ask.find_section()
    if ask.args["work"] not in {"emptyTrash", "analyze", "indexes"}:
        raise HttpRefusal(404)
    if ask.args["work"] == "emptyTrash":
        trash = [
            item for item in ask.state.items.values() if item.section == section.key and "deletedAt" in item.fields
        ]
        for item in trash:
            if item.key in ask.state.items:  # it may have gone with its show
                ask.demo.delete_item(item.key)
    ask.demo.run_activity(f"library.{ask.args['work']}", f"{ask.args['work']}: {section.title}")
    return DONE


# -- playlists


def _parse_uri_path(uri: str) -> str:
    place = uri.find("/library/")
    return uri[place:] if place >= 0 else uri


def _build_playlist_answer(ask: DemoRequest, row: DemoPlaylist) -> Node:
    return build_container(
        [build_playlist_node(row, [item for _, item in list_playlist_entries(ask.state, ask.user, row)])]
    )


def _number_items(ask: DemoRequest, items: list[DemoItem]) -> list[tuple[int, str]]:
    numbers = range(ask.state.next_queue_item + 1, ask.state.next_queue_item + 1 + len(items))
    ask.state.next_queue_item += len(items)
    return [(number, item.key) for number, item in zip(numbers, items, strict=True)]


def make_playlist(ask: DemoRequest) -> Node:
    """`POST /playlists?title=&type=&smart=&uri=`: of the asker; the answer holds the new list."""
    house, smart, uri = ask.state, ask.get("smart") == "1", ask.get("uri")
    items = [] if smart else resolve_uri_leaves(house, ask.user, uri)
    if not ask.get("title") or (not smart and not items):
        raise HttpRefusal(400)
    kind = ask.get("type") or choose_playlist_kind(items[0])
    row = DemoPlaylist(house.new_key(), ask.get("title"), kind, ask.user.id, house.now, house.now, smart=smart)
    row.content, row.entries = (_parse_uri_path(uri) if smart else ""), _number_items(ask, items)
    house.playlists[row.key] = row
    announce_edit(ask, "playlist", row.key, row.title, 0)
    return _mark_touched(ask, row)


def _mark_touched(ask: DemoRequest, row: DemoPlaylist) -> Node:
    row.updated_at = ask.state.now
    ask.state.mark_changed()
    announce_edit(ask, "playlist", row.key, row.title, 5)
    return _build_playlist_answer(ask, row)


def edit_playlist(ask: DemoRequest) -> Node:
    """`PUT /playlists/ID?title=&summary=`, with or without `.value`."""
    row = find_own_playlist(ask)
    bare = [(f"{name}.value", value) for name, value in ask.params if name in {"title", "summary"}]
    edit_fields(row, [*ask.params, *bare])
    return _mark_touched(ask, row)


def extend_playlist(ask: DemoRequest) -> Node:
    """`PUT /playlists/ID/items?uri=`: adds; a smart list gets the new query instead."""
    row = find_own_playlist(ask)
    if row.smart:
        row.content = _parse_uri_path(ask.get("uri"))
        return _mark_touched(ask, row)
    added = resolve_uri_leaves(ask.state, ask.user, ask.get("uri"))
    if not added:
        raise HttpRefusal(400)
    row.entries += _number_items(ask, added)
    answer = _mark_touched(ask, row)
    answer.attributes |= {"leafCountAdded": len(added), "leafCountRequested": len(added)}
    return answer


def _find_entry(ask: DemoRequest, row: DemoPlaylist) -> tuple[int, str]:
    for entry in row.entries:
        if str(entry[0]) == ask.args["entry"]:
            return entry
    raise HttpRefusal(404)


def shorten_playlist(ask: DemoRequest) -> Node:
    """`DELETE /playlists/ID/items/PID`."""
    row = find_own_playlist(ask)
    row.entries.remove(_find_entry(ask, row))
    return _mark_touched(ask, row)


def move_in_playlist(ask: DemoRequest) -> Node:
    """`PUT /playlists/ID/items/PID/move?after=PID`: to the front without `after`."""
    row = find_own_playlist(ask)
    entry = _find_entry(ask, row)
    row.entries.remove(entry)
    numbers = [number for number, _ in row.entries]
    after = ask.get_number("after", -1)
    row.entries.insert(numbers.index(after) + 1 if after in numbers else 0, entry)
    return _mark_touched(ask, row)


def delete_playlist(ask: DemoRequest) -> DemoAnswer:
    """`DELETE /playlists/ID`."""
    row = find_own_playlist(ask)
    del ask.state.playlists[row.key]
    ask.state.mark_changed()
    announce_edit(ask, "playlist", row.key, row.title, 9)
    return DemoAnswer(status=204)


# -- collections


def _find_collection(ask: DemoRequest) -> DemoCollection:
    return find_or_404(ask.state.collections, ask.args["id"])


def _mark_changed(ask: DemoRequest, row: DemoCollection) -> Node:
    row.updated_at = ask.state.now
    ask.state.mark_changed(row.section)
    announce_edit(ask, "collection", row.key, row.title, 5, row.section)
    return build_container(
        [build_collection_node(ask.state, ask.user, row, list_collection_items(ask.state, ask.user, row))]
    )


def make_collection(ask: DemoRequest) -> Node:
    """`POST /library/collections?title=&type=&smart=&sectionId=&uri=`."""
    ask.require_owner()
    house, section, smart = ask.state, find_or_404(ask.state.sections, ask.get("sectionId")), ask.get("smart") == "1"
    items = [] if smart else resolve_uri(house, ask.user, ask.get("uri"))
    if not ask.get("title"):
        raise HttpRefusal(400)
    kind = TYPE_NAMES.get(ask.get_number("type"), house.list_levels(section.key)[0])
    row = DemoCollection(house.new_key(), ask.get("title"), section.key, kind, house.now, house.now, smart=smart,
                     content=_parse_uri_path(ask.get("uri")) if smart else "", items=[item.key for item in items])  # fmt: skip
    house.collections[row.key] = row
    announce_edit(ask, "collection", row.key, row.title, 0, row.section)
    return _mark_changed(ask, row)


def _edit_collection(ask: DemoRequest, row: DemoCollection) -> None:
    edit_fields(row, ask.params)
    _edit_rating(ask, row.key)
    row.labels = compute_tags(ask, "label", row.labels)
    _mark_changed(ask, row)


def extend_collection(ask: DemoRequest) -> Node:
    """`PUT /library/collections/ID/items?uri=`: what is in it already stays once."""
    ask.require_owner()
    row = _find_collection(ask)
    if row.smart:
        row.content = _parse_uri_path(ask.get("uri"))
    else:
        row.items += [i.key for i in resolve_uri(ask.state, ask.user, ask.get("uri")) if i.key not in row.items]
    return _mark_changed(ask, row)


def shorten_collection(ask: DemoRequest) -> Node:
    """`DELETE /library/collections/ID/items/KEY`."""
    ask.require_owner()
    row = _find_collection(ask)
    if ask.args["entry"] not in row.items:
        raise HttpRefusal(404)
    row.items.remove(ask.args["entry"])
    return _mark_changed(ask, row)


def move_in_collection(ask: DemoRequest) -> Node:
    """`PUT /library/collections/ID/items/KEY/move?after=KEY`."""
    ask.require_owner()
    row, key = _find_collection(ask), ask.args["entry"]
    if key not in row.items:
        raise HttpRefusal(404)
    row.items.remove(key)
    after = ask.get("after")
    row.items.insert(row.items.index(after) + 1 if after in row.items else 0, key)
    return _mark_changed(ask, row)


def set_collection_prefs(ask: DemoRequest) -> DemoAnswer:
    """`PUT /library/collections/ID/prefs?collectionMode=`, or by `/library/metadata/ID/prefs`."""
    ask.require_owner()
    row = _find_collection(ask)
    row.mode, row.sort = ask.get_number("collectionMode", row.mode), ask.get_number("collectionSort", row.sort)
    row.filter_by_user = ask.get_number("collectionFilterBasedOnUser", row.filter_by_user)
    _mark_changed(ask, row)
    return DONE


def item_prefs(ask: DemoRequest) -> DemoAnswer:
    """`PUT /library/metadata/ID/prefs?ID=value`: settings of an item, or of a collection."""
    if ask.args["id"] in ask.state.collections:
        return set_collection_prefs(ask)
    ask.require_owner()
    item = ask.find_item()
    for name, pref in prefs_of_item(ask.state, item).items():
        pref.set(ask.get(name, str(pref.value)))
    ask.state.mark_changed(item.section)
    return DONE


def delete_collection(ask: DemoRequest) -> DemoAnswer:
    """`DELETE /library/collections/ID`: its items stay. 404 for anything that is no collection (unverified)."""
    ask.require_owner()
    row = _find_collection(ask)
    del ask.state.collections[row.key]
    ask.state.mark_changed(row.section)
    announce_edit(ask, "collection", row.key, row.title, 9, row.section)
    return DONE


ROUTES = (
    ("PUT", "/library/sections/{section}/all", edit),
    ("PUT", "/library/sections/{section}/{work}", run_section_task),
    ("DELETE", "/library/sections/{section}/{work}", run_section_task),
    ("PUT", "/library/metadata/{id}/prefs", item_prefs),
    ("PUT", "/library/metadata/{id}/{work:work}", refresh),
    ("DELETE", "/library/metadata/{id}", delete_item),
    ("POST", "/playlists", make_playlist),
    ("PUT", "/playlists/{id}", edit_playlist),
    ("DELETE", "/playlists/{id}", delete_playlist),
    ("PUT", "/playlists/{id}/items", extend_playlist),
    ("DELETE", "/playlists/{id}/items/{entry}", shorten_playlist),
    ("PUT", "/playlists/{id}/items/{entry}/move", move_in_playlist),
    ("POST", "/library/collections", make_collection),
    ("DELETE", "/library/collections/{id}", delete_collection),
    ("PUT", "/library/collections/{id}/prefs", set_collection_prefs),
    ("PUT", "/library/collections/{id}/items", extend_collection),
    ("DELETE", "/library/collections/{id}/items/{entry}", shorten_collection),
    ("PUT", "/library/collections/{id}/items/{entry}/move", move_in_collection),
)
