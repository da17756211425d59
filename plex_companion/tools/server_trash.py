"""Emptying the trash: what Plex keeps of files that are gone is forgotten for good."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.errors import NotFound
from plex_companion.tools.ask import count, send
from plex_companion.tools.destroy import Victim
from plex_companion.tools.facts import as_number
from plex_companion.tools.find import find_library
from plex_companion.tools.steps import take

if TYPE_CHECKING:
    from plexapi.server import PlexServer

    from plex_companion.models import Section
    from plex_companion.plex.known import Known

LEAVES = {"movie": 1, "show": 4, "artist": 10, "photo": 13}
"""What has files in a library of each type."""


def look(plex: PlexServer, known: Known, library_name: str | None) -> Victim:
    """The trash of one library, or of all. Counts of it are an estimate: the filter `trash` is plexapi's, not documented."""
    libraries = (
        known.sections(plex) if library_name is None else (find_library(plex, known, library_name, writes=True),)
    )
    if not libraries:
        raise NotFound("This server has no libraries, so there is no trash.", what="library", available=[])
    counted = [(library, _in_trash(plex, library.section_id, library.type)) for library in libraries]
    title = "all libraries" if library_name is None else libraries[0].title
    told = [_told(library, items) for library, items in counted]
    items = sum(items for _, items in counted)
    listed = ", ".join(f"{library.title}: {items}" for library, items in counted)
    sentence = (
        f"Empty the trash of {title} ({listed} items)? Plex then forgets these items for good, with what was watched "
        "of them. This cannot be undone. An unplugged or unmounted disk also puts everything on it into the trash."
    )
    facts = {"title": title, "type": "trash", "items": items, "libraries": told}
    return Victim(
        title, tuple((library.section_id, library.title, items) for library, items in counted), facts, sentence
    )


def empty(plex: PlexServer, known: Known, victim: Victim) -> list[dict[str, Any]]:
    """Tell Plex to empty it, and look how much is left: Plex goes on by itself.

    Raises:
        Partial: some libraries were emptied, and then one failed.
    """
    libraries: list[dict[str, Any]] = victim.facts["libraries"]
    types = {as_number(library.section_id): library.type for library in known.sections(plex)}
    names = [f"{library['title']} ({library['library_id']})" for library in libraries]
    work = [
        partial(send, plex, "PUT", f"/library/sections/{library['library_id']}/emptyTrash") for library in libraries
    ]
    take(plex, zip(names, work, strict=True))
    left = [_in_trash(plex, library["library_id"], types.get(library["library_id"])) for library in libraries]
    return [{**library, "items_left": items} for library, items in zip(libraries, left, strict=True)]


def _in_trash(plex: PlexServer, section_id: object, kind: str | None) -> int:
    return count(plex, f"/library/sections/{section_id}/all", trash=1, type=LEAVES.get(kind or ""))


def _told(library: Section, items: int) -> dict[str, Any]:
    return {"title": library.title, "library_id": as_number(library.section_id), "items": items}
