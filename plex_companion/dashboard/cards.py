"""What the page shows of a session, an alert, an activity, a new item: facts in words, nothing drawn yet. Pure."""

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
    """A time: for machines, for people now, and in milliseconds for the page, which lets it grow older."""

    at: int
    iso: str
    words: str

    @classmethod
    def create(cls, at: int, now_ms: int) -> When:
        """A time as seen now."""
        return cls(at, format_iso(at) or "", wording.format_ago(at, now_ms))


@dataclass(frozen=True, slots=True)
class ConnectionBanner:
    """Whether what is shown is the present. `name` is what the page colours itself by."""

    name: str
    words: str
    server: str
    blind: bool
    since: When
    heard: When | None
    """When something last confirmed what is shown."""
    note: str
    """What cannot be read although Plex is heard; or that nothing can be written down."""


def build_banner(state: State, now_ms: int, storage: str) -> ConnectionBanner:
    """The connection as the head of the page tells it."""
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
    """The rating key of its picture; live TV has none."""
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
    """Whether its position goes on by itself between reports."""
    offset_ms: int
    at: int
    """When it was there."""
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
    """The same of the past, for when it is only the last that is known."""
    said: str
    """One sentence for those who listen rather than look, once it is known who plays what."""


def build_card(session: Session, state: State, now_ms: int) -> Card:
    """A session. Where it plays and is heard, nothing in it depends on `now`: the page counts on by itself."""
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
"""What somebody does who plays an item of this type; anything else is watched."""


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
    """The player's own name, and what it is when the name does not say."""
    name, player = wording.format_player(session), session.player
    product = clean(player.product or player.platform or "") if player else ""
    return name if not product or product.lower() in name.lower() else f"{name} ({product})"


@dataclass(frozen=True, slots=True)
class Summary:
    """All sessions in a line."""

    count: int
    words: str
    page: str
    """What the tab of the browser says."""


def build_summary(state: State) -> Summary:
    """How many play, how many of them are transcoded, and what goes over the line."""
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
    """Every session, oldest first, so that nothing jumps."""
    playing = sorted(state.sessions.values(), key=lambda one: (one.started_at, one.play_id))
    return [build_card(session, state, now_ms) for session in playing]


@dataclass(frozen=True, slots=True)
class Task:
    """Something Plex is doing."""

    key: str
    words: str
    percent: int | None


def build_tasks(state: State) -> list[Task]:
    """Scans and the like, oldest first."""
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
    """It lasted, and is over; what happens in a moment is not."""
    known: bool
    """Somebody said that they know."""
    of_plex: bool
    """It tells of what Plex does: while Plex is not heard, it is the last that is known."""
    when: When


def build_alert_cards(alerts: Iterable[Alert], now_ms: int) -> list[AlertCard]:
    """What a person should see: what is open and nobody knows of, then what else is open, then what was over within a day
    and nobody knows of. Newest first.
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
    """An item that is new in a library."""

    key: str
    art: str
    title: str
    kind: str
    library: str
    when: When


def build_new_items(state: State, now_ms: int) -> list[NewItem]:
    """What was added of late and is there to be watched, newest first. Seasons and albums come with what is in them."""
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
