"""The parts of the page, each a list of pieces of HTML: drawn once for everybody who looks, and told piece by piece."""

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
from plex_companion.text import hide_secrets
from plex_companion.times import Window
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plex_companion.changes.state import State
    from plex_companion.companion import Companion

DAY_MS = 86_400_000
ALERTS_READ = 100
RANKED = 6
FIGURES_SECONDS = 2
"""The charts are counted anew so often at most,"""
FIGURES_STALE_SECONDS = 60
"""and at least."""

Fragments = dict[str, str]
"""HTML by key, in the order it is shown."""


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """The page as of one committed state."""

    state: State
    cursor: int
    """The newest event of the journal that it knows of."""
    link: str
    """The state of the connection."""
    parts: Mapping[str, Fragments]


class PageRenderer:
    """Draws the parts. All who look at the same state share one drawing."""

    def __init__(self, companion: Companion) -> None:
        self._companion = companion
        self._environment = Environment(
            loader=PackageLoader("plex_companion.dashboard.mount"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._drawing = anyio.Lock()
        self._seen: RenderedPage | None = None
        self._figures: _RenderedCharts | None = None

    def fill_template(self, template: str, **context: Any) -> str:
        """A template, filled in. Whatever is put in is text: only what templates themselves write is HTML."""
        html = self._environment.get_template(template).render(context)
        return hide_secrets(html, self._companion.settings.list_secrets())

    async def render(self) -> RenderedPage:
        """All parts as of the newest commit."""
        async with self._drawing:
            state = self._companion.state
            if self._seen is None or self._seen.state is not state:
                self._seen = await self._render_parts(state)
            return self._seen

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
        """The charts, counted again when a play began or ended; not at every step of a burst."""
        now = self._companion.now_ms
        about = (state.next_play, tuple(state.sessions), state.connection.epoch)
        known = self._figures
        if known is not None:
            age = (now - known.at) / 1000
            fresh = FIGURES_STALE_SECONDS if about == known.about else FIGURES_SECONDS
            if 0 <= age < fresh:
                return known
        self._figures = _RenderedCharts(about, now, await self._draw_charts(now, state.connection.epoch))
        return self._figures

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
            **self._render_one("users.html", shares=charts.build_ranking(_most(users)), days=charts.DAYS),
            **self._render_one(
                "titles.html", shares=charts.build_ranking(_most(titles)), days=charts.DAYS, epoch=epoch
            ),
        }


def _most(told: dict[str, Any]) -> list[Ranking]:
    """Return the entries of an answer of `history_stats`, for a chart."""
    return [
        Ranking(one["label"] or f"id {one['id']}", one["plays"], one["watched_ms"], one["timed"], one.get("item_id"))
        for one in told["entries"]
    ]


@dataclass(frozen=True, slots=True)
class _RenderedCharts:
    """The charts, what they were counted after, and when."""

    about: object
    at: int
    fragments: Fragments


def compute_difference(before: Mapping[str, Fragments], after: Mapping[str, Fragments]) -> list[dict[str, Any]]:
    """What must be told to somebody who has seen `before`: for each part that changed, its order and the new pieces."""
    told = []
    for name, pieces in after.items():
        known = before.get(name)
        changed = {key: html for key, html in pieces.items() if known is None or known.get(key) != html}
        if known is None or changed or list(known) != list(pieces):
            told.append({"part": name, "order": list(pieces), "pieces": changed})
    return told
