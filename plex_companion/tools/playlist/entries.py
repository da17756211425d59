"""Adding, removing and copying the items of a playlist, and the results that report it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from dataclasses import field as default
from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.errors import NotFound, NotSupported
from plex_companion.plex.query import send
from plex_companion.plex.steps import add_in_portions, check_confirmed, run_steps
from plex_companion.plex.xml.attributes import parse_identifier, read_number, read_text
from plex_companion.text import format_count
from plex_companion.tools.item_list import (
    ResolvedItems,
    build_items_uri,
    get_rows,
    list_current,
    list_titles,
    resolve_among,
)
from plex_companion.tools.playlist.create import add_items, choose_medium, create_filled_playlist
from plex_companion.tools.playlist.find import build_path, read_key, reload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer


@dataclass(frozen=True, slots=True)
class PlaylistCreated:
    """A new playlist."""

    data: dict[str, Any]
    message: str
    status: str = default(default="success")


@dataclass(frozen=True, slots=True)
class PlaylistExtended:
    """Items added to a playlist."""

    added: bool
    title: str | None
    playlist_id: int | str | None
    items_added: list[str | None]
    item_ids_added: list[int | str | None]
    items_not_found: list[str | dict[str, Any]]
    total_items: int | None


@dataclass(frozen=True, slots=True)
class PlaylistShortened:
    """Items removed from a playlist. `copies_left` counts the remaining copies of repeated items."""

    removed: bool
    title: str | None
    playlist_id: int | str | None
    items_removed: list[str | None]
    items_not_found: list[str | dict[str, Any]]
    remaining_items: int | None
    copies_left: dict[str, int]


@dataclass(frozen=True, slots=True)
class PlaylistCopied:
    """A user's playlist, copied to another user."""

    message: str
    playlist_id: int | str | None
    items_copied: int
    items_unavailable: list[dict[str, Any]]
    source_user: str | None
    destination_user: str | None
    copied_as: str = default(default="static")
    status: str = default(default="success")


def select_entries(
    current_rows: Sequence[Element],
    titles: Sequence[str] | None,
    ids: Sequence[str] | None,
    entry_ids: Sequence[str] | None,
) -> ResolvedItems:
    """Return the entries to remove, each once, however often it was named."""
    items = resolve_among(current_rows, titles, ids)
    by_entry = {row.get("playlistItemID", ""): row for row in current_rows}
    requested = [one.strip() for one in entry_ids or ()]
    rows = [by_entry[one] for one in requested if one in by_entry] + list(items.rows)
    distinct = {row.get("playlistItemID", ""): row for row in rows}
    missing = [one for one in requested if one not in by_entry]
    return ResolvedItems(tuple(distinct.values()), (*items.missing, *missing), items.unclear)


def describe_added(row: Element, items: ResolvedItems, now: Element) -> PlaylistExtended:
    """Describe the items added to a playlist, and verify that it holds more than before.

    Raises:
        NotConfirmed: it does not.
    """
    before, after = read_number(row, "leafCount") or 0, read_number(now, "leafCount") or 0
    message = f"Plex accepted the items for '{read_text(row, 'title')}', but it has no more items than before. Check it again."
    check_confirmed(requested=True, found=after > before, message=message, playlist_id=read_key(row))
    return PlaylistExtended(
        added=True,
        title=read_text(row, "title"),
        playlist_id=read_key(row),
        items_added=list_titles(items.rows),
        item_ids_added=[parse_identifier(key) for key in items.keys],
        items_not_found=items.not_found,
        total_items=after,
    )


def build_nothing_found(row: Element, current_rows: Sequence[Element]) -> NotFound:
    """Return the error that lists what the playlist holds."""
    message = f"None of these is in the playlist '{read_text(row, 'title')}'; current_items lists its items."
    return NotFound(
        message,
        what="item",
        playlist_title=read_text(row, "title"),
        playlist_id=read_key(row),
        current_items=list_current(current_rows),
    )


def remove_entries(
    view: PlexServer, row: Element, current_rows: Sequence[Element], items: ResolvedItems
) -> PlaylistShortened:
    """Remove these entries one by one, and verify how many remain.

    Raises:
        NotConfirmed: the playlist does not hold the expected number.
    """
    steps = [
        (
            read_text(one, "title") or "?",
            partial(send, view, "DELETE", f"{build_path(row)}/items/{one.get('playlistItemID')}"),
        )
        for one in items.rows
    ]
    run_steps(view, steps)
    remaining = read_number(reload(view, row), "leafCount")
    expected = len(current_rows) - len(items.rows)
    message = f"Plex accepted the removal from '{read_text(row, 'title')}', but its number of items is not as expected. Check it again."
    check_confirmed(requested=expected, found=remaining, message=message, playlist_id=read_key(row))
    return PlaylistShortened(
        removed=True,
        title=read_text(row, "title"),
        playlist_id=read_key(row),
        items_removed=list_titles(items.rows),
        items_not_found=items.not_found,
        remaining_items=remaining,
        copies_left=_count_copies(current_rows, items),
    )


def _count_copies(current_rows: Sequence[Element], items: ResolvedItems) -> dict[str, int]:
    """Count the remaining copies by title."""
    left = Counter(row.get("ratingKey") for row in current_rows) - Counter(items.keys)
    gone = {row.get("ratingKey"): read_text(row, "title") or "?" for row in items.rows}
    return {title: left[key] for key, title in gone.items() if left[key]}


def add_to_end(view: PlexServer, row: Element, items: ResolvedItems) -> PlaylistExtended:
    """Add items to the end of a playlist, in order.

    Raises:
        Partial: Plex accepted only some of the items.
        NotConfirmed: the playlist holds no more than before.
    """
    now = row

    def add(part: list[str]) -> None:
        nonlocal now
        now = add_items(view, row, build_items_uri(view, part))

    add_in_portions(view, items.keys, add, playlist_id=read_key(row))
    return describe_added(row, items, now)


def finish_creation(view: PlexServer, made: Element, title: str, summary: str | None, least: int) -> PlaylistCreated:
    """Set the summary and verify the new playlist. Errors say that the playlist exists."""
    key, edits = read_key(made), set_summary(view, made, summary)
    now = reload(view, made)
    check_texts(now, {"title": title, **edits})
    _check_count(now, least)
    data = {
        "title": read_text(now, "title"),
        "key": build_path(now),
        "ratingKey": key,
        "item_count": read_number(now, "leafCount"),
        "rating_key": key,
        "summary": read_text(now, "summary"),
    }
    return PlaylistCreated(data, f"Playlist '{title}' created.")


def set_summary(view: PlexServer, made: Element, summary: str | None) -> dict[str, str]:
    """Set the summary of a new playlist, if there is one. Return the edited fields."""
    edits = {"summary": summary} if summary else {}
    if edits:
        run_steps(view, [("summary", partial(edit_texts, view, made, edits))], playlist_id=read_key(made), created=True)
    return edits


def edit_texts(view: PlexServer, row: Element, edits: dict[str, str]) -> None:
    """Edit a playlist. As for items, fields are sent as `.value` and locked so that no agent reverts them."""
    values: dict[str, Any] = {f"{name}.value": value for name, value in edits.items()}
    locks: dict[str, Any] = {f"{name}.locked": 1 for name in edits}
    send(view, "PUT", build_path(row), **values, **locks)


def check_texts(now: Element, edits: dict[str, str]) -> None:
    """Verify that a playlist shows the edited texts.

    Raises:
        NotConfirmed: it shows something else.
    """
    found = {name: now.get(name, "") for name in edits}
    message = f"Plex accepted the edit of the playlist '{read_text(now, 'title')}' but does not show all of it. Check it again."
    check_confirmed(requested=edits, found=found, message=message, playlist_id=read_key(now))


def copy_playlist(
    recipient: PlexServer, row: Element, items: Sequence[Element], names: tuple[str | None, ...]
) -> PlaylistCopied:
    """Copy the items that the other user can see into a new playlist of that user."""
    title, (source, to) = read_text(row, "title") or "?", names
    visible = get_rows(recipient, [one.get("ratingKey", "") for one in items])
    keys = [key for one in items if (key := one.get("ratingKey", "")) in visible]
    if not keys:
        message = f"{to} can see none of the {format_count(len(items), 'item')} of '{title}'. Nothing was copied."
        raise NotSupported(message, reason="empty" if not items else "unavailable")
    medium = read_text(row, "playlistType") or choose_medium(list(visible.values()))
    made = create_filled_playlist(recipient, title, medium, keys)
    _check_count(reload(recipient, made), len(set(keys)))
    left = {one.get("ratingKey", ""): one for one in items if one.get("ratingKey", "") not in visible}
    return PlaylistCopied(
        message=f"'{title}' copied to {to}: {len(keys)} of {format_count(len(items), 'item')}.",
        playlist_id=read_key(made),
        items_copied=len(keys),
        items_unavailable=list_current(left.values()),
        source_user=source,
        destination_user=to,
    )


def _check_count(now: Element, least: int) -> None:
    """Verify that the playlist holds at least this many items: containers are added as their contents."""
    found = read_number(now, "leafCount") or 0
    message = f"Plex accepted the items for '{read_text(now, 'title')}', but it holds {found}. Check it with playlist_get_contents."
    check_confirmed(requested=least, found=min(found, least), message=message, playlist_id=read_key(now))
