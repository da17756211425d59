"""Edits of items, playlists and collections. Each is announced as Plex announces it."""

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
from plex_companion.demo.item_prefs import get_item_prefs
from plex_companion.demo.nodes.describe import build_collection_node, build_playlist_node
from plex_companion.demo.nodes.tree import Node, build_container
from plex_companion.demo.query.filtering import TAG_FIELDS
from plex_companion.demo.request import DONE, DemoAnswer, DemoRequest, HttpRefusal, find_or_404
from plex_companion.demo.routes.library import find_own_playlist
from plex_companion.demo.simulation import background

_TAG = re.compile(r"(?P<field>\w+)\[(?P<index>\d*)\]\.tag\.tag(?P<minus>-?)$")


def announce_edit(request: DemoRequest, kind: str, key: str, title: str, state: int, section: str = "-1") -> None:
    """Announce an edit of a playlist or a collection as a timeline entry. The section of a playlist is unverified."""
    more = {0: {"metadataState": "created"}, 9: {"metadataState": "deleted"}}.get(state, {})
    request.state.announce(
        frames.build_timeline(section, key, TYPE_NUMBERS[kind], title, state, request.state.now, **more)
    )


# -- items


def edit_items(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /library/sections/N/all?type=&id=&title.value=&…`: edit and lock fields of several items.

    Without `id` every item of the type is edited.
    """
    request.require_owner()
    section, kind = request.find_section(), TYPE_NAMES.get(request.get_number("type"), "")
    every = [item.key for item in request.state.list_section(section.key, kind)]
    for key in request.get("id").split(",") if request.get("id") else every:
        if request.get_number("type") == TYPE_NUMBERS["collection"]:
            _edit_collection(request, find_or_404(request.state.collections, key))
        else:
            _edit_item(request, find_or_404(request.state.items, key))
    request.state.mark_changed(request.args["section"])
    return DONE


def _edit_item(request: DemoRequest, item: DemoItem) -> None:
    edit_fields(item, request.params)
    _edit_rating(request, item.key)
    for field, kind in TAG_FIELDS.items():
        if kind == "Collection":
            _edit_membership(request, item)
        elif kind == "Role":
            names = compute_tags(request, field, tuple(item.roles))
            item.roles = {name: item.roles.get(name, "") for name in names}
        else:
            item.tags[kind] = compute_tags(request, field, item.tags.get(kind, ()))
    item.updated_at = request.state.now
    request.state.announce_timeline(item, 5)


def _edit_rating(request: DemoRequest, key: str) -> None:
    """Set the user's own rating, if the edit names it."""
    for name, value in request.params:
        if name == "userRating.value":
            request.state.rate(request.user, key, parse_rating(value))


def compute_tags(request: DemoRequest, field: str, old: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tags after an edit.

    `field[0].tag.tag=` lists replace the tags, or add to them when several items are edited; `field[].tag.tag-=` removes.
    """
    replaced: list[str] = []
    taken: set[str] = set()
    touched = False
    for name, value in request.params:
        match = _TAG.match(name)
        if match and match["field"] == field:
            if match["minus"]:
                taken.update(unquote(tag) for tag in value.split(","))  # each is quoted once more for itself
            else:
                touched = True
                replaced.append(value)
    several = "," in request.get("id") or not request.get("id")
    base = (*(old if several or not touched else ()), *replaced)
    return tuple(dict.fromkeys(tag for tag in base if tag and tag not in taken))


def _edit_membership(request: DemoRequest, item: DemoItem) -> None:
    server = request.state
    held = tuple(c.title for c in server.collections.values() if item.key in c.items)
    requested = compute_tags(request, "collection", held)
    known = {c.title for c in server.collections.values() if c.section == item.section}
    for title in requested:
        if title not in known:
            made = DemoCollection(server.new_key(), title, item.section, item.type, server.now, server.now)
            server.collections[made.key] = made
            announce_edit(request, "collection", made.key, title, 0, made.section)
    for collection in server.collections.values():
        if collection.title in requested and item.key not in collection.items and collection.section == item.section:
            collection.items.append(item.key)
        elif collection.title not in requested and item.key in collection.items:
            collection.items.remove(item.key)


def delete_item(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE /library/metadata/ID`; refused with 403 while media deletion is off (the status is unverified)."""
    request.require_owner()
    if not request.state.prefs["allowMediaDeletion"].value:
        raise HttpRefusal(403)
    key = request.args["id"]
    if key in request.state.collections:
        return delete_collection(request)
    if key in request.state.playlists:
        return delete_playlist(request)
    request.state.delete_item(request.find_item().key)
    return DONE


def refresh_item(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /library/metadata/ID/refresh`, `/analyze`, `/match` and other tasks."""
    request.require_owner()
    background.start_refresh(request.state, request.find_item().key)
    return DONE


# -- sections


def run_section_task(request: DemoRequest) -> DemoAnswer:
    """Answer `…/N/emptyTrash`, which deletes the items in the trash; `/analyze` and `/indexes` only run an activity."""
    request.require_owner()
    section = request.find_section()
    if request.args["work"] not in {"emptyTrash", "analyze", "indexes"}:
        raise HttpRefusal(404)
    if request.args["work"] == "emptyTrash":
        trash = [
            item for item in request.state.items.values() if item.section == section.key and "deletedAt" in item.fields
        ]
        for item in trash:
            if item.key in request.state.items:  # it may have gone with its show
                request.state.delete_item(item.key)
    background.start_activity(
        request.state, f"library.{request.args['work']}", f"{request.args['work']}: {section.title}"
    )
    return DONE


# -- playlists


def _parse_uri_path(uri: str) -> str:
    place = uri.find("/library/")
    return uri[place:] if place >= 0 else uri


def _build_playlist_answer(request: DemoRequest, row: DemoPlaylist) -> Node:
    return build_container(
        [build_playlist_node(row, [item for _, item in list_playlist_entries(request.state, request.user, row)])]
    )


def _assign_item_ids(request: DemoRequest, items: list[DemoItem]) -> list[tuple[int, str]]:
    numbers = range(request.state.next_queue_item + 1, request.state.next_queue_item + 1 + len(items))
    request.state.next_queue_item += len(items)
    return [(number, item.key) for number, item in zip(numbers, items, strict=True)]


def create_playlist(request: DemoRequest) -> Node:
    """Answer `POST /playlists?title=&type=&smart=&uri=`: create a playlist of the user and answer with it."""
    server, smart, uri = request.state, request.get("smart") == "1", request.get("uri")
    items = [] if smart else resolve_uri_leaves(server, request.user, uri)
    if not request.get("title") or (not smart and not items):
        raise HttpRefusal(400)
    kind = request.get("type") or choose_playlist_kind(items[0])
    row = DemoPlaylist(
        server.new_key(), request.get("title"), kind, request.user.id, server.now, server.now, smart=smart
    )
    row.content, row.entries = (_parse_uri_path(uri) if smart else ""), _assign_item_ids(request, items)
    server.playlists[row.key] = row
    announce_edit(request, "playlist", row.key, row.title, 0)
    return _mark_touched(request, row)


def _mark_touched(request: DemoRequest, row: DemoPlaylist) -> Node:
    row.updated_at = request.state.now
    request.state.mark_changed()
    announce_edit(request, "playlist", row.key, row.title, 5)
    return _build_playlist_answer(request, row)


def edit_playlist(request: DemoRequest) -> Node:
    """Answer `PUT /playlists/ID?title=&summary=`, with or without `.value`."""
    row = find_own_playlist(request)
    bare = [(f"{name}.value", value) for name, value in request.params if name in {"title", "summary"}]
    edit_fields(row, [*request.params, *bare])
    return _mark_touched(request, row)


def add_to_playlist(request: DemoRequest) -> Node:
    """Answer `PUT /playlists/ID/items?uri=`: add items. A smart list gets the new query instead."""
    row = find_own_playlist(request)
    if row.smart:
        row.content = _parse_uri_path(request.get("uri"))
        return _mark_touched(request, row)
    added = resolve_uri_leaves(request.state, request.user, request.get("uri"))
    if not added:
        raise HttpRefusal(400)
    row.entries += _assign_item_ids(request, added)
    answer = _mark_touched(request, row)
    answer.attributes |= {"leafCountAdded": len(added), "leafCountRequested": len(added)}
    return answer


def _find_entry(request: DemoRequest, row: DemoPlaylist) -> tuple[int, str]:
    for entry in row.entries:
        if str(entry[0]) == request.args["entry"]:
            return entry
    raise HttpRefusal(404)


def remove_from_playlist(request: DemoRequest) -> Node:
    """Answer `DELETE /playlists/ID/items/PID`."""
    row = find_own_playlist(request)
    row.entries.remove(_find_entry(request, row))
    return _mark_touched(request, row)


def move_in_playlist(request: DemoRequest) -> Node:
    """Answer `PUT /playlists/ID/items/PID/move?after=PID`. Without `after` the entry moves to the front."""
    row = find_own_playlist(request)
    entry = _find_entry(request, row)
    row.entries.remove(entry)
    numbers = [number for number, _ in row.entries]
    after = request.get_number("after", -1)
    row.entries.insert(numbers.index(after) + 1 if after in numbers else 0, entry)
    return _mark_touched(request, row)


def delete_playlist(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE /playlists/ID`."""
    row = find_own_playlist(request)
    del request.state.playlists[row.key]
    request.state.mark_changed()
    announce_edit(request, "playlist", row.key, row.title, 9)
    return DemoAnswer(status=204)


# -- collections


def _find_collection(request: DemoRequest) -> DemoCollection:
    return find_or_404(request.state.collections, request.args["id"])


def _mark_changed(request: DemoRequest, row: DemoCollection) -> Node:
    row.updated_at = request.state.now
    request.state.mark_changed(row.section)
    announce_edit(request, "collection", row.key, row.title, 5, row.section)
    return build_container(
        [
            build_collection_node(
                request.state, request.user, row, list_collection_items(request.state, request.user, row)
            )
        ]
    )


def create_collection(request: DemoRequest) -> Node:
    """Answer `POST /library/collections?title=&type=&smart=&sectionId=&uri=`."""
    request.require_owner()
    server, section, smart = (
        request.state,
        find_or_404(request.state.sections, request.get("sectionId")),
        request.get("smart") == "1",
    )
    items = [] if smart else resolve_uri(server, request.user, request.get("uri"))
    if not request.get("title"):
        raise HttpRefusal(400)
    kind = TYPE_NAMES.get(request.get_number("type"), server.list_levels(section.key)[0])
    row = DemoCollection(server.new_key(), request.get("title"), section.key, kind, server.now, server.now, smart=smart,
                     content=_parse_uri_path(request.get("uri")) if smart else "", items=[item.key for item in items])  # fmt: skip
    server.collections[row.key] = row
    announce_edit(request, "collection", row.key, row.title, 0, row.section)
    return _mark_changed(request, row)


def _edit_collection(request: DemoRequest, row: DemoCollection) -> None:
    edit_fields(row, request.params)
    _edit_rating(request, row.key)
    row.labels = compute_tags(request, "label", row.labels)
    _mark_changed(request, row)


def add_to_collection(request: DemoRequest) -> Node:
    """Answer `PUT /library/collections/ID/items?uri=`: add items that are not in it yet."""
    request.require_owner()
    row = _find_collection(request)
    if row.smart:
        row.content = _parse_uri_path(request.get("uri"))
    else:
        row.items += [
            i.key for i in resolve_uri(request.state, request.user, request.get("uri")) if i.key not in row.items
        ]
    return _mark_changed(request, row)


def remove_from_collection(request: DemoRequest) -> Node:
    """Answer `DELETE /library/collections/ID/items/KEY`."""
    request.require_owner()
    row = _find_collection(request)
    if request.args["entry"] not in row.items:
        raise HttpRefusal(404)
    row.items.remove(request.args["entry"])
    return _mark_changed(request, row)


def move_in_collection(request: DemoRequest) -> Node:
    """Answer `PUT /library/collections/ID/items/KEY/move?after=KEY`."""
    request.require_owner()
    row, key = _find_collection(request), request.args["entry"]
    if key not in row.items:
        raise HttpRefusal(404)
    row.items.remove(key)
    after = request.get("after")
    row.items.insert(row.items.index(after) + 1 if after in row.items else 0, key)
    return _mark_changed(request, row)


def set_collection_prefs(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /library/collections/ID/prefs?collectionMode=`, or `/library/metadata/ID/prefs`."""
    request.require_owner()
    row = _find_collection(request)
    row.mode, row.sort = request.get_number("collectionMode", row.mode), request.get_number("collectionSort", row.sort)
    row.filter_by_user = request.get_number("collectionFilterBasedOnUser", row.filter_by_user)
    _mark_changed(request, row)
    return DONE


def set_item_prefs(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /library/metadata/ID/prefs?ID=value`: change settings of an item or a collection."""
    if request.args["id"] in request.state.collections:
        return set_collection_prefs(request)
    request.require_owner()
    item = request.find_item()
    for name, pref in get_item_prefs(request.state, item).items():
        pref.set(request.get(name, str(pref.value)))
    request.state.mark_changed(item.section)
    return DONE


def delete_collection(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE /library/collections/ID`: its items stay. An id that is not a collection gets 404 (unverified)."""
    request.require_owner()
    row = _find_collection(request)
    del request.state.collections[row.key]
    request.state.mark_changed(row.section)
    announce_edit(request, "collection", row.key, row.title, 9, row.section)
    return DONE


ROUTES = (
    ("PUT", "/library/sections/{section}/all", edit_items),
    ("PUT", "/library/sections/{section}/{work}", run_section_task),
    ("DELETE", "/library/sections/{section}/{work}", run_section_task),
    ("PUT", "/library/metadata/{id}/prefs", set_item_prefs),
    ("PUT", "/library/metadata/{id}/{work:work}", refresh_item),
    ("DELETE", "/library/metadata/{id}", delete_item),
    ("POST", "/playlists", create_playlist),
    ("PUT", "/playlists/{id}", edit_playlist),
    ("DELETE", "/playlists/{id}", delete_playlist),
    ("PUT", "/playlists/{id}/items", add_to_playlist),
    ("DELETE", "/playlists/{id}/items/{entry}", remove_from_playlist),
    ("PUT", "/playlists/{id}/items/{entry}/move", move_in_playlist),
    ("POST", "/library/collections", create_collection),
    ("DELETE", "/library/collections/{id}", delete_collection),
    ("PUT", "/library/collections/{id}/prefs", set_collection_prefs),
    ("PUT", "/library/collections/{id}/items", add_to_collection),
    ("DELETE", "/library/collections/{id}/items/{entry}", remove_from_collection),
    ("PUT", "/library/collections/{id}/items/{entry}/move", move_in_collection),
)
