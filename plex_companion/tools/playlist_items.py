"""What goes into a playlist and out of it: the items that are meant, the writes, and what is told of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from dataclasses import field as default
from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.errors import NotFound, NotSupported
from plex_companion.tools.ask import portions, send
from plex_companion.tools.facts import as_number, number, text
from plex_companion.tools.named import Meant, among, current, items_uri, rows_of, titles_of
from plex_companion.tools.playlists import again, key_of, make, medium_of, path_of, put_items
from plex_companion.tools.steps import add_in_portions, confirmed, take

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer


@dataclass(frozen=True, slots=True)
class PlaylistCreated:
    """A new playlist."""

    data: dict[str, Any]
    message: str
    status: str = default(default="success")


@dataclass(frozen=True, slots=True)
class PlaylistExtended:
    """What came into a playlist."""

    added: bool
    title: str | None
    playlist_id: int | str | None
    items_added: list[str | None]
    item_ids_added: list[int | str | None]
    items_not_found: list[str | dict[str, Any]]
    total_items: int | None


@dataclass(frozen=True, slots=True)
class PlaylistShortened:
    """What was taken out of a playlist. `copies_left`: of items that were in it more than once, how often they still are."""

    removed: bool
    title: str | None
    playlist_id: int | str | None
    items_removed: list[str | None]
    items_not_found: list[str | dict[str, Any]]
    remaining_items: int | None
    copies_left: dict[str, int]


@dataclass(frozen=True, slots=True)
class PlaylistCopied:
    """A playlist of one user, given to another."""

    message: str
    playlist_id: int | str | None
    items_copied: int
    items_unavailable: list[dict[str, Any]]
    source_user: str | None
    destination_user: str | None
    copied_as: str = default(default="static")
    status: str = default(default="success")


def entries(
    held: Sequence[Element], titles: Sequence[str] | None, ids: Sequence[str] | None, entry_ids: Sequence[str] | None
) -> Meant:
    """Which entries go; each of them once, however often it was named."""
    items = among(held, titles, ids)
    by_entry = {row.get("playlistItemID", ""): row for row in held}
    wanted = [one.strip() for one in entry_ids or ()]
    rows = [by_entry[one] for one in wanted if one in by_entry] + list(items.rows)
    distinct = {row.get("playlistItemID", ""): row for row in rows}
    missing = [one for one in wanted if one not in by_entry]
    return Meant(tuple(distinct.values()), (*items.missing, *missing), items.unclear)


def put_in(row: Element, items: Meant, now: Element) -> PlaylistExtended:
    """What came into a playlist, which must hold more than before.

    Raises:
        NotConfirmed: it does not.
    """
    before, after = number(row, "leafCount") or 0, number(now, "leafCount") or 0
    message = f"Plex took the items for '{text(row, 'title')}', and it holds no more than before. Look again."
    confirmed(requested=True, found=after > before, message=message, playlist_id=key_of(row))
    return PlaylistExtended(
        added=True,
        title=text(row, "title"),
        playlist_id=key_of(row),
        items_added=titles_of(items.rows),
        item_ids_added=[as_number(key) for key in items.keys],
        items_not_found=items.not_found,
        total_items=after,
    )


def nothing_of(row: Element, held: Sequence[Element]) -> NotFound:
    """The error that shows what the playlist holds instead."""
    message = f"None of these is in the playlist '{text(row, 'title')}'; current_items shows what is."
    return NotFound(
        message,
        what="item",
        playlist_title=text(row, "title"),
        playlist_id=key_of(row),
        current_items=current(held),
    )


def taken_out(seen: PlexServer, row: Element, held: Sequence[Element], items: Meant) -> PlaylistShortened:
    """Take these entries out, one by one."""
    steps = [
        (text(one, "title") or "?", partial(send, seen, "DELETE", f"{path_of(row)}/items/{one.get('playlistItemID')}"))
        for one in items.rows
    ]
    take(seen, steps)
    remaining = number(again(seen, row), "leafCount")
    expected = len(held) - len(items.rows)
    message = f"Plex took items of '{text(row, 'title')}' away, and not as many are gone. Look again."
    confirmed(requested=expected, found=remaining, message=message, playlist_id=key_of(row))
    return PlaylistShortened(
        removed=True,
        title=text(row, "title"),
        playlist_id=key_of(row),
        items_removed=titles_of(items.rows),
        items_not_found=items.not_found,
        remaining_items=remaining,
        copies_left=_copies_left(held, items),
    )


def _copies_left(held: Sequence[Element], items: Meant) -> dict[str, int]:
    """By title."""
    left = Counter(row.get("ratingKey") for row in held) - Counter(items.keys)
    gone = {row.get("ratingKey"): text(row, "title") or "?" for row in items.rows}
    return {title: left[key] for key, title in gone.items() if left[key]}


def make_filled(seen: PlexServer, title: str, medium: str, keys: Sequence[str]) -> Element:
    """Make a playlist of these items, in their order. One request for some hundred.

    Raises:
        Partial: the playlist is there, and not all of the items are in it.
    """
    first = portions(keys, title)[0]
    made = make(seen, title, medium, items_uri(seen, first))
    add_in_portions(
        seen,
        keys[len(first) :],
        lambda part: put_items(seen, made, items_uri(seen, part)),
        begun=len(first),
        playlist_id=key_of(made),
        created=True,
    )
    return made


def extend(seen: PlexServer, row: Element, items: Meant) -> PlaylistExtended:
    """Add items to the end of a playlist, in their order.

    Raises:
        Partial: Plex took some of them only.
        NotConfirmed: it holds no more than before.
    """
    now = row

    def add(part: list[str]) -> None:
        nonlocal now
        now = put_items(seen, row, items_uri(seen, part))

    add_in_portions(seen, items.keys, add, playlist_id=key_of(row))
    return put_in(row, items, now)


def created(seen: PlexServer, made: Element, title: str, summary: str | None, least: int) -> PlaylistCreated:
    """The summary, then see that it is there. A failure says that the playlist exists."""
    key, edits = key_of(made), summarise(seen, made, summary)
    now = again(seen, made)
    check_texts(now, {"title": title, **edits})
    _check_count(now, least)
    data = {
        "title": text(now, "title"),
        "key": path_of(now),
        "ratingKey": key,
        "item_count": number(now, "leafCount"),
        "rating_key": key,
        "summary": text(now, "summary"),
    }
    return PlaylistCreated(data, f"Playlist '{title}' created.")


def summarise(seen: PlexServer, made: Element, summary: str | None) -> dict[str, str]:
    """Give a new playlist its summary, if any; gives what was edited."""
    edits = {"summary": summary} if summary else {}
    if edits:
        take(seen, [("summary", partial(rewrite, seen, made, edits))], playlist_id=key_of(made), created=True)
    return edits


def rewrite(seen: PlexServer, row: Element, edits: dict[str, str]) -> None:
    """Playlists are edited as items are: `.value`, and locked so that no agent takes it back."""
    values: dict[str, Any] = {f"{name}.value": value for name, value in edits.items()}
    locks: dict[str, Any] = {f"{name}.locked": 1 for name in edits}
    send(seen, "PUT", path_of(row), **values, **locks)


def check_texts(now: Element, edits: dict[str, str]) -> None:
    """See that a playlist says so.

    Raises:
        NotConfirmed: it says something else.
    """
    found = {name: now.get(name, "") for name in edits}
    message = f"Plex took the edit of the playlist '{text(now, 'title')}', and not all of it is so. Look again."
    confirmed(requested=edits, found=found, message=message, playlist_id=key_of(now))


def copied(taker: PlexServer, row: Element, items: Sequence[Element], names: tuple[str | None, ...]) -> PlaylistCopied:
    """What the other user can see, as a playlist of theirs."""
    title, (giver, to) = text(row, "title") or "?", names
    there = rows_of(taker, [one.get("ratingKey", "") for one in items])
    keys = [key for one in items if (key := one.get("ratingKey", "")) in there]
    if not keys:
        message = f"{to} can see none of the {len(items)} items of '{title}'. Nothing was copied."
        raise NotSupported(message, reason="empty" if not items else "unavailable")
    medium = text(row, "playlistType") or medium_of(list(there.values()))
    made = make_filled(taker, title, medium, keys)
    _check_count(again(taker, made), len(set(keys)))
    left = {one.get("ratingKey", ""): one for one in items if one.get("ratingKey", "") not in there}
    return PlaylistCopied(
        message=f"'{title}' copied to {to}: {len(keys)} of {len(items)} items.",
        playlist_id=key_of(made),
        items_copied=len(keys),
        items_unavailable=current(left.values()),
        source_user=giver,
        destination_user=to,
    )


def _check_count(now: Element, least: int) -> None:
    """At least as many: containers come in as their contents."""
    found = number(now, "leafCount") or 0
    message = f"Plex took the items for '{text(now, 'title')}', and holds {found}. Look with playlist_get_contents."
    confirmed(requested=least, found=min(found, least), message=message, playlist_id=key_of(now))
