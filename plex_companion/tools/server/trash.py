"""Emptying the trash: Plex permanently forgets the items whose files are gone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.errors import NotFound
from plex_companion.models import MediaType
from plex_companion.plex.lookup import find_library
from plex_companion.plex.query import count_rows, send
from plex_companion.plex.steps import run_steps
from plex_companion.plex.xml.attributes import parse_identifier
from plex_companion.tools.confirm import DestructionTarget

if TYPE_CHECKING:
    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.ttl_cache import TtlCache

LEAVES = {
    "movie": MediaType.MOVIE,
    "show": MediaType.EPISODE,
    "artist": MediaType.TRACK,
    "photo": MediaType.PHOTO,
}
"""The kind that has files, by type of library."""


def describe_trash(plex: PlexServer, known: TtlCache, library_name: str | None) -> DestructionTarget:
    """Describe the trash of one library, or of all. The counts are an estimate: plexapi's filter `trash` is not
    documented.
    """
    libraries = (
        known.list_sections(plex) if library_name is None else (find_library(plex, known, library_name, writes=True),)
    )
    if not libraries:
        raise NotFound("This server has no libraries, so there is no trash.", what="library", available=[])
    counted = [(library, _count_trash(plex, library.section_id, library.type)) for library in libraries]
    title = "all libraries" if library_name is None else libraries[0].title
    described = [_describe_library(library, items) for library, items in counted]
    items = sum(items for _, items in counted)
    listed = ", ".join(f"{library.title}: {items}" for library, items in counted)
    sentence = (
        f"Empty the trash of {title} ({listed})? Plex permanently forgets these items and their watch "
        "history. This cannot be undone. An unplugged or unmounted disk also puts everything on it into the trash."
    )
    facts = {"title": title, "type": "trash", "items": items, "libraries": described}
    return DestructionTarget(
        title, tuple((library.section_id, library.title, items) for library, items in counted), facts, sentence
    )


def empty_trash(plex: PlexServer, known: TtlCache, target: DestructionTarget) -> list[dict[str, Any]]:
    """Start emptying the trash and count what is left. Plex continues in the background.

    Raises:
        Partial: some libraries were emptied before one failed.
    """
    libraries: list[dict[str, Any]] = target.facts["libraries"]
    types = {parse_identifier(library.section_id): library.type for library in known.list_sections(plex)}
    names = [f"{library['title']} ({library['library_id']})" for library in libraries]
    work = [
        partial(send, plex, "PUT", f"/library/sections/{library['library_id']}/emptyTrash") for library in libraries
    ]
    run_steps(plex, zip(names, work, strict=True))
    left = [_count_trash(plex, library["library_id"], types.get(library["library_id"])) for library in libraries]
    return [{**library, "items_left": items} for library, items in zip(libraries, left, strict=True)]


def _count_trash(plex: PlexServer, section_id: object, kind: str | None) -> int:
    return count_rows(plex, f"/library/sections/{section_id}/all", trash=1, type=LEAVES.get(kind or ""))


def _describe_library(library: Section, items: int) -> dict[str, Any]:
    return {"title": library.title, "library_id": parse_identifier(library.section_id), "items": items}
