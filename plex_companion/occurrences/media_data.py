"""What occurrences say of media: the items, what they are part of, their size and resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.changes.additions import EPISODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plex_companion.changes.state import State
    from plex_companion.models import CatalogueItem, PendingMedia

SHOWN = 100
"""The most items of one occurrence."""
ABOVE = {"episode": "season", "track": "album", "photo": "photoalbum"}
RESOLUTIONS = ("sd", "480", "576", "720", "1080", "2k", "4k", "8k")


def build_media_data(group: Sequence[PendingMedia], waiting: Iterable[PendingMedia], state: State) -> dict[str, Any]:
    """Return what is known of media that belongs together."""
    described = sorted((_describe(one) for one in group), key=lambda item: (item["season"] or 0, item["index"] or 0))
    section_id = group[0].change.section_id
    sizes = [item["size_bytes"] for item in described if item["size_bytes"] is not None]
    kind, title = described[0]["type"], described[0]["title"]
    if len(described) > 1:
        kind, title = ABOVE.get(kind or "", kind), _name_group(group, described, waiting)
    data = {
        "type": kind,
        "title": title,
        "library": next((one.title for one in state.sections if one.section_id == section_id), None),
        "library_id": section_id,
        "count": len(described),
        "items": described[:SHOWN],
        "resolution": _pick_best(item["resolution"] for item in described),
        "size_bytes": sum(sizes) if sizes else None,
    }
    return {**data, "caught_up": _list_caught_up(group)} if group[0].news == "media.added" else data


def _describe(one: PendingMedia) -> dict[str, Any]:
    change, item = one.change, one.item
    named = EPISODE.fullmatch(change.title or "") if change.type == "episode" else None
    episode = change.type == "episode"
    sizes = [file.size_bytes for file in item.files if file.size_bytes is not None] if item else []
    return {
        "rating_key": change.item_id,
        "guid": item.guid if item else None,
        "type": change.type or (item.type if item else None),
        "title": (item.title if item else None) or change.title,
        "grandparent_title": item.grandparent_title if item else None,
        "parent_title": item.parent_title if item else None,
        "show": (item.grandparent_title if item else named[1] if named else None) if episode else None,
        "season": (item.parent_index if item else int(named[3]) if named else None) if episode else None,
        "index": item.item_index if item else int(named[4]) if named else None,
        "year": item.year if item else None,
        "duration_ms": item.duration_ms if item else None,
        "resolution": _pick_best(file.resolution for file in item.files) if item else None,
        "size_bytes": sum(sizes) if sizes else None,
    }


def _name_group(
    group: Sequence[PendingMedia], described: Sequence[dict[str, Any]], waiting: Iterable[PendingMedia]
) -> str | None:
    """Return the title of a season or album, with its show or artist."""
    item: CatalogueItem | None = next((one.item for one in group if one.item is not None), None)
    above: tuple[str | None, ...]
    if item is not None:
        above = (item.grandparent_title, item.parent_title)
    else:
        titles = {one.change.item_id: one.change.title for one in waiting}
        above = (titles.get(group[0].change.root_item_id or ""), titles.get(group[0].change.parent_item_id or ""))
    names = [name for name in above if name]
    if not names and described[0]["show"]:
        names = [described[0]["show"], f"Season {described[0]['season']}"]
    return " - ".join(dict.fromkeys(names)) or described[0]["title"]


def _pick_best(resolutions: Iterable[str | None]) -> str | None:
    known = [one for one in resolutions if one]
    return max(known, key=lambda one: RESOLUTIONS.index(one) if one in RESOLUTIONS else -1, default=None)


def _list_caught_up(group: Sequence[PendingMedia]) -> list[dict[str, Any]]:
    """Return the users who had watched everything before the first of these episodes."""
    users = {user.id: user for one in group for user in one.caught_up}
    return [{"id": user.id, "name": user.name} for user in users.values()]
