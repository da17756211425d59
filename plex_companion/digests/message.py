"""Writes the weekly digest as a message: plain text, and HTML whose pictures are attached to it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from plex_companion.digests.content import read_digest
from plex_companion.models import Message, Poster
from plex_companion.text import format_count
from plex_companion.wording import format_length

if TYPE_CHECKING:
    from datetime import tzinfo

    from plex_companion.digests.content import DigestContent, NewTitle
    from plex_companion.history.source import HistorySource
    from plex_companion.times import Window


NAMED = 2
"""Up to so many servers, their names are in the title."""


PICTURES = 8
"""The most new titles that are shown with their posters."""


async def read_digest_message(source: HistorySource, window: Window) -> Message:
    """Read the digest of a window, and write it as a message. Plex is not asked."""
    return build_digest_message(await read_digest(source, window), source.zone)


def build_digest_message(content: DigestContent, zone: tzinfo) -> Message:
    """Build the message of a digest; days are written by the clock of the zone."""
    title = _build_title(content)
    pictures = [Poster(new.server, new.rating_key) for new in content.new if new.server and new.rating_key][:PICTURES]
    context = {
        "content": content,
        "title": title,
        "period": _format_period(content, zone),
        "zone": zone,
        "pictures": {(poster.server, poster.rating_key): number for number, poster in enumerate(pictures, 1)},
    }
    text, html = (_build_environment().get_template(f"digest.{form}.jinja").render(context) for form in ("txt", "html"))
    return Message(title, text.strip(), html.strip(), inline=tuple(pictures))


def _build_title(content: DigestContent) -> str:
    servers = (
        " and ".join(content.servers) if len(content.servers) <= NAMED else format_count(len(content.servers), "server")
    )
    return f"{servers or 'Plex'}: {format_count(content.total_new, 'new title')}, {format_count(content.plays, 'play')}"


@cache
def _build_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("plex_companion.digests"),
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "length": format_length,
        "count": format_count,
        "day": _format_day,
        "describe": describe_new_title,
    }
    return environment


def describe_new_title(new: NewTitle) -> str:
    """Return what is known of a new title beside its name: `3 episodes, 4K, Shows`."""
    unit = {"season": "episode", "album": "track", "photoalbum": "photo"}.get(new.kind or "", "item")
    parts = [format_count(new.items, unit)] if new.items > 1 else []
    if new.resolution:
        parts.append(_RESOLUTIONS.get(new.resolution, f"{new.resolution}p"))
    return ", ".join([*parts, *(name for name in (new.library, new.server_name) if name)])


_RESOLUTIONS = {"sd": "SD", "2k": "2K", "4k": "4K", "8k": "8K"}


def _format_period(content: DigestContent, zone: tzinfo) -> str:
    window = content.window
    return f"{_format_day(window.since or 0, zone)} to {_format_day(window.until, zone)}"


def _format_day(at: int, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC).astimezone(zone):%A, %-d %B %Y}"
