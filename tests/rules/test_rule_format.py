"""Rules are read with every mistake explained, and written as they were."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from plex_companion.errors import Invalid
from plex_companion.models import AlertAction, NotifyAction, QuietHours, Rule, StopStreamAction, WebhookAction
from plex_companion.rules.durations import format_span, parse_duration, parse_quiet
from plex_companion.rules.placeholders import fill_placeholders
from plex_companion.rules.rule_format import format_rule, parse_rule

TARGETS = ("family", "me")
ALERT = {"action": "alert", "title": "Look"}
WHOLE: dict[str, Any] = {
    "id": "7",
    "name": "Late transcodes",
    "when": ["play.started", "play.resumed"],
    "only_if": 'data.decision == "transcode"',
    "then": [
        {"action": "notify", "targets": ["family"], "title": "{data.user.name}", "text": "{data.item.full_title}"},
        {"action": "alert", "title": "Transcode", "severity": "warning"},
        {"action": "stop_stream", "message": "Good night, {data.user.name}"},
        {"action": "webhook"},
    ],
    "cooldown": "1h",
    "quiet": "23:00-07:00",
    "enabled": True,
}


def build(**changes: Any) -> dict[str, Any]:
    """A short rule, with some keys set."""
    return {"name": "A rule", "when": ["play.started"], "then": [ALERT], **changes}


def test_a_rule_is_read_whole() -> None:
    assert parse_rule(WHOLE, TARGETS) == Rule(
        id=7,
        name="Late transcodes",
        when=("play.started", "play.resumed"),
        then=(
            NotifyAction(("family",), "{data.user.name}", "{data.item.full_title}"),
            AlertAction("Transcode", "warning"),
            StopStreamAction("Good night, {data.user.name}"),
            WebhookAction(),
        ),
        only_if='data.decision == "transcode"',
        cooldown_ms=3_600_000,
        quiet=QuietHours(23 * 60, 7 * 60),
        enabled=True,
    )


def test_a_rule_is_written_as_it_was_read() -> None:
    assert format_rule(parse_rule(WHOLE, TARGETS)) == WHOLE


def test_what_is_left_out_stays_left_out() -> None:
    assert format_rule(parse_rule(build(), TARGETS)) == {
        "name": "A rule",
        "when": ["play.started"],
        "then": [{**ALERT, "severity": "info"}],
        "enabled": False,
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "A rule is an object"),
        (build(unless="x"), "rule has no key 'unless'. Keys: id, name, when"),
        (build(name=" "), "name is missing"),
        (build(name=3), "name must be a text, not 3"),
        (build(name="x" * 101), "name has 101 characters, and 100 are allowed"),
        (build(id="seven"), "id 'seven' is not the number of a rule"),
        (build(id=True), "id True is not the number"),
        (build(enabled="yes"), "enabled must be true or false, not 'yes'"),
        (build(when=[]), "when lists the types of occurrences"),
        (build(when=["play.begun"]), "there is no type of occurrence 'play.begun'. Types: play.started, "),
        (build(when=[["play.started"]]), "there is no type of occurrence ['play.started']"),
        (build(then=[]), "then lists 1 to 10 actions"),
        (build(then=[ALERT] * 11), "then lists 1 to 10 actions"),
        (build(then=["alert"]), "then[0]: 'alert' is not an action"),
        (build(then=[{"action": ["alert"]}]), "then[0]: ['alert'] is not an action"),
        (build(then=[{"action": "shout"}]), "then[0]: 'shout' is not an action. Actions: notify, alert, stop_stream"),
        (build(then=[ALERT, {**ALERT, "url": "x"}]), "then[1] has no key 'url'. Keys: action, title, severity"),
        (build(then=[{"action": "alert"}]), "then[0].title is missing"),
        (build(then=[{**ALERT, "severity": "huge"}]), "then[0].severity 'huge' is unknown. Severities: info, warning"),
        (build(then=[{**ALERT, "severity": ["info"]}]), "then[0].severity ['info'] is unknown"),
        (build(then=[{"action": "notify", "title": "x"}]), "then[0].targets lists the names"),
        (build(then=[{"action": "notify", "title": "x", "targets": ["him"]}]), "no target 'him'. Targets: family, me"),
        (build(then=[{"action": "notify", "title": "x", "targets": [{}]}]), "no target {}. Targets: family, me"),
        (build(then=[{"action": "alert", "title": "{data.item.name}"}]), "there is no field {data.item.name}. Fields:"),
        (build(then=[{"action": "alert", "title": "{data.item}"}]), "there is no field {data.item}. Fields:"),
        (build(then=[{"action": "alert", "title": "{}"}]), "there is no field {}"),
        (build(when=["media.added"], then=[{"action": "stop_stream"}]), "media.added has none"),
        (build(when=["play.stopped"], then=[{"action": "stop_stream"}]), "play.stopped has none"),
        (build(**{"for": "10m"}), "for needs something that lasts, and play.started does not"),
        (build(when=["play.paused", "play.started"], **{"for": "10m"}), "and play.started does not"),
        (build(when=["play.paused"], **{"for": "ten"}), "for 'ten' is not a duration"),
        (build(when=["play.paused"], **{"for": 600}), "for must be a text, not 600"),
        (build(cooldown="0s"), "cooldown '0s' is out of range"),
        (build(cooldown="400d"), "cooldown '400d' is out of range"),
        (build(quiet="late"), "quiet 'late' is not a time of day"),
        (build(quiet="25:00-07:00"), "there is no time 25:00"),
        (build(quiet="07:00-07:00"), "begins and ends at the same time"),
    ],
)
def test_a_mistake_is_explained(given: Any, words: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse_rule(given, TARGETS)
    assert words in raised.value.message


def test_names_and_texts_hold_only_what_can_be_read() -> None:
    notify = {"action": "notify", "targets": ["me"], "title": " Two\nlines ", "text": "First\r\nSecond\ud800\x00"}
    rule = parse_rule(build(name="\u202eLate\x07\n night", then=[notify]), TARGETS)
    assert rule.name == "Late night"
    assert rule.then == (NotifyAction(("me",), "Two lines", "First\nSecond"),)
    with pytest.raises(Invalid, match="name is missing"):
        parse_rule(build(name="\u200b\x00"), TARGETS)


def test_a_line_that_nothing_is_left_of_leaves_no_space_at_an_end() -> None:
    rule = parse_rule(build(name="\x1b\nLate\r\x1b", then=[{**ALERT, "title": "\x07\x0bLook\x0b\x07"}]), TARGETS)
    assert (rule.name, rule.then[0]) == ("Late", AlertAction("Look", "info"))
    assert parse_rule(format_rule(rule), TARGETS) == rule


def test_a_message_needs_a_target_that_is_set() -> None:
    with pytest.raises(Invalid, match=r"no target is set\. Set PLEX_COMPANION_NOTIFY"):
        parse_rule(build(then=[{"action": "notify", "title": "x", "targets": ["family"]}]), ())


def test_a_field_that_one_of_several_types_has_may_be_used() -> None:
    then = [{"action": "alert", "title": "{data.item.full_title}{data.title} {data.alert.detail.reason}"}]
    assert parse_rule(build(when=["play.started", "media.added", "alert.opened"], then=then), ()).then


@pytest.mark.parametrize(
    ("text", "ms", "written"),
    [
        ("90s", 90_000, "90s"),
        ("10m", 600_000, "10m"),
        ("1h30m", 5_400_000, "90m"),
        ("60m", 3_600_000, "1h"),
        ("1 d", 86_400_000, "1d"),
        ("2w", 1_209_600_000, "14d"),
    ],
)
def test_a_duration_is_read_and_written(text: str, ms: int, written: str) -> None:
    assert parse_duration(text, "for") == ms
    assert format_span(ms) == written


@pytest.mark.parametrize(
    "text", ["", "10", "m", "-5m", "1.5h", "10 minutes", "1mo", "\N{FULLWIDTH DIGIT NINE}m", "9" * 10 + "s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_duration(text, "for")


def test_quiet_hours_may_end_at_midnight() -> None:
    assert parse_quiet("22:00\N{EN DASH}24:00", "quiet") == QuietHours(22 * 60, 0)


def test_placeholders_are_replaced_and_one_without_a_value_is_empty() -> None:
    row = {"type": "media.added", "inferred": True, "data": {"title": "A {data.x}", "caught_up": [{"name": "Pip"}, {}]}}
    text = "{ data.title } for {data.caught_up}, {data.year}{data.title.x}, {inferred}, { alone }"
    assert fill_placeholders(text, row, UTC) == "A {data.x} for Pip, , yes, "


def test_a_time_in_a_text_is_that_of_the_households_clock() -> None:
    row = {"at": "2026-11-22T20:41:07.310Z", "data": {"title": "2026-11-22"}}
    text = fill_placeholders("{at}: {data.title}", row, ZoneInfo("Europe/Vienna"))
    assert text == "22 Nov 2026, 21:41: 2026-11-22"


@pytest.mark.parametrize("text", ["{data.user.name", "{ data.user.name watches", "{data.user.name {at}"])
def test_a_placeholder_that_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not closed: write"):
        parse_rule(build(then=[{"action": "alert", "title": text}]), [])


def test_the_length_of_a_long_text_is_told_as_it_was_given() -> None:
    with pytest.raises(Invalid, match="has 10,000 characters, and 2,000 are allowed"):
        parse_rule(build(then=[{"action": "notify", "targets": ["me"], "title": "x", "text": "y" * 10_000}]), ["me"])
