"""Answers as tables and bars, as wide as the console and without control characters from Plex. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from plex_companion import wording
from plex_companion.commands.terminal.view import SEVERITIES
from plex_companion.models import SAME_SERVER, ServerIdentity
from plex_companion.text import clean, format_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import tzinfo

    from rich.console import RenderableType

    Body = dict[str, Any]
    Column = str | tuple[str, dict[str, Any]]

NARROW, WIDE = 72, 110
"""Widths in columns: below the first, tables show fewer columns; from the second on, two charts stand side by side."""
NOTHING = "-"
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
NOW = timedelta(seconds=5)
DAYS = 31
"""The most days in the day chart of plain `stats`; `--by day` shows more."""
BY = {"user": "People", "title": "Shows, films, artists", "library": "Libraries", "platform": "Platforms", "decision": "Delivery", "resolution": "Resolutions", "day": "Days", "hour": "Hours of day", "weekday": "Weekdays", "month": "Months"}  # fmt: skip
BELOW = {"season": "episodes", "album": "tracks", "photoalbum": "photos"}
MOVED = {"additions": "New", "upgrades": "Better files", "deletions": "Deleted"}
EMPTY = (
    "Nothing is stored yet. Start plex-companion (serve or watch): it listens to Plex and imports Plex's own history."
)
UNFIT = "Nothing matches. Try a longer time with --since, or fewer of --user, --title and --library."


class TableLayout:
    """The width of the output and the format of its times. A `zone` of `None` is this machine's.

    With `whole`, nothing is cut or wrapped, however wide the output gets.
    """

    def __init__(self, width: int, now_ms: int, zone: tzinfo | None = None, *, whole: bool = False) -> None:
        self.width, self.zone, self.whole = width, zone, whole
        self.now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)

    @property
    def is_narrow(self) -> bool:
        """Whether only the most important columns fit."""
        return self.width < NARROW

    @property
    def name(self) -> dict[str, Any]:
        """The options of a column of names, whose width is limited so that long names leave room for titles."""
        return {} if self.whole else {"max_width": 12 if self.is_narrow else 20}

    def label(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the options of the column of names beside bars."""
        if self.whole:
            return {"min_width": max(map(cell_len, names), default=0)}
        return {"max_width": min(26, max(10, self.width // 3))}

    def format_end(self, iso: str) -> str:
        """Format the end of a period, as `now` if that is at most a few seconds away."""
        return (
            "now" if abs(datetime.fromisoformat(iso).astimezone(self.zone) - self.now) < NOW else self.format_time(iso)
        )

    def format_time(self, iso: str | None) -> str:
        """Format an ISO time for people, with the year only if it is not the current one."""
        if iso is None:
            return NOTHING
        moment = datetime.fromisoformat(iso).astimezone(self.zone)
        if moment.date() == self.now.date():
            return f"{moment:%H:%M}"
        return f"{moment:%d %b %H:%M}" if moment.year == self.now.year else f"{moment:%d %b %Y}"


def render(command: str, bodies: Sequence[Body], layout: TableLayout, *, narrow_question: bool) -> RenderableType:
    """Render the answers to a command."""
    body = bodies[0]
    match command:
        case "history":
            parts = _draw_history(body, layout, narrow_question=narrow_question)
        case "stats":
            parts = _draw_stats(bodies, layout)
        case "events":
            parts = _draw_events(body, layout)
        case "alerts":
            parts = _draw_alerts(body["alerts"], layout, body) if body["alerts"] else [build_line("No alerts.", "dim")]
        case _:
            parts = _draw_digest(body, layout)
    return Group(*parts, *_list_remarks(command, body, layout))


def _list_remarks(command: str, body: Body, layout: TableLayout) -> Iterator[Text]:
    """Yield the limits of the answer: lost connection, unfinished import, more pages, events no longer kept."""
    for text in list_offline(body, layout) if command != "digest" else ():
        yield build_line(text, "yellow", wrap=True)
    imported = body.get("history")
    if imported is not None and command != "digest" and not imported["complete"]:
        of = f" ({imported['imported']:,} of {imported['total']:,})" if imported["total"] else ""
        yield build_line(
            f"The import of Plex's own history is not finished{of}: older plays may be missing.", "yellow", wrap=True
        )
    if body.get("next_cursor") is not None and command in {"history", "alerts"}:
        yield build_line(
            "There are more. Raise --limit, or narrow the time with --since and --until.", "dim", wrap=True
        )
    if body.get("gap"):
        yield build_line("Older events are no longer kept.", "yellow")


def is_live(body: Body, row: Body | None = None) -> bool:
    """Return whether a plex-companion was connected to Plex, or to the server of a row, when the answer was given."""
    servers = {one["machine_identifier"]: one for one in body.get("servers", ())}
    if row is None or not servers:
        return bool(body["connection"]["state"] == "live")
    return row["server"] in servers and servers[row["server"]]["connection"]["state"] == "live"


def list_offline(body: Body, layout: TableLayout) -> Iterator[str]:
    """Say when Plex was last heard from, or every server that is away; anything since then is unknown."""
    servers = body.get("servers") or [{"connection": body["connection"]}]
    called = label_servers(body) if len(servers) > 1 else ["Plex"]
    away = [(name, one["connection"]) for name, one in zip(called, servers, strict=True)]
    away = [(name, connection) for name, connection in away if connection["state"] != "live"]
    listening = len(away) < len(servers) or any(_is_reported_away(connection) for _, connection in away)
    if not listening and len({connection["since"] for _, connection in away}) == 1:
        away = [("Plex", away[0][1])]
    for name, connection in away:
        yield _format_offline(name, connection, layout, listening=listening)


def _is_reported_away(connection: Body) -> bool:
    """Return whether a process that listens has said why a server is away."""
    return connection["state"] == "unauthorized" or wording.OUT_OF_REACH in (connection.get("detail") or "")


def _format_offline(name: str, connection: Body, layout: TableLayout, *, listening: bool) -> str:
    detail = connection.get("detail") or ""
    if detail.startswith(SAME_SERVER):
        return f"{name} is {detail}."
    if detail == wording.FORMER:
        return detail
    refused = connection["state"] == "unauthorized"
    if connection["stale_seconds"] is None:
        return f"No plex-companion has connected to {name} yet{': the token is refused' if refused else ''}."
    why = f"{name} can't be reached" if listening else wording.NOT_RUNNING
    if refused:
        why = f"{name} rejects the token"
    return f"{why}. It last heard from {name} at {layout.format_time(connection['since'])}; anything since then is unknown."


def label_servers(body: Body) -> list[str]:
    """Return how each server of an answer is called, in their order."""
    known = [
        ServerIdentity(one["machine_identifier"], one["name"]) if one["machine_identifier"] else None
        for one in body.get("servers", ())
    ]
    return wording.label_servers(known)


def label_server(body: Body, row: Body) -> str | None:
    """Return how the server of a row is called; `None` if several servers have not said who they are.

    One that is not configured any more has only its name.
    """
    identifiers = [one["machine_identifier"] for one in body.get("servers", ())]
    if row["server"] is None and identifiers.count(None) > 1:
        return None
    called: dict[str | None, str | None] = dict(zip(identifiers, label_servers(body), strict=True))
    return called.get(row["server"], row["server_name"])


def shows_servers(body: Body, rows: Iterable[Body]) -> bool:
    """Return whether rows must say of which server they are."""
    return "servers" in body or len({row["server_name"] for row in rows}) > 1


def build_line(text: str, style: str = "", *, wrap: bool = False) -> Text:
    """Return a line without control characters."""
    return Text(clean(text), style, no_wrap=not wrap, overflow="fold" if wrap else "ellipsis")


def build_heading(text: str) -> Text:
    """Return a heading."""
    return build_line(text, "bold", wrap=True)


def build_table(*columns: Column, header: bool = True) -> Table:
    """Return an empty table without borders."""
    table = Table(box=None, show_header=header, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=True)
    for column in columns:
        title, options = (column, {}) if isinstance(column, str) else column
        table.add_column(title, **{"no_wrap": True, "overflow": "ellipsis", **options})
    return table


RIGHT: dict[str, Any] = {"justify": "right"}
MAIN: dict[str, Any] = {"ratio": 1, "min_width": 16}


def build_cells(*texts: str | Text | None) -> list[Text]:
    """Return the cells of a row, without control characters; `-` for what is absent."""
    return [text if isinstance(text, Text) else Text(clean(text or NOTHING)) for text in texts]


def _format_watch_time(of: Body, form: Callable[[int], str] = wording.format_duration) -> str:
    """Format the watch time of a play or of several, with `~` before what is estimated; nothing if none is known."""
    if of["watched_ms"] is None or of.get("timed") == 0:
        return NOTHING
    return f"{'~' if of.get('estimated') or of.get('estimated_ms') else ''}{form(of['watched_ms'])}"


def _format_sum(body: Body) -> str:
    """Format the watch time of several plays and how much of it is estimated: `, 12 h 05 watched, 9 h 00 of it estimated`."""
    if not body["timed"]:
        return ""
    estimated = f", {format_hours(body['estimated_ms'])} of it estimated" if body["estimated_ms"] else ""
    return f", {format_hours(body['watched_ms'])} watched{estimated}"


def format_hours(ms: int) -> str:
    """Format a sum of watch time in hours and minutes; it may span years."""
    hours, minutes = divmod(ms // 60_000, 60)
    return f"{hours:,} h {minutes:02d}" if hours else f"{minutes} min"


# -- history


def _draw_history(body: Body, layout: TableLayout, *, narrow_question: bool) -> list[RenderableType]:
    plays = body["plays"]
    if not plays:
        return [build_line(UNFIT if narrow_question else EMPTY, wrap=True)]
    wide: list[Column] = [] if layout.is_narrow else [("where", layout.name), ("watched", RIGHT), "ended"]
    servers: list[Column] = [("server", layout.name)] if shows_servers(body, plays) else []
    table = build_table("when", *servers, ("who", layout.name), ("what", MAIN), *wide)
    for play in plays:
        cells = [layout.format_time(play["started_at"]), *([label_server(body, play)] if servers else [])]
        cells += [play["user"]["name"], play["full_title"] or play["rating_key"]]
        if not layout.is_narrow:
            cells += [play["player"]["title"], _format_watch_time(play), _format_end(play, body)]
        table.add_row(*build_cells(*cells), style="green" if play["ended_at"] is None and is_live(body, play) else "")
    return [table]


def _format_end(play: Body, body: Body) -> str:
    """Say how a play ended. It is unknown for a play that was running when Plex was last heard from."""
    if play["ended_at"] is not None:
        return str(play["ended_by"])
    return "playing" if is_live(body, play) else "unknown"


# -- stats


def _draw_stats(bodies: Sequence[Body], layout: TableLayout) -> list[RenderableType]:
    first = bodies[0]
    parts: list[RenderableType] = [_draw_sums(first, layout), ""]
    if not first["plays"]:
        return [_draw_sums(first, layout), build_line(EMPTY if first["period"] == "all" else UNFIT, wrap=True)]
    drawn = [_draw_chart(body, layout, short=len(bodies) > 1) for body in bodies]
    if len(drawn) == 1 or layout.width < WIDE:
        return [*parts, *_stack(drawn)]
    sides = Table.grid(expand=True, padding=(0, 4, 0, 0))
    for _ in range(2):
        sides.add_column(ratio=1)
    sides.add_row(Group(*_stack(drawn[:1])), Group(*_stack(drawn[1:])))
    return [*parts, sides]


def _stack(blocks: Sequence[list[RenderableType]]) -> Iterator[RenderableType]:
    for number, block in enumerate(blocks):
        if number:
            yield ""
        yield from block


def _draw_sums(body: Body, layout: TableLayout) -> Text:
    since = (
        f" since {layout.format_time(body['since'])}" if body["since"] and not body["since"].startswith("1970") else ""
    )
    known = body["timed"]
    watched = _format_sum(body)
    part = f" (known of {known:,})" if known and known < body["plays"] else ""
    return build_heading(
        f"{format_count(body['plays'], 'play')}{since} until {layout.format_end(body['until'])}{watched}{part}"
    )


def _draw_chart(body: Body, layout: TableLayout, *, short: bool) -> list[RenderableType]:
    by, entries = body["by"], body["entries"]
    if by == "library" and "servers" in body:
        entries = [{**entry, "label": f"{entry['name']} ({label_server(body, entry)})"} for entry in entries]
    if by == "day" and short:
        entries = entries[-DAYS:]
    most = max((entry["plays"] for entry in entries), default=0) or 1
    table = build_table(
        ("", layout.label([_format_label(by, entry) for entry in entries])),
        ("", {"ratio": 1, "min_width": 8}),
        ("plays", RIGHT),
        ("watched", RIGHT),
    )
    for entry in entries:
        shown = _format_label(by, entry)
        table.add_row(
            Text(shown),
            Bar(most, 0, entry["plays"], color="cyan"),
            Text(f"{entry['plays']:,}" if entry["plays"] else ""),
            Text(_format_watch_time(entry, format_hours) if entry["timed"] else ""),
        )
    left = body["total_entries"] - len(entries)
    more = [build_line(f"… and {left:,} more", "dim")] if left > 0 else []
    return [
        build_heading(f"{BY[by]} ({body['timezone']})" if by in {"day", "hour", "weekday", "month"} else BY[by]),
        table,
        *more,
    ]


def _format_label(by: str, entry: Body) -> str:
    if by == "day":
        return f"{datetime.fromisoformat(entry['key']):%a %d %b}"
    return clean(entry.get("label") or entry["name"] or entry["key"] or "unknown")


# -- events, alerts


def _draw_events(body: Body, layout: TableLayout) -> list[RenderableType]:
    if not body["events"]:
        return [build_line("No events: Plex sent none in this time, or none of these types.", "dim", wrap=True)]
    servers: list[Column] = [("server", layout.name)] if shows_servers(body, body["events"]) else []
    table = build_table(("id", RIGHT), "when", *servers, "type", ("", MAIN))
    for event in body["events"]:
        moment = datetime.fromisoformat(event["at"]).astimezone(layout.zone)
        day = "" if moment.date() == layout.now.date() else f"{moment:%d %b} "
        where = [label_server(body, event)] if servers else []
        table.add_row(*build_cells(event["id"], f"{day}{moment:%H:%M:%S}", *where, event["type"], event["summary"]))
    return [table]


def _draw_alerts(alerts: Sequence[Body], layout: TableLayout, body: Body) -> list[RenderableType]:
    servers: list[Column] = [("server", layout.name)] if shows_servers(body, alerts) else []
    table = build_table("", "when", *servers, *([] if layout.is_narrow else ["kind"]), ("what", MAIN), ("", RIGHT))
    for alert in alerts:
        mark, style = SEVERITIES.get(alert["severity"], ("?", "dim"))
        kind = [] if layout.is_narrow else [alert["kind"]]
        cells = build_cells(
            Text(mark, style),
            layout.format_time(alert["at"]),
            *([label_server(body, alert)] if servers else []),
            *kind,
            alert["title"],
            _format_duration(alert, live=is_live(body, alert)),
        )
        table.add_row(*cells, style="" if alert["resolved_at"] is None else "dim")
    return [table]


def _format_duration(alert: Body, *, live: bool) -> str:
    if alert["resolved_at"] is None:
        return "open" if live else "was open"
    lasted = datetime.fromisoformat(alert["resolved_at"]) - datetime.fromisoformat(alert["at"])
    seconds = lasted.total_seconds()
    return f"lasted {wording.format_duration(int(seconds * 1000))}" if seconds >= 1 else " "


# -- digest


def _draw_digest(body: Body, layout: TableLayout) -> list[RenderableType]:
    parts: list[list[RenderableType]] = [
        _draw_digest_plays(body["plays"], layout, body),
        *(_draw_library_changes(name, body[kind], layout, body) for kind, name in MOVED.items()),
        _draw_digest_alerts(body["alerts"], layout, body),
        _draw_outages(body["outages"], layout, body),
        [build_line(_convert_local(note, layout), "yellow", wrap=True) for note in body["notes"]],
    ]
    head = build_heading(
        f"What happened from {layout.format_time(body['since'])} until {layout.format_end(body['until'])}"
    )
    return [head, "", *_stack([part for part in parts if part])]


def _convert_local(note: str, layout: TableLayout) -> str:
    """Replace the ISO times in a note by the format of the rest of the report."""
    return _ISO.sub(lambda found: layout.format_time(found[0]), note)


def _draw_digest_plays(plays: Body, layout: TableLayout, body: Body) -> list[RenderableType]:
    if not plays["total"] and not plays["from_before"]:
        return [build_heading("Nothing was played")]
    watched = _format_sum(plays)
    parts: list[RenderableType] = [build_heading(f"{format_count(plays['total'], 'play')}{watched}")]
    wide: list[Column] = [] if layout.is_narrow else [("watched", RIGHT)]
    servers: list[Column] = [("server", layout.name)] if "servers" in body else []
    table = build_table("last", *servers, ("who", layout.name), ("what", MAIN), ("plays", RIGHT), *wide)
    for one in plays["entries"]:
        watched = _format_watch_time(one)
        cells = [layout.format_time(one["last_at"]), *([label_server(body, one)] if servers else [])]
        cells += [one["user_label"], one["label"], str(one["plays"]), watched]
        table.add_row(*build_cells(*cells[: len(table.columns)]))
    parts += [table] if plays["entries"] else []
    parts += _format_more(plays["total_entries"], plays["entries"])
    for play in plays["from_before"]:
        ends = _format_until(play, layout, live=is_live(body, play))
        title = play["full_title"] or play["rating_key"]
        who = play["user"]["name"] or "someone"
        parts.append(
            build_line(f"Started earlier: {who}, {title}, from {layout.format_time(play['started_at'])} {ends}")
        )
    return parts


def _format_until(play: Body, layout: TableLayout, *, live: bool) -> str:
    if play["playing"]:
        return "and still playing"
    if play["ended_at"] is None and not live:
        return "and was still playing when Plex was last heard from"
    return f"until {layout.format_time(play['ended_at'])}"


def _format_more(total: int, shown: Sequence[Body]) -> list[RenderableType]:
    return [build_line(f"… and {total - len(shown):,} more", "dim")] if total > len(shown) else []


def _draw_library_changes(name: str, moved: Body, layout: TableLayout, body: Body) -> list[RenderableType]:
    if not moved["items"]:
        return []
    table = build_table("when", ("what", MAIN), *([] if layout.is_narrow else ["library"]), header=False)
    for entry in moved["entries"]:
        count = f" ({entry['items']} {BELOW.get(entry['type'], 'items')})" if entry["items"] > 1 else ""
        what = f"{entry['title'] or ', '.join(entry['titles']) or entry['item_id']}{count}"
        table.add_row(
            *build_cells(
                layout.format_time(entry["last_at"]), what, *([] if layout.is_narrow else [_name_library(entry, body)])
            )
        )
    return [
        build_heading(f"{name}: {moved['items']:,}"),
        table,
        *_format_more(moved["total_entries"], moved["entries"]),
    ]


def _name_library(entry: Body, body: Body) -> str | None:
    """Return the name of a library, and that of its server if there are several."""
    return f"{entry['library']} ({label_server(body, entry)})" if entry.get("server_name") else entry["library"]


def _draw_digest_alerts(alerts: Body, layout: TableLayout, body: Body) -> list[RenderableType]:
    if not alerts["total"]:
        return []
    still = "open" if is_live(body) else "open when Plex was last heard from"
    opened = f", {alerts['open']} {still}" if alerts["open"] else ""
    return [
        build_heading(f"Alerts: {alerts['total']:,}{opened}"),
        *_draw_alerts(alerts["entries"], layout, body),
        *_format_more(alerts["total"], alerts["entries"]),
    ]


def _draw_outages(outages: Body, layout: TableLayout, body: Body) -> list[RenderableType]:
    if not outages["total"]:
        return []
    shown = [""] if any(one.get("server_name") for one in outages["entries"]) else []
    table = build_table("from", "until", ("", MAIN), *shown, header=False)
    for one in outages["entries"]:
        until = layout.format_time(one["until"]) if one["until"] else "now"
        where = [label_server(body, one)] if one.get("server_name") else []
        since, lasted = f"from {layout.format_time(one['since'])}", wording.format_duration(one["blind_ms"])
        table.add_row(*build_cells(since, f"until {until}", lasted, *where))
    blind = wording.format_duration(outages["blind_ms"])
    return [
        build_heading(f"Disconnected from Plex for {blind}"),
        table,
        *_format_more(outages["total"], outages["entries"]),
    ]
