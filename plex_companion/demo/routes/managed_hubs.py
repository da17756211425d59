"""The recommendations of a library as its owner arranges them: visible, moved, and with promoted collections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo.nodes.tree import Node
from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal, build_page, find_or_404
from plex_companion.demo.server_state import ManagedHub

if TYPE_CHECKING:
    from plex_companion.demo.request import DemoRequest

SHOWN = ("promotedToRecommended", "promotedToOwnHome", "promotedToSharedHome")
# Identifiers of Plex's own rows, without the section's type in front and its key behind.
BUILT_IN = (("recentlyadded", "Recently Added"), ("recentlyreleased", "Recently Released"), ("topunwatched", "Top Unplayed"),
            ("recentlyviewed", "Recently Played"))  # fmt: skip


def list_hubs(request: DemoRequest) -> list[ManagedHub]:
    """Return the rows of the path's section in order, to be read or changed."""
    section = request.find_section()
    made = [ManagedHub(f"{section.type}.{name}.{section.key}", title) for name, title in BUILT_IN]
    return request.state.managed_hubs.setdefault(section.key, made)


def _find_hub(request: DemoRequest) -> ManagedHub:
    return find_or_404({hub.identifier: hub for hub in list_hubs(request)}, request.args["hub"])


def _build_hub_node(hub: ManagedHub) -> Node:
    shown = hub.shown or {}
    own, shared = shown.get(SHOWN[1], False), shown.get(SHOWN[2], False)
    home = {(True, True): "all", (True, False): "admin", (False, True): "shared"}.get((own, shared), "none")
    recommended = "all" if shown.get(SHOWN[0]) else "none"
    return Node("Hub", {"identifier": hub.identifier, "title": hub.title, "deletable": True if hub.deletable else None, "homeVisibility": home,
                        "recommendationsVisibility": recommended, **{name: shown.get(name, False) for name in SHOWN}})  # fmt: skip


def get_managed_hubs(request: DemoRequest) -> Node:
    """Answer `GET /hubs/sections/N/manage`, or with `metadataItemId` only the row of that collection, if it is promoted."""
    rows, requested = list_hubs(request), request.get("metadataItemId")
    shown = [hub for hub in rows if not requested or hub.identifier == _build_identifier(request, requested)]
    return build_page(request, shown, _build_hub_node)


def _build_identifier(request: DemoRequest, key: str) -> str:
    return f"custom.collection.{request.args['section']}.{key}"


def _set_visibility(request: DemoRequest, hub: ManagedHub) -> DemoAnswer:
    hub.shown = {
        name: request.get(name) == "1" if request.get(name) else (hub.shown or {}).get(name, False) for name in SHOWN
    }
    return DONE


def promote_collection(request: DemoRequest) -> DemoAnswer:
    """Answer `POST …/manage?metadataItemId=`: add a collection to the rows."""
    request.require_owner()
    row = find_or_404(request.state.collections, request.get("metadataItemId"))
    hubs = list_hubs(request)
    if any(hub.identifier == _build_identifier(request, row.key) for hub in hubs):
        raise HttpRefusal(400)
    hubs.append(ManagedHub(_build_identifier(request, row.key), row.title, deletable=True))
    return _set_visibility(request, hubs[-1])


def set_hub_visibility(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT …/manage/ID?promotedToOwnHome=1`."""
    request.require_owner()
    return _set_visibility(request, _find_hub(request))


def move_hub(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT …/manage/ID/move?after=`. Without `after` the row moves to the front."""
    request.require_owner()
    hubs = list_hubs(request)
    hub = next((hub for hub in hubs if hub.identifier == request.args["hub"]), None)
    if hub is None:
        raise HttpRefusal(400)
    hubs.remove(hub)
    names = [other.identifier for other in hubs]
    hubs.insert(names.index(request.get("after")) + 1 if request.get("after") in names else 0, hub)
    return DONE


def remove_hub(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE …/manage/ID`: Plex's own rows cannot be deleted."""
    request.require_owner()
    hub = _find_hub(request)
    if not hub.deletable:
        raise HttpRefusal(400)
    list_hubs(request).remove(hub)
    return DONE


def reset_hubs(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE …/manage`: reset the rows."""
    request.require_owner()
    request.state.managed_hubs.pop(request.find_section().key, None)
    return DONE


ROUTES = (
    ("GET", "/hubs/sections/{section}/manage", get_managed_hubs),
    ("POST", "/hubs/sections/{section}/manage", promote_collection),
    ("DELETE", "/hubs/sections/{section}/manage", reset_hubs),
    ("PUT", "/hubs/sections/{section}/manage/{hub}", set_hub_visibility),
    ("DELETE", "/hubs/sections/{section}/manage/{hub}", remove_hub),
    ("PUT", "/hubs/sections/{section}/manage/{hub}/move", move_hub),
)
