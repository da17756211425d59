"""Every rule explains itself in one sentence, which leaves nothing out."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from plex_companion.errors import Invalid
from plex_companion.models import AlertAction, OccurrenceName, Rule
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.rules.condition_words import DESCRIBED_SUBJECTS, describe_condition
from plex_companion.rules.conditions import compile_condition
from plex_companion.rules.explain import explain
from plex_companion.rules.rule_format import LASTING, format_rule, parse_rule
from plex_companion.rules.templates import list_templates

NOTIFY = {"action": "notify", "targets": ["family"], "title": "x"}
TARGETS = ("family", "me")


def explain_json(when: list[str], only_if: str = "", **rest: Any) -> str:
    return explain(parse_rule({"name": "A", "when": when, "only_if": only_if, "then": [NOTIFY], **rest}, TARGETS))


@pytest.mark.parametrize(
    ("when", "only_if", "sentence"),
    [
        (["play.started"], "", "When somebody starts playing something"),
        (
            ["play.started"],
            'data.user.name == "Pip" && data.decision == "transcode" && hour(at) >= 22',
            "When Pip starts a transcode after 22:00",
        ),
        (
            ["play.started", "play.resumed"],
            'data.user.name in ["Pip", "Anna"] && (hour(at) >= 21 || hour(at) < 6)',
            "When Pip or Anna starts or resumes something between 21:00 and 06:00",
        ),
        (
            ["play.started"],
            'data.user.name != "Pip" && data.item.type == "movie" && data.decision != "transcode"',
            "When anybody but Pip starts a movie without a transcode",
        ),
        (
            ["play.started"],
            'data.item.type == "movie" && data.decision == "transcode" && data.item.library == "Films"',
            'When somebody starts a movie as a transcode in the library "Films"',
        ),
        (
            ["play.started"],
            "!data.player.local && bandwidth() > 20000",
            "When somebody starts playing something away from home while all streams together take more than 20 Mbit/s",
        ),
        (
            ["play.started"],
            'data.player.title == "TV" && streams() >= 3 && streams_of(data.user.id) == 1',
            'When somebody starts playing something on "TV" with exactly 1 stream of their own while at least 3 streams are running',
        ),
        (["play.started"], "22 <= hour(at) && hour(at) < 23", "When somebody starts playing something between 22:00 and 23:00"),
        (["play.started"], "hour(at) < 7 && weekday(at) < 5", "When somebody starts playing something on a weekday before 07:00"),
        (
            ["play.started"],
            "hour(at) >= 22 && hour(at) < 6",
            "When somebody starts playing something after 22:00, if `hour(at) < 6`",
        ),
        (
            ["play.started"],
            "hour(at) >= 6 || hour(at) < 22",
            "When somebody starts playing something, if `hour(at) >= 6 || hour(at) < 22`",
        ),
        (["play.started"], "hour(at) == 3", "When somebody starts playing something between 03:00 and 04:00"),
        (
            ["play.started"],
            "hour(at) > 21 && hour(at) > 22",
            "When somebody starts playing something after 22:00, if `hour(at) > 22`",
        ),
        (["play.started"], "weekday(at) >= 5", "When somebody starts playing something at the weekend"),
        (["play.started"], "weekday(at) in [0, 2]", "When somebody starts playing something on a Monday or a Wednesday"),
        (
            ["play.watched"],
            'data.item.grandparent_title == "Harbour Street"',
            'When somebody has watched an episode of "Harbour Street"',
        ),
        (
            ["play.stopped"],
            'data.percent < 50 && data.ended_by == "stopped"',
            'When somebody stops something at less than 50 %, if `data.ended_by == "stopped"`',
        ),
        (
            ["play.started"],
            'data.user.name == "Pip" && data.user.name == "Anna"',
            'When Pip starts playing something, if `data.user.name == "Anna"`',
        ),
        (
            ["play.quality_changed"],
            "streams_of(data.user.name) > 1",
            "When somebody gets another quality of something with more than 1 stream of their own",
        ),
        (["play.buffering"], 'data.user.name == "Pip"', "When something that Pip plays keeps buffering"),
        (
            ["media.added"],
            'data.type in ["episode", "season"] && data.caught_up.exists(one, one.name == "Pip")',
            "When an episode or a season is added and Pip has watched everything before",
        ),
        (
            ["media.added", "media.upgraded"],
            'data.resolution == "4k" && data.size_bytes > 50000000000',
            "When something in 4K of more than 50 GB is added or something in 4K of more than 50 GB gets another file",
        ),
        (["alert.opened"], "", "When an alert opens"),
        (["alert.opened"], 'data.alert.severity == "error"', "When an error alert opens"),
        (
            ["alert.resolved"],
            'data.alert.kind in ["buffering", "playback_error"] && data.alert.severity == "info"',
            'When the alert "buffering" or "A player reports an error" (info) is resolved',
        ),
        (["connection.restored"], "minutes(data.down_ms) >= 10", "When Plex is connected again after at least 10 minutes"),
        (["rule.fired"], "", "When another rule fires"),
        (["rule.fired"], 'data.rule.name == "Late"', 'When the rule "Late" fires'),
        (["client.new"], 'data.player.platform == "Roku"', 'When a new player appears on "Roku"'),
        (["scan.finished"], 'data.library == "Films"', 'When a scan adds something in the library "Films"'),
        (["library.checked"], 'data.library == "Films"', 'When the daily comparison finds the library "Films"'),
        (
            ["library.checked"],
            'data.library in ["Films", "Shows"] && data.days_since_added > 1',
            'When the daily comparison finds the library "Films" or "Shows" that got nothing new for more than 1 day',
        ),
        (["server.updated"], 'data.server_name == "Attic"', 'When Plex runs another version on the server "Attic"'),
        (
            ["play.started"],
            "hour(at) == 3 || data.inferred",
            "When somebody starts playing something, if `hour(at) == 3 || data.inferred`",
        ),
    ],
)  # fmt: skip
def test_a_rule_is_a_sentence(when: list[str], only_if: str, sentence: str) -> None:
    assert explain_json(when, only_if) == f"{sentence}, tell family"


@pytest.mark.parametrize(
    ("rest", "end"),
    [
        ({"cooldown": "1h"}, "tell family, at most once an hour"),
        ({"cooldown": "1d"}, "tell family, at most once a day"),
        ({"cooldown": "90m"}, "tell family, at most once in 90 minutes"),
        ({"quiet": "23:00-07:00"}, "tell family, and keep messages back from 23:00 to 07:00"),
        ({"then": [{**NOTIFY, "targets": ["family", "me"]}, {"action": "webhook"}]}, "tell family and me and call the webhooks"),
        ({"then": [{"action": "alert", "title": "Look"}]}, 'open the alert "Look"'),
        ({"then": [{"action": "stop_stream"}]}, "stop the stream"),
        ({"then": [{"action": "stop_stream", "message": "Good night"}]}, 'stop the stream with the message "Good night"'),
    ],
)  # fmt: skip
def test_a_sentence_says_what_then_and_how_often(rest: dict[str, Any], end: str) -> None:
    assert explain_json(["play.started"], **rest) == f"When somebody starts playing something, {end}"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("play.paused", "When Pip has paused something for 10 minutes"),
        ("play.buffering", "When what Pip plays keeps buffering for 10 minutes"),
        ("alert.opened", "When an alert has been open for 10 minutes"),
        ("connection.lost", "When Plex has been out of reach for 10 minutes"),
    ],
)
def test_what_must_last_says_how_long(name: str, sentence: str) -> None:
    only_if = 'data.user.name == "Pip"' if name.startswith("play.") else ""
    assert explain_json([name], only_if, **{"for": "10m"}) == f"{sentence}, tell family"
    assert name in LASTING


@pytest.mark.parametrize("name", OCCURRENCE_TYPES)
def test_each_type_of_occurrence_has_words(name: OccurrenceName) -> None:
    assert "happens" not in explain(Rule(None, "A", (name,), (AlertAction("Look"),)))


def find_types(subject: str) -> list[str]:
    """The types whose fields a subject uses."""
    found = []
    for name in OCCURRENCE_TYPES:
        try:
            compile_condition(f"{subject} == {subject}", [name])
        except Invalid:
            continue
        found.append(name)
    return found


@pytest.mark.parametrize("subject", DESCRIBED_SUBJECTS)
def test_a_sentence_leaves_no_part_of_a_condition_out(subject: str) -> None:
    types = find_types(subject)
    assert types
    for name in types:
        for value in ('"movie"', '"x"', "3", "true"):
            if not fits(only_if := f"{subject} == {value}", name):
                continue
            words = describe_condition(compile_condition(only_if, [name]))
            sentence = explain_json([name], only_if)
            plain = explain_json([name])
            assert sentence != plain
            assert all(word.removeprefix("in ") in sentence for word in [*words.places.values(), *words.quoted])


def fits(only_if: str, name: str) -> bool:
    try:
        compile_condition(only_if, [name])
    except Invalid:
        return False
    return True


def test_a_condition_that_cannot_be_read_any_longer_is_quoted() -> None:
    rule = Rule(None, "A", ("play.started",), (AlertAction("Look"),), only_if="data.gone\n == 3")
    assert explain(rule) == 'When somebody starts playing something, if `data.gone == 3`, open the alert "Look"'


def test_names_in_a_sentence_are_short_and_visible() -> None:
    sentence = explain_json(["play.started"], f'data.player.title == "{"x" * 200}\N{RIGHT-TO-LEFT OVERRIDE}"')
    assert f'"{"x" * 60}…"' in sentence
    assert sentence.isprintable()


@pytest.mark.parametrize("targets", [(), ("family",), ("family", "me")])
@pytest.mark.parametrize("names", [("x" * 50, "y" * 50, "z" * 51), ('The "Kid"\\', "A\tB\nC", "\N{PARTY POPPER}")])
def test_each_ready_made_rule_can_be_saved_as_it_is(targets: tuple[str, ...], names: tuple[str, str, str]) -> None:
    templates = list_templates(targets, *names)
    assert len(templates) == 15
    assert len({rule.name for rule in templates}) == 15
    for rule in templates:
        assert parse_rule(format_rule(rule), targets) == rule
        assert not rule.enabled


@pytest.mark.parametrize("rule", list_templates(("family",)), ids=lambda rule: rule.name)
def test_each_ready_made_rule_is_put_in_words_entirely(rule: Rule) -> None:
    sentence = explain(rule)
    assert "`" not in sentence
    assert sentence.startswith("When ")
    assert "tell family" in sentence
    assert explain(replace(rule, only_if="")) != sentence or not rule.only_if
