"""The texts that a target gets: several messages as one, and what is longer than its service takes. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from plex_companion.models import Message
from plex_companion.text import format_count
from plex_companion.times import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo

CUT = "…"
"""The end of a text that was cut."""
LONGEST_LINE = 300
"""Characters of one message among several."""
_MENTION = re.compile(r"@(?=(?:everyone|here|channel|all)\b|[&!]?\d)", re.IGNORECASE)
_JOINER = "\u2060"
"""Keeps two characters together and has no width."""


def cut_text(text: str, most: int) -> str:
    """Return a text of at most `most` characters. One that was cut ends in an ellipsis."""
    return text if len(text) <= most else f"{text[: max(0, most - len(CUT))].rstrip()}{CUT}"[: max(0, most)]


def fit_text(text: str, most: int, measure: Callable[[str], int] = len) -> str:
    """Return a text whose measure is at most `most`: services count it as they spell it, as `&amp;` for an ampersand."""
    fitting, size = cut_text(text, most), most
    while size > 0 and (length := measure(fitting)) > most:
        size = min(size - 1, size * most // length)
        fitting = cut_text(text, size)
    return fitting


def silence_mentions(text: str) -> str:
    """Return a text that calls nobody: a player may have the name @everyone, which a chat would ring for."""
    return _MENTION.sub(f"@{_JOINER}", text)


def merge_messages(messages: Sequence[tuple[int, Message]], zone: tzinfo, most: int) -> Message:
    """Return one message for several, in their order; one alone stays as it is.

    Args:
        messages: each with the time it is from, milliseconds since 1970.
        zone: the time zone that times are shown in, if they differ.
        most: the most characters of the text. What does not fit is counted.
    """
    if len(messages) == 1:
        return messages[0][1]
    same_title = len({one.title for _, one in messages}) == 1
    number = format_count(len(messages), "message")
    title = f"{messages[0][1].title} ({number})" if same_title else number
    lines = [_build_line(one, with_title=not same_title) for _, one in messages]
    times = [at for at, _ in messages]
    if max(times) - min(times) >= MINUTE_MS:
        lines = [f"{clock}  {line}" for clock, line in zip(_format_times(times, zone), lines, strict=True)]
    posters = {one.poster for _, one in messages}
    return Message(title, _join_lines(lines, most), poster=posters.pop() if len(posters) == 1 else None)


def _build_line(message: Message, *, with_title: bool) -> str:
    text = " ".join(message.text.split())
    if not with_title:
        return cut_text(text or message.title, LONGEST_LINE)
    return cut_text(f"{message.title}: {text}" if text else message.title, LONGEST_LINE)


def _format_times(times: Sequence[int], zone: tzinfo) -> list[str]:
    """Return the times of day, with the day where they are of several."""
    moments = [datetime.fromtimestamp(at / 1000, UTC).astimezone(zone) for at in times]
    form = "%H:%M" if len({moment.date() for moment in moments}) == 1 else "%a %H:%M"
    return [moment.strftime(form) for moment in moments]


def _join_lines(lines: Sequence[str], most: int) -> str:
    """Join lines while they fit, and say how many did not."""
    whole = "\n".join(lines)
    if len(whole) <= most:
        return whole
    kept = 0
    length = len(_format_rest(len(lines)))
    while kept < len(lines) and length + len(lines[kept]) + 1 <= most:
        length += len(lines[kept]) + 1
        kept += 1
    return cut_text("\n".join([*lines[:kept], _format_rest(len(lines) - kept)]), most)


def _format_rest(count: int) -> str:
    return f"{CUT} and {count:,} more"
