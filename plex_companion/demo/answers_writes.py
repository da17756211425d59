"""Changes by hand: editing, deleting, playlists, collections, artwork; each is announced as Plex announces it."""

from __future__ import annotations

import re
from urllib.parse import unquote

from plex_companion.demo import frames
from plex_companion.demo.answers_library import own_playlist
from plex_companion.demo.ask import DONE, Answer, Ask, Refused, found
from plex_companion.demo.contents import collection_items, items_of_uri, leaves_of_uri, list_kind, playlist_entries
from plex_companion.demo.describe import collection_node, playlist_node
from plex_companion.demo.edits import edit_fields, parse_rating
from plex_companion.demo.household import TYPE_NAMES, TYPE_NUMBERS, Collection, Item, Playlist
from plex_companion.demo.item_prefs import prefs_of_item
from plex_companion.demo.query import TAG_FIELDS
from plex_companion.demo.tree import Node, container

_TAG = re.compile(r"(?P<field>\w+)\[(?P<index>\d*)\]\.tag\.tag(?P<minus>-?)$")


def tell(ask: Ask, kind: str, key: str, title: str, state: int, section: str = "-1") -> None:
    """Playlists and collections give a timeline entry on every edit; a playlist's section is unverified."""
    more = {0: {"metadataState": "created"}, 9: {"metadataState": "deleted"}}.get(state, {})
    ask.house.announce(frames.timeline(section, key, TYPE_NUMBERS[kind], title, state, ask.house.now, **more))


# -- items


def edit(ask: Ask) -> Answer:
    """`PUT /library/sections/N/all?type=&id=&title.value=&…`: several items, several fields, all locked as asked.

    Without `id` it is every item of the type.
    """
    ask.owner_only()
    section, kind = ask.section(), TYPE_NAMES.get(ask.number("type"), "")
    every = [item.key for item in ask.house.in_section(section.key, kind)]
    for key in ask.get("id").split(",") if ask.get("id") else every:
        if ask.number("type") == TYPE_NUMBERS["collection"]:
            _edit_collection(ask, found(ask.house.collections, key))
        else:
            _edit_item(ask, found(ask.house.items, key))
    ask.house.changed(ask.args["section"])
    return DONE


def _edit_item(ask: Ask, item: Item) -> None:
    edit_fields(item, ask.params)
    _edit_rating(ask, item.key)
    for field, kind in TAG_FIELDS.items():
        if kind == "Collection":
            _edit_membership(ask, item)
        elif kind == "Role":
            names = edited_tags(ask, field, tuple(item.roles))
            item.roles = {name: item.roles.get(name, "") for name in names}
        else:
            item.tags[kind] = edited_tags(ask, field, item.tags.get(kind, ()))
    item.updated_at = ask.house.now
    ask.house.tell_timeline(item, 5)


def _edit_rating(ask: Ask, key: str) -> None:
    """Set the asker's own rating, if the edit names it."""
    for name, value in ask.params:
        if name == "userRating.value":
            ask.house.rate(ask.user, key, parse_rating(value))


def edited_tags(ask: Ask, field: str, old: tuple[str, ...]) -> tuple[str, ...]:
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


def _edit_membership(ask: Ask, item: Item) -> None:
    house = ask.house
    held = tuple(c.title for c in house.collections.values() if item.key in c.items)
    wanted = edited_tags(ask, "collection", held)
    known = {c.title for c in house.collections.values() if c.section == item.section}
    for title in wanted:
        if title not in known:
            made = Collection(house.new_key(), title, item.section, item.type, house.now, house.now)
            house.collections[made.key] = made
            tell(ask, "collection", made.key, title, 0, made.section)
    for collection in house.collections.values():
        if collection.title in wanted and item.key not in collection.items and collection.section == item.section:
            collection.items.append(item.key)
        elif collection.title not in wanted and item.key in collection.items:
            collection.items.remove(item.key)


def delete_item(ask: Ask) -> Answer:
    """`DELETE /library/metadata/ID`; refused with 403 while media deletion is off (the status is unverified)."""
    ask.owner_only()
    if not ask.house.prefs["allowMediaDeletion"].value:
        raise Refused(403)
    key = ask.args["id"]
    if key in ask.house.collections:
        return delete_collection(ask)
    if key in ask.house.playlists:
        return delete_playlist(ask)
    ask.demo.delete_item(ask.item().key)
    return DONE


def refresh(ask: Ask) -> Answer:
    """`PUT /library/metadata/ID/refresh`, `/analyze`, `/match` and their like."""
    ask.owner_only()
    ask.demo.refresh_item(ask.item().key)
    return DONE


# -- sections


def section_work(ask: Ask) -> Answer:
    """`…/N/emptyTrash` takes out what is in the trash; `/analyze` and `/indexes` are only an activity."""
    ask.owner_only()
    section = ask.section()
    if ask.args["work"] not in {"emptyTrash", "analyze", "indexes"}:
        raise Refused(404)
    if ask.args["work"] == "emptyTrash":
        trash = [
            item for item in ask.house.items.values() if item.section == section.key and "deletedAt" in item.fields
        ]
        for item in trash:
            if item.key in ask.house.items:  # it may have gone with its show
                ask.demo.delete_item(item.key)
    ask.demo.run_activity(f"library.{ask.args['work']}", f"{ask.args['work']}: {section.title}")
    return DONE


# -- playlists


def _uri_path(uri: str) -> str:
    place = uri.find("/library/")
    return uri[place:] if place >= 0 else uri


def _playlist_answer(ask: Ask, row: Playlist) -> Node:
    return container([playlist_node(row, [item for _, item in playlist_entries(ask.house, ask.user, row)])])


def _numbered(ask: Ask, items: list[Item]) -> list[tuple[int, str]]:
    numbers = range(ask.house.next_queue_item + 1, ask.house.next_queue_item + 1 + len(items))
    ask.house.next_queue_item += len(items)
    return [(number, item.key) for number, item in zip(numbers, items, strict=True)]


def make_playlist(ask: Ask) -> Node:
    """`POST /playlists?title=&type=&smart=&uri=`: of the asker; the answer holds the new list."""
    house, smart, uri = ask.house, ask.get("smart") == "1", ask.get("uri")
    items = [] if smart else leaves_of_uri(house, ask.user, uri)
    if not ask.get("title") or (not smart and not items):
        raise Refused(400)
    kind = ask.get("type") or list_kind(items[0])
    row = Playlist(house.new_key(), ask.get("title"), kind, ask.user.id, house.now, house.now, smart=smart)
    row.content, row.entries = (_uri_path(uri) if smart else ""), _numbered(ask, items)
    house.playlists[row.key] = row
    tell(ask, "playlist", row.key, row.title, 0)
    return _touched(ask, row)


def _touched(ask: Ask, row: Playlist) -> Node:
    row.updated_at = ask.house.now
    ask.house.changed()
    tell(ask, "playlist", row.key, row.title, 5)
    return _playlist_answer(ask, row)


def edit_playlist(ask: Ask) -> Node:
    """`PUT /playlists/ID?title=&summary=`, with or without `.value`."""
    row = own_playlist(ask)
    bare = [(f"{name}.value", value) for name, value in ask.params if name in {"title", "summary"}]
    edit_fields(row, [*ask.params, *bare])
    return _touched(ask, row)


def extend_playlist(ask: Ask) -> Node:
    """`PUT /playlists/ID/items?uri=`: adds; a smart list gets the new query instead."""
    row = own_playlist(ask)
    if row.smart:
        row.content = _uri_path(ask.get("uri"))
        return _touched(ask, row)
    added = leaves_of_uri(ask.house, ask.user, ask.get("uri"))
    if not added:
        raise Refused(400)
    row.entries += _numbered(ask, added)
    answer = _touched(ask, row)
    answer.attributes |= {"leafCountAdded": len(added), "leafCountRequested": len(added)}
    return answer


def _entry(ask: Ask, row: Playlist) -> tuple[int, str]:
    for entry in row.entries:
        if str(entry[0]) == ask.args["entry"]:
            return entry
    raise Refused(404)


def shorten_playlist(ask: Ask) -> Node:
    """`DELETE /playlists/ID/items/PID`."""
    row = own_playlist(ask)
    row.entries.remove(_entry(ask, row))
    return _touched(ask, row)


def move_in_playlist(ask: Ask) -> Node:
    """`PUT /playlists/ID/items/PID/move?after=PID`: to the front without `after`."""
    row = own_playlist(ask)
    entry = _entry(ask, row)
    row.entries.remove(entry)
    numbers = [number for number, _ in row.entries]
    after = ask.number("after", -1)
    row.entries.insert(numbers.index(after) + 1 if after in numbers else 0, entry)
    return _touched(ask, row)


def delete_playlist(ask: Ask) -> Answer:
    """`DELETE /playlists/ID`."""
    row = own_playlist(ask)
    del ask.house.playlists[row.key]
    ask.house.changed()
    tell(ask, "playlist", row.key, row.title, 9)
    return Answer(status=204)


# -- collections


def _collection(ask: Ask) -> Collection:
    return found(ask.house.collections, ask.args["id"])


def _changed(ask: Ask, row: Collection) -> Node:
    row.updated_at = ask.house.now
    ask.house.changed(row.section)
    tell(ask, "collection", row.key, row.title, 5, row.section)
    return container([collection_node(ask.house, ask.user, row, collection_items(ask.house, ask.user, row))])


def make_collection(ask: Ask) -> Node:
    """`POST /library/collections?title=&type=&smart=&sectionId=&uri=`."""
    ask.owner_only()
    house, section, smart = ask.house, found(ask.house.sections, ask.get("sectionId")), ask.get("smart") == "1"
    items = [] if smart else items_of_uri(house, ask.user, ask.get("uri"))
    if not ask.get("title"):
        raise Refused(400)
    kind = TYPE_NAMES.get(ask.number("type"), house.levels(section.key)[0])
    row = Collection(house.new_key(), ask.get("title"), section.key, kind, house.now, house.now, smart=smart,
                     content=_uri_path(ask.get("uri")) if smart else "", items=[item.key for item in items])  # fmt: skip
    house.collections[row.key] = row
    tell(ask, "collection", row.key, row.title, 0, row.section)
    return _changed(ask, row)


def _edit_collection(ask: Ask, row: Collection) -> None:
    edit_fields(row, ask.params)
    _edit_rating(ask, row.key)
    row.labels = edited_tags(ask, "label", row.labels)
    _changed(ask, row)


def extend_collection(ask: Ask) -> Node:
    """`PUT /library/collections/ID/items?uri=`: what is in it already stays once."""
    ask.owner_only()
    row = _collection(ask)
    if row.smart:
        row.content = _uri_path(ask.get("uri"))
    else:
        row.items += [i.key for i in items_of_uri(ask.house, ask.user, ask.get("uri")) if i.key not in row.items]
    return _changed(ask, row)


def shorten_collection(ask: Ask) -> Node:
    """`DELETE /library/collections/ID/items/KEY`."""
    ask.owner_only()
    row = _collection(ask)
    if ask.args["entry"] not in row.items:
        raise Refused(404)
    row.items.remove(ask.args["entry"])
    return _changed(ask, row)


def move_in_collection(ask: Ask) -> Node:
    """`PUT /library/collections/ID/items/KEY/move?after=KEY`."""
    ask.owner_only()
    row, key = _collection(ask), ask.args["entry"]
    if key not in row.items:
        raise Refused(404)
    row.items.remove(key)
    after = ask.get("after")
    row.items.insert(row.items.index(after) + 1 if after in row.items else 0, key)
    return _changed(ask, row)


def collection_prefs(ask: Ask) -> Answer:
    """`PUT /library/collections/ID/prefs?collectionMode=`, or by `/library/metadata/ID/prefs`."""
    ask.owner_only()
    row = _collection(ask)
    row.mode, row.sort = ask.number("collectionMode", row.mode), ask.number("collectionSort", row.sort)
    row.filter_by_user = ask.number("collectionFilterBasedOnUser", row.filter_by_user)
    _changed(ask, row)
    return DONE


def item_prefs(ask: Ask) -> Answer:
    """`PUT /library/metadata/ID/prefs?ID=value`: settings of an item, or of a collection."""
    if ask.args["id"] in ask.house.collections:
        return collection_prefs(ask)
    ask.owner_only()
    item = ask.item()
    for name, pref in prefs_of_item(ask.house, item).items():
        pref.set(ask.get(name, str(pref.value)))
    ask.house.changed(item.section)
    return DONE


def delete_collection(ask: Ask) -> Answer:
    """`DELETE /library/collections/ID`: its items stay. 404 for anything that is no collection (unverified)."""
    ask.owner_only()
    row = _collection(ask)
    del ask.house.collections[row.key]
    ask.house.changed(row.section)
    tell(ask, "collection", row.key, row.title, 9, row.section)
    return DONE


ROUTES = (
    ("PUT", "/library/sections/{section}/all", edit),
    ("PUT", "/library/sections/{section}/{work}", section_work),
    ("DELETE", "/library/sections/{section}/{work}", section_work),
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
    ("PUT", "/library/collections/{id}/prefs", collection_prefs),
    ("PUT", "/library/collections/{id}/items", extend_collection),
    ("DELETE", "/library/collections/{id}/items/{entry}", shorten_collection),
    ("PUT", "/library/collections/{id}/items/{entry}/move", move_in_collection),
)
