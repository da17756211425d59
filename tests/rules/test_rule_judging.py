"""How occurrences are judged: what lasts, what rests, what was before, what a rule has caused itself, and clocks that jump."""

from __future__ import annotations

from typing import Any

import pytest

from plex_companion.changes.rule_reports import MOST_ERRORS
from plex_companion.models import (
    AlertAction,
    FiredAction,
    Moment,
    OccurrenceName,
    Rule,
    RuleFiring,
    RulesState,
    StoredRule,
    StreamCounts,
    UserStreams,
)
from plex_companion.occurrences.reading import NumberedOccurrence
from plex_companion.rules.conditions import compile_condition
from plex_companion.rules.engine.judging import ActiveRule, RuleRound
from plex_companion.serialize import format_iso
from plex_companion.times import DAY_MS, HOUR_MS, MINUTE_MS

START = 1_795_370_400_000
SERVER = "den-0001"
LOOK = (AlertAction("Look"),)


def happen(
    number: int, name: str, at: int, *, inferred: bool = False, streams: StreamCounts | None = None, **data: Any
) -> NumberedOccurrence:
    """Something that happens `at` milliseconds after the start, to the play 1 unless another is named."""
    whole = {"server": SERVER, "play_id": "1", "user": {"id": "1", "name": "Pip"}, **data}
    row = {"id": f"o-{number}", "type": name, "at": format_iso(START + at), "inferred": inferred, "data": whole}
    return NumberedOccurrence(number, START + at, row, streams)


def prepare(
    *when: OccurrenceName, only_if: str = "", stored: StoredRule | None = None, **more: Any
) -> dict[int, ActiveRule]:
    """An enabled rule."""
    rule = Rule(None, "Rule", when, LOOK, only_if=only_if, **more)
    known = stored or StoredRule(1, "Rule", "", "r1", START, START, enabled=True, enabled_at=START)
    return {known.id: ActiveRule(known, rule, compile_condition(only_if, when) if only_if else None)}


def judge(
    rules: dict[int, ActiveRule],
    *occurrences: NumberedOccurrence,
    now: int = HOUR_MS,
    before: RulesState | None = None,
    due_ticks: dict[tuple[int, str], int] | None = None,
) -> RuleRound:
    """Judge occurrences, then fire what has lasted long enough by `now`."""
    found = RuleRound(rules, before or RulesState(), Moment(START + now, now), due_ticks or {})
    found.judge(occurrences)
    found.fire_due_timers({SERVER})
    return found


def list_times(found: RuleRound) -> list[int]:
    return [firing.at - START for firing in found.firings]


# What lasts


def test_a_pause_fires_when_it_has_lasted_long_enough() -> None:
    rules, paused = prepare("play.paused", for_ms=10 * MINUTE_MS), happen(1, "play.paused", 0)
    assert list_times(judge(rules, paused, now=10 * MINUTE_MS - 1)) == []
    found = judge(rules, paused, now=10 * MINUTE_MS)
    assert list_times(found) == [10 * MINUTE_MS]
    assert found.timers == {}


@pytest.mark.parametrize(
    ("begins", "ends", "data"),
    [
        ("play.paused", "play.resumed", {}),
        ("play.paused", "play.stopped", {}),
        ("play.buffering", "play.stopped", {}),
        ("connection.lost", "connection.restored", {}),
        (
            "alert.opened",
            "alert.resolved",
            {"alert": {"id": "5", "kind": "buffering", "detail": {}, "resolved_at": None}},
        ),
    ],
)
def test_the_opposite_ends_what_lasts(begins: OccurrenceName, ends: str, data: dict[str, Any]) -> None:
    rules = prepare(begins, for_ms=10 * MINUTE_MS)
    story = happen(1, begins, 0, **data), happen(2, ends, 9 * MINUTE_MS, **data)
    assert list_times(judge(rules, *story)) == []
    assert list_times(judge(rules, story[0], happen(2, ends, 11 * MINUTE_MS, **data))) == [10 * MINUTE_MS]


def test_buffering_is_over_when_its_alert_is() -> None:
    alert = {"id": "5", "kind": "buffering", "detail": {"play_id": "1"}, "resolved_at": None}
    rules = prepare("play.buffering", for_ms=10 * MINUTE_MS)
    over = happen(2, "alert.resolved", MINUTE_MS, alert=alert)
    assert list_times(judge(rules, happen(1, "play.buffering", 0), over)) == []


def test_another_play_s_end_ends_nothing() -> None:
    rules = prepare("play.paused", for_ms=10 * MINUTE_MS)
    other = happen(2, "play.stopped", MINUTE_MS, play_id="2")
    assert list_times(judge(rules, happen(1, "play.paused", 0), other)) == [10 * MINUTE_MS]


def test_an_alert_that_is_over_at_once_does_not_last() -> None:
    alert: dict[str, Any] = {"id": "5", "kind": "new_device", "detail": {}, "resolved_at": format_iso(START)}
    rules = prepare("alert.opened", for_ms=MINUTE_MS)
    assert list_times(judge(rules, happen(1, "alert.opened", 0, alert=alert))) == []


def test_a_pause_whose_end_was_found_out_afterwards_did_not_surely_last() -> None:
    rules = prepare("play.paused", for_ms=10 * MINUTE_MS)
    found_out = happen(2, "play.stopped", HOUR_MS, inferred=True)
    assert list_times(judge(rules, happen(1, "play.paused", 0), found_out)) == []


def test_a_pause_waits_while_plex_cannot_be_heard() -> None:
    rules = prepare("play.paused", for_ms=MINUTE_MS)
    found = RuleRound(rules, RulesState(), Moment(START + HOUR_MS, HOUR_MS), {})
    found.judge([happen(1, "play.paused", 0)])
    found.fire_due_timers(set())
    assert list_times(found) == []
    found.fire_due_timers({SERVER})
    assert list_times(found) == [MINUTE_MS]


def test_a_lost_connection_lasts_though_plex_cannot_be_heard() -> None:
    found = RuleRound(prepare("connection.lost", for_ms=MINUTE_MS), RulesState(), Moment(START + HOUR_MS, 0), {})
    found.judge([happen(1, "connection.lost", 0)])
    found.fire_due_timers(set())
    assert list_times(found) == [MINUTE_MS]


def keep_timer(now: int) -> tuple[dict[int, ActiveRule], RulesState]:
    """A rule that waits for a pause of ten minutes to last."""
    rules = prepare("play.paused", for_ms=10 * MINUTE_MS)
    begun = judge(rules, happen(1, "play.paused", 0), now=now).begun
    return rules, RulesState(timers=begun)


@pytest.mark.parametrize("jump", [DAY_MS, -DAY_MS])
def test_a_clock_that_jumps_neither_hastens_nor_delays_what_lasts(jump: int) -> None:
    rules, before = keep_timer(MINUTE_MS)
    due_ticks = dict.fromkeys(before.timers, 10 * MINUTE_MS)
    early = RuleRound(rules, before, Moment(START + jump + 9 * MINUTE_MS, 9 * MINUTE_MS), due_ticks)
    early.fire_due_timers({SERVER})
    late = RuleRound(rules, before, Moment(START + jump + 10 * MINUTE_MS, 10 * MINUTE_MS), due_ticks)
    late.fire_due_timers({SERVER})
    assert (len(early.firings), len(late.firings)) == (0, 1)


def test_after_a_restart_a_timer_goes_on_by_the_clock_on_the_wall() -> None:
    rules, before = keep_timer(MINUTE_MS)
    assert list_times(judge(rules, now=9 * MINUTE_MS, before=before)) == []
    assert list_times(judge(rules, now=10 * MINUTE_MS, before=before)) == [10 * MINUTE_MS]


# What rests


def test_a_rule_rests_from_its_last_firing_on_also_after_a_restart() -> None:
    rules = prepare("play.started", cooldown_ms=HOUR_MS)
    plays = [happen(number, "play.started", number * 20 * MINUTE_MS) for number in range(1, 8)]
    assert list_times(judge(rules, *plays)) == [20 * MINUTE_MS, 80 * MINUTE_MS, 140 * MINUTE_MS]
    fired = StoredRule(1, "Rule", "", "r1", START, START, enabled=True, enabled_at=START, last_fired_at=START)
    rested = prepare("play.started", cooldown_ms=HOUR_MS, stored=fired)
    assert list_times(judge(rested, *plays)) == [60 * MINUTE_MS, 120 * MINUTE_MS]


def test_a_rule_does_not_rest_for_a_day_because_the_clock_was_set_back() -> None:
    fired = StoredRule(1, "Rule", "", "r1", START, START, enabled=True, enabled_at=START, last_fired_at=START + DAY_MS)
    rested = prepare("play.started", cooldown_ms=HOUR_MS, stored=fired)
    assert list_times(judge(rested, happen(1, "play.started", MINUTE_MS))) == [MINUTE_MS]


# What was before


def test_what_was_before_a_rule_was_enabled_does_not_fire_it() -> None:
    known = StoredRule(1, "Rule", "", "r1", 0, 0, enabled=True, enabled_at=START, enabled_after=5)
    rules = prepare("play.watched", stored=known)
    by_number, by_time = happen(5, "play.watched", 0), happen(6, "play.watched", -1, inferred=True)
    assert list_times(judge(rules, by_number, by_time, happen(7, "play.watched", 0, inferred=True))) == [0]


def test_a_rule_fires_though_the_clock_was_set_back_after_it_was_enabled() -> None:
    known = StoredRule(1, "Rule", "", "r1", 0, 0, enabled=True, enabled_at=START + DAY_MS, enabled_after=5)
    rules = prepare("play.started", stored=known)
    assert list_times(judge(rules, happen(6, "play.started", 0), now=1)) == [0]


# What a rule has caused


def report_firing(number: int, rule_id: str, depth: int) -> NumberedOccurrence:
    return happen(number, "rule.fired", 0, rule={"id": rule_id, "name": "A rule"}, depth=depth)


def test_no_rule_fires_on_its_own_work_and_another_one_step_deep() -> None:
    rules = prepare("rule.fired")
    own, other, deeper = report_firing(1, "1", 1), report_firing(2, "2", 1), report_firing(3, "2", 2)
    (fired,) = judge(rules, own, other, deeper).firings
    assert (fired.row["id"], fired.depth) == ("o-2", 2)


def test_an_alert_that_a_rule_opened_does_not_fire_it() -> None:
    detail = {"rule_id": "1", "rule_depth": 1}
    alert = {"id": "5", "kind": "rule", "detail": detail, "resolved_at": None}
    opened = happen(1, "alert.opened", 0, alert=alert)
    assert judge(prepare("alert.opened"), opened).firings == []
    other = StoredRule(2, "Other", "", "r2", START, START, enabled=True, enabled_at=START)
    (fired,) = judge(prepare("alert.opened", stored=other), opened).firings
    assert fired.depth == 2


@pytest.mark.parametrize(("outcome", "fires"), [("done", False), ("pending", False), ("read_only", True)])
def test_the_end_of_a_play_that_a_rule_stopped_does_not_fire_it(outcome: str, *, fires: bool) -> None:
    action = FiredAction("stop_stream", outcome)
    stops = {1: RuleFiring(7, 1, START, START, "o-1", "play.started", "", (action,), SERVER, 1)}
    stopped = happen(2, "play.stopped", MINUTE_MS)
    found = judge(prepare("play.stopped"), stopped, before=RulesState(stops=stops))
    assert bool(found.firings) is fires


# Conditions


def test_a_near_miss_names_the_part_that_was_not_true() -> None:
    rules = prepare("play.started", only_if='data.user.name == "Pip" && data.decision == "transcode"')
    found = judge(rules, happen(1, "play.started", 0, decision="direct play"))
    ((rule_id, (miss,)),) = found.near_misses.items()
    assert (rule_id, miss.failed, miss.occurrence) == (1, 'data.decision == "transcode"', "o-1")


def test_what_a_condition_of_one_part_does_not_match_is_not_worth_a_row() -> None:
    rules = prepare("play.started", only_if='data.user.name == "Ada"')
    found = judge(rules, happen(1, "play.started", 0), happen(2, "play.started", 1))
    assert (found.near_misses, found.list_tallies()) == ({}, ())


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("streams() > 2", True),
        ("streams() > 3", False),
        ('streams_of("pip") == 2', True),
        ('streams_of("1") == 2', True),
        ('streams_of("Nobody") == 0', True),
        ("bandwidth() >= 20000", True),
    ],
)
def test_a_condition_may_ask_what_else_played(condition: str, *, holds: bool) -> None:
    counts = StreamCounts(3, 21_000, (UserStreams("1", "Pip", 2), UserStreams("2", "Ada", 1)))
    found = judge(prepare("play.started", only_if=condition), happen(1, "play.started", 0, streams=counts))
    assert bool(found.firings) is holds


def fail(number: int) -> NumberedOccurrence:
    """An occurrence at which `1 / percent` cannot be computed."""
    return happen(number, "play.stopped", 0, watched_ms=0)


def test_a_condition_that_fails_three_times_in_a_row_is_judged_no_more() -> None:
    rules = prepare("play.stopped", only_if="10 / data.watched_ms > 1")
    found = judge(rules, *map(fail, range(1, 6)))
    (tally,) = found.list_tallies()
    assert tally.errors == MOST_ERRORS
    assert tally.last_error


def test_what_can_be_judged_ends_a_row_of_failures() -> None:
    rules = prepare("play.stopped", only_if="10 / data.watched_ms > 1")
    found = judge(rules, fail(1), fail(2), happen(3, "play.stopped", 0, watched_ms=2), fail(4))
    (tally,) = found.list_tallies()
    assert tally.errors == 1


def test_a_missing_field_is_no_failure() -> None:
    rules = prepare("play.stopped", only_if="10 / data.watched_ms > 1")
    assert judge(rules, *(happen(number, "play.stopped", 0) for number in range(1, 6))).list_tallies() == ()
