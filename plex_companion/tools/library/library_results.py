"""The results of the toolset `library`, as output schemas describe them."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class LibraryStatistics(TypedDict, total=False):
    """Counts, and the most frequent values."""

    name: str | None
    type: str | None
    totalItems: int | None
    movieStats: dict[str, Any] | None
    sampled: bool | None
    sample_size: int | None
    showStats: dict[str, Any] | None
    musicStats: dict[str, Any] | None


class LibraryDetails(TypedDict, total=False):
    """A library with its settings."""

    name: str | None
    library_id: int | str | None
    type: str | None
    uuid: str | None
    totalItems: int | None
    locations: list[str] | None
    agent: str | None
    scanner: str | None
    language: str | None
    refreshing: bool | None
    created_at: str | None
    scanned_at: str | None
    content_changed_at: int | None
    advancedSettings: dict[str, Any] | None


class RecentlyAdded(TypedDict, total=False):
    """The newest items by type."""

    count: int | None
    requestedCount: int | None
    limit: int | None
    library: str | None
    items: dict[str, Any] | None


class LibraryItemEntry(TypedDict, total=False):
    """An item of a library. Keys depend on its type."""

    media_id: int | str | None
    rating_key: int | str | None
    title: str | None
    type: str | None
    guid: str | None
    library: str | None
    library_id: int | str | None
    year: int | None
    duration: dict[str, Any] | None
    mediaInfo: dict[str, Any] | None
    watched: bool | None
    inProgress: bool | None
    progressPercent: float | None
    artist: str | None
    performer: str | None
    album: str | None
    seasonCount: int | None
    episodeCount: int | None
    watchedEpisodeCount: int | None
    watchStatus: str | None
    albumCount: int | None
    trackCount: int | None
    viewCount: int | None
    skipCount: int | None
    show: str | None
    season: int | None
    episode: int | None


class LibraryPage(TypedDict, total=False):
    """A page of a library."""

    name: str | None
    type: str | None
    totalItems: int | None
    offset: int | None
    limit: int | None
    size: int | None
    truncated: bool | None
    items: list[LibraryItemEntry] | None
    message: str | None
