"""Answers about the catalogue as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.bar import Bar
from rich.console import Group
from rich.text import Text

from plex_companion import wording
from plex_companion.commands.reports.tables import (
    MAIN,
    RIGHT,
    build_cells,
    build_heading,
    build_line,
    build_table,
    format_hours,
    is_live,
    list_offline,
)
from plex_companion.text import clean, format_count, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType
    from rich.table import Table

    from plex_companion.commands.reports.tables import TableLayout

    Body = dict[str, Any]
    Column = str | tuple[str, dict[str, Any]]

MONTHS = 12
"""The most months of growth that are shown."""
NAMES = {
    "library": "Libraries", "show": "Shows", "resolution": "Resolutions", "codec": "Codecs",
    "year_added": "Years of adding", "user_watched": "What people finished",
}  # fmt: skip


def render_catalogue(command: str, body: Body, layout: TableLayout) -> RenderableType:
    """Render the answer to a command about the catalogue."""
    match command:
        case "storage":
            parts = _draw_storage(body, layout)
        case "neglected":
            parts = _draw_neglected(body, layout)
        case "recommend":
            parts = _draw_recommendations(body)
        case "why":
            parts = [line for one in body.get("sessions", [body.get("play")]) for line in _draw_reasons(one)]
            parts = parts or [build_line("Nothing is playing." if is_live(body) else "Nothing was playing.")]
        case _:
            parts = _draw_search(body, layout)
    return Group(*parts, *_list_remarks(body, layout))


def _list_remarks(body: Body, layout: TableLayout) -> Iterator[Text]:
    """Yield the limits of the answer: a lost connection, an unfinished catalogue, more pages."""
    for text in list_offline(body, layout):
        yield build_line(text, "yellow", wrap=True)
    known = body.get("catalogue")
    if known is not None and not known["complete"]:
        of = f" of {known['total']:,}" if known["total"] else ""
        yield build_line(f"The catalogue is not complete: {known['items']:,}{of} items.", "yellow", wrap=True)
    if body.get("next_cursor") is not None:
        yield build_line("There are more. Raise --limit, or narrow the question.", "dim", wrap=True)


def _format_year(item: Body) -> str:
    title = item["title"] or item["rating_key"]
    return f"{title} ({item['year']})" if item["year"] else title


def _format_length(item: Body) -> str | None:
    return wording.format_duration(item["duration_ms"]) if item["duration_ms"] else None


def _draw_total(body: Body) -> Text:
    return build_heading(f"{format_count(body['total'], 'item')}, {format_size(body['total_size_bytes'] or 0)}")


def _draw_search(body: Body, layout: TableLayout) -> list[RenderableType]:
    if not body["items"]:
        return [build_line("Nothing matches.")]
    wide: list[Column] = [] if layout.is_narrow else ["type", ("library", layout.name)]
    table = build_table(("what", MAIN), *wide, ("length", RIGHT), ("size", RIGHT))
    for item in body["items"]:
        more = [] if layout.is_narrow else [item["type"], item["library"]]
        size = None if item["size_bytes"] is None else format_size(item["size_bytes"])
        table.add_row(*build_cells(_format_year(item), *more, _format_length(item), size))
    return [_draw_total(body), table]


def _draw_storage(body: Body, layout: TableLayout) -> list[RenderableType]:
    largest = max((group["size_bytes"] for group in body["groups"]), default=0) or 1
    table = build_table(
        ("", layout.label([_name_group(group) for group in body["groups"]])),
        ("", {"ratio": 1, "min_width": 8}),
        ("items", RIGHT),
        ("size", RIGHT),
        *([] if layout.is_narrow else [("watched", RIGHT), ("hours a GB", RIGHT)]),
    )
    for group in body["groups"]:
        ratio = group["watched_hours_per_gb"]
        more = (
            [] if layout.is_narrow else [format_hours(group["watched_ms"]), None if ratio is None else f"{ratio:.2f}"]
        )
        cells = build_cells(f"{group['items']:,}", format_size(group["size_bytes"]), *more)
        table.add_row(Text(_name_group(group)), Bar(largest, 0, group["size_bytes"], color="cyan"), *cells)
    size = format_size(body["total_size_bytes"])
    head = build_heading(f"{NAMES[body['by']]}: {format_count(body['total_items'], 'item')}, {size}")
    return [head, table, "", *_draw_growth(body)]


def _name_group(group: Body) -> str:
    return clean(group["name"] or group["id"] or "unknown")


def _draw_growth(body: Body) -> Iterator[RenderableType]:
    months = [month for month in body["growth"] if month["month"]][-MONTHS:]
    if not months:
        return
    largest = max(month["size_bytes"] for month in months) or 1
    table = build_table("", ("", {"ratio": 1, "min_width": 8}), ("items", RIGHT), ("size", RIGHT))
    for month in months:
        bar = Bar(largest, 0, month["size_bytes"], color="cyan")
        size = format_size(month["size_bytes"])
        table.add_row(Text(month["month"]), bar, *build_cells(f"{month['items']:,}", size))
    yield build_heading("Added")
    yield table


def _draw_neglected(body: Body, layout: TableLayout) -> list[RenderableType]:
    if not body["items"]:
        return [build_line(f"Everything was watched within {body['days']:,} days, or is new.")]
    wide: list[Column] = [] if layout.is_narrow else ["last watched", ("begun by", layout.name)]
    table = build_table(("what", MAIN), ("size", RIGHT), *wide)
    for item in body["items"]:
        names = ", ".join(one["user"]["name"] or one["user"]["id"] for one in item["begun"])
        watched = layout.format_time(item["last_watched_at"]) if item["last_watched_at"] else "never"
        more = [] if layout.is_narrow else [watched, names]
        table.add_row(
            *build_cells(
                _format_year(item), None if item["size_bytes"] is None else format_size(item["size_bytes"]), *more
            )
        )
    return [_draw_total(body), table]


def _draw_reasons(one: Body) -> Iterator[RenderableType]:
    """Yield a session or a play, how it is delivered, and why, each reason with a mark if it is inferred."""
    who, where = one["user"]["name"] or "someone", one["player"]["title"] or "a player"
    yield build_heading(f"{who}: {one['full_title'] or one['rating_key']} ({where}, {one['decision'] or 'unknown'})")
    for reason in one["reasons"]:
        yield build_line(f"  {reason['sentence']}{'' if reason['certain'] else ' (inferred)'}", wrap=True)
    if not one["reasons"] and one["decision"] == "direct play":
        yield build_line("  Plays as it is.")


def _draw_recommendations(body: Body) -> list[RenderableType]:
    if not body["items"]:
        return [build_line("Nothing fits: everything was watched, or has nothing in common with what was.", wrap=True)]
    table = build_table(("what", MAIN), ("length", RIGHT), ("why", {"overflow": "fold", "no_wrap": False}))
    _add_reasons(table, body)
    return [table]


def _add_reasons(table: Table, body: Body) -> None:
    for item in body["items"]:
        table.add_row(*build_cells(_format_year(item), _format_length(item), item["reason"]))
