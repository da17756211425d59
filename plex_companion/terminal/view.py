"""The live view: connection, sessions, activities and alerts as one renderable, without clock, console or Plex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from plex_companion import words
from plex_companion.text import clean

if TYPE_CHECKING:
    from plex_companion.models import Alert, LinkState, Session
    from plex_companion.terminal.scene import Scene

MARKS: dict[str, tuple[str, str]] = {
    "playing": ("▶", "green"),
    "paused": ("‖", "yellow"),
    "buffering": ("◌", "magenta"),
    "error": ("✗", "bold red"),
}
LINKS: dict[LinkState, tuple[str, str]] = {
    "live": ("●", "bold green"),
    "connecting": ("○", "bold yellow"),
    "down": ("✗", "bold red"),
    "unauthorized": ("✗", "bold red"),
    "offline": ("○", "bold yellow"),
}
SEVERITIES = {"info": ("·", "cyan"), "warning": ("!", "yellow"), "error": ("✗", "bold red")}
GREY = "grey50"
MOST_ALERTS = 8
LOW = 20
"""Lines of a terminal in which one of each has to do."""
FEW = 3
"""Alerts and activities that keep their place however many sessions there are."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many of each thing fit."""

    sessions: int
    activities: int
    alerts: int


def room_for(scene: Scene, height: int | None) -> Room:
    """Sessions come first, but never push the newest alerts off the screen."""
    sessions, activities, alerts = len(scene.sessions), len(scene.activities), min(MOST_ALERTS, len(scene.alerts))
    if height is None:
        return Room(sessions, activities, alerts)
    few = FEW if height >= LOW else 1
    lines = height - len(_heading(scene)) - 2 - (activities > 0)  # headlines
    activities = min(activities, few)
    for_sessions = lines - activities - max(1, min(alerts, few))
    shown = sessions if 2 * sessions <= for_sessions else max(1, (for_sessions - 1) // 2)
    taken = 2 * shown + (shown < sessions) if sessions else 1
    return Room(shown, activities, min(alerts, max(1, lines - activities - taken)))


def render(scene: Scene, height: int | None = None) -> RenderableType:
    """Everything, no taller than `height` lines if it can be helped; as wide as what it is printed on."""
    room = room_for(scene, height)
    parts = [_heading(scene), _sessions(scene, room.sessions)]
    if room.activities:
        parts.append(_activities(scene, room.activities))
    parts.append(_alerts(scene, room.alerts))
    taken = len(parts[0]) + 2 * room.sessions + room.activities + room.alerts + len(parts) + 2  # with spare lines
    airy = height is None or taken + len(parts) <= height
    return Group(*(line for part in parts for line in ([*part, ""] if airy else part)))


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _headline(title: Text, scene: Scene) -> Rule:
    title.stylize("bold" if scene.is_live else "bold dim")
    return Rule(title, align="left", style="dim")


def _heading(scene: Scene) -> list[RenderableType]:
    """One line while all is well, another for whatever is not or not yet."""
    link = scene.state.connection
    mark, style = LINKS[link.state]
    left = _line((f"{mark} {words.link(link)}", style), f"  {words.server(scene.state)}")
    first = Table.grid(expand=True, padding=(0, 1))
    first.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    first.add_column(justify="right", no_wrap=True)
    first.add_row(left, _line(("plex-companion  ", "dim"), scene.time(scene.now_ms)))
    return [first, *_troubles(scene)]


def _troubles(scene: Scene) -> list[RenderableType]:
    link, fresh = scene.state.connection, scene.state.refreshed_at
    lines: list[RenderableType] = []
    if not scene.is_live and scene.state.sessions:
        since = f" at {scene.time(fresh)}" if fresh is not None else ", perhaps long ago"
        lines.append(_line((f"  What follows is the last known, confirmed{since}.", "yellow")))
    elif not scene.is_live and link.detail:
        lines.append(_line((f"  Since {scene.time(link.since_at)}. It is tried again from time to time.", "yellow")))
    if scene.is_live and link.detail:
        lines.append(_line((f"  Not all can be read: {clean(link.detail)}", "yellow")))
    history = scene.state.history
    if scene.is_importing:
        lines.append(_line((f"  Plex's history is being imported: {words.importing(history)}.", "cyan")))
    if scene.is_live and history.detail:
        lines.append(
            _line(
                (
                    f"  Plex's history {'has gaps' if history.complete else 'cannot be read'}: {clean(history.detail)}",
                    "yellow",
                )
            )
        )
    if scene.storage != "ok":
        lines.append(_line(("  The database cannot be written: nothing is remembered for later.", "bold red")))
    return lines


def _sessions(scene: Scene, most: int) -> list[RenderableType]:
    sessions = scene.sessions
    if not sessions:
        known = "Nothing plays." if scene.is_certain else "Not known." if not scene.is_live else "No session is known."
        title = Text("Playing" if scene.is_live else "Last known")
        return [_headline(title, scene), _line((f"  {known}", "dim"))]
    table = _table()
    for width in (1, None, None, None):
        table.add_column(width=width, no_wrap=True)
    table.columns[1].ratio, table.columns[1].overflow = 2, "ellipsis"
    table.columns[2].ratio, table.columns[2].overflow = 5, "ellipsis"
    table.columns[3].justify = "right"
    for session in sessions[:most]:
        table.add_row(*_session(session, scene), style="" if words.is_present(session, scene.state) else "dim")
    left_out = len(sessions) - most
    more = [_line((f"  … and {left_out} more", "dim"))] if left_out > 0 else []
    return [_headline(_sums(scene), scene), table, *more]


def _table() -> Table:
    return Table(box=None, show_header=False, expand=True, padding=(0, 1, 0, 0), pad_edge=False)


def _sums(scene: Scene) -> Text:
    sessions = scene.sessions
    transcoding = sum(session.decision == "transcode" for session in sessions)
    sums = (
        f"{'Playing' if scene.is_live else 'Last known'} ({len(sessions)})",
        f"{transcoding} transcoding" if transcoding else "",
        words.bandwidth(sum(session.bandwidth_kbps or 0 for session in sessions)),
    )
    return Text(" · ".join(part for part in sums if part))


def _session(session: Session, scene: Scene) -> tuple[Text, Group, Group, Group]:
    mark, style = _mark(session, scene)
    slow = session.transcode is not None and session.transcode.is_slow
    return (
        Text(mark, style),
        Group(_line((words.who(session), "bold")), _line((words.where(session), "dim"))),
        Group(_line(words.title(session)), _progress(session, scene)),
        Group(
            _line((words.how(session), GREY if style == GREY else "bold red" if slow else _how_style(session))),
            _line((words.bandwidth(session.bandwidth_kbps), "dim")),
        ),
    )


def _mark(session: Session, scene: Scene) -> tuple[str, str]:
    """Colours are for the present."""
    mark, style = MARKS.get(session.state, ("?", "dim"))
    return mark, style if words.is_present(session, scene.state) else GREY


def _how_style(session: Session) -> str:
    return "yellow" if session.decision == "transcode" else "green"


def _progress(session: Session, scene: Scene) -> RenderableType:
    _, style = _mark(session, scene)
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
    grid.add_column(ratio=1)
    grid.add_column(
        no_wrap=True, min_width=17, justify="right"
    )  # `1:02:03 / 2:30:00`, so that bars end below one another
    duration, here = session.item.duration_ms, words.position_ms(session, scene.state, scene.now_ms)
    bar: RenderableType = _bar(here, duration, style) if duration and not session.item.live else ""
    present = words.is_present(session, scene.state)
    state = (
        f"was {clean(session.state)} "
        if not present
        else ""
        if session.state == "playing"
        else f"{clean(session.state)} "
    )
    grid.add_row(bar, _line((state, style), words.position(session, scene.state, scene.now_ms)))
    return grid


def _bar(done: int, total: int, style: str) -> ProgressBar:
    return ProgressBar(total=total, completed=done, complete_style=style, finished_style=style, style="grey30")


def _activities(scene: Scene, most: int) -> list[RenderableType]:
    table = _table()
    table.add_column(width=1)
    table.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True, width=5)
    for activity in scene.activities[:most]:
        done = activity.progress if activity.progress is not None and activity.progress >= 0 else None
        bar: RenderableType = "" if done is None else _bar(done, 100, "cyan")
        table.add_row(Text("»", "cyan"), _line(words.doing(activity)), bar, "…" if done is None else f"{done} %")
    return [_headline(Text(f"Plex {'is' if scene.is_live else 'was'} busy ({len(scene.activities)})"), scene), table]


def _alerts(scene: Scene, most: int) -> list[RenderableType]:
    alerts = scene.alerts
    opened = len(scene.state.alerts)
    title = Text(f"Alerts ({opened} open)" if opened else "Alerts")
    if not alerts:
        return [_headline(title, scene), _line(("  None." if scene.is_live else "  None that is known.", "dim"))]
    table = _table()
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    for alert in alerts[:most]:
        table.add_row(*_alert(alert, scene), style="" if alert.resolved_at is None else "dim")
    return [_headline(title, scene), table]


def _alert(alert: Alert, scene: Scene) -> tuple[Text, str, Text, str]:
    mark, style = SEVERITIES.get(alert.severity, ("?", "dim"))
    lasted = 0 if alert.resolved_at is None else alert.resolved_at - alert.at
    known = scene.is_live or alert.kind in words.OWN_ALERTS
    end = (
        ("open" if known else "was open")
        if alert.resolved_at is None
        else f"lasted {words.length(lasted)}"
        if lasted
        else ""
    )
    return Text(mark, style), scene.time(alert.at), _line(clean(alert.title)), end
