"""The templates of the pages, and what they can call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from plex_companion.dashboard import formats
from plex_companion.dashboard.addresses import build_query_url, page_url
from plex_companion.dashboard.static_files import compute_build_id
from plex_companion.streams.names import format_bandwidth, format_codec, format_resolution

if TYPE_CHECKING:
    from markupsafe import Markup

    from plex_companion.companion import Companion
    from plex_companion.dashboard.addresses import Kind


class Templates:
    """Fills templates. Values are escaped; only the templates' own markup is HTML."""

    def __init__(self, companion: Companion) -> None:
        self._companion = companion
        self._environment = Environment(
            loader=PackageLoader("plex_companion.dashboard.mount"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {
            "build": compute_build_id(),
            "url": self._build_url,
            "art": self._build_art_url,
            "query_url": build_query_url,
            "codec": format_codec,
            "resolution": format_resolution,
            "bandwidth": format_bandwidth,
            "name": formats.render_name,
            "time": self._render_time,
            "chart_rows": formats.render_chart_rows,
            "number": formats.render_number,
            "count": formats.render_count,
            "size": formats.render_size,
            "duration": formats.render_duration,
        }

    def fill(self, template: str, **context: Any) -> str:
        """Return a template, filled."""
        return self._environment.get_template(template).render(context)

    def _build_url(self, kind: Kind, server: str | None, id_: str | int) -> str:
        """Return the address of the page of something. Where there is one server, the address does without.

        So does that of a person on a server that is not configured any more.
        """
        former = kind == "users" and server not in {link.machine_identifier for link in self._companion.links}
        return page_url(kind, None if former or len(self._companion.each) == 1 else server, id_)

    def _build_art_url(self, key: object, epoch: int, server: str | None = None) -> str:
        """Return the address of an item's poster. Where there is one server, the address does without."""
        if not key or not str(key).isdecimal():
            return f"/static/no-picture.png?{compute_build_id()}"
        place = f"{quote(server, safe='')}/" if server and len(self._companion.each) > 1 else ""
        return f"/art/{place}{key}?{epoch}"

    def _render_time(self, at: str | int, style: formats.Style = "full") -> Markup:
        return formats.render_time(at, style, self._companion.zone, self._companion.now_ms)
