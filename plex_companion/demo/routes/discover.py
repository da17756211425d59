"""The watchlist, which lives at plex.tv's Discover; here it offers what the household owns, by cloud id, and `demo.unowned`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from plex_companion.demo.household.model import TYPE_NAMES
from plex_companion.demo.nodes.details import age_nodes
from plex_companion.demo.nodes.tree import Node, build_container
from plex_companion.demo.request import DONE, DemoAnswer, DemoRequest, HttpRefusal, build_page, find_or_404

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.demo.household.model import DemoItem


ORDERS: dict[str, Callable[[DemoItem], Any]] = {
    "titleSort": lambda item: (item.title_sort or item.title).casefold(),
    "originallyAvailableAt": lambda item: item.released,
    "rating": lambda item: item.rating or 0.0,
}


def read_cloud_id(item: DemoItem) -> str:
    """The last part of the guid, which is Discover's rating key."""
    return item.guid.rpartition("/")[2]


def _list_titles(ask: DemoRequest) -> dict[str, DemoItem]:
    owned = [item for kind in ("movie", "show") for item in ask.state.list_kind(kind)]
    return {read_cloud_id(item): item for item in (*owned, *ask.demo.unowned)}


def _build_node(item: DemoItem) -> Node:
    key = read_cloud_id(item)
    return Node("Video" if item.type == "movie" else "Directory", {
        "ratingKey": key, "key": f"/library/metadata/{key}{'' if item.type == 'movie' else '/children'}", "guid": item.guid,
        "type": item.type, "title": item.title, "year": item.year, "originallyAvailableAt": item.released or None,
        "duration": item.duration, "contentRating": item.content_rating or None, "summary": item.summary, "childCount": 1 if item.type == "show" else None,
    }, [Node("Guid", {"id": guid}) for guid in item.external_ids])  # fmt: skip


def _list_watchlist(ask: DemoRequest) -> list[str]:
    return ask.demo.watchlists.setdefault(ask.user.id, [])


def get_watchlist(ask: DemoRequest) -> Node:
    """`GET /library/sections/watchlist/all`, or `/released`: the asker's list, newest first unless sorted otherwise."""
    titles, wanted = _list_titles(ask), TYPE_NAMES.get(ask.get_number("type"))
    rows = [titles[key] for key in reversed(_list_watchlist(ask)) if key in titles]
    rows = [row for row in rows if wanted in {None, row.type}]
    if ask.args.get("filter") == "released":
        today = datetime.fromtimestamp(ask.state.now, UTC).date().isoformat()
        rows = [row for row in rows if not row.released or row.released <= today]
    field, _, direction = ask.get("sort").partition(":")
    if field in ORDERS:
        rows.sort(key=ORDERS[field], reverse=direction == "desc")
    return build_page(ask, rows, _build_node, identifier="tv.plex.provider.discover", librarySectionID="watchlist")


def search(ask: DemoRequest) -> Node:
    """`GET /library/search?query=`: one group, `external`."""
    query, wanted = ask.get("query").casefold(), ask.get("searchTypes", "movies,tv")
    kinds = {kind for kind, word in (("movie", "movie"), ("show", "tv")) if word in wanted}
    hits = [item for item in _list_titles(ask).values() if query in item.title.casefold() and item.type in kinds]
    results = Node("SearchResults", {"id": "external", "title": "More Ways To Watch", "size": len(hits)})
    for item in hits[: ask.get_number("limit", 30)]:
        results.add("SearchResult", score=0.9).children.append(_build_node(item))
    return build_container([results], identifier="tv.plex.provider.discover")


def get_user_state(ask: DemoRequest) -> Node:
    """`GET /library/metadata/ID/userState`: whether and when it was wished for."""
    key = ask.args["id"]
    if key not in _list_titles(ask):
        raise HttpRefusal(404)
    at = ask.state.now if key in _list_watchlist(ask) else None
    return build_container([Node("UserState", {"ratingKey": key, "type": "movie", "viewCount": 0, "viewedLeafCount": 0, "viewOffset": 0,
                                         "viewState": "", "watchlistedAt": at})])  # fmt: skip


def availabilities(ask: DemoRequest) -> Node:
    """`GET /library/metadata/ID/availabilities`: where else a title can be seen."""
    item = find_or_404(_list_titles(ask), ask.args["id"])
    return build_container([Node("Availability", {"country": "NO", "offerType": "subscription", "platform": "paperplay", "quality": "hd",
                                            "title": "Paperplay", "url": f"https://paperplay.example.net/{read_cloud_id(item)}"})])  # fmt: skip


def ages(ask: DemoRequest) -> Node:
    """`GET /library/metadata/ID/commonsensemedia`: for what age a title is, in full."""
    return build_container(age_nodes(find_or_404(_list_titles(ask), ask.args["id"]), full=True))


def add(ask: DemoRequest) -> DemoAnswer:
    """`PUT /actions/addToWatchlist?ratingKey=`."""
    if ask.get("ratingKey") not in _list_titles(ask):
        raise HttpRefusal(404)
    if ask.get("ratingKey") not in _list_watchlist(ask):
        _list_watchlist(ask).append(ask.get("ratingKey"))
    return DONE


def remove(ask: DemoRequest) -> DemoAnswer:
    """`PUT /actions/removeFromWatchlist?ratingKey=`."""
    if ask.get("ratingKey") not in _list_watchlist(ask):
        raise HttpRefusal(404)
    _list_watchlist(ask).remove(ask.get("ratingKey"))
    return DONE


ROUTES = (
    ("GET", "/library/sections/watchlist/all", get_watchlist),
    ("GET", "/library/sections/watchlist/{filter:watchlist}", get_watchlist),
    ("GET", "/library/metadata/{id}/availabilities", availabilities),
    ("GET", "/library/metadata/{id}/commonsensemedia", ages),
    ("GET", "/library/search", search),
    ("GET", "/library/metadata/{id}/userState", get_user_state),
    ("PUT", "/actions/addToWatchlist", add),
    ("PUT", "/actions/removeFromWatchlist", remove),
)
