"""Tries a rule on the past: how often it would have fired, when and for whom, and what it missed by one condition.

The rules of the engine decide (`engine/judging.py`): the same conditions, `for`, cooldown and causes. Only what depends on
when this program ran and could hear Plex is unlike: `for` of plays goes by the recorded outages.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.cache.queries.rules.played_streams import read_played_streams
from plex_companion.changes.rule_reports import MOST_ERRORS
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.models import Moment, RulesState, StoredRule, StreamCounts, UserStreams
from plex_companion.occurrences.reading import read_first_number, read_oldest_time, read_past_numbered
from plex_companion.rules.conditions import compile_condition
from plex_companion.rules.engine.judging import ActiveRule, RuleRound
from plex_companion.rules.engine.lasting import ENDING
from plex_companion.rules.explain import explain
from plex_companion.serialize import format_iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from plex_companion.cache.database import Cache
    from plex_companion.cache.queries.rules.played_streams import PlayedStream
    from plex_companion.models import NearMiss, Rule
    from plex_companion.occurrences.reading import NumberedOccurrence
    from plex_companion.rules.engine.judging import FoundFiring
    from plex_companion.serialize import Json
    from plex_companion.times import Window

PAGE = 20
"""Occurrences that are read and judged at once. They take a millisecond, and are gone before the collector of garbage looks at
them: of pages of a hundred so many live long enough that it looks through the whole memory now and then, and holds the loop up.
"""
MOST_SHOWN = 50
"""The most firings, and the most near misses, of one answer: the newest."""
MOST_USERS = 10
SETTLED_MS = 10_000
"""After an outage, what ended meanwhile has been found out by then."""
NOT_SAVED = 0
"""Stands for the id of a rule that has none."""


class BackTester:
    """Judges past occurrences by one rule, a page at a time. Pure. Its size does not grow with them."""

    def __init__(self, rule: Rule, zone: tzinfo) -> None:
        condition = compile_condition(rule.only_if, rule.when, zone) if rule.only_if else None
        stored = StoredRule(NOT_SAVED if rule.id is None else rule.id, rule.name, "", "", 0, 0, enabled=True)
        self.rule = rule
        self.needs_streams = condition is not None and condition.asks_for_streams
        self.judged = self.fired = self.missed = 0
        self.error: str | None = None
        self._round = RuleRound({stored.id: ActiveRule(stored, rule, condition)}, RulesState(), Moment(0, 0), {})
        self._firings: deque[FoundFiring] = deque(maxlen=MOST_SHOWN)
        self._near_misses: deque[NearMiss] = deque(maxlen=MOST_SHOWN)
        self._users: Counter[str] = Counter()
        self._heard: set[str | None] = set()
        """Servers that could be heard."""
        self._restored: dict[str | None, int] = {}
        """By server, when it could be heard again, for a short while."""

    def judge(self, occurrences: Sequence[NumberedOccurrence]) -> None:
        """Judge occurrences in their order."""
        for occurrence in occurrences:
            self._advance(occurrence.at)
            self._follow_connection(occurrence)
            self.judged += occurrence.row["type"] in self.rule.when
            self._round.judge((occurrence,))
            self._collect()

    def finish(self, until: int) -> None:
        """Fire what has lasted long enough at the end."""
        self._advance(until)
        self._collect()

    def _advance(self, at: int) -> None:
        for server, restored_at in [*self._restored.items()]:
            if at > restored_at + SETTLED_MS:
                self._heard.add(server)
                del self._restored[server]
        self._round.now = Moment(at, at)
        self._round.fire_due_timers(self._heard)

    def _follow_connection(self, occurrence: NumberedOccurrence) -> None:
        server = occurrence.row["data"]["server"]
        match occurrence.row["type"]:
            case "connection.lost":
                self._heard.discard(server)
                self._restored.pop(server, None)
            case "connection.restored":
                self._restored[server] = occurrence.at
            case _ if server not in self._restored:
                self._heard.add(server)
            case _:
                pass

    def _collect(self) -> None:
        """Take what was found out of the round, which keeps all of it."""
        for firing in self._round.firings:
            self.fired += 1
            self._firings.append(firing)
            self._users[_find_user(firing.row) or ""] += 1
        self._round.firings.clear()
        for misses in self._round.near_misses.values():
            self.missed += len(misses)
            self._near_misses.extend(misses)
        self._round.near_misses.clear()
        self._round.ended.clear()
        self.error = next((error for _, error in self._round.errors.values() if error), self.error)

    def describe(self) -> Json:
        """Return the result, the newest last."""
        names = self._users.most_common(MOST_USERS)
        return {
            "sentence": explain(self.rule),
            "judged": self.judged,
            "fired": self.fired,
            "users": [{"name": name, "fired": fired} for name, fired in names if name],
            "firings": [_describe_firing(firing) for firing in self._firings],
            "near_missed": self.missed,
            "near_misses": [{"at": format_iso(miss.at), "failed": miss.failed} for miss in self._near_misses],
            "error": self._describe_error(),
        }

    def _describe_error(self) -> str | None:
        failed = any(errors >= MOST_ERRORS for errors, _ in self._round.errors.values())
        end = f" After {MOST_ERRORS} times in a row the rule would have been disabled." if failed else ""
        return self.error and f"{self.error}{end}"


def _find_user(row: Json) -> str | None:
    data = row["data"]
    user = data.get("user") or {}
    name: str | None = user.get("name") or ((data.get("alert") or {}).get("detail") or {}).get("user")
    return name


def _describe_firing(firing: FoundFiring) -> Json:
    row = firing.row
    data: dict[str, Any] = row["data"]
    title = (data.get("item") or {}).get("full_title") or (data.get("alert") or {}).get("title") or data.get("title")
    return {
        "at": format_iso(firing.at),
        "user": _find_user(row),
        "occurrence": {"id": row["id"], "type": row["type"], "at": row["at"], "title": title},
    }


async def run_back_test(cache: Cache, rule: Rule, window: Window, zone: tzinfo) -> Json:
    """Try a rule on the occurrences of a window. Memory is bounded, and the event loop goes on.

    `known_since` is when the first kept occurrence happened, of whatever type: of the time before, nothing can be said.

    Raises:
        Invalid: its condition is wrong.
        NotSupported: it has a condition, and CEL is not installed.
    """
    tester = await compute_off_loop(partial(BackTester, rule, zone))
    await judge_window(cache, tester, window)
    return {
        "since": format_iso(window.since),
        "until": format_iso(window.until),
        "known_since": format_iso(await read_oldest_time(cache)),
        **await compute_off_loop(tester.describe),
    }


async def judge_window(cache: Cache, tester: BackTester, window: Window) -> None:
    """Let a tester judge the occurrences of a window, page by page, in worker threads."""
    rule = tester.rule
    types = {*rule.when, *ENDING, "connection.lost"} if rule.for_ms is not None else {*rule.when}
    after = await read_first_number(cache, window.since) - 1
    while True:
        page = await read_past_numbered(cache, after, types, PAGE)
        found = [one for one in page.occurrences if window.since <= one.at <= window.until]
        if tester.needs_streams:
            found = await _count_missing(cache, found)
        await compute_off_loop(partial(tester.judge, found))
        after = page.end
        if not page.is_full:
            break
    await compute_off_loop(partial(tester.finish, window.until))


async def _count_missing(cache: Cache, occurrences: Sequence[NumberedOccurrence]) -> list[NumberedOccurrence]:
    """Count from plays what played at the moments of occurrences that an earlier version recorded."""
    moments = [one.at for one in occurrences if one.streams is None]
    if not moments:
        return [*occurrences]
    plays = await read_played_streams(cache, min(moments), max(moments))
    return await compute_off_loop(lambda: [_fill_streams(one, plays) for one in occurrences])


def _fill_streams(occurrence: NumberedOccurrence, plays: Sequence[PlayedStream]) -> NumberedOccurrence:
    if occurrence.streams is not None:
        return occurrence
    server, at = occurrence.row["data"]["server"], occurrence.at
    return replace(occurrence, streams=count_played_streams([play for play in plays if play.server == server], at))


def count_played_streams(plays: Sequence[PlayedStream], at: int) -> StreamCounts:
    """Count the plays that went on at a time, one that began then included and one that ended then not."""
    playing = [play for play in plays if play.started_at <= at and (play.ended_at is None or play.ended_at > at)]
    users = Counter((play.user_id, play.user_name) for play in playing if play.user_id or play.user_name)
    bandwidth = sum(play.bandwidth_kbps for play in playing)
    return StreamCounts(len(playing), bandwidth, tuple(UserStreams(*user, streams) for user, streams in users.items()))
