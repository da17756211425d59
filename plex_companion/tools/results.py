"""The results of the toolsets `live` and `sessions`, and what results have in common."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class Envelope(TypedDict, total=False):
    """When and from where the data came."""

    as_of: str | None
    connection: dict[str, Any] | None
    server: dict[str, Any] | None


class Page(TypedDict, total=False):
    """The position of a page in the whole list."""

    total: int | None
    offset: int | None
    limit: int | None
    size: int | None
    truncated: bool | None


class CompanionStatus(Envelope, total=False):
    """The state of the connection, the cache and the process."""

    read_only: bool | None
    storage: str | None
    process: dict[str, Any] | None
    counters: dict[str, Any] | None
    database: dict[str, Any] | None
    webhooks: Any
    notify: dict[str, Any] | None
    history: dict[str, Any] | None
    catalogue: dict[str, Any] | None
    chronicle: dict[str, Any] | None
    tools: dict[str, Any] | None
    versions: dict[str, Any] | None


class SkillAnswer(TypedDict, total=False):
    """One skill, or the list of all."""

    name: str | None
    description: str | None
    uri: str | None
    instructions: str | None
    skills: list[dict[str, Any]] | None


class PlayedItem(TypedDict, total=False):
    """The item, user, player and delivery of a play, while it goes on and afterwards."""

    rating_key: str | None
    guid: str | None
    type: str | None
    title: str | None
    grandparent_title: str | None
    parent_title: str | None
    performer: str | None
    edition: str | None
    full_title: str | None
    year: int | None
    library: str | None
    library_id: str | None
    user: dict[str, Any] | None
    player: dict[str, Any] | None
    duration_ms: int | None
    started_at: str | None
    paused_ms: int | None
    buffer_count: int | None
    decision: str | None
    reasons: list[dict[str, Any]] | None


class LiveSessionEntry(PlayedItem, total=False):
    """A session as the cache knows it."""

    session_key: str | None
    session_id: str | None
    state: str | None
    view_offset_ms: int | None
    progress_percent: float | None
    updated_at: str | None
    live: bool | None
    transcode: Any
    bandwidth_kbps: int | None
    location: str | None
    stale: bool | None


class LiveSessions(Envelope, total=False):
    """The current sessions."""

    sessions: list[LiveSessionEntry] | None
    count: int | None
    transcoding: int | None
    bandwidth_kbps: int | None


class ClientTimelineEntry(TypedDict, total=False):
    """The last known position of a player."""

    client_identifier: str | None
    state: str | None
    type: str | None
    rating_key: str | None
    title: str | None
    view_offset_ms: int | None
    estimated_offset_ms: int | None
    duration_ms: int | None
    session_key: str | None
    updated_at: str | None


class ClientTimelines(Envelope, total=False):
    """The timelines of all known players."""

    timelines: list[ClientTimelineEntry] | None
    count: int | None


class EventEntry(TypedDict, total=False):
    """An event of the journal."""

    id: str | None
    at: str | None
    type: str | None
    subject: str | None
    summary: str | None
    payload: dict[str, Any] | None


class EventPage(Envelope, total=False):
    """A page of the journal."""

    events: list[EventEntry] | None
    count: int | None
    limit: int | None
    next_cursor: int | None
    gap: bool | None


class OccurrenceEntry(TypedDict, total=False):
    """Something that happened. The data depends on its type."""

    id: str | None
    type: str | None
    at: str | None
    inferred: bool | None
    data: dict[str, Any] | None
    cursor: str | None


class OccurrenceList(Envelope, total=False):
    """A page of occurrences."""

    occurrences: list[OccurrenceEntry] | None
    count: int | None
    limit: int | None
    next_cursor: str | None
    gap: bool | None


class AlertEntry(TypedDict, total=False):
    """An alert; open until `resolved_at` is set."""

    id: str | None
    at: str | None
    kind: str | None
    severity: str | None
    title: str | None
    detail: dict[str, Any] | None
    subject: str | None
    resolved_at: str | None
    acknowledged_at: Any
    muted: bool | None
    server: str | None
    server_name: str | None


class AlertPage(Envelope, total=False):
    """A page of alerts."""

    alerts: list[AlertEntry] | None
    count: int | None
    next_cursor: int | None
    muted: list[str] | None


class AcknowledgedAlert(Envelope, total=False):
    """The alert after its acknowledgement."""

    alert: dict[str, Any] | None


class MutedKinds(Envelope, total=False):
    """A kind of alert, whether it is muted now, and all kinds that are."""

    kind: str | None
    muted: bool | None
    muted_kinds: list[str] | None


class MessageTaken(TypedDict):
    """A test message that a service took."""

    target: str
    service: str
    message: str


class ActivityList(Envelope, total=False):
    """Running activities, and items that changed recently."""

    running: list[dict[str, Any]] | None
    recent: list[dict[str, Any]] | None


class PlayEntry(PlayedItem, total=False):
    """A play. Times in milliseconds, `percent` from 0 to 100."""

    id: str | None
    ended_at: str | None
    ended_by: str | None
    watched_ms: int | None
    estimated: bool | None
    percent: float | None
    history_key: str | None
    viewed_at: str | None
    server: str | None
    server_name: str | None


class PlayPage(Envelope, total=False):
    """A page of plays."""

    plays: list[PlayEntry] | None
    count: int | None
    limit: int | None
    timezone: str | None
    next_cursor: str | None
    since: str | None
    until: str | None
    history: dict[str, Any] | None


class PlayStatisticsEntry(TypedDict, total=False):
    """The plays of one user, title, library, platform, day or hour."""

    key: int | str | None
    name: str | None
    id: int | str | None
    plays: int | None
    timed: int | None
    watched_ms: int | None
    estimated_ms: int | None
    label: str | None


class PlayStatistics(Envelope, total=False):
    """Plays and watch time in a period."""

    period: str | None
    by: str | None
    timezone: str | None
    since: str | None
    until: str | None
    plays: int | None
    timed: int | None
    watched_ms: int | None
    estimated_ms: int | None
    entries: list[PlayStatisticsEntry] | None
    count: int | None
    total_entries: int | None
    history: dict[str, Any] | None


class PlayMarkEntry(TypedDict, total=False):
    """An event within a play."""

    at: str | None
    kind: str | None
    view_offset_ms: int | None
    detail: dict[str, Any] | None


class PlayDetails(Envelope, total=False):
    """A play with its events."""

    play: dict[str, Any] | None
    state: str | None
    marks: list[PlayMarkEntry] | None
    plex_history: dict[str, Any] | None


class PeriodDigest(Envelope, total=False):
    """The digest of a period."""

    timezone: str | None
    since: str | None
    until: str | None
    counts: dict[str, Any] | None
    plays: dict[str, Any] | None
    additions: dict[str, Any] | None
    upgrades: dict[str, Any] | None
    deletions: dict[str, Any] | None
    alerts: dict[str, Any] | None
    outages: dict[str, Any] | None
    history: dict[str, Any] | None
    notes: list[str] | None


class LibraryChangeList(Envelope, total=False):
    """New, upgraded and deleted items."""

    since: str | None
    until: str | None
    new: dict[str, Any] | None
    upgraded: dict[str, Any] | None
    deleted: dict[str, Any] | None
    refreshed: int | None
    kept_since: str | None
    incomplete: bool | None


class ItemPlayEntry(TypedDict, total=False):
    """A play of the item."""

    user: str | None
    viewed_at: str | None
    device: str | None
    user_id: int | str | None
    rating_key: int | str | None
    viewed_at_utc: str | None
    history_key: int | str | None
    title: str | None


class ItemPlayPage(Page, total=False):
    """A page of an item's plays."""

    status: str | None
    media: dict[str, Any] | None
    play_count: int | None
    history: list[ItemPlayEntry] | None
