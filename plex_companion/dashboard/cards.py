"""The content of the page's cards (sessions, alerts, tasks, new items) in words, before any HTML. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plex_companion import wording
from plex_companion.serialize import format_iso
from plex_companion.streams.names import format_bandwidth
from plex_companion.text import clean, format_count
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from plex_companion.changes.state import State
    from plex_companion.models import Activity, Alert, Session

SHOWN_ALERTS = 8
ROUTINE = frozenset({"scan_finished", "new_device"})
"""Kinds of alerts that only say that something was done. They need no attention."""


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
    """The warning that something cannot be read although Plex is connected, or that the database cannot be written."""
    servers: tuple[ConnectionBanner, ...] = ()
    """Of several servers, each: the page shows the present as long as one of them is connected."""


def build_shared_banner(states: Sequence[State], now_ms: int, storage: str) -> ConnectionBanner:
    """Build the banner of several servers, with one for each that says how that server is."""
    named = zip(states, label_states(states), strict=True)
    each = tuple(replace(build_banner(state, now_ms, "ok"), server=name) for state, name in named)
    live = next((state for state in states if state.connection.state == "live"), None)
    whole = build_banner(live or states[0], now_ms, storage)
    notes = [whole.note] if storage != "ok" else []
    return replace(whole, server="", note=" ".join(notes), servers=each)


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
    play_id: int
    art: str | None
    """The rating key of its poster; live TV has none."""
    user_id: str | None
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
    epoch: int = 0
    """Differs after every new connection to the server: addresses of posters change with it."""
    server: str | None = None
    """The machine identifier of the server, where there are several."""
    server_name: str = ""


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
        play_id=session.play_id,
        user_id=session.user.id if session.user else None,
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
        epoch=state.connection.epoch,
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
    title = item.grandparent_title if _is_episode(session) else item.title or wording.format_title(session)
    return clean(title or "")


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


def build_summary(*states: State) -> Summary:
    """Sum up the streams, how many are transcoding, and their bandwidth."""
    sessions = [session for state in states for session in state.sessions.values()]
    live = any(state.connection.state == "live" for state in states)
    transcoding = sum(session.decision == "transcode" for session in sessions)
    kbps = sum(session.bandwidth_kbps or 0 for session in sessions)
    count = len(sessions)
    parts = [format_count(count, "stream")] if count else []
    parts += [f"{transcoding} transcoding"] if transcoding else []
    parts += [format_bandwidth(kbps)] if kbps else []
    page = f"{count} playing" if count else "Nothing playing"
    return Summary(count, " · ".join(parts), page if live else "Plex disconnected")


def build_cards(state: State, now_ms: int) -> list[Card]:
    """Build a card for every session: first what needs attention, and among equals the oldest."""
    return [build_card(session, state, now_ms) for session in sorted(state.sessions.values(), key=_order)]


def build_shared_cards(states: Sequence[State], now_ms: int) -> list[Card]:
    """Build the cards of several servers in the same order, each with the name of its server."""
    named = zip(states, label_states(states), strict=True)
    playing = [(session, state, name) for state, name in named for session in state.sessions.values()]
    playing.sort(key=lambda one: _order(one[0]))
    return [
        replace(build_card(session, state, now_ms), server=get_server_id(state), server_name=name)
        for session, state, name in playing
    ]


def get_server_id(state: State) -> str | None:
    """Return the machine identifier of a server; `None` while it is unknown."""
    return state.server.machine_identifier if state.server else None


def label_servers_by_id(states: Sequence[State]) -> dict[str, str]:
    """Return how the page calls each server, by machine identifier; nothing where there is one."""
    labels = zip(states, label_states(states), strict=True)
    return {state.server.machine_identifier: label for state, label in labels if state.server and len(states) > 1}


def list_server_choices(states: Sequence[State]) -> list[tuple[str, str]]:
    """Return the servers to choose from, each as its machine identifier and label; none where there is one."""
    return [*label_servers_by_id(states).items()]


def label_states(states: Iterable[State]) -> list[str]:
    """Return how the page calls each of several servers."""
    return wording.label_servers([state.server for state in states])


def _order(session: Session) -> tuple[int, int, int]:
    return _rank_attention(session), session.started_at, session.play_id


_RANKS = {"error": 0, "buffering": 1, "paused": 5}


def _rank_attention(session: Session) -> int:
    """Return 0 for an error, then buffering, a transcode that is too slow, any transcode, other playing, and paused last."""
    playing = 4
    if session.decision == "transcode":
        playing = 2 if wording.is_too_slow(session.transcode) else 3
    return _RANKS.get(session.state, playing)


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


def build_shared_tasks(states: Sequence[State]) -> list[Task]:
    """Build the tasks of several servers, each with the name of its server."""
    return [
        Task(f"{get_server_id(state)}-{task.key}", f"{name}: {task.words}", task.percent)
        for state, name in zip(states, label_states(states), strict=True)
        for task in build_tasks(state)
    ]


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
    server_name: str = ""
    """The name of the server, where there are several."""


def build_alert_cards(
    alerts: Iterable[Alert], now_ms: int, servers: Mapping[int, str] | None = None
) -> list[AlertCard]:
    """Select the alerts a person should see, newest first within each group.

    Open alerts that nobody acknowledged come first, then other open ones, then unacknowledged ones resolved within a day.
    Routine is left out.
    """
    wanted = (alert for alert in alerts if alert.kind not in ROUTINE)
    shown = [alert for alert in wanted if alert.resolved_at is None or _is_news(alert, now_ms)]
    shown.sort(key=lambda one: (one.resolved_at is None, one.acknowledged_at is None, one.id), reverse=True)
    named = servers or {}
    return [
        replace(_build_alert_card(alert, now_ms), server_name=named.get(alert.id, "")) for alert in shown[:SHOWN_ALERTS]
    ]


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
