"""Pictures and theme music of items, collections and playlists: offered, sent in, chosen, taken away."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from plex_companion.demo.nodes.tree import Node
from plex_companion.demo.request import DONE, DemoAnswer, HttpRefusal, build_page

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoCollection, DemoItem, DemoPlaylist
    from plex_companion.demo.request import DemoRequest

# A list's name, what is locked when one of it is chosen, and what its path is called.
FIELDS = {"posters": "thumb", "arts": "art", "banners": "banner", "themes": "theme", "clearLogos": "clearLogo",
          "squareArts": "squareArt"}  # fmt: skip


def _row(ask: DemoRequest) -> DemoItem | DemoCollection | DemoPlaylist:
    """The item, collection or playlist of the path, or 404."""
    key, house = ask.args["id"], ask.state
    found = house.items.get(key) or house.collections.get(key) or house.playlists.get(key)
    if found is None:
        raise HttpRefusal(404)
    return found


def _offered(ask: DemoRequest, kind: str) -> list[str]:
    """The names of the pictures to choose from: two of Plex's own, one for themes, none for a collection's art; and what was sent in."""
    key = ask.args["id"]
    own = [f"demo://{kind}/{key}/{number}" for number in (1, 2)]
    if kind == "themes":
        own = [f"metadata://themes/{key}"] if key in ask.state.items and ask.state.items[key].type == "show" else []
    elif key in ask.state.collections and kind != "posters":
        own = []
    return [*own, *ask.state.sent_pictures.get((key, kind), [])]


def pictures(ask: DemoRequest) -> Node:
    """`GET /library/metadata/ID/posters` and its like: what there is to choose from."""
    _row(ask)
    key, kind = ask.args["id"], ask.args["kind"]
    names = _offered(ask, kind)
    chosen = ask.state.chosen_pictures.get((key, kind), names[0] if names else "")
    names = list(dict.fromkeys([*names, *([chosen] if chosen else [])]))
    tag, field = ("Track" if kind == "themes" else "Photo"), FIELDS[kind]
    rows = [Node(tag, {"key": f"/library/metadata/{key}/file?url={name}", "ratingKey": name, "selected": name == chosen,
                       "provider": None if name.startswith("upload://") else "demo", "thumb": f"/library/metadata/{key}/{field}/{n}"})
            for n, name in enumerate(names)]  # fmt: skip
    return build_page(ask, rows, lambda row: row)


def add_picture(ask: DemoRequest) -> DemoAnswer:
    """`POST /library/metadata/ID/posters?url=`, or with the picture as body: it is there and chosen."""
    ask.require_owner()
    if not ask.get("url") and not ask.body:
        raise HttpRefusal(400)
    kind = ask.args["kind"]
    name = ask.get("url") or f"upload://{kind}/{hashlib.sha1(ask.body).hexdigest()}"  # noqa: S324  # Plex names them so
    sent = ask.state.sent_pictures.setdefault((ask.args["id"], kind), [])
    if name not in sent:
        sent.append(name)
    return _choose(ask, kind, name)


def choose_picture(ask: DemoRequest) -> DemoAnswer:
    """`PUT /library/metadata/ID/poster?url=`: one of those on offer is chosen."""
    ask.require_owner()
    return _choose(ask, f"{ask.args['kind']}s", ask.get("url"))


def take_picture(ask: DemoRequest) -> DemoAnswer:
    """`DELETE /library/metadata/ID/poster`: none is chosen."""
    ask.require_owner()
    return _choose(ask, f"{ask.args['kind']}s", "")


def _choose(ask: DemoRequest, kind: str, name: str) -> DemoAnswer:
    """Keep the choice. Theme music is locked by it; whether pictures are is on no record, so they are not."""
    row = _row(ask)
    ask.state.chosen_pictures[row.key, kind] = name
    if kind == "themes":
        row.locked = row.locked | {FIELDS[kind]}
    row.updated_at = ask.state.now
    if row.key in ask.state.items:
        ask.state.announce_timeline(ask.state.items[row.key], 5)
    ask.state.mark_changed()
    return DONE


ROUTES = (
    ("GET", "/library/metadata/{id}/{kind:pictures}", pictures),
    ("POST", "/library/metadata/{id}/{kind:pictures}", add_picture),
    ("PUT", "/library/metadata/{id}/{kind:chosen}", choose_picture),
    ("DELETE", "/library/metadata/{id}/{kind:chosen}", take_picture),
)
