"""The news on a page of the catalogue: what no notification announced, and who was caught up with a show."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.cache.connections import run_read
from plex_companion.cache.rows import MEDIA_ITEMS, parse_media_item
from plex_companion.catalogue.queries import FINISHES_OF
from plex_companion.history.filters import list_users
from plex_companion.models import User
from plex_companion.times import DAY_MS, SECOND_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from plex_companion.events import CataloguePage
    from plex_companion.history.source import HistorySource
    from plex_companion.models import CatalogueItem

NEWS_MS = 7 * DAY_MS
"""How long ago Plex may have added an item for that to be news."""
_UNANNOUNCED = """
    SELECT value FROM json_each(:keys)
    WHERE NOT EXISTS (SELECT 1 FROM items WHERE rating_key = value AND server = :server) AND value NOT IN (
        SELECT item_id FROM library_changes INDEXED BY library_changes_moved
        WHERE change <> 'updated' AND change = 'created' AND server = :server)
"""
_KNOWN_AS_DELETED = """
    SELECT item_id FROM library_changes INDEXED BY library_changes_moved
    WHERE change <> 'updated' AND change = 'deleted' AND server = :server
        AND item_id IN (SELECT value FROM json_each(:keys))
"""
_EARLIER = """
    SELECT id FROM items
    WHERE grandparent_key = :show AND server = :server AND type = 'episode' AND coalesce(parent_index, 1) <> 0
        AND (coalesce(parent_index, 1), coalesce(item_index, 0)) < (:season, :index)
        AND rating_key NOT IN (SELECT value FROM json_each(:new))
"""
_FINISHED_ALL = f"""
    WITH {FINISHES_OF}
    SELECT user_id FROM finishes_of WHERE user_id IS NOT NULL
    GROUP BY user_id HAVING count(DISTINCT item_id) = :number ORDER BY user_id
"""  # noqa: S608 - our own


async def add_new_media(source: HistorySource, page: CataloguePage) -> CataloguePage:
    """Return a page with what is known of the new media on it.

    That is which items Plex added since the server was first reached, and which it removed, without a notification that
    arrived here, and for the first new episode of each season the users who had watched every earlier episode of its show.
    """
    state = source.state
    since = max(state.server_since or source.now_ms, source.now_ms - NEWS_MS)
    since -= since % SECOND_MS  # Plex says when an item was added in whole seconds
    waiting = {one.change.item_id for one in state.pending_media.values() if one.news == "media.added"}
    young = [item.rating_key for item in page.items if (item.added_at or 0) >= since and item.rating_key not in waiting]
    found = (
        await run_read(source.cache.archive, partial(_select_unannounced, server=page.server, keys=young))
        if young
        else []
    )
    new = {*waiting, *found}
    episodes = _pick_first(item for item in page.items if item.rating_key in new and item.type == "episode")
    return replace(
        page,
        unannounced=frozenset(found),
        removed=await _find_removed(source, page),
        caught_up=await _find_caught_up(source, page.server, episodes, new),
    )


async def _find_removed(source: HistorySource, page: CataloguePage) -> tuple[CatalogueItem, ...]:
    waiting = {one.change.item_id for one in source.state.pending_media.values() if one.news == "media.removed"}
    keys = [key for key in page.gone if key not in waiting]
    if not keys:
        return ()
    return await run_read(source.cache.archive, partial(_select_removed, server=page.server, keys=keys))


def _select_removed(connection: sqlite3.Connection, server: str, keys: Sequence[str]) -> tuple[CatalogueItem, ...]:
    values = {"keys": json.dumps(keys), "server": server}
    announced = {row[0] for row in connection.execute(_KNOWN_AS_DELETED, values)}
    rows = connection.execute(MEDIA_ITEMS, values)
    return tuple(parse_media_item(row) for row in rows if row["rating_key"] not in announced)


def _select_unannounced(connection: sqlite3.Connection, server: str, keys: Sequence[str]) -> list[str]:
    return [row[0] for row in connection.execute(_UNANNOUNCED, {"keys": json.dumps(keys), "server": server})]


def _pick_first(episodes: Iterable[CatalogueItem]) -> list[CatalogueItem]:
    """Return the first episode of each season, without specials."""
    first: dict[tuple[str, int], CatalogueItem] = {}
    for episode in sorted(episodes, key=lambda one: one.item_index or 0):
        if episode.grandparent_key and episode.parent_index:
            first.setdefault((episode.grandparent_key, episode.parent_index), episode)
    return list(first.values())


async def _find_caught_up(
    source: HistorySource, server: str, episodes: Sequence[CatalogueItem], new: Iterable[str]
) -> dict[str, tuple[User, ...]]:
    if not episodes:
        return {}
    select = partial(_select_caught_up, server=server, episodes=episodes, new=sorted(new))
    found = await run_read(source.cache.archive, select)
    names = await list_users(source)
    return {key: tuple(User(id_, names.get(id_)) for id_ in ids) for key, ids in found.items()}


def _select_caught_up(
    connection: sqlite3.Connection, server: str, episodes: Sequence[CatalogueItem], new: Sequence[str]
) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for episode in episodes:
        values = {"show": episode.grandparent_key, "season": episode.parent_index, "index": episode.item_index or 0}
        rows = connection.execute(_EARLIER, {**values, "server": server, "new": json.dumps(new)})
        earlier = [row[0] for row in rows]
        wanted = {"ids": json.dumps(earlier), "number": len(earlier)}
        found[episode.rating_key] = [row[0] for row in connection.execute(_FINISHED_ALL, wanted)] if earlier else []
    return found
