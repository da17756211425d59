"""Renders the parts of the page as HTML fragments: once per state for all viewers, and sent fragment by fragment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
from jinja2 import Environment, PackageLoader, StrictUndefined

from plex_companion.cache.queries.chart_queries import Ranking, count_plays_by_quarter
from plex_companion.dashboard import cards, charts
from plex_companion.history.alert_pages import read_latest
from plex_companion.history.play_counts import count_plays
from plex_companion.times import DAY_MS, Window
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plex_companion.changes.state import State
    from plex_companion.companion import Companion

ALERTS_READ = 100
RANKED = 6
CHARTS_MIN_SECONDS = 2
"""The charts are recounted at most this often."""
CHARTS_MAX_SECONDS = 60
"""The charts are recounted at least this often."""

Fragments = dict[str, str]
"""HTML by key, in the order it is shown."""


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """The page as of one committed state."""

    state: State
    cursor: int
    """The newest journal event that it includes."""
    link: str
    """The state of the connection."""
    parts: Mapping[str, Fragments]


class PageRenderer:
    """Renders the parts of the page. Viewers of one state share one rendering."""

    def __init__(self, companion: Companion) -> None:
        self._companion = companion
        self._environment = Environment(
            loader=PackageLoader("plex_companion.dashboard.mount"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._lock = anyio.Lock()
        self._page: RenderedPage | None = None
        self._charts: _RenderedCharts | None = None

    def fill_template(self, template: str, **context: Any) -> str:
        """Render a template. Values are escaped; only the template's own markup is HTML."""
        return self._environment.get_template(template).render(context)

    async def render(self) -> RenderedPage:
        """Return all parts as of the newest commit, rendered at most once per state."""
        async with self._lock:
            state = self._companion.state
            if self._page is None or self._page.state is not state:
                self._page = await self._render_parts(state)
            return self._page

    async def _render_parts(self, state: State) -> RenderedPage:
        now = self._companion.now_ms
        alerts = await read_latest(self._companion, ALERTS_READ)
        blind = state.connection.state != "live"
        parts = {
            "link": self._render_one("link.html", link=cards.build_banner(state, now, self._companion.live.storage)),
            "summary": self._render_one(
                "summary.html", summary=cards.build_summary(state), link=state.connection.state
            ),
            "now": self._render_each("session.html", cards.build_cards(state, now), epoch=state.connection.epoch)
            or self._render_one("nothing.html", blind=blind),
            "alerts": self._render_each("alert.html", cards.build_alert_cards(alerts, now), blind=blind),
            "tasks": self._render_each("task.html", cards.build_tasks(state)),
            "added": self._render_each("arrival.html", cards.build_new_items(state, now), epoch=state.connection.epoch),
            "charts": (await self._render_charts(state)).fragments,
        }
        return RenderedPage(state, state.next_event - 1, state.connection.state, parts)

    def _render_one(self, template: str, **context: Any) -> Fragments:
        key = template.removesuffix(".html")
        return {key: self.fill_template(template, key=key, **context)}

    def _render_each(self, template: str, things: Sequence[Any], **context: Any) -> Fragments:
        return {thing.key: self.fill_template(template, it=thing, key=thing.key, **context) for thing in things}

    async def _render_charts(self, state: State) -> _RenderedCharts:
        """Return the charts. They are recounted when a play began or ended, but not at every step of a burst."""
        now = self._companion.now_ms
        about = (state.next_play, tuple(state.sessions), state.connection.epoch)
        known = self._charts
        if known is not None:
            age = (now - known.at) / 1000
            fresh = CHARTS_MAX_SECONDS if about == known.about else CHARTS_MIN_SECONDS
            if 0 <= age < fresh:
                return known
        self._charts = _RenderedCharts(about, now, await self._draw_charts(now, state.connection.epoch))
        return self._charts

    async def _draw_charts(self, now: int, epoch: int) -> Fragments:
        companion, zone = self._companion, self._companion.zone
        window = Window(now - charts.DAYS * DAY_MS, now)
        by_quarter = await count_plays_by_quarter(companion.cache, now - charts.WEEKS * 7 * DAY_MS)
        clock = datetime.fromtimestamp(now / 1000, UTC)
        users = await count_plays(companion, "user", window, RANKED)
        titles = await count_plays(companion, "title", window, RANKED)
        days = charts.build_day_chart(by_quarter, clock, zone, total=users["plays"])
        return {
            **self._render_one("days.html", days=days, zone=name_zone(zone)),
            **self._render_one(
                "heat.html", heat=charts.build_heat_map(by_quarter, zone), zone=name_zone(zone), weeks=charts.WEEKS
            ),
            **self._render_one("users.html", shares=charts.build_ranking(_build_rankings(users)), days=charts.DAYS),
            **self._render_one(
                "titles.html", shares=charts.build_ranking(_build_rankings(titles)), days=charts.DAYS, epoch=epoch
            ),
        }


def _build_rankings(answer: dict[str, Any]) -> list[Ranking]:
    """Convert the entries of a `history_stats` answer for a chart."""
    return [
        Ranking(one["label"] or f"id {one['id']}", one["plays"], one["watched_ms"], one["timed"], one.get("item_id"))
        for one in answer["entries"]
    ]


@dataclass(frozen=True, slots=True)
class _RenderedCharts:
    """The charts, the state they were counted for, and the time."""

    about: object
    at: int
    fragments: Fragments


def compute_difference(before: Mapping[str, Fragments], after: Mapping[str, Fragments]) -> list[dict[str, Any]]:
    """Return the messages that turn a page showing `before` into one showing `after`.

    Each names a part that changed, the order of its fragments, and the HTML of the new ones.
    """
    messages = []
    for name, pieces in after.items():
        known = before.get(name)
        changed = {key: html for key, html in pieces.items() if known is None or known.get(key) != html}
        if known is None or changed or list(known) != list(pieces):
            messages.append({"part": name, "order": list(pieces), "pieces": changed})
    return messages
