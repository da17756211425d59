"""The content of the page's cards (sessions, alerts, tasks, new items) in words, before any HTML. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion import wording
from plex_companion.serialize import format_iso
from plex_companion.text import clean
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.changes.state import State
    from plex_companion.models import Activity, Alert, LibraryChange, Session

SHOWN_ALERTS = 8
SHOWN_NEW = 12


@dataclass(frozen=True, slots=True)
class When:
    """A time as ISO 8601, in relative words, and in milliseconds, from which the script updates the words."""

    at: int
    iso: str
    words: str

    @classmethod
    def create(cls, at: int, now_ms: int) -> When:
        """Build a time relative to now."""
        return cls(at, format_iso(at) or "", wording.format_ago(at, now_ms))


@dataclass(frozen=True, slots=True)
class ConnectionBanner:
    """Whether the page shows the present. `name` is the connection state, which selects the colours."""

    name: str
    words: str
    server: str
    blind: bool
    since: When
    heard: When | None
    """When the state was last confirmed."""
    note: str
    """What cannot be read although Plex is connected, or that the database cannot be written."""


def build_banner(state: State, now_ms: int, storage: str) -> ConnectionBanner:
    """Build the banner at the top of the page."""
    connection = state.connection
    live = connection.state == "live"
    notes = [clean(connection.detail)] if live and connection.detail else []
    if storage != "ok":
        notes.append("The database can't be written, so new activity may be lost.")
    heard = state.refreshed_at
    return ConnectionBanner(
        name=connection.state,
        words=wording.format_connection(connection),
        server=wording.format_server(state),
        blind=not live,
        since=When.create(connection.since_at, now_ms),
        heard=When.create(heard, now_ms) if heard is not None else None,
        note=" ".join(notes),
    )


@dataclass(frozen=True, slots=True)
class Card:
    """One session."""

    key: str
    art: str | None
    """The rating key of its poster; live TV has none."""
    square: bool
    title: str
    subtitle: str
    who: str
    where: str
    state: str
    status: str
    """`state` in a person's words: `watching`, `listening`, `paused`."""
    stale: bool
    moving: bool
    """Whether the script advances the position between reports."""
    offset_ms: int
    at: int
    """When it was at `offset_ms`."""
    duration_ms: int | None
    position: str
    duration: str
    live: bool
    decision: str | None
    how: str
    quality: str
    delivery_path: str
    why: tuple[str, ...]
    was: tuple[str, ...]
    """`why` in the past tense, for when only the last state is known."""
    said: str
    """One sentence for screen readers, once user and title are known."""


def build_card(session: Session, state: State, now_ms: int) -> Card:
    """Build the card of a session.

    While it plays and Plex is connected, the card does not depend on `now`: the script advances the position.
    """
    item, present = session.item, wording.is_present(session, state)
    moving = present and session.state == "playing"
    offset = session.view_offset_ms if moving else wording.compute_position_ms(session, state, now_ms)
    key = item.rating_key
    return Card(
        key=f"s{session.play_id}",
        art=key if key and key.isascii() and key.isdecimal() else None,
        square=item.type == "track",
        title=_format_title(session),
        subtitle=_format_subtitle(session),
        who=wording.format_user(session),
        where=_format_where(session),
        state=clean(session.state),
        status=_format_status(session),
        stale=not present,
        moving=moving,
        offset_ms=offset,
        at=session.updated_at,
        duration_ms=item.duration_ms,
        position=wording.format_duration(offset),
        duration="live" if item.live else wording.format_duration(item.duration_ms) if item.duration_ms else "",
        live=item.live,
        decision=session.decision,
        how=wording.format_decision(session),
        quality=wording.format_quality(session),
        delivery_path=wording.format_delivery_path(session),
        why=tuple(wording.explain_transcode(session)),
        was=tuple(wording.explain_transcode(session, past=True)),
        said=_build_announcement(session) if session.listed else "",
    )


_VERBS = {"track": "listening", "photo": "viewing"}
"""The activity of somebody who plays an item of this type; anything else is watched."""


def _format_status(session: Session) -> str:
    match session.state:
        case "playing":
            return _VERBS.get(session.item.type or "", "watching")
        case "error":
            return "unable to play"
        case _:
            return clean(session.state)


def _build_announcement(session: Session) -> str:
    doing = "is listening to" if session.item.type == "track" else "is watching"
    verb = {"paused": "paused", "buffering": "is buffering", "error": "can't play"}.get(session.state, doing)
    return f"{wording.format_user(session)} {verb} {_format_title(session)} on {_format_where(session)}"


def _format_title(session: Session) -> str:
    item = session.item
    return (
        clean(item.grandparent_title or "")
        if _is_episode(session)
        else clean(item.title or wording.format_title(session))
    )


def _is_episode(session: Session) -> bool:
    return session.item.type == "episode" and bool(session.item.grandparent_title and session.item.title)


def _format_subtitle(session: Session) -> str:
    item = session.item
    if _is_episode(session):
        known = item.index is not None and item.parent_index is not None
        place = f"S{item.parent_index} E{item.index}" if known else item.parent_title
        parts = [place, item.title]
    elif item.type == "track":
        parts = [item.performer or item.grandparent_title, item.parent_title]
    else:
        parts = [str(item.year) if item.year else None, item.edition, item.library]
    return clean(" · ".join(part for part in parts if part))


def _format_where(session: Session) -> str:
    """Format the player's name, followed by its product if the name does not contain it."""
    name, player = wording.format_player(session), session.player
    product = clean(player.product or player.platform or "") if player else ""
    return name if not product or product.lower() in name.lower() else f"{name} ({product})"


@dataclass(frozen=True, slots=True)
class Summary:
    """All sessions in one line."""

    count: int
    words: str
    page: str
    """The title of the browser tab."""


def build_summary(state: State) -> Summary:
    """Sum up the streams, how many are transcoding, and their bandwidth."""
    sessions = state.sessions.values()
    transcoding = sum(session.decision == "transcode" for session in sessions)
    kbps = sum(session.bandwidth_kbps or 0 for session in sessions)
    count = len(sessions)
    parts = [f"{count} {'stream' if count == 1 else 'streams'}"] if count else []
    parts += [f"{transcoding} transcoding"] if transcoding else []
    parts += [wording.format_bandwidth(kbps)] if kbps else []
    page = f"{count} playing" if count else "Nothing playing"
    return Summary(count, " · ".join(parts), page if state.connection.state == "live" else "Plex disconnected")


def build_cards(state: State, now_ms: int) -> list[Card]:
    """Build a card for every session, oldest first, so that cards do not jump."""
    playing = sorted(state.sessions.values(), key=lambda one: (one.started_at, one.play_id))
    return [build_card(session, state, now_ms) for session in playing]


@dataclass(frozen=True, slots=True)
class Task:
    """A running activity of Plex."""

    key: str
    words: str
    percent: int | None


def build_tasks(state: State) -> list[Task]:
    """Build a task for every running activity, oldest first."""
    running = sorted(state.activities.values(), key=lambda one: (one.started_at, one.uuid))
    return [Task(f"t{one.uuid}", wording.format_activity(one), _parse_percent(one)) for one in running]


def _parse_percent(activity: Activity) -> int | None:
    known = activity.progress is not None and activity.progress >= 0
    return min(100, activity.progress or 0) if known else None


@dataclass(frozen=True, slots=True)
class AlertCard:
    """An alert."""

    id: int
    key: str
    title: str
    severity: str
    is_open: bool
    ended: bool
    """Whether it was a lasting condition that is resolved; a momentary event is not."""
    known: bool
    """Whether somebody acknowledged it."""
    of_plex: bool
    """Whether it is about Plex itself, and therefore only the last known while Plex is disconnected."""
    when: When


def build_alert_cards(alerts: Iterable[Alert], now_ms: int) -> list[AlertCard]:
    """Select the alerts a person should see, newest first within each group.

    Open alerts that nobody acknowledged come first, then other open ones, then unacknowledged ones resolved within a day.
    """
    shown = [alert for alert in alerts if alert.resolved_at is None or _is_news(alert, now_ms)]
    shown.sort(key=lambda one: (one.resolved_at is None, one.acknowledged_at is None, one.id), reverse=True)
    return [_build_alert_card(alert, now_ms) for alert in shown[:SHOWN_ALERTS]]


def _is_news(alert: Alert, now_ms: int) -> bool:
    return alert.acknowledged_at is None and now_ms - (alert.resolved_at or alert.at) < DAY_MS


def _build_alert_card(alert: Alert, now_ms: int) -> AlertCard:
    return AlertCard(
        id=alert.id,
        key=f"a{alert.id}",
        title=clean(alert.title),
        severity=alert.severity,
        is_open=alert.resolved_at is None,
        ended=alert.resolved_at is not None and alert.resolved_at > alert.at,
        known=alert.acknowledged_at is not None,
        of_plex=alert.kind not in wording.OWN_ALERTS,
        when=When.create(alert.at, now_ms),
    )


@dataclass(frozen=True, slots=True)
class NewItem:
    """A recently added item."""

    key: str
    art: str
    title: str
    kind: str
    library: str
    when: When


def build_new_items(state: State, now_ms: int) -> list[NewItem]:
    """Select recently added items that can be played, newest first. Seasons and albums are shown as their items."""
    libraries = {section.section_id: section.title for section in state.sections}
    gone = {change.item_id for change in state.recent if change.change == "deleted"}
    shown = [
        change
        for change in reversed(state.recent)
        if change.change == "created" and change.settled and change.type in _WATCHED and change.item_id not in gone
    ]
    return [_build_new_item(change, libraries, now_ms) for change in shown[:SHOWN_NEW] if change.item_id.isdecimal()]


_WATCHED = {"movie": "Film", "episode": "Episode", "track": "Track", "clip": "Clip", "photo": "Photo"}


def _build_new_item(change: LibraryChange, libraries: dict[str, Any], now_ms: int) -> NewItem:
    library = libraries.get(change.section_id or "") or ""
    title = clean(change.title or f"item {change.item_id}")
    kind = _WATCHED[change.type or "movie"]
    return NewItem(f"n{change.id}", change.item_id, title, kind, clean(library), When.create(change.at, now_ms))
