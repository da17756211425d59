"""The recommendations of a library as its owner arranges them: promoted, moved, and collections among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.demo.ask import DONE, Answer, Refused, found, page
from plex_companion.demo.tree import Node

if TYPE_CHECKING:
    from plex_companion.demo.ask import Ask

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


def hubs_of(ask: Ask) -> list[ManagedHub]:
    """Return the arrangement of the path's section, to be read or changed."""
    section = ask.section()
    made = [ManagedHub(f"{section.type}.{name}.{section.key}", title) for name, title in BUILT_IN]
    return ask.house.managed_hubs.setdefault(section.key, made)


def _one(ask: Ask) -> ManagedHub:
    return found({hub.identifier: hub for hub in hubs_of(ask)}, ask.args["hub"])


def _node(hub: ManagedHub) -> Node:
    shown = hub.shown or {}
    own, shared = shown.get(SHOWN[1], False), shown.get(SHOWN[2], False)
    home = {(True, True): "all", (True, False): "admin", (False, True): "shared"}.get((own, shared), "none")
    recommended = "all" if shown.get(SHOWN[0]) else "none"
    return Node("Hub", {"identifier": hub.identifier, "title": hub.title, "deletable": True if hub.deletable else None, "homeVisibility": home,
                        "recommendationsVisibility": recommended, **{name: shown.get(name, False) for name in SHOWN}})  # fmt: skip


def managed_hubs(ask: Ask) -> Node:
    """`GET /hubs/sections/N/manage`, with `metadataItemId` only that collection's row, if it is promoted."""
    rows, wanted = hubs_of(ask), ask.get("metadataItemId")
    return page(ask, [hub for hub in rows if not wanted or hub.identifier == _identifier(ask, wanted)], _node)


def _identifier(ask: Ask, key: str) -> str:
    return f"custom.collection.{ask.args['section']}.{key}"


def _show(ask: Ask, hub: ManagedHub) -> Answer:
    hub.shown = {name: ask.get(name) == "1" if ask.get(name) else (hub.shown or {}).get(name, False) for name in SHOWN}
    return DONE


def promote(ask: Ask) -> Answer:
    """`POST …/manage?metadataItemId=`: a collection becomes one of the rows."""
    ask.owner_only()
    row = found(ask.house.collections, ask.get("metadataItemId"))
    hubs = hubs_of(ask)
    if any(hub.identifier == _identifier(ask, row.key) for hub in hubs):
        raise Refused(400)
    hubs.append(ManagedHub(_identifier(ask, row.key), row.title, deletable=True))
    return _show(ask, hubs[-1])


def show_hub(ask: Ask) -> Answer:
    """`PUT …/manage/ID?promotedToOwnHome=1`."""
    ask.owner_only()
    return _show(ask, _one(ask))


def move_hub(ask: Ask) -> Answer:
    """`PUT …/manage/ID/move?after=`: to the front without `after`."""
    ask.owner_only()
    hubs = hubs_of(ask)
    hub = next((hub for hub in hubs if hub.identifier == ask.args["hub"]), None)
    if hub is None:
        raise Refused(400)
    hubs.remove(hub)
    names = [other.identifier for other in hubs]
    hubs.insert(names.index(ask.get("after")) + 1 if ask.get("after") in names else 0, hub)
    return DONE


def remove_hub(ask: Ask) -> Answer:
    """`DELETE …/manage/ID`: Plex's own rows stay."""
    ask.owner_only()
    hub = _one(ask)
    if not hub.deletable:
        raise Refused(400)
    hubs_of(ask).remove(hub)
    return DONE


def reset_hubs(ask: Ask) -> Answer:
    """`DELETE …/manage`: everything as it was at first."""
    ask.owner_only()
    ask.house.managed_hubs.pop(ask.section().key, None)
    return DONE


ROUTES = (
    ("GET", "/hubs/sections/{section}/manage", managed_hubs),
    ("POST", "/hubs/sections/{section}/manage", promote),
    ("DELETE", "/hubs/sections/{section}/manage", reset_hubs),
    ("PUT", "/hubs/sections/{section}/manage/{hub}", show_hub),
    ("DELETE", "/hubs/sections/{section}/manage/{hub}", remove_hub),
    ("PUT", "/hubs/sections/{section}/manage/{hub}/move", move_hub),
)
