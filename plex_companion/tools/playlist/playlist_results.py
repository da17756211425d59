"""The results of the toolset `playlist`, as output schemas describe them."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from plex_companion.tools.results import Page


class PlaylistEntry(TypedDict, total=False):
    """An item of a playlist."""

    title: str | None
    type: str | None
    ratingKey: int | str | None
    addedAt: str | None
    duration: int | None
    thumb: str | None
    rating_key: int | str | None
    playlist_item_id: int | str | None
    added_at_utc: str | None
    artist: str | None
    performer: str | None
    album: str | None
    albumArtist: str | None
    year: int | None


class PlaylistPage(Page, total=False):
    """A page of a playlist."""

    title: str | None
    id: int | str | None
    rating_key: int | str | None
    key: int | str | None
    type: str | None
    summary: Any
    duration: int | None
    smart: bool | None
    itemCount: int | None  # noqa: N815 - the contract's name
    items: list[PlaylistEntry] | None
    matched: str | None
    definition: dict[str, Any] | None


class SmartPlaylistEntry(TypedDict, total=False):
    """An item that the filters find."""

    title: str | None
    media_id: int | str | None
    type: str | None
    show: Any
    rating_key: int | str | None


class SmartPlaylist(TypedDict, total=False):
    """A smart playlist with its definition and first items."""

    status: str | None
    title: str | None
    playlist_id: int | str | None
    smart: bool | None
    definition: dict[str, Any] | None
    item_count: int | None
    items: list[SmartPlaylistEntry] | None
    preview_limit: int | None


class SmartPlaylistChange(TypedDict, total=False):
    """A smart playlist after an edit."""

    status: str | None
    title: str | None
    playlist_id: int | str | None
    smart: bool | None
    definition: dict[str, Any] | None
    item_count: int | None
    items: list[dict[str, Any]] | None
    preview_limit: int | None
    previous_definition: dict[str, Any] | None


class FilterFieldEntry(TypedDict, total=False):
    """A field to filter by, with its operators."""

    field: str | None
    title: str | None
    type: str | None
    operators: list[dict[str, Any]] | None


class FilterSortEntry(TypedDict, total=False):
    """A field to sort by."""

    field: str | None
    title: str | None
    defaultDirection: str | None


class FilterChoiceEntry(TypedDict, total=False):
    """A value of a field."""

    title: str | None
    value: str | None


class FilterOptions(Page, total=False):
    """The fields and sorts of a library, or the values of a field."""

    library: str | None
    libtype: str | None
    fields: list[FilterFieldEntry] | None
    sorts: list[FilterSortEntry] | None
    field: str | None
    choices: list[FilterChoiceEntry] | None
    type: str | None


class PlaylistChange(TypedDict, total=False):
    """The changes of an edit."""

    updated: bool | None
    title: str | None
    changes: list[str] | None
    playlist_id: int | str | None


class PosterChange(TypedDict, total=False):
    """The poster that was set."""

    updated: bool | None
    poster_source: str | None
    title: str | None
    playlist_id: int | str | None


class PlaylistDeleted(TypedDict, total=False):
    """The playlist that was deleted."""

    deleted: bool | None
    title: str | None
    playlist_id: int | str | None
    rating_key: int | str | None
    type: str | None
    item_count: int | None
    smart: bool | None
    owner: str | None
