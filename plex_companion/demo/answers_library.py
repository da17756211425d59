"""The library over HTTP: sections, listings, items, hubs, collections, playlists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo import frames
from plex_companion.demo.answers_server import pref_node
from plex_companion.demo.answers_sonic import stations_hub
from plex_companion.demo.ask import DONE, Answer, Refused, found, items_page, page
from plex_companion.demo.collection_search import find_collections, mix_in_collections
from plex_companion.demo.contents import collection_items, playlist_entries
from plex_companion.demo.describe import collection_node, item_node, playlist_node, section_facts, section_node
from plex_companion.demo.details import review_nodes
from plex_companion.demo.household import TYPE_NAMES, TYPE_NUMBERS
from plex_companion.demo.hub_search import tag_hubs
from plex_companion.demo.item_prefs import prefs_of_item
from plex_companion.demo.meta import meta_node
from plex_companion.demo.prefs import Pref
from plex_companion.demo.query import FIELDS, TAG_FIELDS, Chooser, select
from plex_companion.demo.query_groups import parse_groups
from plex_companion.demo.tree import Node, container

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.demo.ask import Ask
    from plex_companion.demo.household import Collection, Item, Playlist, Section

COLLECTION = TYPE_NUMBERS["collection"]
HUBS = ("movie", "show", "season", "episode", "artist", "album", "track", "photoalbum", "photo")


def library(_: Ask) -> Node:
    """`GET /library`."""
    return container([Node("Directory", {"key": key, "title": title}) for key, title in (("sections", "Library Sections"), ("recentlyAdded", "Recently Added"), ("onDeck", "On Deck"))],
                     allowSync=False, art="/:/resources/library-art.png", content="", identifier=frames.LIBRARY,
                     mediaTagPrefix="/system/bundle/media/flags/", mediaTagVersion=1700000000, title1="Plex Library", title2="")  # fmt: skip


def sections(ask: Ask) -> Node:
    """`GET /library/sections`."""
    return container([section_node(ask.house, section) for section in ask.house.sections.values()], allowSync=False,
                     title1="Plex Library")  # fmt: skip


def one_section(ask: Ask) -> Node:
    """`GET /library/sections/N`: what can be browsed in it."""
    section = ask.section()
    if ask.get("includeDetails") == "1":
        return container([section_node(ask.house, section)])
    rows = [Node("Directory", {"key": key, "title": title}) for key, title in (("all", "All"), ("recentlyAdded", "Recently Added"), ("onDeck", "On Deck"), ("collection", "By Collection"), ("genre", "By Genre"))]  # fmt: skip
    return container(rows, librarySectionID=section.key, title1=section.title, viewGroup="secondary")


def section_all(ask: Ask) -> Node:
    """`GET /library/sections/N/all`: a page of what the query selects, with `<Meta>` if asked."""
    section, house = ask.section(), ask.house
    facts = section_facts(house, section.key) | {"librarySectionUUID": section.uuid, "title1": section.title,
                                                 "viewGroup": section.type}  # fmt: skip
    kind = house.levels(section.key)[0]
    if ask.number("type") == COLLECTION:
        rows = find_collections(house, ask.user, section.key, ask.params)
        answer = page(ask, rows, lambda row: _collection(ask, row), **facts)
    elif _wants_collections(ask, kind):
        items = select(house, ask.user, section.key, ask.params, kind)
        mixed = mix_in_collections(house, ask.user, section.key, items, ask.get("sort", "titleSort"))
        answer = page(ask, mixed, lambda row: _item_or_collection(ask, row), **facts)
    else:
        answer = items_page(ask, select(house, ask.user, section.key, ask.params, kind), **facts)
    if ask.get("includeMeta") == "1":
        kinds = tuple(k for k in house.levels(section.key))
        answer.children.insert(0, meta_node(section, kinds))
    return answer


def _wants_collections(ask: Ask, kind: str) -> bool:
    """Whether collections stand among the items: only in an unfiltered list of what the library is about."""
    asked, limited = ask.number("type", TYPE_NUMBERS[kind]), bool(ask.get("limit"))
    filtered = bool(parse_groups(ask.params, FIELDS).members)
    return ask.get("includeCollections") == "1" and asked == TYPE_NUMBERS[kind] and not filtered and not limited


def _item_or_collection(ask: Ask, row: Item) -> Node:
    if row.type == "collection":
        return _collection(ask, ask.house.collections[row.key])
    return item_node(ask.house, ask.user, row, guids=ask.get("includeGuids") == "1")


def _collection(ask: Ask, row: Collection, *, full: bool = False) -> Node:
    return collection_node(ask.house, ask.user, row, collection_items(ask.house, ask.user, row), full=full)


def section_collections(ask: Ask) -> Node:
    """`GET /library/sections/N/collections`: the same as `all?type=18`."""
    section = ask.section()
    rows = find_collections(ask.house, ask.user, section.key, ask.params)
    answer = page(ask, rows, lambda row: _collection(ask, row), **section_facts(ask.house, section.key))
    if ask.get("includeMeta") == "1":
        answer.children.insert(0, meta_node(section, ("collection",)))
    return answer


def section_choices(ask: Ask) -> Node:
    """`GET /library/sections/N/genre` and its like: what a filter can be set to."""
    section, field, house = ask.section(), ask.args["field"], ask.house
    kind = TYPE_NAMES.get(ask.number("type"), house.levels(section.key)[0])
    chooser, items = Chooser(house, ask.user), house.in_section(section.key, kind)
    if field in TAG_FIELDS:
        tags = sorted({tag for item in items for tag in chooser.tags(item, TAG_FIELDS[field])})
        pairs = [(str(house.tag_id(TAG_FIELDS[field], tag)), tag) for tag in tags]
    elif field in {"year", "decade", "contentRating", "resolution", "studio", "network"}:
        values = sorted(
            {str(chooser.value(item, field)) for item in items if chooser.value(item, field)}, reverse=field == "year"
        )
        pairs = [(value, value) for value in values]
    else:
        raise Refused(404)
    path = f"/library/sections/{section.key}/all?{field}="
    rows = [
        Node("Directory", {"fastKey": f"{path}{key}", "key": key, "title": title, "type": field})
        for key, title in pairs
    ]
    return page(ask, rows, lambda row: row, title1=section.title, title2=field)


# plexapi's `TAGTYPES`, those that filter lists.
NETWORKS = "319"
TAG_NUMBERS = {
    "1": "Genre",
    "4": "Director",
    "5": "Writer",
    "6": "Role",
    "7": "Producer",
    "8": "Country",
    "11": "Label",
}


def tags(ask: Ask) -> Node:
    """`GET /library/tags?type=N`: every tag of a kind, of all libraries, as plexapi's `library.tags` reads them."""
    number, house = ask.get("type"), ask.house
    if number == NETWORKS:
        pairs = {item.studio: item.studio for item in house.of_kind("show")}
    else:
        kind, chooser = found(TAG_NUMBERS, number), Chooser(house, ask.user)
        pairs = {tag: str(house.tag_id(kind, tag)) for item in house.items.values() for tag in chooser.tags(item, kind)}
    rows = [Node("Directory", {"id": key, "tag": tag, "tagType": number}) for tag, key in sorted(pairs.items())]
    return page(ask, rows, lambda row: row)


def first_characters(ask: Ask) -> Node:
    """`GET /library/sections/N/firstCharacter`."""
    section, sums = ask.section(), dict[str, int]()
    for item in select(ask.house, ask.user, section.key, [], ask.house.levels(section.key)[0]):
        letter = (item.title_sort or item.title)[:1].upper()
        sums[letter] = sums.get(letter, 0) + 1
    return container(
        [Node("Directory", {"size": count, "key": letter, "title": letter}) for letter, count in sorted(sums.items())]
    )


def refresh_section(ask: Ask) -> Answer:
    """`GET` or `POST /library/sections/N/refresh`: a scan, announced as it goes; `force=1` fetches all metadata anew."""
    ask.owner_only()
    ask.demo.start_scan(ask.section().key, force=ask.get("force") == "1", path=ask.get("path"))
    return DONE


def refresh_all(ask: Ask) -> Answer:
    """`/library/sections/all/refresh`."""
    ask.owner_only()
    for key in ask.house.sections:
        ask.demo.start_scan(key, force=ask.get("force") == "1")
    return DONE


def cancel_refresh(ask: Ask) -> Answer:
    """`DELETE …/refresh`: the scan ends early."""
    ask.owner_only()
    wanted = [ask.args["section"]] if "section" in ask.args else list(ask.house.sections)
    ask.house.refreshing.difference_update(wanted)
    return DONE


def library_all(ask: Ask) -> Node:
    """`GET /library/all`: every section; `guid=` takes several (unverified)."""
    if "type" not in dict(ask.params) and not ask.get("guid"):
        kinds = ",".join(str(TYPE_NUMBERS[kind]) for kind in HUBS)
        return items_page(ask, select(ask.house, ask.user, None, [*ask.params, ("type", kinds)], "movie"))
    return items_page(ask, select(ask.house, ask.user, None, ask.params, "movie"))


def recently_added(ask: Ask) -> Node:
    """`GET /library/recentlyAdded` and a section's: newest first; series show as seasons, music as albums."""
    wanted, house = ask.args.get("section"), ask.house

    def make() -> list[Item]:
        kinds = {"movie": "movie", "show": "season", "artist": "album", "photo": "photoalbum"}
        keys = [wanted] if wanted else list(house.sections)
        rows = [item for key in keys for item in house.in_section(key, kinds[found(house.sections, key).type])]
        chooser = Chooser(house, ask.user)
        return sorted(rows, key=chooser.newest_leaf, reverse=True)

    return items_page(ask, house.listing(("recent", wanted), make), mixedParents=True, title1="Recently Added")


def on_deck_items(ask: Ask, section: str | None) -> list[Item]:
    """Half-seen films and episodes, then the episode after the last one seen; the most recent first."""
    house, user = ask.house, ask.user
    views = house.views.get(user.id, {})
    started = [house.items[key] for key, view in views.items() if view.offset and key in house.items]
    rows = [item for item in started if item.type in {"movie", "episode"} and (not section or item.section == section)]
    following = [
        item for item in _next_episodes(ask, ask.house.of_kind("show")) if not section or item.section == section
    ]
    rows.sort(key=lambda item: views[item.key].viewed_at, reverse=True)
    return rows + [item for item in following if item not in rows]


def _next_episodes(ask: Ask, shows: list[Item]) -> Iterable[Item]:
    for show in shows:
        leaves = ask.house.leaves_of(show.key)
        seen = [n for n, leaf in enumerate(leaves) if ask.house.view(ask.user, leaf.key).count]
        if seen and seen[-1] + 1 < len(leaves):
            yield leaves[seen[-1] + 1]


def on_deck(ask: Ask) -> Node:
    """`GET /library/onDeck`, a section's, and Continue Watching."""
    section = ask.args.get("section")
    if section:
        ask.section()
    return items_page(ask, on_deck_items(ask, section), mixedParents=True)


def metadata(ask: Ask) -> Node:
    """`GET /library/metadata/ID[,ID]`: full items; unknown ids are left out, 404 if none is known."""
    house, rows = ask.house, []
    for key in ask.args["ids"].split(","):
        if key in house.items:
            rows.append(_in_full(ask, house.items[key]))
        elif key in house.collections:
            rows.append(_collection_in_full(ask, house.collections[key]))
        elif key in house.playlists:
            rows.append(_playlist(ask, house.playlists[key], full=True))
    if not rows:
        raise Refused(404)
    first = house.items.get(ask.args["ids"].partition(",")[0])
    facts = section_facts(house, first.section) if first else {}
    return page(ask, rows, lambda row: row, identifier=frames.LIBRARY, **facts)


def _in_full(ask: Ask, item: Item) -> Node:
    node = item_node(ask.house, ask.user, item, full=True)
    if ask.get("includePreferences") == "1":
        node.add("Preferences").children += [pref_node(pref) for pref in prefs_of_item(ask.house, item).values()]
    if ask.get("includeReviews") == "1":
        node.children += review_nodes(item)
    if item.type == "show" and ask.get("includeOnDeck") == "1":
        following = [item_node(ask.house, ask.user, episode) for episode in _next_episodes(ask, [item])]
        node.children.append(Node("OnDeck", {"size": len(following)}, following))
    return node


def children(ask: Ask) -> Node:
    """`GET /library/metadata/ID/children`; a show's list begins with "All episodes" unless excluded."""
    item = ask.item()
    rows = ask.house.children_of(item.key)
    rows.sort(key=lambda child: (child.index is None, child.index or 0))
    answer = items_page(ask, rows, key=item.key, parentTitle=item.title, parentIndex=item.index, parentYear=item.year,
                        title2=item.title, **section_facts(ask.house, item.section))  # fmt: skip
    if item.type == "show" and ask.get("excludeAllLeaves") != "1":
        answer.children.insert(0, Node("Directory", {"leafCount": len(ask.house.leaves_of(item.key)), "title": "All episodes",
                                                     "key": f"/library/metadata/{item.key}/allLeaves"}))  # fmt: skip
    return answer


def all_leaves(ask: Ask) -> Node:
    """`GET /library/metadata/ID/allLeaves`: all episodes or tracks below."""
    item = ask.item()
    return items_page(ask, ask.house.leaves_of(item.key), key=item.key, parentTitle=item.title)


def extras(ask: Ask) -> Node:
    """`GET /library/metadata/ID/extras`."""
    return items_page(ask, [ask.house.items[key] for key in ask.item().extras if key in ask.house.items])


def _alike(ask: Ask) -> list[Item]:
    """Others of the same genre."""
    item, genres = ask.item(), set(ask.item().tags.get("Genre", ()))
    return [
        other
        for other in ask.house.in_section(item.section, item.type)
        if other is not item and genres & set(other.tags.get("Genre", ()))
    ]


def similar(ask: Ask) -> Node:
    """`GET /library/metadata/ID/similar`."""
    return items_page(ask, _alike(ask)[:8])


def related(ask: Ask) -> Node:
    """`GET /library/metadata/ID/related`: one hub of what is similar."""
    item, rows = ask.item(), _alike(ask)
    hub = _hub(ask, item.type, f"Related {item.type.capitalize()}s", rows[:8])
    hub.attributes |= {
        "context": f"hub.{item.type}.similar", "hubIdentifier": f"{item.type}.similar", "random": False,
        "hubKey": f"/library/metadata/{','.join(row.key for row in rows[:8])}", "key": f"/library/metadata/{item.key}/similar",
    }  # fmt: skip
    return container([hub], **section_facts(ask.house, item.section))


def _hub(ask: Ask, kind: str, title: str, rows: list[Item]) -> Node:
    nodes = [item_node(ask.house, ask.user, row) for row in rows]
    return Node("Hub", {"hubKey": "", "key": "", "title": title, "type": "photo" if kind == "photoalbum" else kind,
                        "hubIdentifier": kind, "context": f"hub.search.{kind}", "size": len(nodes), "more": False,
                        "style": "shelf"}, nodes)  # fmt: skip


def search(ask: Ask) -> Node:
    """`GET /hubs/search`: a hub for every kind, empty ones too; people and collections have their own."""
    query, limit, house = ask.get("query").casefold(), ask.number("limit", 3), ask.house
    section = ask.get("sectionId")
    hubs = []
    for kind in HUBS:
        rows = house.in_section(section, kind) if section else house.of_kind(kind)
        hits = [item for item in rows if query and query in item.title.casefold()]
        hits.sort(key=lambda item: (not item.title.casefold().startswith(query), item.title))
        hubs.append(_hub(ask, kind, kind.capitalize(), hits[:limit]))
    hubs += [_collection_hub(ask, query, limit, section), *tag_hubs(house, ask.user, query, limit, section)]
    return container(hubs, identifier=frames.LIBRARY)


def _collection_hub(ask: Ask, query: str, limit: int, section: str) -> Node:
    rows = [
        c
        for c in ask.house.collections.values()
        if query and query in c.title.casefold() and section in {"", c.section}
    ]
    hub = _hub(ask, "collection", "Collections", [])
    hub.children = [_collection(ask, row) for row in rows[:limit]]
    hub.attributes["size"] = len(hub.children)
    return hub


def hubs(ask: Ask) -> Node:
    """`GET /hubs` and `/hubs/sections/N`: recently added per section, and stations where music has them."""
    wanted = [ask.section()] if "section" in ask.args else list(ask.house.sections.values())
    rows = [_recent_hub(ask, section) for section in wanted]
    rows += [
        stations_hub(section.key)
        for section in wanted
        if section.type == "artist" and ask.get("includeStations", "1") != "0"
    ]
    facts = section_facts(ask.house, wanted[0].key) if "section" in ask.args else {}
    return page(ask, rows, lambda row: row, **facts)


def _recent_hub(ask: Ask, section: Section) -> Node:
    kind = ask.house.levels(section.key)[0]
    items = sorted(ask.house.in_section(section.key, kind), key=lambda item: -item.added_at)[: ask.number("count", 6)]
    hub = _hub(ask, section.type, f"Recently Added in {section.title}", items)
    path = f"/hubs/home/recentlyAdded?type={TYPE_NUMBERS[kind]}&sectionID={section.key}"
    return Node(hub.tag, {
        **hub.attributes, "hubKey": f"/library/metadata/{','.join(item.key for item in items)}", "key": path,
        "hubIdentifier": f"{section.type}.recentlyadded.{section.key}", "context": f"hub.{section.type}.recentlyadded",
        "more": True, "random": False, "promoted": True,
    }, hub.children)  # fmt: skip


def one_collection(ask: Ask) -> Node:
    """`GET /library/collections/ID`, with its settings if asked."""
    return container([_collection_in_full(ask, found(ask.house.collections, ask.args["id"]))])


def _collection_in_full(ask: Ask, row: Collection) -> Node:
    node = _collection(ask, row, full=True)
    if ask.get("includePreferences") == "1":
        node.children.append(_collection_settings(row))
    return node


def _collection_settings(row: Collection) -> Node:
    # python-plexapi matches the new value against these choices.
    modes = "-1:Library default|0:Hide collection|1:Hide items in this collection|2:Show this collection and its items"
    rows = (
        Pref("collectionMode", "Collection mode", "int", -1, row.mode, "", choices=modes),
        Pref("collectionSort", "Order", "int", 0, row.sort, "", choices="0:Release date|1:Alphabetical|2:Custom"),
        Pref("collectionFilterBasedOnUser", "Filter", "int", 0, row.filter_by_user, "", choices="0:Admin user|1:User watching"),
    )  # fmt: skip
    return Node("Preferences", {}, [pref_node(pref) for pref in rows])


def collection_children(ask: Ask) -> Node:
    """`GET /library/collections/ID/children`."""
    return items_page(ask, collection_items(ask.house, ask.user, found(ask.house.collections, ask.args["id"])))


def _playlist(ask: Ask, row: Playlist, *, full: bool = False) -> Node:
    return playlist_node(row, [item for _, item in playlist_entries(ask.house, ask.user, row)], full=full)


def own_playlist(ask: Ask) -> Playlist:
    """The playlist of the path, if it is the asker's."""
    row: Playlist = found(ask.house.playlists, ask.args["id"])
    if row.user != ask.user.id:
        raise Refused(404)
    return row


def playlists(ask: Ask) -> Node:
    """`GET /playlists`: the asker's own, by title, type and section."""
    title, kind, section = ask.get("title"), ask.get("playlistType"), ask.get("sectionID")
    rows = [row for row in ask.house.playlists.values() if row.user == ask.user.id and kind in {"", row.kind}]
    rows = [row for row in rows if not title or title.casefold() in row.title.casefold()]
    if section:
        rows = [row for row in rows if any(i.section == section for _, i in playlist_entries(ask.house, ask.user, row))]
    if ask.get("type") == "42":
        rows = []
    return page(ask, rows, lambda row: _playlist(ask, row))


def one_playlist(ask: Ask) -> Node:
    """`GET /playlists/ID`."""
    return container([_playlist(ask, own_playlist(ask), full=True)])


def playlist_items(ask: Ask) -> Node:
    """`GET /playlists/ID/items`: items with their `playlistItemID`."""
    row = own_playlist(ask)

    def node(entry: tuple[int, Item]) -> Node:
        made = item_node(ask.house, ask.user, entry[1])
        made.attributes["playlistItemID"] = entry[0]
        return made

    entries = playlist_entries(ask.house, ask.user, row)
    return page(ask, entries, node, title=row.title, smart=row.smart, playlistType=row.kind, leafCount=len(entries),
                duration=sum(i.duration or 0 for _, i in entries) // 1000, ratingKey=row.key)  # fmt: skip


ROUTES = (
    ("GET", "/library", library),
    ("GET", "/library/sections", sections),
    ("GET", "/library/sections/all/refresh", refresh_all),
    ("POST", "/library/sections/all/refresh", refresh_all),
    ("DELETE", "/library/sections/all/refresh", cancel_refresh),
    ("GET", "/library/sections/{section}", one_section),
    ("GET", "/library/sections/{section}/all", section_all),
    ("GET", "/library/sections/{section}/refresh", refresh_section),
    ("POST", "/library/sections/{section}/refresh", refresh_section),
    ("DELETE", "/library/sections/{section}/refresh", cancel_refresh),
    ("GET", "/library/sections/{section}/onDeck", on_deck),
    ("GET", "/library/sections/{section}/recentlyAdded", recently_added),
    ("GET", "/library/sections/{section}/collections", section_collections),
    ("GET", "/library/sections/{section}/firstCharacter", first_characters),
    ("GET", "/library/sections/{section}/{field}", section_choices),
    ("GET", "/library/all", library_all),
    ("GET", "/library/tags", tags),
    ("GET", "/library/recentlyAdded", recently_added),
    ("GET", "/library/onDeck", on_deck),
    ("GET", "/library/metadata/{ids}", metadata),
    ("GET", "/library/metadata/{id}/children", children),
    ("GET", "/library/metadata/{id}/allLeaves", all_leaves),
    ("GET", "/library/metadata/{id}/grandchildren", all_leaves),
    ("GET", "/library/metadata/{id}/extras", extras),
    ("GET", "/library/metadata/{id}/related", related),
    ("GET", "/library/metadata/{id}/similar", similar),
    ("GET", "/hubs", hubs),
    ("GET", "/hubs/search", search),
    ("GET", "/hubs/continueWatching/items", on_deck),
    ("GET", "/hubs/sections/{section}", hubs),
    ("GET", "/hubs/sections/{section}/continueWatching/items", on_deck),
    ("GET", "/library/collections/{id}", one_collection),
    ("GET", "/library/collections/{id}/children", collection_children),
    ("GET", "/library/collections/{id}/items", collection_children),
    ("GET", "/playlists", playlists),
    ("GET", "/playlists/{id}", one_playlist),
    ("GET", "/playlists/{id}/items", playlist_items),
)
