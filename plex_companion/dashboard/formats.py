"""Values in HTML: the server writes them in English and in its own zone, the script in the manner of the browser."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup, escape

from plex_companion import wording
from plex_companion.text import clean, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Style = Literal["ago", "full", "date", "clock"]
"""`5 min ago`; day and time; day; time of day with seconds."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def render_name(text: str | None) -> Markup:
    """Render text from elsewhere in its own direction, whatever stands around it."""
    return _build("<bdi>", clean(text or ""), "</bdi>")


def render_time(at: str | int, style: Style, zone: tzinfo | None, now_ms: int) -> Markup:
    """Render a time, given as ISO 8601 or in milliseconds since 1970."""
    moment = datetime.fromtimestamp(at / 1000, UTC) if isinstance(at, int) else datetime.fromisoformat(at)
    ms = round(moment.timestamp() * 1000)
    words = wording.format_ago(ms, now_ms) if style == "ago" else _format_time(moment.astimezone(zone), style)
    iso = moment.astimezone(UTC).isoformat(timespec="seconds")
    return _build(f'<time datetime="{iso}" data-at="{ms}" data-style="{style}">', words, "</time>")


def _format_time(at: datetime, style: Style) -> str:
    """Format a time as `03 Mar 2026, 20:15`, `03 Mar 2026` or `20:15:00`. `strftime` takes five times as long."""
    if style == "clock":
        return f"{at.hour:02d}:{at.minute:02d}:{at.second:02d}"
    date = f"{at.day:02d} {MONTHS[at.month - 1]} {at.year}"
    return date if style == "date" else f"{date}, {at.hour:02d}:{at.minute:02d}"


def render_number(number: float) -> Markup:
    """Render a number with separators of thousands."""
    return _build(f'<data value="{number}" data-number>', f"{number:,}", "</data>")


def render_count(number: int, one: str, several: str | None = None) -> Markup:
    """Render a number with its noun: `1 play`, `1,234 plays`."""
    return render_number(number) + (f" {one}" if number == 1 else f" {several or one + 's'}")


def render_size(size: int | None) -> Markup:
    """Render a number of bytes as `1.2 GB`; as a dash if it is unknown."""
    if size is None:
        return Markup("–")  # noqa: RUF001 - a dash for a person
    return _build(f'<data value="{size}" data-size>', format_size(size), "</data>")


def render_duration(ms: int | None) -> Markup:
    """Render a length as `3 h 20 min`; as a dash if it is unknown."""
    if ms is None:
        return Markup("–")  # noqa: RUF001 - a dash for a person
    return _build(f'<data value="{ms}" data-duration>', wording.format_length(ms), "</data>")


def render_chart_rows(rows: Iterable[Mapping[str, Any]]) -> Markup:
    """Render the rows of the table of a chart: what each is of, the plays, and how long was watched.

    `mark` is what the axis calls it, if not by its name. A year has 366 rows: a template takes five times as long.
    """
    return Markup("\n").join(map(_render_chart_row, rows))


def _render_chart_row(row: Mapping[str, Any]) -> Markup:
    mark = f' data-label="{escape(row["mark"])}"' if row["mark"] != row["name"] else ""
    numbers = f'{render_number(row["plays"])}</td><td class="amount">{render_duration(row["watched_ms"])}'
    return _build(f'<tr><th scope="row"{mark}>', row["name"], f'</th><td class="amount">{numbers}</td></tr>')


def _build(start: str, text: str, end: str) -> Markup:
    """Put text between tags of ours. A page has hundreds of values: `Markup.format` takes ten times as long."""
    return Markup(f"{start}{escape(text)}{end}")  # noqa: S704 - the text is escaped, the tags hold numbers and our own words
