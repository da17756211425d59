"""The parts of the page, each a list of pieces of HTML: drawn once for everybody who looks, and told piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio
from jinja2 import Environment, PackageLoader, StrictUndefined

from plex_companion.cache.figures import Most, plays_by_quarter
from plex_companion.cache.read import newest_alerts
from plex_companion.dashboard import cards, charts
from plex_companion.memory.counts import counts
from plex_companion.text import without
from plex_companion.times import Window
from plex_companion.zones import zone_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plex_companion.changes import State
    from plex_companion.companion import Companion

DAY_MS = 86_400_000
ALERTS_READ = 100
RANKED = 6
FIGURES_SECONDS = 2
"""The charts are counted anew so often at most,"""
FIGURES_STALE_SECONDS = 60
"""and at least."""

Pieces = dict[str, str]
"""HTML by key, in the order it is shown."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The page as of one committed state."""

    state: State
    cursor: int
    """The newest event of the journal that it knows of."""
    link: str
    """The state of the connection."""
    parts: Mapping[str, Pieces]


class Board:
    """Draws the parts. All who look at the same state share one drawing."""

    def __init__(self, companion: Companion) -> None:
        self._companion = companion
        self._environment = Environment(
            loader=PackageLoader("plex_companion.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._drawing = anyio.Lock()
        self._seen: Seen | None = None
        self._figures: _Figures | None = None

    def page(self, template: str, **context: Any) -> str:
        """A template, filled in. Whatever is put in is text: only what templates themselves write is HTML."""
        html = self._environment.get_template(template).render(context)
        return without(html, self._companion.settings.secrets())

    async def seen(self) -> Seen:
        """All parts as of the newest commit."""
        async with self._drawing:
            state = self._companion.state
            if self._seen is None or self._seen.state is not state:
                self._seen = await self._drawn(state)
            return self._seen

    async def _drawn(self, state: State) -> Seen:
        now = self._companion.now_ms
        alerts = await newest_alerts(self._companion.cache, ALERTS_READ)
        blind = state.connection.state != "live"
        parts = {
            "link": self._one("link.html", link=cards.link(state, now, self._companion.live.storage)),
            "summary": self._one("summary.html", summary=cards.summary(state), link=state.connection.state),
            "now": self._each("session.html", cards.cards(state, now), epoch=state.connection.epoch)
            or self._one("nothing.html", blind=blind),
            "alerts": self._each("alert.html", cards.notices(alerts, now), blind=blind),
            "tasks": self._each("task.html", cards.tasks(state)),
            "added": self._each("arrival.html", cards.arrivals(state, now), epoch=state.connection.epoch),
            "charts": (await self._figures_of(state)).pieces,
        }
        return Seen(state, state.next_event - 1, state.connection.state, parts)

    def _one(self, template: str, **context: Any) -> Pieces:
        key = template.removesuffix(".html")
        return {key: self.page(template, key=key, **context)}

    def _each(self, template: str, things: Sequence[Any], **context: Any) -> Pieces:
        return {thing.key: self.page(template, it=thing, key=thing.key, **context) for thing in things}

    async def _figures_of(self, state: State) -> _Figures:
        """The charts, counted again when a play began or ended; not at every step of a burst."""
        now = self._companion.now_ms
        about = (state.next_play, tuple(state.sessions), state.connection.epoch)
        known = self._figures
        if known is not None:
            age = (now - known.at) / 1000
            fresh = FIGURES_STALE_SECONDS if about == known.about else FIGURES_SECONDS
            if 0 <= age < fresh:
                return known
        self._figures = _Figures(about, now, await self._charts(now, state.connection.epoch))
        return self._figures

    async def _charts(self, now: int, epoch: int) -> Pieces:
        companion, zone = self._companion, self._companion.zone
        window = Window(now - charts.DAYS * DAY_MS, now)
        by_quarter = await plays_by_quarter(companion.cache, now - charts.WEEKS * 7 * DAY_MS)
        clock = datetime.fromtimestamp(now / 1000, UTC)
        users = await counts(companion, "user", window, RANKED)
        titles = await counts(companion, "title", window, RANKED)
        days = charts.days(by_quarter, clock, zone, total=users["plays"])
        return {
            **self._one("days.html", days=days, zone=zone_name(zone)),
            **self._one("heat.html", heat=charts.heat(by_quarter, zone), zone=zone_name(zone), weeks=charts.WEEKS),
            **self._one("users.html", shares=charts.shares(_most(users)), days=charts.DAYS),
            **self._one("titles.html", shares=charts.shares(_most(titles)), days=charts.DAYS, epoch=epoch),
        }


def _most(told: dict[str, Any]) -> list[Most]:
    """Return the entries of an answer of `history_stats`, for a chart."""
    return [
        Most(one["label"] or f"id {one['id']}", one["plays"], one["watched_ms"], one["timed"], one.get("item_id"))
        for one in told["entries"]
    ]


@dataclass(frozen=True, slots=True)
class _Figures:
    """The charts, what they were counted after, and when."""

    about: object
    at: int
    pieces: Pieces


def difference(before: Mapping[str, Pieces], after: Mapping[str, Pieces]) -> list[dict[str, Any]]:
    """What must be told to somebody who has seen `before`: for each part that changed, its order and the new pieces."""
    told = []
    for name, pieces in after.items():
        known = before.get(name)
        changed = {key: html for key, html in pieces.items() if known is None or known.get(key) != html}
        if known is None or changed or list(known) != list(pieces):
            told.append({"part": name, "order": list(pieces), "pieces": changed})
    return told
