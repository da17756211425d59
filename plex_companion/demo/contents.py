"""The items that playlists, collections, smart queries and `uri=` arguments stand for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from plex_companion.demo.query.filtering import select, select_params

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoCollection, DemoItem, DemoPlaylist, DemoUser
    from plex_companion.demo.query.filtering import Params
    from plex_companion.demo.server_state import ServerState

KIND_OF = {"track": "audio", "album": "audio", "artist": "audio", "photo": "photo", "photoalbum": "photo"}


def choose_playlist_kind(item: DemoItem) -> str:
    """Return the kind of playlist that may hold the item: video, audio or photo."""
    return KIND_OF.get(item.type, "video")


def resolve_uri(server: ServerState, user: DemoUser, uri: str) -> list[DemoItem]:
    """Return the items behind `server://MACHINE/com.plexapp.plugins.library/…`, `library://…` or a bare path."""
    text = unquote(uri) if "%2F" in uri.partition("?")[0] else uri
    path = text[text.index("/library/") :] if "/library/" in text else text
    keys = re.search(r"/library/metadata/([\w,]+)", path)
    if keys:
        return [server.items[key] for key in keys[1].split(",") if key in server.items]
    collection = re.search(r"/library/collections/(\w+)", path)
    if collection and collection[1] in server.collections:
        return list_collection_items(server, user, server.collections[collection[1]])
    playlist = re.search(r"/playlists/(\w+)", text)
    if playlist and playlist[1] in server.playlists:
        return [item for _, item in list_playlist_entries(server, user, server.playlists[playlist[1]])]
    return select_items(server, user, path)


def select_items(server: ServerState, user: DemoUser, path: str) -> list[DemoItem]:
    """Return the items that the path of a smart list selects."""
    section, params = _build_query(server, path)
    return select(server, user, section, params, server.list_levels(section)[0]) if section else []


def _build_query(server: ServerState, path: str) -> tuple[str, Params]:
    parts = urlsplit(path)
    section = re.match(r"/library/sections/(\w+)/all", parts.path)
    if not section or section[1] not in server.sections:
        return "", []
    return section[1], parse_qsl(parts.query, keep_blank_values=True)


def list_query_leaves(server: ServerState, user: DemoUser, path: str) -> list[DemoItem]:
    """Return the playable items that the path of a smart list selects.

    Order and limit apply to these items, whatever type the path names.
    """
    section, params = _build_query(server, path)
    if not section:
        return []
    leaf = server.list_levels(section)[-1]
    return select(server, user, section, select_params(params, leaf, server.list_levels(section)[0]), leaf)


def list_playlist_entries(server: ServerState, user: DemoUser, playlist: DemoPlaylist) -> list[tuple[int, DemoItem]]:
    """Return (playlist item id, item) in order. A smart list holds what its query selects now."""
    if playlist.smart:
        return list(enumerate(list_query_leaves(server, user, playlist.content), 1))
    return [(number, server.items[key]) for number, key in playlist.entries if key in server.items]


def list_collection_items(server: ServerState, user: DemoUser, collection: DemoCollection) -> list[DemoItem]:
    """Return the items of a collection. A smart one holds what its query selects now."""
    if collection.smart:
        return select_items(server, user, collection.content)
    return [server.items[key] for key in collection.items if key in server.items]


def resolve_uri_leaves(server: ServerState, user: DemoUser, uri: str) -> list[DemoItem]:
    """Return the playable items behind a uri: `resolve_uri`, with containers replaced by what is in them."""
    return [leaf for item in resolve_uri(server, user, uri) for leaf in server.list_leaves(item.key)]
