"""What playlists, collections, smart queries and `uri=` arguments stand for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from plex_companion.demo.query import params_for_kind, select

if TYPE_CHECKING:
    from plex_companion.demo.house import House
    from plex_companion.demo.household import Collection, Item, Playlist, User
    from plex_companion.demo.query import Params

KIND_OF = {"track": "audio", "album": "audio", "artist": "audio", "photo": "photo", "photoalbum": "photo"}


def list_kind(item: Item) -> str:
    """Which playlists may hold the item: video, audio or photo."""
    return KIND_OF.get(item.type, "video")


def items_of_uri(house: House, user: User, uri: str) -> list[Item]:
    """The items behind `server://MACHINE/com.plexapp.plugins.library/…`, `library://…` or a bare path."""
    text = unquote(uri) if "%2F" in uri.partition("?")[0] else uri
    path = text[text.index("/library/") :] if "/library/" in text else text
    keys = re.search(r"/library/metadata/([\w,]+)", path)
    if keys:
        return [house.items[key] for key in keys[1].split(",") if key in house.items]
    collection = re.search(r"/library/collections/(\w+)", path)
    if collection and collection[1] in house.collections:
        return collection_items(house, user, house.collections[collection[1]])
    playlist = re.search(r"/playlists/(\w+)", text)
    if playlist and playlist[1] in house.playlists:
        return [item for _, item in playlist_entries(house, user, house.playlists[playlist[1]])]
    return query_items(house, user, path)


def query_items(house: House, user: User, path: str) -> list[Item]:
    """The items a smart path asks for; containers give what is playable in them."""
    section, params = _query_of(house, path)
    return select(house, user, section, params, house.levels(section)[0]) if section else []


def _query_of(house: House, path: str) -> tuple[str, Params]:
    parts = urlsplit(path)
    section = re.match(r"/library/sections/(\w+)/all", parts.path)
    if not section or section[1] not in house.sections:
        return "", []
    return section[1], parse_qsl(parts.query, keep_blank_values=True)


def leaves_of_query(house: House, user: User, path: str) -> list[Item]:
    """The playable items a smart path asks for. Its order and its limit count these, whatever type it names."""
    section, params = _query_of(house, path)
    if not section:
        return []
    leaf = house.levels(section)[-1]
    return select(house, user, section, params_for_kind(params, leaf, house.levels(section)[0]), leaf)


def playlist_entries(house: House, user: User, playlist: Playlist) -> list[tuple[int, Item]]:
    """(playlist item id, item) in order; a smart list has what its query gives now."""
    if playlist.smart:
        return list(enumerate(leaves_of_query(house, user, playlist.content), 1))
    return [(number, house.items[key]) for number, key in playlist.entries if key in house.items]


def collection_items(house: House, user: User, collection: Collection) -> list[Item]:
    """What a collection holds."""
    if collection.smart:
        return query_items(house, user, collection.content)
    return [house.items[key] for key in collection.items if key in house.items]


def leaves_of_uri(house: House, user: User, uri: str) -> list[Item]:
    """The same as `items_of_uri`, down to what can be played."""
    return [leaf for item in items_of_uri(house, user, uri) for leaf in house.leaves_of(item.key)]
