"""The results of the toolset `media`, as output schemas describe them."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from plex_companion.tools.results import Page


class SearchResults(TypedDict, total=False):
    """Search results by type."""

    status: str | None
    message: str | None
    query: str | None
    content_type: str | None
    limit: int | None
    total_count: int | None
    results_by_type: dict[str, Any] | None
    count: int | None
    results: list[Any] | None


class MediaDetails(Page, total=False):
    """An item. Keys depend on its type."""

    title: str | None
    type: str | None
    id: int | str | None
    rating_key: int | str | None
    guid: str | None
    library: str | None
    library_id: int | str | None
    added_at: str | None
    added_at_utc: str | None
    rating: float | None
    user_rating: float | None
    critic_rating: float | None
    audience_rating: float | None
    content_rating: str | None
    duration: str | None
    studio: str | None
    year: int | None
    files: list[str] | None
    genres: list[str] | None
    directors: list[str] | None
    writers: list[str] | None
    actors: list[str] | None
    view_count: int | None
    watched: bool | None
    playback_offset_ms: int | None
    in_progress: bool | None
    progress_percent: float | None
    summary: str | None
    artist: str | None
    performer: str | None
    artist_id: int | str | None
    album: str | None
    album_id: int | str | None
    track_number: int | None
    disc_number: int | None
    skip_count: int | None
    original_title: str | None
    edition: str | None
    matched: str | None
    watch_status: str | None
    watched_count: int | None
    total_count: int | None
    seasons_count: int | None
    episodes_count: int | None
    seasons: list[dict[str, Any]] | None
    albums_count: int | None
    tracks_count: int | None
    albums: list[dict[str, Any]] | None
    show_title: str | None
    season_number: int | None
    episodes: list[dict[str, Any]] | None
    episode_number: int | None
    tracks: list[dict[str, Any]] | None


class WatchedChange(TypedDict, total=False):
    """The watched state before and after."""

    status: str | None
    changed: bool | None
    view_count: int | None
    media_id: int | str | None
    rating_key: int | str | None
    title: str | None
    type: str | None
    previous_watched: bool | None
    previous_watch_status: str | None
    watched: bool | None
    watch_status: str | None
    affected: int | None
    watched_count: int | None
    total_count: int | None


class MetadataChange(TypedDict, total=False):
    """The changes of an edit, with the old values."""

    updated: bool | None
    title: str | None
    media_id: int | str | None
    rating_key: int | str | None
    changes: list[str] | None
    message: str | None
    before: dict[str, Any] | None


class MediaDeleted(TypedDict, total=False):
    """The item that was deleted."""

    deleted: bool | None
    year: int | None
    library: str | None
    title: str | None
    media_id: int | str | None
    rating_key: int | str | None
    type: str | None
    files_on_disk: list[str] | None
    files_total: int | None
    size_bytes: int | None


class ArtworkChange(TypedDict, total=False):
    """The image that was set."""

    updated: bool | None
    title: str | None
    media_id: int | str | None
    art_type: str | None
    source: str | None
    locked: bool | None
    message: str | None


class ArtworkEntry(TypedDict, total=False):
    """One version of an image."""

    index: int | None
    provider: str | None
    url: str | None
    selected: bool | None
    rating_key: int | str | None


class ArtworkPage(Page, total=False):
    """A page of an item's images."""

    media_title: str | None
    media_id: int | str | None
    rating_key: int | str | None
    art_type: str | None
    count: int | None
    artwork: list[ArtworkEntry] | None
