"""Pictures and theme music of items, collections and playlists: listed, uploaded, chosen, removed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from plex_companion.demo.nodes.tree import Node
from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal, build_page

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoCollection, DemoItem, DemoPlaylist
    from plex_companion.demo.request import DemoRequest

# The name of a list, and the field that its pictures are for, which is also the last part of their path.
FIELDS = {"posters": "thumb", "arts": "art", "banners": "banner", "themes": "theme", "clearLogos": "clearLogo",
          "squareArts": "squareArt"}  # fmt: skip


def _find_target(request: DemoRequest) -> DemoItem | DemoCollection | DemoPlaylist:
    """Return the item, collection or playlist of the path, or refuse with 404."""
    key, server = request.args["id"], request.state
    if (found := server.items.get(key) or server.collections.get(key) or server.playlists.get(key)) is None:
        raise HttpRefusal(404)
    return found


def _list_offered(request: DemoRequest, kind: str) -> list[str]:
    """Return the names of the available pictures.

    Plex has two of its own, one for themes and none for a collection's art. Uploaded pictures follow.
    """
    key = request.args["id"]
    own = [f"demo://{kind}/{key}/{number}" for number in (1, 2)]
    if kind == "themes":
        own = (
            [f"metadata://themes/{key}"]
            if key in request.state.items and request.state.items[key].type == "show"
            else []
        )
    elif key in request.state.collections and kind != "posters":
        own = []
    return [*own, *request.state.uploaded_pictures.get((key, kind), [])]


def get_pictures(request: DemoRequest) -> Node:
    """Answer `GET /library/metadata/ID/posters` and other kinds: the available pictures."""
    _find_target(request)
    key, kind = request.args["id"], request.args["kind"]
    names = _list_offered(request, kind)
    chosen = request.state.chosen_pictures.get((key, kind), names[0] if names else "")
    names = list(dict.fromkeys([*names, *([chosen] if chosen else [])]))
    tag, field = ("Track" if kind == "themes" else "Photo"), FIELDS[kind]
    rows = [Node(tag, {"key": f"/library/metadata/{key}/file?url={name}", "ratingKey": name, "selected": name == chosen,
                       "provider": None if name.startswith("upload://") else "demo", "thumb": f"/library/metadata/{key}/{field}/{n}"})
            for n, name in enumerate(names)]  # fmt: skip
    return build_page(request, rows, lambda row: row)


def add_picture(request: DemoRequest) -> DemoAnswer:
    """Answer `POST /library/metadata/ID/posters?url=`, or with the picture as body: add it and choose it."""
    request.require_owner()
    if not request.get("url") and not request.body:
        raise HttpRefusal(400)
    kind = request.args["kind"]
    name = request.get("url") or f"upload://{kind}/{hashlib.sha1(request.body).hexdigest()}"  # noqa: S324  # Plex names them so
    sent = request.state.uploaded_pictures.setdefault((request.args["id"], kind), [])
    if name not in sent:
        sent.append(name)
    return _set_choice(request, kind, name)


def choose_picture(request: DemoRequest) -> DemoAnswer:
    """Answer `PUT /library/metadata/ID/poster?url=`: choose one of the available pictures."""
    request.require_owner()
    return _set_choice(request, f"{request.args['kind']}s", request.get("url"))


def clear_picture(request: DemoRequest) -> DemoAnswer:
    """Answer `DELETE /library/metadata/ID/poster`: choose none."""
    request.require_owner()
    return _set_choice(request, f"{request.args['kind']}s", "")


def _set_choice(request: DemoRequest, kind: str, name: str) -> DemoAnswer:
    """Store the choice. It locks theme music. No recording shows whether it locks pictures, so it does not."""
    row = _find_target(request)
    request.state.chosen_pictures[row.key, kind] = name
    if kind == "themes":
        row.locked = row.locked | {FIELDS[kind]}
    row.updated_at = request.state.now
    if row.key in request.state.items:
        request.state.announce_timeline(request.state.items[row.key], 5)
    request.state.mark_changed()
    return DONE


ROUTES = (
    ("GET", "/library/metadata/{id}/{kind:pictures}", get_pictures),
    ("POST", "/library/metadata/{id}/{kind:pictures}", add_picture),
    ("PUT", "/library/metadata/{id}/{kind:chosen}", choose_picture),
    ("DELETE", "/library/metadata/{id}/{kind:chosen}", clear_picture),
)
