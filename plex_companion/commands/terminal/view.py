"""The live view: connection, sessions, activities and alerts as one renderable. Pure: no clock, console or Plex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from plex_companion import wording
from plex_companion.streams.names import format_bandwidth
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.commands.terminal.view_model import ViewModel
    from plex_companion.models import Alert, LinkState, Session

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
"""A terminal with fewer lines reserves room for one alert and one activity only."""
LEAST_LINES = 7
"""The lines of a server on which one thing is playing and one alert is known."""
FEWEST_ROWS = 3
"""At least this many alerts and activities are shown, whatever the number of sessions."""


@dataclass(frozen=True, slots=True)
class ViewLayout:
    """How many of each thing fit."""

    sessions: int
    activities: int
    alerts: int


def fit_layout(model: ViewModel, height: int | None) -> ViewLayout:
    """Distribute the lines: sessions come first, but never push the newest alerts off the screen."""
    sessions, activities, alerts = len(model.sessions), len(model.activities), min(MOST_ALERTS, len(model.alerts))
    if height is None:
        return ViewLayout(sessions, activities, alerts)
    few = FEWEST_ROWS if height >= LOW else 1
    lines = height - len(_build_heading(model)) - 2 - (activities > 0)  # headlines
    activities = min(activities, few)
    for_sessions = lines - activities - max(1, min(alerts, few))
    shown = sessions if 2 * sessions <= for_sessions else max(1, (for_sessions - 1) // 2)
    taken = 2 * shown + (shown < sessions) if sessions else 1
    return ViewLayout(shown, activities, min(alerts, max(1, lines - activities - taken)))


def render(model: ViewModel, height: int | None = None) -> RenderableType:
    """Render everything in at most `height` lines, if possible, and as wide as the console."""
    layout = fit_layout(model, height)
    parts = [_build_heading(model), _render_sessions(model, layout.sessions)]
    if layout.activities:
        parts.append(_render_activities(model, layout.activities))
    parts.append(_render_alerts(model, layout.alerts))
    taken = len(parts[0]) + 2 * layout.sessions + layout.activities + layout.alerts + len(parts) + 2  # with spare lines
    airy = height is None or taken + len(parts) <= height
    return Group(*(line for part in parts for line in ([*part, ""] if airy else part)))


def render_servers(models: Sequence[ViewModel], height: int | None = None) -> RenderableType:
    """Render every server below the one before. If not all fit, those that are away come first, so that none hides."""
    if len(models) == 1:
        return render(models[0], height)
    share = None if height is None else max(LEAST_LINES, height // len(models))
    crowded = height is not None and len(models) * LEAST_LINES > height
    ordered = sorted(models, key=lambda model: model.is_live) if crowded else models
    return Group(*(render(model, share) for model in ordered))


def _build_line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _build_headline(title: Text, model: ViewModel) -> Rule:
    title.stylize("bold" if model.is_live else "bold dim")
    return Rule(title, align="left", style="dim")


def _build_heading(model: ViewModel) -> list[RenderableType]:
    """Build the status line, and a further line for each problem or unfinished import."""
    link = model.state.connection
    mark, style = LINKS[link.state]
    left = _build_line((f"{mark} {wording.format_connection(link)}", style), f"  {wording.format_server(model.state)}")
    first = Table.grid(expand=True, padding=(0, 1))
    first.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    first.add_column(justify="right", no_wrap=True)
    first.add_row(left, _build_line(("plex-companion  ", "dim"), model.format_time(model.now_ms)))
    return [first, *_list_troubles(model)]


def _list_troubles(model: ViewModel) -> list[RenderableType]:
    link, fresh = model.state.connection, model.state.refreshed_at
    lines: list[RenderableType] = []
    if not model.is_live and model.state.sessions:
        since = f"confirmed at {model.format_time(fresh)}" if fresh is not None else "perhaps from long ago"
        lines.append(_build_line((f"  This is the last known state, {since}.", "yellow")))
    elif not model.is_live and link.detail:
        lines.append(_build_line((f"  Disconnected since {model.format_time(link.since_at)}, retrying.", "yellow")))
    if model.is_live and link.detail:
        lines.append(_build_line((f"  Some data can't be read: {clean(link.detail)}", "yellow")))
    history = model.state.history
    if model.is_importing:
        lines.append(_build_line((f"  Importing Plex's history: {wording.format_import(history)}.", "cyan")))
    if model.is_live and history.detail:
        lines.append(
            _build_line(
                (
                    f"  Plex's history {'is incomplete' if history.complete else 'is unreadable'}: {clean(history.detail)}",
                    "yellow",
                )
            )
        )
    if model.storage != "ok":
        lines.append(_build_line(("  The database can't be written: nothing is being saved.", "bold red")))
    return lines


def _render_sessions(model: ViewModel, most: int) -> list[RenderableType]:
    sessions = model.sessions
    if not sessions:
        known = (
            "Nothing is playing."
            if model.is_certain
            else "No sessions found."
            if model.is_live
            else "Unknown while Plex is disconnected."
        )
        title = Text("Now playing" if model.is_live else "Last known")
        return [_build_headline(title, model), _build_line((f"  {known}", "dim"))]
    table = _build_table()
    for width in (1, None, None, None):
        table.add_column(width=width, no_wrap=True)
    table.columns[1].ratio, table.columns[1].overflow = 2, "ellipsis"
    table.columns[2].ratio, table.columns[2].overflow = 5, "ellipsis"
    table.columns[3].justify = "right"
    for session in sessions[:most]:
        table.add_row(*_render_session(session, model), style="" if wording.is_present(session, model.state) else "dim")
    left_out = len(sessions) - most
    more = [_build_line((f"  … and {left_out} more", "dim"))] if left_out > 0 else []
    return [_build_headline(_render_sums(model), model), table, *more]


def _build_table() -> Table:
    return Table(box=None, show_header=False, expand=True, padding=(0, 1, 0, 0), pad_edge=False)


def _render_sums(model: ViewModel) -> Text:
    sessions = model.sessions
    transcoding = sum(session.decision == "transcode" for session in sessions)
    sums = (
        f"{'Now playing' if model.is_live else 'Last known'} ({len(sessions)})",
        f"{transcoding} transcoding" if transcoding else "",
        format_bandwidth(sum(session.bandwidth_kbps or 0 for session in sessions)),
    )
    return Text(" · ".join(part for part in sums if part))


def _render_session(session: Session, model: ViewModel) -> tuple[Text, Group, Group, Group]:
    mark, style = _choose_mark(session, model)
    slow = session.transcode is not None and session.transcode.is_slow
    return (
        Text(mark, style),
        Group(
            _build_line((wording.format_user(session), "bold")), _build_line((wording.format_player(session), "dim"))
        ),
        Group(_build_line(wording.format_title(session)), _render_progress(session, model)),
        Group(
            _build_line(
                (
                    wording.format_decision(session),
                    GREY if style == GREY else "bold red" if slow else _choose_style(session),
                )
            ),
            _build_line((format_bandwidth(session.bandwidth_kbps), "dim")),
        ),
    )


def _choose_mark(session: Session, model: ViewModel) -> tuple[str, str]:
    """Choose the mark of a session. It is coloured only while the state is current."""
    mark, style = MARKS.get(session.state, ("?", "dim"))
    return mark, style if wording.is_present(session, model.state) else GREY


def _choose_style(session: Session) -> str:
    return "yellow" if session.decision == "transcode" else "green"


def _render_progress(session: Session, model: ViewModel) -> RenderableType:
    _, style = _choose_mark(session, model)
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
    grid.add_column(ratio=1)
    grid.add_column(
        no_wrap=True, min_width=17, justify="right"
    )  # `1:02:03 / 2:30:00`, so that bars end below one another
    duration, here = session.item.duration_ms, wording.compute_position_ms(session, model.state, model.now_ms)
    bar: RenderableType = _render_bar(here, duration, style) if duration and not session.item.live else ""
    present = wording.is_present(session, model.state)
    state = (
        f"was {clean(session.state)} "
        if not present
        else ""
        if session.state == "playing"
        else f"{clean(session.state)} "
    )
    grid.add_row(bar, _build_line((state, style), wording.format_position(session, model.state, model.now_ms)))
    return grid


def _render_bar(done: int, total: int, style: str) -> ProgressBar:
    return ProgressBar(total=total, completed=done, complete_style=style, finished_style=style, style="grey30")


def _render_activities(model: ViewModel, most: int) -> list[RenderableType]:
    table = _build_table()
    table.add_column(width=1)
    table.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True, width=5)
    for activity in model.activities[:most]:
        done = activity.progress if activity.progress is not None and activity.progress >= 0 else None
        bar: RenderableType = "" if done is None else _render_bar(done, 100, "cyan")
        table.add_row(
            Text("»", "cyan"), _build_line(wording.format_activity(activity)), bar, "…" if done is None else f"{done} %"
        )
    return [
        _build_headline(Text(f"Plex {'is' if model.is_live else 'was'} working ({len(model.activities)})"), model),
        table,
    ]


def _render_alerts(model: ViewModel, most: int) -> list[RenderableType]:
    alerts = model.alerts
    opened = len(model.open_alerts)
    title = Text(f"Alerts ({opened} open)" if opened else "Alerts")
    if not alerts:
        return [
            _build_headline(title, model),
            _build_line(("  None." if model.is_live else "  None known.", "dim")),
        ]
    table = _build_table()
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    for alert in alerts[:most]:
        table.add_row(*_render_alert(alert, model), style="" if alert.resolved_at is None else "dim")
    return [_build_headline(title, model), table]


def _render_alert(alert: Alert, model: ViewModel) -> tuple[Text, str, Text, str]:
    mark, style = SEVERITIES.get(alert.severity, ("?", "dim"))
    lasted = 0 if alert.resolved_at is None else alert.resolved_at - alert.at
    known = model.is_live or alert.kind in wording.OWN_ALERTS
    end = (
        ("open" if known else "was open")
        if alert.resolved_at is None
        else f"lasted {wording.format_duration(lasted)}"
        if lasted
        else ""
    )
    return Text(mark, style), model.format_time(alert.at), _build_line(clean(alert.title)), end
