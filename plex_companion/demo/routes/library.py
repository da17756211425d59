"""The library over HTTP: sections, listings, items, hubs, collections, playlists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo import frames
from plex_companion.demo.contents import list_collection_items, list_playlist_entries
from plex_companion.demo.household.model import TYPE_NAMES, TYPE_NUMBERS
from plex_companion.demo.item_prefs import get_item_prefs
from plex_companion.demo.nodes.describe import (
    build_collection_node,
    build_item_node,
    build_playlist_node,
    build_section_facts,
    build_section_node,
)
from plex_companion.demo.nodes.details import build_review_nodes
from plex_companion.demo.nodes.meta import build_meta_node
from plex_companion.demo.nodes.tree import Node, build_container
from plex_companion.demo.prefs import Pref
from plex_companion.demo.query.collection_search import find_collections, mix_in_collections
from plex_companion.demo.query.filter_groups import parse_groups
from plex_companion.demo.query.filtering import FIELDS, TAG_FIELDS, FieldReader, select
from plex_companion.demo.query.hub_search import build_tag_hubs
from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal, build_items_page, build_page, find_or_404
from plex_companion.demo.routes.server import build_pref_node
from plex_companion.demo.routes.sonic import build_stations_hub
from plex_companion.demo.simulation import background

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.demo.household.model import DemoCollection, DemoItem, DemoPlaylist, DemoSection
    from plex_companion.demo.request import DemoRequest

COLLECTION = TYPE_NUMBERS["collection"]
HUBS = ("movie", "show", "season", "episode", "artist", "album", "track", "photoalbum", "photo")


def get_library(_: DemoRequest) -> Node:
    """Answer `GET /library`."""
    return build_container([Node("Directory", {"key": key, "title": title}) for key, title in (("sections", "Library Sections"), ("recentlyAdded", "Recently Added"), ("onDeck", "On Deck"))],
                     allowSync=False, art="/:/resources/library-art.png", content="", identifier=frames.LIBRARY,
                     mediaTagPrefix="/system/bundle/media/flags/", mediaTagVersion=1700000000, title1="Plex Library", title2="")  # fmt: skip


def get_sections(request: DemoRequest) -> Node:
    """Answer `GET /library/sections`."""
    return build_container([build_section_node(request.state, section) for section in request.state.sections.values()], allowSync=False,
                     title1="Plex Library")  # fmt: skip


def get_one_section(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N`: what can be browsed in a section."""
    section = request.find_section()
    if request.get("includeDetails") == "1":
        return build_container([build_section_node(request.state, section)])
    rows = [Node("Directory", {"key": key, "title": title}) for key, title in (("all", "All"), ("recentlyAdded", "Recently Added"), ("onDeck", "On Deck"), ("collection", "By Collection"), ("genre", "By Genre"))]  # fmt: skip
    return build_container(rows, librarySectionID=section.key, title1=section.title, viewGroup="secondary")


def get_section_all(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N/all`: a page of what the query selects, with `<Meta>` on request."""
    section, server = request.find_section(), request.state
    facts = build_section_facts(server, section.key) | {"librarySectionUUID": section.uuid, "title1": section.title,
                                                 "viewGroup": section.type}  # fmt: skip
    kind = server.list_levels(section.key)[0]
    if request.get_number("type") == COLLECTION:
        rows = find_collections(server, request.user, section.key, request.params)
        answer = build_page(request, rows, lambda row: _build_collection(request, row), **facts)
    elif _requests_collections(request, kind):
        items = select(server, request.user, section.key, request.params, kind)
        mixed = mix_in_collections(server, request.user, section.key, items, request.get("sort", "titleSort"))
        answer = build_page(request, mixed, lambda row: _find_item_or_collection(request, row), **facts)
    else:
        answer = build_items_page(request, select(server, request.user, section.key, request.params, kind), **facts)
    if request.get("includeMeta") == "1":
        kinds = tuple(k for k in server.list_levels(section.key))
        answer.children.insert(0, build_meta_node(section, kinds))
    return answer


def _requests_collections(request: DemoRequest, kind: str) -> bool:
    """Return whether collections are listed among the items: only in an unfiltered list of the library's main type."""
    asked, limited = request.get_number("type", TYPE_NUMBERS[kind]), bool(request.get("limit"))
    filtered = bool(parse_groups(request.params, FIELDS).members)
    return request.get("includeCollections") == "1" and asked == TYPE_NUMBERS[kind] and not filtered and not limited


def _find_item_or_collection(request: DemoRequest, row: DemoItem) -> Node:
    if row.type == "collection":
        return _build_collection(request, request.state.collections[row.key])
    return build_item_node(request.state, request.user, row, guids=request.get("includeGuids") == "1")


def _build_collection(request: DemoRequest, row: DemoCollection, *, full: bool = False) -> Node:
    return build_collection_node(
        request.state, request.user, row, list_collection_items(request.state, request.user, row), full=full
    )


def get_section_collections(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N/collections`, which equals `all?type=18`."""
    section = request.find_section()
    rows = find_collections(request.state, request.user, section.key, request.params)
    answer = build_page(
        request, rows, lambda row: _build_collection(request, row), **build_section_facts(request.state, section.key)
    )
    if request.get("includeMeta") == "1":
        answer.children.insert(0, build_meta_node(section, ("collection",)))
    return answer


def get_section_choices(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N/genre` and other filters: the values of a filter."""
    section, field, server = request.find_section(), request.args["field"], request.state
    kind = TYPE_NAMES.get(request.get_number("type"), server.list_levels(section.key)[0])
    reader, items = FieldReader(server, request.user), server.list_section(section.key, kind)
    if field in TAG_FIELDS:
        tags = sorted({tag for item in items for tag in reader.list_tags(item, TAG_FIELDS[field])})
        pairs = [(str(server.get_tag_id(TAG_FIELDS[field], tag)), tag) for tag in tags]
    elif field in {"year", "decade", "contentRating", "resolution", "studio", "network"}:
        values = sorted(
            {str(reader.read_value(item, field)) for item in items if reader.read_value(item, field)},
            reverse=field == "year",
        )
        pairs = [(value, value) for value in values]
    else:
        raise HttpRefusal(404)
    path = f"/library/sections/{section.key}/all?{field}="
    rows = [
        Node("Directory", {"fastKey": f"{path}{key}", "key": key, "title": title, "type": field})
        for key, title in pairs
    ]
    return build_page(request, rows, lambda row: row, title1=section.title, title2=field)


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


def get_tags(request: DemoRequest) -> Node:
    """Answer `GET /library/tags?type=N`: every tag of a kind, of all libraries, as plexapi's `Library.tags` reads them."""
    number, server = request.get("type"), request.state
    if number == NETWORKS:
        pairs = {item.studio: item.studio for item in server.list_kind("show")}
    else:
        kind, reader = find_or_404(TAG_NUMBERS, number), FieldReader(server, request.user)
        pairs = {
            tag: str(server.get_tag_id(kind, tag))
            for item in server.items.values()
            for tag in reader.list_tags(item, kind)
        }
    rows = [Node("Directory", {"id": key, "tag": tag, "tagType": number}) for tag, key in sorted(pairs.items())]
    return build_page(request, rows, lambda row: row)


def get_first_characters(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N/firstCharacter`."""
    section, sums = request.find_section(), dict[str, int]()
    for item in select(request.state, request.user, section.key, [], request.state.list_levels(section.key)[0]):
        letter = (item.title_sort or item.title)[:1].upper()
        sums[letter] = sums.get(letter, 0) + 1
    return build_container(
        [Node("Directory", {"size": count, "key": letter, "title": letter}) for letter, count in sorted(sums.items())]
    )


def refresh_section(request: DemoRequest) -> DemoAnswer:
    """Answer `GET` or `POST /library/sections/N/refresh`: a scan, announced as it goes; `force=1` refreshes all metadata."""
    request.require_owner()
    force, path = request.get("force") == "1", request.get("path")
    background.start_scan(request.state, request.find_section().key, force=force, path=path)
    return DONE


def refresh_all(request: DemoRequest) -> DemoAnswer:
    """Answer `/library/sections/all/refresh`."""
    request.require_owner()
    for key in request.state.sections:
        background.start_scan(request.state, key, force=request.get("force") == "1")
    return DONE


def cancel_refresh(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE …/refresh`: the scan ends early."""
    request.require_owner()
    requested = [request.args["section"]] if "section" in request.args else list(request.state.sections)
    request.state.refreshing.difference_update(requested)
    return DONE


def get_library_all(request: DemoRequest) -> Node:
    """Answer `GET /library/all`: the items of every section; `guid=` takes several values (unverified)."""
    params = request.params
    if "type" not in dict(params) and not request.get("guid"):
        params = [*params, ("type", ",".join(str(TYPE_NUMBERS[kind]) for kind in HUBS))]
    return build_items_page(request, select(request.state, request.user, None, params, "movie"))


def get_recently_added(request: DemoRequest) -> Node:
    """Answer `GET /library/recentlyAdded` and a section's: newest first; shows appear as seasons, music as albums."""
    requested, server = request.args.get("section"), request.state

    def make() -> list[DemoItem]:
        kinds = {"movie": "movie", "show": "season", "artist": "album", "photo": "photoalbum"}
        keys = [requested] if requested else list(server.sections)
        rows = [
            item for key in keys for item in server.list_section(key, kinds[find_or_404(server.sections, key).type])
        ]
        reader = FieldReader(server, request.user)
        return sorted(rows, key=reader.find_newest_leaf, reverse=True)

    return build_items_page(
        request, server.get_listing(("recent", requested), make), mixedParents=True, title1="Recently Added"
    )


def list_on_deck(request: DemoRequest, section: str | None) -> list[DemoItem]:
    """Return half-watched films and episodes, most recent first, then the episode after the last watched one of each show."""
    server, user = request.state, request.user
    views = server.views.get(user.id, {})
    started = [server.items[key] for key, view in views.items() if view.offset and key in server.items]
    rows = [item for item in started if item.type in {"movie", "episode"} and (not section or item.section == section)]
    following = [
        item
        for item in _find_next_episodes(request, request.state.list_kind("show"))
        if not section or item.section == section
    ]
    rows.sort(key=lambda item: views[item.key].viewed_at, reverse=True)
    return rows + [item for item in following if item not in rows]


def _find_next_episodes(request: DemoRequest, shows: list[DemoItem]) -> Iterable[DemoItem]:
    for show in shows:
        leaves = request.state.list_leaves(show.key)
        seen = [n for n, leaf in enumerate(leaves) if request.state.get_view(request.user, leaf.key).count]
        if seen and seen[-1] + 1 < len(leaves):
            yield leaves[seen[-1] + 1]


def get_on_deck(request: DemoRequest) -> Node:
    """Answer `GET /library/onDeck`, a section's, and Continue Watching."""
    section = request.args.get("section")
    if section:
        request.find_section()
    return build_items_page(request, list_on_deck(request, section), mixedParents=True)


def get_metadata(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID[,ID]`: full items; unknown ids are left out, 404 if none is known."""
    server, rows = request.state, []
    for key in request.args["ids"].split(","):
        if key in server.items:
            rows.append(_build_full_node(request, server.items[key]))
        elif key in server.collections:
            rows.append(_build_full_collection(request, server.collections[key]))
        elif key in server.playlists:
            rows.append(_build_playlist(request, server.playlists[key], full=True))
    if not rows:
        raise HttpRefusal(404)
    first = server.items.get(request.args["ids"].partition(",")[0])
    facts = build_section_facts(server, first.section) if first else {}
    return build_page(request, rows, lambda row: row, identifier=frames.LIBRARY, **facts)


def _build_full_node(request: DemoRequest, item: DemoItem) -> Node:
    node = build_item_node(request.state, request.user, item, full=True)
    if request.get("includePreferences") == "1":
        node.add("Preferences").children += [
            build_pref_node(pref) for pref in get_item_prefs(request.state, item).values()
        ]
    if request.get("includeReviews") == "1":
        node.children += build_review_nodes(item)
    if item.type == "show" and request.get("includeOnDeck") == "1":
        following = [
            build_item_node(request.state, request.user, episode) for episode in _find_next_episodes(request, [item])
        ]
        node.children.append(Node("OnDeck", {"size": len(following)}, following))
    return node


def get_children(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/children`; the list of a show begins with "All episodes" unless that is excluded."""
    item = request.find_item()
    rows = request.state.list_children(item.key)
    rows.sort(key=lambda child: (child.index is None, child.index or 0))
    answer = build_items_page(request, rows, key=item.key, parentTitle=item.title, parentIndex=item.index, parentYear=item.year,
                        title2=item.title, **build_section_facts(request.state, item.section))  # fmt: skip
    if item.type == "show" and request.get("excludeAllLeaves") != "1":
        answer.children.insert(0, Node("Directory", {"leafCount": len(request.state.list_leaves(item.key)), "title": "All episodes",
                                                     "key": f"/library/metadata/{item.key}/allLeaves"}))  # fmt: skip
    return answer


def get_all_leaves(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/allLeaves`: all episodes or tracks below."""
    item = request.find_item()
    return build_items_page(request, request.state.list_leaves(item.key), key=item.key, parentTitle=item.title)


def get_extras(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/extras`."""
    return build_items_page(
        request, [request.state.items[key] for key in request.find_item().extras if key in request.state.items]
    )


def _list_similar(request: DemoRequest) -> list[DemoItem]:
    """Return other items of the same genre."""
    item, genres = request.find_item(), set(request.find_item().tags.get("Genre", ()))
    others = (other for other in request.state.list_section(item.section, item.type) if other is not item)
    return [other for other in others if genres & set(other.tags.get("Genre", ()))]


def get_similar(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/similar`."""
    return build_items_page(request, _list_similar(request)[:8])


def get_related(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/related`: one hub of similar items."""
    item, rows = request.find_item(), _list_similar(request)
    hub = _build_hub(request, item.type, f"Related {item.type.capitalize()}s", rows[:8])
    hub.attributes |= {
        "context": f"hub.{item.type}.similar", "hubIdentifier": f"{item.type}.similar", "random": False,
        "hubKey": f"/library/metadata/{','.join(row.key for row in rows[:8])}", "key": f"/library/metadata/{item.key}/similar",
    }  # fmt: skip
    return build_container([hub], **build_section_facts(request.state, item.section))


def _build_hub(request: DemoRequest, kind: str, title: str, rows: list[DemoItem]) -> Node:
    nodes = [build_item_node(request.state, request.user, row) for row in rows]
    return Node("Hub", {"hubKey": "", "key": "", "title": title, "type": "photo" if kind == "photoalbum" else kind,
                        "hubIdentifier": kind, "context": f"hub.search.{kind}", "size": len(nodes), "more": False,
                        "style": "shelf"}, nodes)  # fmt: skip


def search_hubs(request: DemoRequest) -> Node:
    """Answer `GET /hubs/search`: a hub for every kind, empty ones too, with hubs of their own for tags and collections."""
    query, limit, server = request.get("query").casefold(), request.get_number("limit", 3), request.state
    section = request.get("sectionId")
    hubs = []
    for kind in HUBS:
        rows = server.list_section(section, kind) if section else server.list_kind(kind)
        hits = [item for item in rows if query and query in item.title.casefold()]
        hits.sort(key=lambda item: (not item.title.casefold().startswith(query), item.title))
        hubs.append(_build_hub(request, kind, kind.capitalize(), hits[:limit]))
    hubs += [
        _build_collection_hub(request, query, limit, section),
        *build_tag_hubs(server, request.user, query, limit, section),
    ]
    return build_container(hubs, identifier=frames.LIBRARY)


def _build_collection_hub(request: DemoRequest, query: str, limit: int, section: str) -> Node:
    rows = [
        c
        for c in request.state.collections.values()
        if query and query in c.title.casefold() and section in {"", c.section}
    ]
    hub = _build_hub(request, "collection", "Collections", [])
    hub.children = [_build_collection(request, row) for row in rows[:limit]]
    hub.attributes["size"] = len(hub.children)
    return hub


def get_hubs(request: DemoRequest) -> Node:
    """Answer `GET /hubs` and `/hubs/sections/N`: recently added per section, and the stations of music libraries."""
    requested = [request.find_section()] if "section" in request.args else list(request.state.sections.values())
    rows = [_build_recent_hub(request, section) for section in requested]
    rows += [
        build_stations_hub(section.key)
        for section in requested
        if section.type == "artist" and request.get("includeStations", "1") != "0"
    ]
    facts = build_section_facts(request.state, requested[0].key) if "section" in request.args else {}
    return build_page(request, rows, lambda row: row, **facts)


def _build_recent_hub(request: DemoRequest, section: DemoSection) -> Node:
    kind = request.state.list_levels(section.key)[0]
    items = sorted(request.state.list_section(section.key, kind), key=lambda item: -item.added_at)[
        : request.get_number("count", 6)
    ]
    hub = _build_hub(request, section.type, f"Recently Added in {section.title}", items)
    path = f"/hubs/home/recentlyAdded?type={TYPE_NUMBERS[kind]}&sectionID={section.key}"
    return Node(hub.tag, {
        **hub.attributes, "hubKey": f"/library/metadata/{','.join(item.key for item in items)}", "key": path,
        "hubIdentifier": f"{section.type}.recentlyadded.{section.key}", "context": f"hub.{section.type}.recentlyadded",
        "more": True, "random": False, "promoted": True,
    }, hub.children)  # fmt: skip


def get_one_collection(request: DemoRequest) -> Node:
    """Answer `GET /library/collections/ID`, with its settings on request."""
    return build_container(
        [_build_full_collection(request, find_or_404(request.state.collections, request.args["id"]))]
    )


def _build_full_collection(request: DemoRequest, row: DemoCollection) -> Node:
    node = _build_collection(request, row, full=True)
    if request.get("includePreferences") == "1":
        node.children.append(_build_collection_settings(row))
    return node


def _build_collection_settings(row: DemoCollection) -> Node:
    # python-plexapi matches the new value against these choices.
    modes = "-1:Library default|0:Hide collection|1:Hide items in this collection|2:Show this collection and its items"
    rows = (
        Pref("collectionMode", "Collection mode", "int", -1, row.mode, "", choices=modes),
        Pref("collectionSort", "Order", "int", 0, row.sort, "", choices="0:Release date|1:Alphabetical|2:Custom"),
        Pref("collectionFilterBasedOnUser", "Filter", "int", 0, row.filter_by_user, "", choices="0:Admin user|1:User watching"),
    )  # fmt: skip
    return Node("Preferences", {}, [build_pref_node(pref) for pref in rows])


def get_collection_children(request: DemoRequest) -> Node:
    """Answer `GET /library/collections/ID/children`."""
    return build_items_page(
        request,
        list_collection_items(request.state, request.user, find_or_404(request.state.collections, request.args["id"])),
    )


def _build_playlist(request: DemoRequest, row: DemoPlaylist, *, full: bool = False) -> Node:
    return build_playlist_node(
        row, [item for _, item in list_playlist_entries(request.state, request.user, row)], full=full
    )


def find_own_playlist(request: DemoRequest) -> DemoPlaylist:
    """Return the playlist of the path, or refuse with 404 unless it is the user's own."""
    row: DemoPlaylist = find_or_404(request.state.playlists, request.args["id"])
    if row.user != request.user.id:
        raise HttpRefusal(404)
    return row


def get_playlists(request: DemoRequest) -> Node:
    """Answer `GET /playlists`: the user's own, by title, type and section."""
    title, kind, section = request.get("title"), request.get("playlistType"), request.get("sectionID")
    rows = [row for row in request.state.playlists.values() if row.user == request.user.id and kind in {"", row.kind}]
    rows = [row for row in rows if not title or title.casefold() in row.title.casefold()]
    if section:
        rows = [
            row
            for row in rows
            if any(i.section == section for _, i in list_playlist_entries(request.state, request.user, row))
        ]
    if request.get("type") == "42":
        rows = []
    return build_page(request, rows, lambda row: _build_playlist(request, row))


def get_one_playlist(request: DemoRequest) -> Node:
    """Answer `GET /playlists/ID`."""
    return build_container([_build_playlist(request, find_own_playlist(request), full=True)])


def get_playlist_items(request: DemoRequest) -> Node:
    """Answer `GET /playlists/ID/items`: the items with their `playlistItemID`."""
    row = find_own_playlist(request)

    def node(entry: tuple[int, DemoItem]) -> Node:
        made = build_item_node(request.state, request.user, entry[1])
        made.attributes["playlistItemID"] = entry[0]
        return made

    entries = list_playlist_entries(request.state, request.user, row)
    return build_page(request, entries, node, title=row.title, smart=row.smart, playlistType=row.kind, leafCount=len(entries),
                duration=sum(i.duration or 0 for _, i in entries) // 1000, ratingKey=row.key)  # fmt: skip


ROUTES = (
    ("GET", "/library", get_library),
    ("GET", "/library/sections", get_sections),
    ("GET", "/library/sections/all/refresh", refresh_all),
    ("POST", "/library/sections/all/refresh", refresh_all),
    ("DELETE", "/library/sections/all/refresh", cancel_refresh),
    ("GET", "/library/sections/{section}", get_one_section),
    ("GET", "/library/sections/{section}/all", get_section_all),
    ("GET", "/library/sections/{section}/refresh", refresh_section),
    ("POST", "/library/sections/{section}/refresh", refresh_section),
    ("DELETE", "/library/sections/{section}/refresh", cancel_refresh),
    ("GET", "/library/sections/{section}/onDeck", get_on_deck),
    ("GET", "/library/sections/{section}/recentlyAdded", get_recently_added),
    ("GET", "/library/sections/{section}/collections", get_section_collections),
    ("GET", "/library/sections/{section}/firstCharacter", get_first_characters),
    ("GET", "/library/sections/{section}/{field}", get_section_choices),
    ("GET", "/library/all", get_library_all),
    ("GET", "/library/tags", get_tags),
    ("GET", "/library/recentlyAdded", get_recently_added),
    ("GET", "/library/onDeck", get_on_deck),
    ("GET", "/library/metadata/{ids}", get_metadata),
    ("GET", "/library/metadata/{id}/children", get_children),
    ("GET", "/library/metadata/{id}/allLeaves", get_all_leaves),
    ("GET", "/library/metadata/{id}/grandchildren", get_all_leaves),
    ("GET", "/library/metadata/{id}/extras", get_extras),
    ("GET", "/library/metadata/{id}/related", get_related),
    ("GET", "/library/metadata/{id}/similar", get_similar),
    ("GET", "/hubs", get_hubs),
    ("GET", "/hubs/search", search_hubs),
    ("GET", "/hubs/continueWatching/items", get_on_deck),
    ("GET", "/hubs/sections/{section}", get_hubs),
    ("GET", "/hubs/sections/{section}/continueWatching/items", get_on_deck),
    ("GET", "/library/collections/{id}", get_one_collection),
    ("GET", "/library/collections/{id}/children", get_collection_children),
    ("GET", "/library/collections/{id}/items", get_collection_children),
    ("GET", "/playlists", get_playlists),
    ("GET", "/playlists/{id}", get_one_playlist),
    ("GET", "/playlists/{id}/items", get_playlist_items),
)
