"""Scenes to draw: a den in which a lamp film plays. Everything in them is invented."""

from __future__ import annotations

import io
from datetime import UTC
from typing import TYPE_CHECKING, Any

from msgspec import structs
from rich.cells import cell_len
from rich.console import Console

from plex_companion.changes.state import State
from plex_companion.commands.terminal.view import render_servers
from plex_companion.commands.terminal.view_model import ViewModel
from plex_companion.models import (
    Activity,
    Alert,
    Connection,
    Item,
    LinkState,
    Player,
    ServerIdentity,
    Session,
    Transcode,
    User,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_795_370_400_000
FILM = Item(rating_key="501", type="movie", title="The Lamp", year=2031, duration_ms=7_200_000)


def session(number: int = 1, **more: Any) -> Session:
    """Ada watches on the big TV and is ten minutes into it."""
    facts: dict[str, Any] = {
        "play_id": number,
        "epoch": 1,
        "session_key": str(number),
        "item": FILM,
        "state": "playing",
        "started_at": NOW - 600_000,
        "updated_at": NOW,
        "heard_tick": 0,
        "user": User("1", "Ada"),
        "player": Player("tv-1", "Big TV"),
        "view_offset_ms": 600_000,
        "decision": "direct play",
        "bandwidth_kbps": 8_100,
    }
    return Session(**(facts | more))


def job(**more: Any) -> Transcode:
    """A transcoder at work."""
    facts: dict[str, Any] = {"key": "t-1", "video_decision": "transcode", "speed": 1.4}
    return Transcode(**(facts | more))


def activity(**more: Any) -> Activity:
    """A scan."""
    facts: dict[str, Any] = {"uuid": "u-1", "title": "Scanning Films", "progress": 40}
    return Activity(**(facts | more))


def alert(number: int = 1, **more: Any) -> Alert:
    """An open warning."""
    facts: dict[str, Any] = {
        "id": number,
        "at": NOW - 60_000,
        "kind": "buffering",
        "severity": "warning",
        "title": f"Keeps buffering: number {number}",
        "detail": {},
        "subject": str(number),
    }
    return Alert(**(facts | more))


def scene(
    *sessions: Session,
    link: LinkState = "live",
    detail: str | None = None,
    alerts: Sequence[Alert] = (),
    activities: Sequence[Activity] = (),
    now_ms: int = NOW,
    **more: Any,
) -> ViewModel:
    """The den at one moment; alerts that are over are past."""
    server = ServerIdentity("den-1", more.pop("name", "Den"), "1.43.3.1-abc")
    state = State(Connection(link, NOW - 5_000, 1, detail), server)
    state.sessions = {one.session_key: one if link == "live" else structs.replace(one, stale=True) for one in sessions}
    state.activities = {one.uuid: one for one in activities}
    state.alerts = {(one.kind, one.subject): one for one in alerts if one.resolved_at is None}
    state.refreshed_at = more.pop("refreshed_at", NOW)
    return ViewModel(state, now_ms, [one for one in alerts if one.resolved_at is not None], zone=UTC, **more)


def drawn(it: ViewModel, width: int = 80, height: int | None = None) -> list[str]:
    """The lines of the view, as a terminal of this size shows them without colours."""
    return drawn_together([it], width, height)


def drawn_together(servers: Sequence[ViewModel], width: int = 80, height: int | None = None) -> list[str]:
    """The lines of the view of several servers."""
    console = Console(file=io.StringIO(), width=width)
    console.print(render_servers(servers, height))
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert all(cell_len(line) <= width for line in lines)
    return lines


def text(it: ViewModel, width: int = 80) -> str:
    """The same as one text."""
    return "\n".join(drawn(it, width))
