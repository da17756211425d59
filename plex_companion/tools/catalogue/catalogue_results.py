"""The results of the toolset `catalogue`."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from plex_companion.tools.results import Envelope


class CatalogueAnswer(Envelope, total=False):
    """What every answer of the catalogue says: the totals, where the next page begins, and how complete it can be."""

    total: int | None
    total_size_bytes: int | None
    next_cursor: str | None
    catalogue: dict[str, Any] | None


class CatalogueItems(CatalogueAnswer, total=False):
    """A page of items."""

    items: list[dict[str, Any]] | None


class PlayDiagnosis(Envelope, total=False):
    """Why a play buffered or failed."""

    play: dict[str, Any] | None
    cause: str | None
    sentence: str | None
    evidence: list[dict[str, Any]] | None
    not_checked: list[str] | None


class StorageGroup(TypedDict, total=False):
    """Items of one library, show, resolution, codec, year or viewer."""

    id: str | None
    name: str | None
    items: int | None
    size_bytes: int | None
    duration_ms: int | None
    watched_ms: int | None
    watched_hours_per_gb: float | None


class StorageGroups(CatalogueAnswer, total=False):
    """How much the libraries take up, and what was added in each month."""

    by: str | None
    groups: list[StorageGroup] | None
    total_items: int | None
    growth: list[dict[str, Any]] | None


class DuplicateGroup(TypedDict, total=False):
    """Items of one guid, or an item of several files."""

    kind: str | None
    size_bytes: int | None
    spare_bytes: int | None
    items: list[dict[str, Any]] | None
    files: list[dict[str, Any]] | None


class DuplicateGroups(CatalogueAnswer, total=False):
    """What is there twice, and what exists in several editions."""

    groups: list[DuplicateGroup] | None
    editions: list[dict[str, Any]] | None
    total_editions: int | None


class NeglectedItems(CatalogueItems, total=False):
    """Movies and shows that nobody finished within some days."""

    days: int | None
    since: str | None


class ViewerProgress(TypedDict, total=False):
    """How far a user is in a show."""

    user: dict[str, Any] | None
    last: dict[str, Any] | None
    next: dict[str, Any] | None
    left: int | None
    caught_up: bool | None


class ShowProgress(CatalogueAnswer, total=False):
    """How far everybody is in a show."""

    show: dict[str, Any] | None
    episodes: int | None
    users: list[ViewerProgress] | None


class Recommendations(CatalogueItems, total=False):
    """What somebody may like, with reasons."""

    user: dict[str, Any] | None


class PlaysOnThisDay(CatalogueAnswer, total=False):
    """What was played on this day of earlier years."""

    day: str | None
    timezone: str | None
    plays: list[dict[str, Any]] | None


class Recap(CatalogueItems, total=False):
    """A year or a month in figures."""

    period: str | None
    timezone: str | None
    since: str | None
    until: str | None
    user: dict[str, Any] | None
    plays: int | None
    watched_ms: int | None
    estimated_ms: int | None
    active_days: int | None
    longest_streak: dict[str, Any] | None
    busiest_day: dict[str, Any] | None
    most_paused: dict[str, Any] | None
    parts: list[dict[str, Any]] | None
    finished: dict[str, Any] | None
    genres: list[dict[str, Any]] | None
    history: dict[str, Any] | None
