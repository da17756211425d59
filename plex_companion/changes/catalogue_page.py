"""Derives changes from a page of the catalogue: the rows to write, and which of them changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.changes.kinds import CatalogueChanged, CataloguePageWritten, CatalogueRowsRead, Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.changes.state import State
    from plex_companion.events import CataloguePage


def handle_catalogue_page(event: CataloguePage, before: State) -> list[Change]:
    """Return the rows of a page. A page of another server than the present one is only counted, so that its reader goes on."""
    written = CataloguePageWritten(event.number)
    if before.server is None or before.server.machine_identifier != event.server:
        return [written]
    rows = CatalogueRowsRead(
        event.server, event.items, event.gone, event.sections, event.sections_gone, event.forget_paths
    )
    return [rows, *_list_news(event), written]


def _list_news(event: CataloguePage) -> Iterator[Change]:
    if event.news:
        for item in event.items:
            yield CatalogueChanged(item.section_id, item.rating_key)
        for rating_key in event.gone:
            yield CatalogueChanged(None, rating_key)
    touched = [item.section_id for item in event.items if item.section_id]
    for section_id in dict.fromkeys([*touched, *(one.section_id for one in event.sections), *event.sections_gone]):
        yield CatalogueChanged(section_id)
