"""A rule that is tried on the past is judged as it would have been at the time."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio
import anyio.lowlevel
import pytest
from support.past_month import EPISODES, GIGABYTE, MINUTE, MONTH_AGO, SHOWS, USERS, PastMonth, make_month
from support.recorded_plays import DAY, HOUR, NOW, SERVER, Past, past

from plex_companion.cache.queries.rules.played_streams import PlayedStream
from plex_companion.models import StreamCounts, UserStreams
from plex_companion.occurrences.reading import NumberedOccurrence
from plex_companion.rules.back_test import BackTester, count_played_streams, judge_window
from plex_companion.rules.rule_format import format_rule, parse_rule
from plex_companion.rules.templates import list_templates
from plex_companion.serialize import format_iso
from plex_companion.times import Window, parse_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from plex_companion.models import Rule


VIENNA = ZoneInfo("Europe/Vienna")
SEEDS = (7, 8)
TEMPLATES = {rule.name: rule for rule in list_templates()}
EVERYTHING = {"name": "Everything", "when": ["play.started", "play.stopped"], "then": [{"action": "webhook"}]}
Expected = tuple[list[int], dict[int, str]]
"""When a rule fires, and the part that failed by the time of near misses."""


@pytest.fixture(scope="module", params=SEEDS)
def month(request: pytest.FixtureRequest) -> PastMonth:
    return make_month(request.param)


@pytest.fixture(scope="module")
async def recorded(month: PastMonth, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Past]:
    async with past(tmp_path_factory.mktemp("month"), "Europe/Vienna", **month.build_rows()) as found:
        yield found


def find_hour(at: int) -> int:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(VIENNA).hour


def space(times: Iterable[int], cooldown: int) -> list[int]:
    """The times that are left if each silences the rule for a while."""
    left: list[int] = []
    for at in sorted(times):
        if not left or at - left[-1] >= cooldown:
            left.append(at)
    return left


def split(parts: dict[int, dict[str, bool]], cooldown: int = 0) -> Expected:
    """When all parts were true, and which of several parts was not where all others were."""
    firings = space((at for at, true in parts.items() if all(true.values())), cooldown)
    misses = {at: [part for part, is_true in true.items() if not is_true] for at, true in parts.items()}
    return firings, {at: failed[0] for at, failed in misses.items() if len(failed) == 1 < len(parts[at])}


def expect_alerts(kind: str, cooldown: int = 0) -> Callable[[PastMonth], Expected]:
    part = f'data.alert.kind == "{kind}"'
    return lambda month: split({at: {part: found == kind} for at, found in month.alerts}, cooldown)


def expect_long_pauses(month: PastMonth) -> Expected:
    pauses = [play.pause for play in month.plays if play.pause is not None]
    return sorted(one.began + 30 * MINUTE for one in pauses if one.ended - one.began >= 30 * MINUTE), {}


def expect_many_streams(month: PastMonth) -> Expected:
    parts = {play.began: {"streams() > 3": len(month.list_playing(play.began)) > 3} for play in month.plays}
    return split(parts, 30 * MINUTE)


def expect_large_streams(month: PastMonth) -> Expected:
    return split(
        {
            play.began: {
                "data.player.local == false": play.local is False,
                "data.bandwidth_kbps > 20000": play.bandwidth > 20_000,
            }
            for play in month.plays
        },
        HOUR,
    )


def expect_late_plays(month: PastMonth) -> Expected:
    return split(
        {
            play.began: {
                'data.user.name == "Pip"': play.name == "Pip",
                "(hour(at) >= 21 || hour(at) < 6)": find_hour(play.began) >= 21 or find_hour(play.began) < 6,
            }
            for play in month.plays
        },
        HOUR,
    )


def expect_last_episode(month: PastMonth) -> Expected:
    show, last = 'data.item.grandparent_title == "Harbour Street"', 'data.item.title == "Home at Last"'
    watched = {play.watched: play for play in month.plays if play.watched}
    return split(
        {at: {show: play.show == "Harbour Street", last: play.title == "Home at Last"} for at, play in watched.items()}
    )


def expect_caught_up(month: PastMonth) -> Expected:
    kind, user = 'data.type in ["episode", "season"]', 'data.caught_up.exists(user, user.name == "Pip")'
    parts = {one.at: {kind: one.type in {"episode", "season"}, user: "Pip" in one.caught_up} for one in month.media}
    return split(parts)


def expect_large(month: PastMonth) -> Expected:
    part = "data.size_bytes > 50000000000"
    return split({one.at: {part: one.size is not None and one.size > 50 * GIGABYTE} for one in month.media})


def expect_outages(month: PastMonth) -> Expected:
    return sorted(began + 5 * MINUTE for began, ended in month.outages if ended - began >= 5 * MINUTE), {}


def expect_new_players(month: PastMonth) -> Expected:
    return split({play.began: {"data.first_on_player": play.is_first_on_player} for play in month.plays})


def expect_checks(month: PastMonth, part: str, cooldown: int, is_met: Callable[[int, int], bool]) -> Expected:
    return split({at: {part: is_met(size, days)} for at, size, days in month.checks}, cooldown)


EXPECTED: dict[str, Callable[[PastMonth], Expected]] = {
    "4K is transcoded": expect_alerts("transcode_4k"),
    "Paused for 30 minutes": expect_long_pauses,
    "More than 3 streams": expect_many_streams,
    "A large stream away from home": expect_large_streams,
    "Pip after 21:00": expect_late_plays,
    "Somebody on a player that is new to them": expect_new_players,
    "Somebody has finished Harbour Street": expect_last_episode,
    "A player reports an error": expect_alerts("playback_error", 10 * MINUTE),
    "New episode, and Pip has watched everything before": expect_caught_up,
    "More than 50 GB at once": expect_large,
    "A library of more than 2 TB": lambda month: expect_checks(
        month, "data.size_bytes > 2000000000000", 30 * DAY, lambda size, _: size > 2_000 * GIGABYTE
    ),
    "Nothing scanned for a week": lambda month: expect_checks(
        month, "data.days_since_scan >= 7", 7 * DAY, lambda _, days: days >= 7
    ),
    "A scan found something new": lambda month: (space(month.scans, 24 * HOUR), {}),
    "Plex out of reach for 5 minutes": expect_outages,
    "A new player": lambda month: (sorted(month.players), {}),
}


@pytest.mark.parametrize("name", TEMPLATES)
async def test_a_ready_made_rule_would_have_fired_as_an_independent_count_says(
    recorded: Past, month: PastMonth, name: str
) -> None:
    firings, misses = EXPECTED[name](month)
    found = await recorded.well("rule_test", rule=format_rule(TEMPLATES[name]))
    assert firings
    assert found["fired"] == len(firings)
    assert [one["at"] for one in found["firings"]] == [format_iso(at) for at in firings[-50:]]
    assert found["near_missed"] == len(misses)
    shown = [(format_iso(at), misses[at]) for at in sorted(misses)[-50:]]
    assert [(one["at"], one["failed"]) for one in found["near_misses"]] == shown
    assert found["error"] is None


async def test_the_event_loop_has_a_turn_after_every_few_occurrences(recorded: Past, month: PastMonth) -> None:
    tester = BackTester(parse_rule({**EVERYTHING, "only_if": "streams() > 1"}, ()), VIENNA)
    turns = [0]

    async def count_turns() -> None:
        while True:
            turns.append(tester.judged)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count_turns)
        await judge_window(recorded.companion.cache, tester, Window(MONTH_AGO, NOW))
        tasks.cancel_scope.cancel()
    assert tester.judged == 2 * len(month.plays)
    assert max(after - before for before, after in pairwise([*turns, tester.judged])) <= 20


async def test_a_saved_rule_or_one_that_is_given_is_tried_and_not_both(recorded: Past) -> None:
    rule = format_rule(TEMPLATES["A new player"])
    for arguments in ({}, {"rule": rule, "id": "1"}):
        error = await recorded.refused("rule_test", **arguments)
        assert error["error"] == "rule_test needs either rule, as an object, or the id of a saved one."
    assert (await recorded.refused("rule_test", id="1"))["code"] == "not_found"


async def test_a_wrong_rule_is_refused_before_anything_is_read(recorded: Past) -> None:
    rule = {**format_rule(TEMPLATES["A new player"]), "only_if": "data.user.name == 'Pip'"}
    error = await recorded.refused("rule_test", rule=rule)
    assert error["code"] == "invalid"
    assert error["error"].startswith(
        "only_if, character 5: data has no field 'user'. Did you mean data.server? Fields: server, "
    )
    assert (error["line"], error["column"]) == (1, 5)


async def test_only_the_time_asked_for_counts(recorded: Past, month: PastMonth) -> None:
    rule = format_rule(TEMPLATES["A scan found something new"])
    found = await recorded.well("rule_test", rule={**rule, "cooldown": "1s"}, since="10d")
    assert found["fired"] == found["judged"] == sum(at >= NOW - 10 * DAY for at in month.scans)
    assert found["since"] == format_iso(NOW - 10 * DAY)
    assert found["known_since"] < found["since"]
    assert (await recorded.refused("rule_test", rule=rule, since="soon"))["argument"] == "since"


async def test_an_answer_is_bounded_and_says_for_whom(recorded: Past, month: PastMonth) -> None:
    found = await recorded.well("rule_test", rule=EVERYTHING)
    assert found["fired"] == 2 * len(month.plays) > 100
    assert len(found["firings"]) == 50
    counts = {name: 2 * sum(play.name == name for play in month.plays) for name in USERS.values()}
    assert {one["name"]: one["fired"] for one in found["users"]} == counts
    assert found["firings"][-1]["occurrence"]["title"] in {
        "The Lamp",
        *(f"{show} - {episode}" for show in SHOWS for episode in EPISODES),
    }


async def test_ready_made_rules_name_who_and_what_the_household_knows(recorded: Past, month: PastMonth) -> None:
    templates = (await recorded.well("rule_templates"))["templates"]
    newest = max(month.plays, key=lambda play: (play.began, play.number))
    show = max((play for play in month.plays if play.show), key=lambda play: (play.began, play.number)).show
    assert [one["rule"] for one in templates] == [format_rule(rule) for rule in list_templates((), newest.name, show)]
    for one in templates:
        assert (await recorded.well("rule_test", rule=one["rule"], since="2d"))["sentence"] == one["sentence"]


# One occurrence after another

SECOND = 1_000


def parse(when: str, only_if: str = "", **rest: str) -> Rule:
    rule = {"name": "A", "when": [when], "only_if": only_if, "then": [{"action": "webhook"}], **rest}
    return parse_rule(rule, ())


class Tape:
    """Occurrences, seconds apart, each judged as it comes."""

    def __init__(self, rule: Rule) -> None:
        self.tester = BackTester(rule, UTC)
        self.number = 0

    def happen(self, at: int, type_: str, *, inferred: bool = False, **data: Any) -> None:
        self.number += 1
        time = format_iso(NOW + at * SECOND)
        whole = {"server": SERVER, "at": time, "play_id": "1", **data}
        row = {"id": f"x-{self.number}", "type": type_, "at": time, "inferred": inferred, "data": whole}
        self.tester.judge([NumberedOccurrence(self.number, NOW + at * SECOND, row, None)])

    def end(self, at: int) -> list[int]:
        """When the rule has fired, in seconds, once this much has passed."""
        self.tester.finish(NOW + at * SECOND)
        fired = [parse_time(one["at"], NOW, "at") for one in self.tester.describe()["firings"]]
        return [(at - NOW) // SECOND for at in fired]


PAUSE = parse("play.paused", **{"for": "60s"})


@pytest.mark.parametrize(
    ("end", "inferred", "fired"),
    [(59, False, []), (60, False, [60]), (90, False, [60]), (90, True, [60]), (30, True, [])],
)
def test_what_must_last_fires_once_it_has(end: int, inferred: bool, fired: list[int]) -> None:
    tape = Tape(PAUSE)
    tape.happen(0, "play.paused")
    tape.happen(end, "play.resumed", inferred=inferred)
    tape.happen(100, "play.stopped")
    assert tape.end(500) == fired


def test_what_still_lasts_at_the_end_has_fired() -> None:
    tape = Tape(PAUSE)
    tape.happen(0, "play.paused")
    assert tape.end(59) == []
    assert tape.end(60) == [60]
    assert tape.end(1_000) == [60]


def test_a_pause_whose_end_was_found_out_after_an_outage_does_not_fire() -> None:
    tape = Tape(PAUSE)
    tape.happen(0, "play.paused")
    tape.happen(30, "connection.lost")
    tape.happen(600, "connection.restored", down_ms=570_000)
    tape.happen(601, "play.stopped", inferred=True)
    assert tape.end(1_000) == []


def test_a_pause_that_still_lasts_after_an_outage_fires() -> None:
    tape = Tape(PAUSE)
    tape.happen(0, "play.paused")
    tape.happen(30, "connection.lost")
    tape.happen(40, "connection.restored", down_ms=10_000)
    assert tape.end(1_000) == [60]


def test_the_opposite_of_another_play_ends_nothing() -> None:
    tape = Tape(PAUSE)
    tape.happen(0, "play.paused")
    tape.happen(10, "play.resumed", play_id="2")
    assert tape.end(1_000) == [60]


def test_a_cooldown_begins_with_the_last_firing() -> None:
    tape = Tape(parse("play.started", cooldown="10s"))
    for at in (0, 9, 10, 19, 20, 35):
        tape.happen(at, "play.started")
    assert tape.end(100) == [0, 10, 20, 35]


def test_quiet_hours_and_being_disabled_change_nothing() -> None:
    tape = Tape(parse("play.started", quiet="00:00-23:59"))
    tape.happen(0, "play.started", inferred=True)
    assert tape.end(1) == [0]


def test_three_errors_in_a_row_would_have_disabled_the_rule() -> None:
    tape = Tape(parse("play.started", "1 / int(data.view_offset_ms) == 1"))
    for at, offset in enumerate([0, 0, 1, 0, 0, 0, 1]):
        tape.happen(at, "play.started", view_offset_ms=offset)
    assert tape.end(10) == [2]
    error = tape.tester.describe()["error"]
    assert error == (
        "The condition cannot be evaluated: divide by zero. After 3 times in a row the rule would have been disabled."
    )


def test_a_rule_would_not_have_fired_on_what_two_rules_in_a_row_caused() -> None:
    tape = Tape(parse("alert.opened"))
    for number, depth in enumerate([None, 1, 2]):
        detail = {} if depth is None else {"rule_id": "7", "rule_depth": depth}
        tape.happen(number, "alert.opened", alert={"id": str(number), "resolved_at": None, "detail": detail})
    assert tape.end(10) == [0, 1]


def test_streams_that_were_not_recorded_are_counted_from_plays() -> None:
    plays = [
        PlayedStream("one", "1", "Ada", 4_000, 0, 100),
        PlayedStream("one", "1", "Ada", 2_000, 50, None),
        PlayedStream("one", None, None, 1_000, 60, 61),
    ]
    assert count_played_streams(plays, 50) == StreamCounts(2, 6_000, (UserStreams("1", "Ada", 2),))
    assert count_played_streams(plays, 60) == StreamCounts(3, 7_000, (UserStreams("1", "Ada", 2),))
    assert count_played_streams(plays, 100) == StreamCounts(1, 2_000, (UserStreams("1", "Ada", 1),))
