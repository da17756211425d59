"""The queries of the commands about the catalogue, in the shapes of its tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from plex_companion.catalogue.disk_space.neglected import find_neglected
from plex_companion.catalogue.disk_space.storage import measure_storage
from plex_companion.catalogue.search import SearchQuestion, search_catalogue
from plex_companion.catalogue.viewers.recommendations import recommend_items
from plex_companion.history.play_pages import get_play
from plex_companion.serialize import serialize_sessions

if TYPE_CHECKING:
    from plex_companion.catalogue.disk_space.storage import StorageBy
    from plex_companion.commands.reports.archive import Archive
    from plex_companion.commands.reports.queries import ReportQuery

CATALOGUE_COMMANDS = ("search", "storage", "neglected", "recommend", "why")


async def fetch_catalogue_body(archive: Archive, query: ReportQuery) -> dict[str, Any]:
    """Return the answer to a command about the catalogue, without its envelope.

    Raises:
        ToolError: as the matching tool does.
    """
    match query.command:
        case "search":
            question = SearchQuestion(
                text=query.text,
                type=query.type,
                library=query.library,
                genre=query.genre,
                person=query.person,
                resolution=query.resolution,
                unwatched_by=query.unwatched_by,
                duration_max_minutes=query.max_minutes,
                sort=query.sort,
            )
            return await search_catalogue(archive, question, limit=query.most)
        case "storage":
            return await measure_storage(archive, cast("StorageBy", query.by or "library"), query.most)
        case "neglected":
            return await find_neglected(archive, query.days, query.library, query.most)
        case "why" if query.play is not None:
            return await get_play(archive, query.play)
        case "why":
            return serialize_sessions(archive.states)
        case _:
            return await recommend_items(archive, query.user, query.type, query.max_minutes, query.most)
