"""The watchlist at plex.tv's Discover. It knows the films and shows of the household, by cloud id, and `demo.unowned`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from plex_companion.demo.household.model import TYPE_NAMES
from plex_companion.demo.nodes.details import build_age_nodes
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
    """Return the last part of the guid, which is Discover's rating key."""
    return item.guid.rpartition("/")[2]


def _list_titles(request: DemoRequest) -> dict[str, DemoItem]:
    owned = [item for kind in ("movie", "show") for item in request.state.list_kind(kind)]
    return {read_cloud_id(item): item for item in (*owned, *request.state.unowned)}


def _build_node(item: DemoItem) -> Node:
    key = read_cloud_id(item)
    return Node("Video" if item.type == "movie" else "Directory", {
        "ratingKey": key, "key": f"/library/metadata/{key}{'' if item.type == 'movie' else '/children'}", "guid": item.guid,
        "type": item.type, "title": item.title, "year": item.year, "originallyAvailableAt": item.released or None,
        "duration": item.duration, "contentRating": item.content_rating or None, "summary": item.summary, "childCount": 1 if item.type == "show" else None,
    }, [Node("Guid", {"id": guid}) for guid in item.external_ids])  # fmt: skip


def _list_watchlist(request: DemoRequest) -> list[str]:
    return request.state.watchlists.setdefault(request.user.id, [])


def get_watchlist(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/watchlist/all`, or `/released`: the user's own list, newest first unless sorted otherwise."""
    titles, requested = _list_titles(request), TYPE_NAMES.get(request.get_number("type"))
    rows = [titles[key] for key in reversed(_list_watchlist(request)) if key in titles]
    rows = [row for row in rows if requested in {None, row.type}]
    if request.args.get("filter") == "released":
        today = datetime.fromtimestamp(request.state.now, UTC).date().isoformat()
        rows = [row for row in rows if not row.released or row.released <= today]
    field, _, direction = request.get("sort").partition(":")
    if field in ORDERS:
        rows.sort(key=ORDERS[field], reverse=direction == "desc")
    return build_page(request, rows, _build_node, identifier="tv.plex.provider.discover", librarySectionID="watchlist")


def search_titles(request: DemoRequest) -> Node:
    """Answer `GET /library/search?query=`: one group, `external`."""
    query, requested = request.get("query").casefold(), request.get("searchTypes", "movies,tv")
    kinds = {kind for kind, word in (("movie", "movie"), ("show", "tv")) if word in requested}
    hits = [item for item in _list_titles(request).values() if query in item.title.casefold() and item.type in kinds]
    results = Node("SearchResults", {"id": "external", "title": "More Ways To Watch", "size": len(hits)})
    for item in hits[: request.get_number("limit", 30)]:
        results.add("SearchResult", score=0.9).children.append(_build_node(item))
    return build_container([results], identifier="tv.plex.provider.discover")


def get_user_state(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/userState`: whether and when it was added to the watchlist."""
    key = request.args["id"]
    if key not in _list_titles(request):
        raise HttpRefusal(404)
    at = request.state.now if key in _list_watchlist(request) else None
    return build_container([Node("UserState", {"ratingKey": key, "type": "movie", "viewCount": 0, "viewedLeafCount": 0, "viewOffset": 0,
                                         "viewState": "", "watchlistedAt": at})])  # fmt: skip


def get_availabilities(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/availabilities`: where else a title can be watched."""
    item = find_or_404(_list_titles(request), request.args["id"])
    return build_container([Node("Availability", {"country": "NO", "offerType": "subscription", "platform": "paperplay", "quality": "hd",
                                            "title": "Paperplay", "url": f"https://paperplay.example.net/{read_cloud_id(item)}"})])  # fmt: skip


def get_age_ratings(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/commonsensemedia`: the full age rating of a title."""
    return build_container(build_age_nodes(find_or_404(_list_titles(request), request.args["id"]), full=True))


def add_to_watchlist(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /actions/addToWatchlist?ratingKey=`."""
    if request.get("ratingKey") not in _list_titles(request):
        raise HttpRefusal(404)
    if request.get("ratingKey") not in _list_watchlist(request):
        _list_watchlist(request).append(request.get("ratingKey"))
    return DONE


def remove_from_watchlist(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /actions/removeFromWatchlist?ratingKey=`."""
    if request.get("ratingKey") not in _list_watchlist(request):
        raise HttpRefusal(404)
    _list_watchlist(request).remove(request.get("ratingKey"))
    return DONE


ROUTES = (
    ("GET", "/library/sections/watchlist/all", get_watchlist),
    ("GET", "/library/sections/watchlist/{filter:watchlist}", get_watchlist),
    ("GET", "/library/metadata/{id}/availabilities", get_availabilities),
    ("GET", "/library/metadata/{id}/commonsensemedia", get_age_ratings),
    ("GET", "/library/search", search_titles),
    ("GET", "/library/metadata/{id}/userState", get_user_state),
    ("PUT", "/actions/addToWatchlist", add_to_watchlist),
    ("PUT", "/actions/removeFromWatchlist", remove_from_watchlist),
)
