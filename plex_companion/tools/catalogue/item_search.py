"""The tool `catalogue_search`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from plex_companion.catalogue.search import SearchQuestion, search_catalogue
from plex_companion.companion import Companion
from plex_companion.history.source import add_envelope
from plex_companion.tools.catalogue.catalogue_parameters import CatalogueCursor, Most
from plex_companion.tools.catalogue.catalogue_results import CatalogueItems
from plex_companion.tools.declare import Json, Shape
from plex_companion.tools.parameters import LibraryName

ItemType = Literal["movie", "show", "season", "episode", "artist", "album", "track", "photoalbum"]
Words = Annotated[str, Field(description="Words of titles, people, genres or summaries.")]
Person = Annotated[str, Field(description="Actor or director.")]
Rating = Annotated[float, Field(description="0 to 10.")]
Resolution = Annotated[str, Field(description="4k, 1080, 720 or sd.")]
Codec = Annotated[str, Field(description="Of video or audio, such as hevc.")]
Watcher = Annotated[str, Field(description="User name or id, or anyone.")]
Ago = Annotated[str, Field(description="Such as 90d, 1month or 2026-11-22.")]
Sort = Annotated[str, Field(description="title, size, added, year, duration, rating or last_watched; -size reverses.")]
Fields = Annotated[list[str], Field(description="Fields to return instead of the default ones, such as summary.")]


async def catalogue_search(
    companion: Companion,
    text: Words | None = None,
    type: ItemType | None = None,  # noqa: A002 - the contract's name
    library: LibraryName | None = None,
    genre: str | None = None,
    person: Person | None = None,
    year: int | None = None,
    year_from: int | None = None,
    year_to: int | None = None,
    duration_max_minutes: float | None = None,
    rating_min: Rating | None = None,
    content_rating: str | None = None,
    resolution: Resolution | None = None,
    codec: Codec | None = None,
    added_since: Ago | None = None,
    watched_by: Watcher | None = None,
    unwatched_by: Watcher | None = None,
    unwatched_since: Ago | None = None,
    size_min_gb: float | None = None,
    sort: Sort | None = None,
    fields: Fields | None = None,
    limit: Most = 20,
    cursor: CatalogueCursor | None = None,
) -> Annotated[Json, Shape(CatalogueItems)]:
    """Search all libraries offline. Items must match every filter given. Also returns the total size of all matches.

    Finds, for example, an unwatched comedy under two hours, everything in 4K, or films not watched since last year.
    `unwatched_by="anyone"` means watched by nobody. A show counts as watched when all its episodes are.
    """
    what = (text, type, library, genre, person, year, year_from, year_to, duration_max_minutes, rating_min)
    more = (content_rating, resolution, codec, added_since, watched_by, unwatched_by, unwatched_since, size_min_gb)
    question = SearchQuestion(*what, *more, sort)
    return add_envelope(companion, await search_catalogue(companion, question, fields, limit, cursor))
