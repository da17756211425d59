"""Rules made in conversation: saved disabled, tried, enabled by a person, changed, deleted, and what they leave behind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp_types import ElicitResult
from support.application import ERAS, subscribed
from support.deadlines import HANG_SECONDS
from support.tools import Tools, tools_home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOOK = {"action": "alert", "title": "{data.user.name} watches {data.item.full_title}", "severity": "warning"}
STARTS: dict[str, Any] = {"name": "Somebody watches", "when": ["play.started"], "then": [LOOK]}
FAMILY = "family=json://127.0.0.1:9/"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Tools]:
    async with tools_home(tmp_path) as tools:
        yield tools


async def make(tools: Tools, rule: dict[str, Any] = STARTS) -> str:
    """Save and enable a rule; return its id."""
    saved = await tools.well("rule_create", rule=rule)
    await tools.well("rule_enable", id=saved["rule"]["id"], confirm=True)
    return str(saved["rule"]["id"])


def read_fired(tools: Tools, rule_id: str) -> int:
    return tools.application.companion.state.rules.stored[int(rule_id)].fired


async def await_firing(tools: Tools, rule_id: str, times: int = 1) -> dict[str, Any]:
    """The history of a rule as soon as it has fired, with every outcome."""
    rules = tools.application.companion
    await tools.until(lambda: read_fired(tools, rule_id) >= times and not rules.state.rules.pending)
    return await tools.well("rule_history", id=rule_id)


async def test_a_rule_is_saved_disabled_with_a_sentence_and_what_it_would_have_done(home: Tools) -> None:
    saved = await home.well("rule_create", rule={**STARTS, "enabled": True})
    assert saved["rule"]["enabled"] is False
    assert saved["sentence"].startswith("When ")
    assert saved["back_test"]["fired"] == 0
    home.demo.start()
    await home.until(lambda: home.application.companion.state.sessions)
    listed = await home.well("rule_list")
    assert [(rule["name"], rule["enabled"], rule["fired"]) for rule in listed["rules"]] == [
        ("Somebody watches", False, 0)
    ]


async def test_a_rule_that_is_enabled_fires_on_what_happens_and_says_what_it_did(home: Tools) -> None:
    rule_id = await make(home)
    session = home.demo.start()
    history = await await_firing(home, rule_id)
    (firing,) = history["firings"]
    assert firing["occurrence"]["type"] == "play.started"
    assert firing["actions"] == [{"action": "alert", "outcome": "opened"}]
    alerts = (await home.well("alerts_list", kinds=["rule"]))["alerts"]
    title = f"{session.user.name} watches {session.item.title}"
    assert [(alert["title"].startswith(title), alert["severity"]) for alert in alerts] == [(True, "warning")]
    fired = (await home.well("occurrences_since", types=["rule.fired"]))["occurrences"]
    assert [one["data"]["rule"] for one in fired] == [{"id": rule_id, "name": "Somebody watches"}]
    assert fired[0]["data"]["cause"]["id"] == firing["occurrence"]["id"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_person_is_asked_before_a_rule_is_enabled(tmp_path: Path, era: str) -> None:
    questions: list[str] = []

    async def agree(_: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with tools_home(tmp_path, answer=agree, era=era) as tools:
        saved = await tools.well("rule_create", rule=STARTS)
        shown = await tools.well("rule_enable", id=saved["rule"]["id"])
        assert shown["rule"]["enabled"] is True
        (question,) = questions
        assert question.startswith("Enable the rule 'Somebody watches' (id 1)?")
        assert saved["sentence"] in question


async def test_a_person_who_declines_leaves_the_rule_disabled(tmp_path: Path) -> None:
    async def decline(_: Any, _params: Any) -> ElicitResult:
        return ElicitResult(action="decline")

    async with tools_home(tmp_path, answer=decline) as tools:
        saved = await tools.well("rule_create", rule=STARTS)
        error = await tools.refused("rule_enable", id=saved["rule"]["id"], confirm=True)
        assert error["code"] == "declined"
        assert (await tools.well("rule_get", id="1"))["rule"]["enabled"] is False


async def test_a_client_that_cannot_ask_must_confirm(home: Tools) -> None:
    saved = await home.well("rule_create", rule=STARTS)
    error = await home.refused("rule_enable", id=saved["rule"]["id"])
    assert error["code"] == "confirmation_required"
    assert "confirm=true" in error["message"]


async def test_a_rule_waits_until_a_pause_has_lasted_and_shows_what_it_waits_for(home: Tools) -> None:
    rule_id = await make(home, {"name": "Paused", "when": ["play.paused"], "for": "1s", "then": [LOOK]})
    session = home.demo.start()
    companion = home.application.companion
    await home.until(lambda: any(one.listed for one in companion.state.sessions.values()))
    home.demo.pause(session)
    await home.until(lambda: companion.state.rules.timers)
    waiting = (await home.well("rule_get", id=rule_id))["waiting"]
    assert [one["occurrence"]["type"] for one in waiting] in ([], ["play.paused"])
    history = await await_firing(home, rule_id)
    assert len(history["firings"]) == 1
    assert (await home.well("rule_get", id=rule_id))["waiting"] == []


async def test_a_rule_that_another_one_sets_off_sets_nothing_off(home: Tools) -> None:
    first = await make(home)
    then = [{"action": "alert", "title": "{data.rule.name}{data.alert.title}"}]
    second = await make(home, {"name": "Follows", "when": ["rule.fired", "alert.opened"], "then": then})
    third = await make(home, {"name": "Follows that", "when": ["rule.fired", "alert.opened"], "then": then})
    home.demo.start()
    await await_firing(home, second, 2)
    await await_firing(home, third, 2)
    assert [read_fired(home, one) for one in (first, second, third)] == [1, 2, 2]
    fired = (await home.well("occurrences_since", types=["rule.fired"]))["occurrences"]
    assert sorted(one["data"]["depth"] for one in fired) == [1, 2, 2, 2, 2]


async def test_two_rules_of_one_name_are_refused(home: Tools) -> None:
    await home.well("rule_create", rule=STARTS)
    error = await home.refused("rule_create", rule={**STARTS, "name": "somebody WATCHES"})
    assert (error["code"], error["rule_id"]) == ("conflict", "1")
    assert "There is a rule called 'Somebody watches' already (id 1)" in error["message"]
    other = await home.well("rule_create", rule={**STARTS, "name": "Another"})
    taken = await home.refused("rule_update", id=other["rule"]["id"], rule=STARTS)
    assert taken["code"] == "conflict"


async def test_a_changed_rule_is_disabled_until_a_person_agrees_again(home: Tools) -> None:
    rule_id = await make(home)
    changed = await home.well("rule_update", id=rule_id, rule={**STARTS, "name": "Pip watches"})
    assert (changed["rule"]["name"], changed["rule"]["enabled"]) == ("Pip watches", False)
    assert (await home.well("rule_get", id="pip watches"))["rule"]["id"] == rule_id


async def test_a_rule_that_is_disabled_or_deleted_fires_no_more(home: Tools) -> None:
    rule_id = await make(home)
    await home.well("rule_disable", id=rule_id)
    watching = await make(home, {**STARTS, "name": "Still there"})
    home.demo.start()
    await await_firing(home, watching)
    assert read_fired(home, rule_id) == 0
    deleted = await home.well("rule_delete", id=rule_id)
    assert deleted["rule"]["name"] == "Somebody watches"
    error = await home.refused("rule_get", id=rule_id)
    assert (error["code"], error["available"]) == ("not_found", ["2 'Still there'"])


async def test_a_rule_stops_a_stream_and_says_that_it_did(home: Tools) -> None:
    stop = {"action": "stop_stream", "message": "Good night, {data.user.name}"}
    rule_id = await make(home, {"name": "Bedtime", "when": ["play.started"], "then": [stop]})
    home.demo.start()
    history = await await_firing(home, rule_id)
    assert history["firings"][0]["actions"] == [{"action": "stop_stream", "outcome": "done"}]
    await home.until(lambda: not home.application.companion.state.sessions)
    asked = [entry for entry in home.demo.requests.log if "terminate" in str(entry)]
    assert len(asked) == 1


async def test_a_read_only_companion_saves_rules_and_asks_plex_to_stop_nothing(tmp_path: Path) -> None:
    async with tools_home(tmp_path, read_only="true") as tools:
        stop = {"name": "Bedtime", "when": ["play.started"], "then": [{"action": "stop_stream"}]}
        saved = await tools.well("rule_create", rule=stop)
        error = await tools.refused("rule_enable", id=saved["rule"]["id"])
        assert "read-only, so it will stop nothing" in error["message"]
        await tools.well("rule_enable", id=saved["rule"]["id"], confirm=True)
        tools.demo.start()
        history = await await_firing(tools, "1")
        assert history["firings"][0]["actions"] == [{"action": "stop_stream", "outcome": "read_only"}]
        assert tools.application.companion.state.sessions
        assert [entry for entry in tools.demo.requests.log if "terminate" in str(entry)] == []


async def test_messages_go_into_the_outbox_with_the_firing(tmp_path: Path) -> None:
    tell = {"action": "notify", "targets": ["family"], "title": "{data.user.name}", "text": "{data.item.full_title}"}
    async with tools_home(tmp_path, notify=FAMILY, webhook_urls="http://127.0.0.1:9/hook") as tools:
        rule_id = await make(tools, {**STARTS, "then": [tell, {"action": "webhook"}, LOOK]})
        tools.demo.start()
        history = await await_firing(tools, rule_id)
        assert [action["outcome"] for action in history["firings"][0]["actions"]] == ["queued", "queued", "opened"]
        targets = [one["target"] for one in history["deliveries"]]
        assert [target == "notify:family" for target in targets] in ([True, False], [False, True])
        assert "127.0.0.1" not in str(history)


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_is_notified_when_a_rule_is_saved_and_when_it_fires(tmp_path: Path, era: str) -> None:
    async with (
        tools_home(tmp_path) as tools,
        subscribed(tools.application.server, era, "plex://rules", "plex://rules/1") as (_, updates),
    ):
        await make(tools)
        await updates.until("plex://rules", 1)
        seen = updates.uris.count("plex://rules/1")
        tools.demo.start()
        with anyio.fail_after(HANG_SECONDS):
            while True:  # it may have been told of what was saved once more
                await updates.until("plex://rules/1", seen)
                seen = updates.uris.count("plex://rules/1")
                contents = (await tools.client.read_resource("plex://rules/1")).contents
                if '"fired":1' in contents[0].text:  # type: ignore[union-attr]  # all resources are text
                    break


async def test_a_condition_that_keeps_failing_disables_the_rule_and_an_alert_says_so(home: Tools) -> None:
    rule = {**STARTS, "when": ["play.started"], "only_if": "10 / (data.view_offset_ms - data.view_offset_ms) > 1"}
    rule_id = await make(home, rule)
    for number in range(3):
        home.demo.start(player=number)
    state = home.application.companion
    await home.until(lambda: not state.state.rules.stored[int(rule_id)].enabled)
    shown = (await home.well("rule_get", id=rule_id))["status"]
    assert shown["disabled_because"]
    (alert,) = (await home.well("alerts_list", kinds=["rule_failed"]))["alerts"]
    assert "keeps failing" in alert["title"]
    assert alert["resolved_at"] is None
    await home.well("rule_enable", id=rule_id, confirm=True)
    (alert,) = (await home.well("alerts_list", kinds=["rule_failed"]))["alerts"]
    assert alert["resolved_at"] is not None


async def test_the_call_that_the_page_shows_saves_a_rule(home: Tools) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- tool: rule_create -->\n```json\n(.*?)```", page, re.DOTALL)
    saved = await home.well("rule_create", **json.loads(shown))
    assert saved["rule"]["name"] == "Kids after nine"


ALERT = [LOOK]
BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"when": ["play.started"], "then": ALERT}, "name is missing"),
    ({"name": "A", "then": ALERT}, "when lists the types"),
    ({"name": "A", "when": ["play.begun"], "then": ALERT}, "no type of occurrence 'play.begun'"),
    ({"name": "A", "when": ["play.started"]}, "then lists"),
    ({"name": "A", "when": ["play.started"], "then": ALERT, "if": "true"}, "has no key 'if'"),
    ({"name": "A", "when": ["play.started"], "then": ALERT, "for": "10m"}, "for needs something that lasts"),
    ({"name": "A", "when": ["play.paused"], "then": ALERT, "for": "soon"}, "is not a duration"),
    ({"name": "A", "when": ["play.started"], "then": ALERT, "quiet": "late"}, "is not a time of day"),
    ({"name": "A", "when": ["play.started"], "then": ALERT, "only_if": "data.nobody == 1"}, "has no field 'nobody'"),
    ({"name": "A", "when": ["play.started"], "then": ALERT, "only_if": "data.user.name =="}, "only_if"),
    ({"name": "A", "when": ["play.started"], "then": [{"action": "shout"}]}, "is not an action"),
    (
        {"name": "A", "when": ["play.started"], "then": [{"action": "notify", "targets": ["aunt"], "title": "x"}]},
        "target",
    ),
    (
        {"name": "A", "when": ["play.started"], "then": [{"action": "alert", "title": "{data.nothing}"}]},
        "no field {data.nothing}",
    ),
    ({"name": "A", "when": ["media.added"], "then": [{"action": "stop_stream"}]}, "stop_stream needs a play"),
)


@pytest.mark.parametrize(("rule", "words"), BAD, ids=[words for _, words in BAD])
async def test_a_bad_rule_is_refused_with_a_sentence(tools: Tools, rule: dict[str, Any], words: str) -> None:
    error = await tools.refused("rule_create", rule=rule)
    assert error["code"] == "invalid"
    assert words in error["message"]
    assert (await tools.well("rule_list"))["count"] == 0


@pytest.mark.parametrize("name", ["rule_get", "rule_enable", "rule_disable", "rule_delete", "rule_history"])
async def test_a_rule_that_is_not_there_is_not_found(tools: Tools, name: str) -> None:
    error = await tools.refused(name, id="99")
    assert error["code"] == "not_found"
    assert "There are no rules yet; rule_create saves one." in error["message"]
