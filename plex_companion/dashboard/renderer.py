"""Renders the parts of the page as HTML fragments: once per state for all viewers, and sent fragment by fragment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.cache.queries.chart_queries import Ranking, count_plays_by_quarter
from plex_companion.catalogue.status import describe_catalogue
from plex_companion.dashboard import cards, charts
from plex_companion.dashboard.recent_items import SharedRecentItems, build_added_cards
from plex_companion.history.alert_pages import list_muted_kinds, read_latest, serialize_alerts
from plex_companion.history.play_counts import count_plays
from plex_companion.text import clean
from plex_companion.times import DAY_MS, Window, parse_period
from plex_companion.tools.client import stop_stream
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plex_companion.changes.state import State
    from plex_companion.companion import Companion
    from plex_companion.dashboard.templating import Templates
    from plex_companion.models import Alert

ALERTS_READ = 100
RANKED = 6
EVERYBODY = 10_000
CHARTS_MIN_SECONDS = 2
"""The charts are recounted at most this often."""
CHARTS_MAX_SECONDS = 60
"""The charts are recounted at least this often."""

Fragments = dict[str, str]
"""HTML by key, in the order it is shown."""


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """The page as of one committed state."""

    states: Sequence[State]
    cursor: int
    """The newest journal event that it includes."""
    link: str
    """The state of the connection. Of several servers, it is live as long as one is."""
    parts: Mapping[str, Fragments]

    @property
    def epoch(self) -> int:
        """Differs after every new connection."""
        return sum(state.connection.epoch for state in self.states)


class PageRenderer:
    """Renders the parts of the page. Viewers of one state share one rendering."""

    def __init__(self, companion: Companion, templates: Templates) -> None:
        self._companion = companion
        self._templates = templates
        self._lock = anyio.Lock()
        self.recent = SharedRecentItems(companion)
        self._pages: dict[str, RenderedPage] = {}
        self._catalogue_complete = False
        self._charts: _RenderedCharts | None = None

    async def render(self, live: str = "all") -> RenderedPage:
        """Return parts as of the newest commit, rendered at most once per state.

        `live` names them: `all` of the page `/`, the same without forms for the `kiosk`, or the `link` alone.
        """
        async with self._lock:
            states = self._companion.states
            known = self._pages.get(live)
            if known is None or any(was is not now for was, now in zip(known.states, states, strict=True)):
                known = self._pages[live] = await self._render_page(states, live)
            return known

    async def _render_page(self, states: Sequence[State], live: str) -> RenderedPage:
        now, storage = self._companion.now_ms, self._companion.live.storage
        several = len(states) > 1
        banner = (
            cards.build_shared_banner(states, now, storage) if several else cards.build_banner(states[0], now, storage)
        )
        parts = {"link": self._render_one("link.html", link=banner)}
        if live != "link":
            parts |= await self._render_parts(states, banner, forms=live != "kiosk")
        return RenderedPage(states, states[0].next_event - 1, banner.name, parts)

    async def _render_parts(
        self, states: Sequence[State], banner: cards.ConnectionBanner, *, forms: bool
    ) -> dict[str, Fragments]:
        now, several = self._companion.now_ms, len(states) > 1
        muted = frozenset(list_muted_kinds(self._companion))
        alerts = [one for one in await read_latest(self._companion, ALERTS_READ) if one.kind not in muted]
        servers = await self._name_alert_servers(alerts) if several else None
        blind = banner.blind
        counted = await self._render_charts(states)
        return {
            "summary": self._render_one("summary.html", summary=cards.build_summary(*states), link=banner.name),
            "now": self._render_each(
                "session.html",
                cards.build_shared_cards(states, now) if several else cards.build_cards(states[0], now),
                stop=forms and not self._companion.settings.read_only,
                stop_message=stop_stream.MESSAGE,
            )
            or self._render_one("nothing.html", blind=blind, lost=[one.server for one in banner.servers if one.blind]),
            "alerts": self._render_each(
                "alert.html", cards.build_alert_cards(alerts, now, servers), blind=blind, forms=forms
            ),
            "tasks": self._render_each(
                "task.html", cards.build_shared_tasks(states) if several else cards.build_tasks(states[0])
            ),
            "added": self._render_each(
                "arrival.html",
                build_added_cards(self.recent.list_items(), now),
            ),
            "catalogue": await self._render_catalogue(),
            "today": counted.today,
            "charts": counted.charts,
        }

    async def _name_alert_servers(self, alerts: Sequence[Alert]) -> dict[int, str]:
        rows = await serialize_alerts(self._companion, alerts)
        labels = cards.label_servers_by_id(self._companion.states)
        return {int(row["id"]): labels.get(row["server"]) or clean(row["server_name"] or "") for row in rows}

    async def _render_catalogue(self) -> Fragments:
        """Return how much of the libraries was read; nothing once that is all."""
        if not self._companion.settings.catalogue or self._catalogue_complete:
            return {}
        found = await describe_catalogue(self._companion)
        self._catalogue_complete = found["complete"]
        return {} if found["complete"] or not found["items"] else self._render_one("catalogue.html", it=found)

    def _render_one(self, template: str, **context: Any) -> Fragments:
        key = template.removesuffix(".html")
        return {key: self._templates.fill(template, key=key, **context)}

    def _render_each(self, template: str, things: Sequence[Any], **context: Any) -> Fragments:
        return {thing.key: self._templates.fill(template, it=thing, key=thing.key, **context) for thing in things}

    async def _render_charts(self, states: Sequence[State]) -> _RenderedCharts:
        """Return the charts. They are recounted when a play began or ended, but not at every step of a burst."""
        now = self._companion.now_ms
        epoch = sum(state.connection.epoch for state in states)
        about = (states[0].next_play, tuple(tuple(state.sessions) for state in states), epoch)
        known = self._charts
        if known is not None:
            age = (now - known.at) / 1000
            fresh = CHARTS_MAX_SECONDS if about == known.about else CHARTS_MIN_SECONDS
            if 0 <= age < fresh:
                return known
        charts_drawn = await self._draw_charts(now, epoch)
        self._charts = _RenderedCharts(about, now, await self._draw_today(now), charts_drawn)
        return self._charts

    async def _draw_today(self, now: int) -> Fragments:
        window = parse_period("today", now, self._companion.zone)
        found = await count_plays(self._companion, "user", window, EVERYBODY)
        return self._render_one("today.html", it=found)

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
        Ranking(
            one["label"] or f"id {one['id']}",
            one["plays"],
            one["watched_ms"],
            one["timed"],
            one["estimated_ms"],
            one.get("item_id"),
            one["id"],
            one.get("server"),
        )
        for one in answer["entries"]
    ]


@dataclass(frozen=True, slots=True)
class _RenderedCharts:
    """The charts, the state they were counted for, and the time."""

    about: object
    at: int
    today: Fragments
    charts: Fragments


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
