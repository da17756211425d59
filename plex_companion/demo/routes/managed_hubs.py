"""The recommendations of a library as its owner arranges them: promoted, moved, and collections among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.demo.nodes.tree import Node
from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal, build_page, find_or_404

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest

SHOWN = ("promotedToRecommended", "promotedToOwnHome", "promotedToSharedHome")
# Identifiers of Plex's own rows, without the section's type in front and its key behind.
BUILT_IN = (("recentlyadded", "Recently Added"), ("recentlyreleased", "Recently Released"), ("topunwatched", "Top Unplayed"),
            ("recentlyviewed", "Recently Played"))  # fmt: skip


@dataclass(slots=True)
class ManagedHub:
    """One row; only promoted collections can be taken away again."""

    identifier: str
    title: str
    deletable: bool = False
    shown: dict[str, bool] | None = None


def hubs_of(ask: DemoRequest) -> list[ManagedHub]:
    """Return the arrangement of the path's section, to be read or changed."""
    section = ask.find_section()
    made = [ManagedHub(f"{section.type}.{name}.{section.key}", title) for name, title in BUILT_IN]
    return ask.state.managed_hubs.setdefault(section.key, made)


def _one(ask: DemoRequest) -> ManagedHub:
    return find_or_404({hub.identifier: hub for hub in hubs_of(ask)}, ask.args["hub"])


def _node(hub: ManagedHub) -> Node:
    shown = hub.shown or {}
    own, shared = shown.get(SHOWN[1], False), shown.get(SHOWN[2], False)
    home = {(True, True): "all", (True, False): "admin", (False, True): "shared"}.get((own, shared), "none")
    recommended = "all" if shown.get(SHOWN[0]) else "none"
    return Node("Hub", {"identifier": hub.identifier, "title": hub.title, "deletable": True if hub.deletable else None, "homeVisibility": home,
                        "recommendationsVisibility": recommended, **{name: shown.get(name, False) for name in SHOWN}})  # fmt: skip


def managed_hubs(ask: DemoRequest) -> Node:
    """`GET /hubs/sections/N/manage`, with `metadataItemId` only that collection's row, if it is promoted."""
    rows, wanted = hubs_of(ask), ask.get("metadataItemId")
    return build_page(ask, [hub for hub in rows if not wanted or hub.identifier == _identifier(ask, wanted)], _node)


def _identifier(ask: DemoRequest, key: str) -> str:
    return f"custom.collection.{ask.args['section']}.{key}"


def _show(ask: DemoRequest, hub: ManagedHub) -> DemoAnswer:
    hub.shown = {name: ask.get(name) == "1" if ask.get(name) else (hub.shown or {}).get(name, False) for name in SHOWN}
    return DONE


def promote(ask: DemoRequest) -> DemoAnswer:
    """`POST …/manage?metadataItemId=`: a collection becomes one of the rows."""
    ask.require_owner()
    row = find_or_404(ask.state.collections, ask.get("metadataItemId"))
    hubs = hubs_of(ask)
    if any(hub.identifier == _identifier(ask, row.key) for hub in hubs):
        raise HttpRefusal(400)
    hubs.append(ManagedHub(_identifier(ask, row.key), row.title, deletable=True))
    return _show(ask, hubs[-1])


def show_hub(ask: DemoRequest) -> DemoAnswer:
    """`PUT …/manage/ID?promotedToOwnHome=1`."""
    ask.require_owner()
    return _show(ask, _one(ask))


def move_hub(ask: DemoRequest) -> DemoAnswer:
    """`PUT …/manage/ID/move?after=`: to the front without `after`."""
    ask.require_owner()
    hubs = hubs_of(ask)
    hub = next((hub for hub in hubs if hub.identifier == ask.args["hub"]), None)
    if hub is None:
        raise HttpRefusal(400)
    hubs.remove(hub)
    names = [other.identifier for other in hubs]
    hubs.insert(names.index(ask.get("after")) + 1 if ask.get("after") in names else 0, hub)
    return DONE


def remove_hub(ask: DemoRequest) -> DemoAnswer:
    """`DELETE …/manage/ID`: Plex's own rows stay."""
    ask.require_owner()
    hub = _one(ask)
    if not hub.deletable:
        raise HttpRefusal(400)
    hubs_of(ask).remove(hub)
    return DONE


def reset_hubs(ask: DemoRequest) -> DemoAnswer:
    """`DELETE …/manage`: everything as it was at first."""
    ask.require_owner()
    ask.state.managed_hubs.pop(ask.find_section().key, None)
    return DONE


ROUTES = (
    ("GET", "/hubs/sections/{section}/manage", managed_hubs),
    ("POST", "/hubs/sections/{section}/manage", promote),
    ("DELETE", "/hubs/sections/{section}/manage", reset_hubs),
    ("PUT", "/hubs/sections/{section}/manage/{hub}", show_hub),
    ("DELETE", "/hubs/sections/{section}/manage/{hub}", remove_hub),
    ("PUT", "/hubs/sections/{section}/manage/{hub}/move", move_hub),
)
