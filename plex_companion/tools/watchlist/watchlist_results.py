"""The results of the toolset `watchlist`, as output schemas describe them."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class WatchlistEntry(TypedDict, total=False):
    """A title of a watchlist, with its availability."""

    guid: str | None
    title: str | None
    type: str | None
    year: int | None
    release_date: str | None
    duration_ms: int | None
    content_rating: str | None
    available_on_server: bool | None
    match_status: str | None
    library_items: list[dict[str, Any]] | None


class WatchlistPage(TypedDict, total=False):
    """A page of a watchlist."""

    items: list[WatchlistEntry] | None
    totalItems: int | None
    offset: int | None
    limit: int | None
    size: int | None


class FoundTitleEntry(TypedDict, total=False):
    """A title that plex.tv found."""

    guid: str | None
    title: str | None
    type: str | None
    year: int | None
    release_date: str | None
    duration_ms: int | None
    content_rating: str | None


class WatchlistSearch(TypedDict, total=False):
    """The titles that plex.tv found."""

    items: list[FoundTitleEntry] | None
    size: int | None
