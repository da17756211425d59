"""An import of rules is one event: all of its rules are saved or none, and each replaces the rule of its name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec import to_builtins
from msgspec.structs import replace
from support.frames import Story, of

from plex_companion.cache.forwarded_events import StoredEvent
from plex_companion.changes.kinds import AlertResolved, RuleChanged, RuleTimerEnded
from plex_companion.changes.rule_reports import MOST_ERRORS
from plex_companion.errors import Conflict
from plex_companion.events import RuleCreated, RuleDeleted, RulesEvaluated, RuleSwitched
from plex_companion.models import AlertAction, Rule, RuleTally, RuleTimer
from plex_companion.rules.engine.requests import RuleRequest, request_import
from plex_companion.rules.engine.stored_form import encode_definition

if TYPE_CHECKING:
    from plex_companion.models import StoredRule

LATE = Rule(None, "Late", ("play.started",), (AlertAction("Late"),))
LONG = Rule(None, "Long", ("play.paused",), (AlertAction("Long"),), for_ms=60_000)
EARLY = replace(LATE, then=(AlertAction("Early"),))
NEWEST = 7


def save(story: Story, rule: Rule, *, enabled: bool = False) -> StoredRule:
    story.receive(RuleCreated(rule.name, encode_definition(rule), f"{rule.name} saved"))
    rule_id = max(story.state.rules.stored)
    if enabled:
        story.receive(RuleSwitched(rule_id, enabled=True, revision=f"{rule.name} enabled"))
    return story.state.rules.stored[rule_id]


def plan(story: Story, *rules: Rule, enable: bool = False) -> RuleRequest | None:
    revisions = [f"{rule.name} imported" for rule in rules]
    return request_import(story.state.rules, rules, revisions, enable=enable, newest=NEWEST)


def send(story: Story, request: RuleRequest | None) -> None:
    assert request is not None
    story.after(1).receive(request.event)


def shown(story: Story) -> list[tuple[str, str, bool]]:
    return [(rule.name, rule.revision, rule.enabled) for rule in story.state.rules.stored.values()]


def test_new_rules_are_saved_disabled() -> None:
    story = Story()
    request = plan(story, LATE, LONG)
    send(story, request)
    assert shown(story) == [("Late", "Late imported", False), ("Long", "Long imported", False)]
    assert request is not None
    assert request.is_done(story.state.rules)


def test_a_rule_replaces_the_one_of_its_name_which_is_disabled_and_forgets_what_it_waits_for() -> None:
    story = Story()
    known = save(story, LONG, enabled=True)
    timer = RuleTimer(known.id, known.revision, "pause of 1", story.now.at, "{}")
    story.receive(RulesEvaluated(0, 1, begun=(timer,)))
    send(story, plan(story, replace(LONG, name="LONG", for_ms=90_000)))
    assert shown(story) == [("LONG", "LONG imported", False)]
    assert story.state.rules.timers == {}


def test_a_rule_that_is_there_already_goes_on_undisturbed() -> None:
    story = Story()
    save(story, LATE, enabled=True)
    send(story, plan(story, LATE, LONG))
    assert shown(story) == [("Late", "Late enabled", True), ("Long", "Long imported", False)]
    assert of(story.changes, RuleTimerEnded) == []


def test_when_all_rules_are_there_already_nothing_is_asked_for() -> None:
    story = Story()
    save(story, LATE)
    assert plan(story, LATE) is None
    send(story, plan(story, LATE, enable=True))
    assert shown(story) == [("Late", "Late imported", True)]
    assert story.state.rules.stored[1].enabled_after == NEWEST
    assert plan(story, LATE, enable=True) is None


def test_a_rule_that_was_changed_or_deleted_meanwhile_lets_none_be_saved() -> None:
    for interfering in (RuleSwitched(1, enabled=True, revision="switched"), RuleDeleted(1)):
        story = Story()
        save(story, LATE)
        request = plan(story, LONG, EARLY)
        story.receive(interfering)
        before = shown(story)
        send(story, request)
        assert shown(story) == before
        assert request is not None
        with pytest.raises(Conflict, match="Nothing was imported"):
            request.is_done(story.state.rules)


def test_an_import_that_two_shells_send_at_once_is_done_once() -> None:
    story = Story()
    request, other = plan(story, LATE), plan(story, EARLY)
    send(story, request)
    send(story, other)
    assert len(of(story.changes, RuleChanged)) == 1


def test_the_alert_that_a_rule_fails_is_resolved_when_the_rule_is_imported_anew() -> None:
    story = Story()
    known = save(story, LATE, enabled=True)
    story.receive(RulesEvaluated(0, 1, tallies=(RuleTally(known.id, known.revision, (), MOST_ERRORS, "no"),)))
    assert ("rule_failed", "1") in story.state.alerts
    send(story, plan(story, EARLY))
    assert [change.alert.kind for change in of(story.changes, AlertResolved)] == ["rule_failed"]


def test_an_import_survives_being_forwarded_to_another_process() -> None:
    story = Story()
    save(story, LATE)
    request = plan(story, EARLY, LONG, enable=True)
    assert request is not None
    stored = StoredEvent(1, story.now.at, request.event.type, json.dumps(to_builtins(request.event)), None)
    assert stored.decode(story.now).event == request.event
