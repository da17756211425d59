"""`plex://libraries/{id}` and `plex://items/{rating_key}`: a library and an item as the catalogue has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.catalogue.status import describe_item, describe_library, has_item
from plex_companion.changes.kinds import CatalogueChanged
from plex_companion.resources.declare import Resource
from plex_companion.resources.server_uris import take_only_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from plex_companion.companion import Companion


async def read_library(companion: Companion, id: str) -> dict[str, Any]:  # noqa: A002 - the field of the URI
    """Return counts, size and newest items of a library.

    Raises:
        NotFound: the catalogue does not have it.
        Ambiguous: several servers have one with this id.
    """
    having = [one for one in companion.each if any(section.section_id == id for section in one.state.sections)]
    return await describe_library(_take_only(companion, having, LIBRARY.expand({"id": id})), id)


async def read_item(companion: Companion, rating_key: str) -> dict[str, Any]:
    """Return an item with its files and who watched it.

    Raises:
        NotFound: the catalogue does not have it.
        Ambiguous: several servers have one with this key.
    """
    each = companion.each
    having = [one for one in each if len(each) == 1 or await has_item(one, rating_key)]
    return await describe_item(_take_only(companion, having, ITEM.expand({"rating_key": rating_key})), rating_key)


def _take_only(companion: Companion, having: Sequence[Companion], uri: str) -> Companion:
    """Return the only companion of a server that has something; without one, the error is that of the first server.

    Raises:
        Ambiguous: several have it.
    """
    if not having:
        return companion
    state = take_only_server([one.state for one in having], uri)
    return next(one for one in having if one.state is state)


def list_libraries(companion: Companion) -> Iterable[Mapping[str, str]]:
    """Yield the libraries. Items are too many to list, but can be read."""
    for section in (section for state in companion.states for section in state.sections):
        yield {"id": section.section_id, "title": f"Library {section.title}"}


LIBRARY = Resource(
    "plex://libraries/{id}",
    "A library",
    "One library: how many items of each type, their size, and the newest.",
    read_library,
    touched_by=(CatalogueChanged,),
    list_existing=list_libraries,
)
ITEM = Resource(
    "plex://items/{rating_key}",
    "An item",
    "One movie, show, episode, album or track: all that is known, its files, and who watched it when.",
    read_item,
    touched_by=(CatalogueChanged,),
)
