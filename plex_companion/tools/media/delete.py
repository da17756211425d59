"""Deleting an item with its files: describe it, check that Plex allows it, verify that it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.errors import NotConfirmed, NotSupported
from plex_companion.plex.lookup import find_by_id
from plex_companion.plex.query import get, get_or_none, get_page, send
from plex_companion.plex.xml.attributes import (
    drop_nulls,
    parse_identifier,
    read_brief_title,
    read_flag,
    read_kind,
    read_number,
    read_text,
)
from plex_companion.text import format_count, format_size
from plex_companion.tools.confirm import DestructionTarget
from plex_companion.tools.watched_state import CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.lookup import FoundItem

DELETABLE = ("movie", "show", "season", "episode", "artist", "album", "track")
SHOWN = 50
MOST_LEAVES = 10_000


def check_deletion_is_on(plex: PlexServer) -> None:
    """Check that the server's settings allow deletion. One request.

    Raises:
        NotSupported: they do not.
    """
    if not read_flag(get(plex, "/"), "allowMediaDeletion"):  # omitted when off (PLEX.md 2.1)
        message = (
            "This Plex server does not let clients delete media. Its owner can allow it: "
            "Settings, Library, 'Allow media deletion'."
        )
        raise NotSupported(message, reason="allowMediaDeletion is off")


def describe_found_target(plex: PlexServer, found: FoundItem) -> DestructionTarget:
    """Describe the item that would be deleted. A container's short row is enough; others need the full row: their files."""
    is_whole = found.matched == "id" or read_kind(found.row) in CONTAINERS
    row = found.row if is_whole else find_by_id(plex, found.row.get("ratingKey") or "", DELETABLE)
    return describe_target(plex, row)


def describe_target(plex: PlexServer, row: Element) -> DestructionTarget:
    """Describe the item of a row with its files. A container costs one request."""
    leaves, items = [row], 1
    if read_kind(row) in CONTAINERS:
        path = f"/library/metadata/{row.get('ratingKey')}/allLeaves"
        below = get_page(plex, path, offset=0, limit=MOST_LEAVES)
        leaves, items = below.rows, below.total
    files, size = _list_files(leaves)
    key, title = parse_identifier(row.get("ratingKey")), read_brief_title(row, "title") or ""
    facts = {
        "title": title,
        "media_id": key,
        "rating_key": key,
        "type": read_kind(row),
        "year": read_number(row, "year"),
        "library": read_brief_title(row, "librarySectionTitle"),
        "items": items,
        "files_on_disk": files[:SHOWN],
        "files_total": len(files),
        "size_bytes": size,
    }
    sentence = _build_question(row, title, items, len(files), size)
    return DestructionTarget(
        title, (key, row.get("title"), read_kind(row), items, len(files)), drop_nulls(facts), sentence
    )


def _list_files(leaves: Iterable[Element]) -> tuple[list[str], int]:
    parts = [part for leaf in leaves for part in leaf.iter("Part") if part.get("file")]
    return [read_text(part, "file") or "" for part in parts], sum(read_number(part, "size") or 0 for part in parts)


def _build_question(row: Element, title: str, items: int, files: int, size: int) -> str:
    year = f" ({row.get('year')})" if row.get("year") else ""
    if edition := read_brief_title(row, "editionTitle"):
        year += f", {edition},"
    above = read_brief_title(row, "grandparentTitle") or read_brief_title(row, "parentTitle")
    of = f" of '{above}'" if above else ""
    library = read_brief_title(row, "librarySectionTitle")
    place = f" from library '{library}'" if library else ""
    held = f" with {format_count(items, 'item')}" if read_kind(row) in CONTAINERS else ""
    named = f"{format_count(files, 'file')}, {format_size(size)}"
    return f"Delete the {read_kind(row)} '{title}'{year}{of}{place}{held}, and {named} on disk? This cannot be undone."


def delete(plex: PlexServer, target: DestructionTarget) -> dict[str, Any]:
    """Delete the item, verify that it is gone, and describe it. Two requests.

    Raises:
        NotConfirmed: it is still there.
    """
    key = target.facts["rating_key"]
    send(plex, "DELETE", f"/library/metadata/{key}")
    if get_or_none(plex, f"/library/metadata/{key}") is not None:
        message = f"Plex accepted the deletion of '{target.title}', but it is still there. Check again in a moment."
        raise NotConfirmed(message, requested="deleted", found=target.facts)
    result = {"deleted": True, "year": None, "library": None, **target.facts}
    result.pop("items")
    return result
