"""What a rule that fires does: texts are filled, messages wait for the end of quiet hours, and nothing is sent to nobody."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from plex_companion.models import (
    AlertAction,
    NotifyAction,
    QuietHours,
    Rule,
    RuleAction,
    StopStreamAction,
    StoredRule,
    WebhookAction,
)
from plex_companion.rules.engine.judging import ActiveRule, FoundFiring
from plex_companion.rules.engine.planning import ActionSettings, plan_firing
from plex_companion.rules.engine.quiet_hours import find_end_of_quiet

if TYPE_CHECKING:
    from plex_companion.models import PlannedFiring

VIENNA = ZoneInfo("Europe/Vienna")
AT = 1_795_370_400_000
ROW: dict[str, Any] = {
    "id": "6ad7e46e-7-1a2",
    "type": "play.paused",
    "at": "2026-11-22T18:00:00.000Z",
    "inferred": False,
    "cursor": "6ad7e46e-7",
    "data": {
        "server": "den-0001",
        "server_name": "Den",
        "play_id": "7",
        "user": {"id": "1", "name": "Pip"},
        "item": {"rating_key": "501", "full_title": "Salt & Ember (1989)", "year": None},
        "player": {"title": "Living Room"},
    },
}


def plan(
    *then: RuleAction,
    read_only: bool = False,
    several_servers: bool = False,
    row: dict[str, Any] = ROW,
    **more: Any,
) -> PlannedFiring:
    stored = StoredRule(3, "Late", "", "r", 0, 0, enabled=True)
    active = ActiveRule(stored, Rule(3, "Late", ("play.paused",), then, **more))
    wanted = ActionSettings(VIENNA, read_only, ("family", "me"), ("0f3a",), several_servers)
    return plan_firing(FoundFiring(active, row, AT, 1), wanted, AT)


def test_a_message_goes_to_each_target_with_its_text_and_the_poster() -> None:
    planned = plan(NotifyAction(("family", "me"), "{data.user.name}", "{data.item.full_title} ({data.item.year})"))
    assert [one.target for one in planned.deliveries] == ["notify:family", "notify:me"]
    message = json.loads(planned.deliveries[0].body)
    assert (message["title"], message["text"]) == ("Pip", "Salt & Ember (1989) ()")
    assert message["poster"] == {"server": "den-0001", "rating_key": "501"}


def test_a_message_without_a_text_says_why_the_rule_fired() -> None:
    planned = plan(NotifyAction(("me",), "Paused"), for_ms=600_000)
    assert (
        json.loads(planned.deliveries[0].body)["text"] == "play.paused for 10m: Salt & Ember (1989), Pip, Living Room"
    )


@pytest.mark.parametrize(
    ("title", "text", "several_servers", "shown"),
    [
        ("Pip", "paused", True, "paused (Den)"),
        ("Pip", "paused", False, "paused"),
        ("Pip on {data.server_name}", "paused", True, "paused"),
        ("Pip", "paused in the Den", True, "paused in the Den"),
    ],
)
def test_a_message_says_once_which_of_several_servers_it_is_about(
    title: str, text: str, shown: str, *, several_servers: bool
) -> None:
    planned = plan(NotifyAction(("me",), title, text), several_servers=several_servers)
    assert json.loads(planned.deliveries[0].body)["text"] == shown


def test_a_message_about_no_server_names_none() -> None:
    row = {**ROW, "data": {**ROW["data"], "server": None, "server_name": None}}
    planned = plan(NotifyAction(("me",), "Pip", "paused"), row=row, several_servers=True)
    assert json.loads(planned.deliveries[0].body)["text"] == "paused"


def test_a_target_that_is_no_longer_set_gets_no_message() -> None:
    planned = plan(NotifyAction(("aunt", "me"), "x"), NotifyAction(("aunt",), "x"))
    assert [one.target for one in planned.deliveries] == ["notify:me"]
    assert [action.outcome for action in planned.firing.actions] == ["queued", "no_target"]


@pytest.mark.parametrize(("read_only", "outcome"), [(True, "read_only"), (False, "pending")])
def test_a_stream_is_stopped_where_plex_may_be_changed(outcome: str, *, read_only: bool) -> None:
    planned = plan(StopStreamAction("Good night, {data.user.name}"), read_only=read_only)
    (action,) = planned.firing.actions
    assert (action.outcome, action.message, planned.firing.play_id) == (outcome, "Good night, Pip", 7)


def test_an_alert_is_opened_on_the_server_of_the_occurrence() -> None:
    planned = plan(AlertAction("{data.user.name} paused", "warning"))
    assert (planned.alerts, planned.firing.server) == ((("Pip paused", "warning"),), "den-0001")


def test_a_webhook_gets_what_the_page_shows() -> None:
    (call,) = plan(WebhookAction()).deliveries
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```json\n(\{\"type\": \"rule\.fired\".*?)```", page, re.DOTALL)
    sent = json.loads(call.body)
    assert call.target == "0f3a"
    assert list_keys(json.loads(shown)) - {"data.occurrence.data.play_id"} <= list_keys(sent)
    assert list_keys({**sent, "data": {**sent["data"], "occurrence": {}}}) <= list_keys(json.loads(shown))


def list_keys(value: dict[str, Any], prefix: str = "") -> set[str]:
    return {f"{prefix}{key}" for key in value} | {
        path for key, inner in value.items() if isinstance(inner, dict) for path in list_keys(inner, f"{prefix}{key}.")
    }


# Quiet hours


def local(text: str) -> int:
    """A time in Vienna as milliseconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=VIENNA).timestamp() * 1000)


NIGHT = QuietHours(23 * 60, 7 * 60)


@pytest.mark.parametrize(
    ("quiet", "at", "due"),
    [
        (NIGHT, "2026-11-22T22:59:59", "2026-11-22T22:59:59"),
        (NIGHT, "2026-11-22T23:00:00", "2026-11-23T07:00:00"),
        (NIGHT, "2026-11-23T06:59:59", "2026-11-23T07:00:00"),
        (NIGHT, "2026-11-23T07:00:00", "2026-11-23T07:00:00"),
        (QuietHours(13 * 60, 14 * 60 + 30), "2026-11-23T13:10:00", "2026-11-23T14:30:00"),
        (NIGHT, "2026-03-28T23:30:00", "2026-03-29T07:00:00"),
        (NIGHT, "2026-10-24T23:30:00", "2026-10-25T07:00:00"),
        (QuietHours(0, 2 * 60 + 30), "2026-03-29T00:30:00", "2026-03-29T03:30:00"),
        (None, "2026-11-22T23:00:00", "2026-11-22T23:00:00"),
    ],
)
def test_quiet_hours_hold_a_message_back_until_they_end(quiet: QuietHours | None, at: str, due: str) -> None:
    assert find_end_of_quiet(quiet, local(at), VIENNA) == local(due)


def test_a_message_in_quiet_hours_waits_and_an_alert_does_not() -> None:
    hour = datetime.fromtimestamp(AT / 1000, UTC).astimezone(VIENNA).hour
    quiet = QuietHours(hour * 60, (hour * 60 + 120) % (24 * 60))
    planned = plan(NotifyAction(("me",), "x"), AlertAction("x"), WebhookAction(), quiet=quiet)
    message, call = planned.deliveries
    assert message.due_at > AT == call.due_at
    assert planned.alerts
