"""What Plex computes: music that sounds alike, stations, and common fields of several items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo.nodes.describe import build_item_node
from plex_companion.demo.nodes.tree import Node
from plex_companion.demo.request import build_items_page, build_page, find_or_404

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest

MOST_ITEMS = 50
COMMON = ("title", "titleSort", "studio", "contentRating", "originallyAvailableAt", "summary", "tagline", "editionTitle", "parentTitle",
          "grandparentTitle", "index", "year")  # fmt: skip


def get_nearest(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/nearest?limit=`: items of its type, those of its genre first, for what sounds alike is invented."""
    item = request.find_item()
    others = [other for other in request.state.list_section(item.section, item.type) if other is not item]
    genres = set(item.tags.get("Genre", ()))
    others.sort(key=lambda other: not genres & set(other.tags.get("Genre", ())))
    return build_items_page(request, others[: request.get_number("limit", MOST_ITEMS)])


def compute_path(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N/computePath?startID=&endID=`: the tracks from one to the other."""
    tracks = request.state.list_section(request.find_section().key, "track")
    keys = {track.key: place for place, track in enumerate(tracks)}
    first, last = find_or_404(keys, request.get("startID")), find_or_404(keys, request.get("endID"))
    step = 1 if first <= last else -1
    return build_items_page(request, [tracks[place] for place in range(first, last + step, step)][:MOST_ITEMS])


def build_stations_hub(section: str) -> Node:
    """Build the hub with the stations of a music library."""
    station = Node("Playlist", {
        "key": f"/library/sections/{section}/stations/1", "guid": f"tv.plex.station://library/{section}", "type": "playlist",
        "title": "Library Radio", "playlistType": "audio", "radio": True, "smart": True, "leafCount": 0, "duration": 0,
    })  # fmt: skip
    return Node("Hub", {"hubKey": f"/library/sections/{section}/stations", "key": f"/library/sections/{section}/stations",
                        "title": "Stations", "type": "station", "hubIdentifier": f"music.stations.{section}",
                        "context": "hub.music.stations", "size": 1, "more": False, "style": "shelf", "random": False}, [station])  # fmt: skip


def get_common_fields(request: DemoRequest) -> Node:
    """Answer `GET /library/sections/N/common?id=&type=`: the fields with one value for all items, and the names of the others."""
    nodes = [
        build_item_node(request.state, request.user, find_or_404(request.state.items, key)).attributes
        for key in request.get("id").split(",")
    ]
    same = {name: nodes[0].get(name) for name in COMMON if len({str(node.get(name)) for node in nodes}) == 1}
    mixed = ",".join(name for name in COMMON if name not in same)
    return build_page(
        request, [Node("Common", {**same, "type": nodes[0]["type"], "mixedFields": mixed})], lambda row: row
    )


ROUTES = (
    ("GET", "/library/metadata/{id}/nearest", get_nearest),
    ("GET", "/library/sections/{section}/computePath", compute_path),
    ("GET", "/library/sections/{section}/common", get_common_fields),
)
