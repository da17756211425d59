"""What Plex has just said can be tried at once: a real server, a real websocket, a real client."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from support.deadlines import HANG_SECONDS
from support.tools import Tools, tools_home

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

RULE: dict[str, Any] = {"name": "Second stream", "when": ["play.started"], "then": [{"action": "webhook"}]}


async def wait_for(tools: Tools, ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask after every commit, until there is an answer."""
    with anyio.fail_after(HANG_SECONDS):
        while True:
            committed = tools.application.companion.live.prepare_wait()
            if answer := await ask():
                return answer
            await committed.wait()


async def has_started(tools: Tools, plays: int) -> bool:
    rows = (await tools.well("occurrences_since", types=["play.started"]))["occurrences"]
    return len(rows) == plays and all(row["data"]["user"]["name"] for row in rows)


async def list_firings(tools: Tools, rule_id: str) -> list[dict[str, Any]]:
    firings: list[dict[str, Any]] = (await tools.well("rule_history", id=rule_id))["firings"]
    return firings


async def test_a_rule_about_streams_counts_the_play_that_has_just_begun(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        for plays in (1, 2):
            tools.demo.start(player=plays)
            await wait_for(tools, partial(has_started, tools, plays))
        user = tools.demo.get_user().name
        same_user = "streams_of(data.user.name) == streams()"
        found = await tools.well("rule_test", rule={**RULE, "only_if": f"streams() == 2 && {same_user}"}, since="1h")
        assert (found["judged"], found["fired"]) == (2, 1)
        assert found["firings"][0]["user"] == user
        assert [miss["failed"] for miss in found["near_misses"]] == ["streams() == 2"]


async def test_a_rule_that_has_run_would_have_fired_on_the_same_occurrences(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        saved = await tools.well("rule_create", rule={**RULE, "only_if": "streams() >= 1", "cooldown": "1s"})
        assert saved["back_test"]["fired"] == 0
        identity = saved["rule"]["id"]
        await tools.well("rule_enable", id=identity, confirm=True)
        tools.demo.start(player=1)
        fired = await wait_for(tools, partial(list_firings, tools, identity))
        tried = await tools.well("rule_test", id=identity, since="1h")
        assert [one["occurrence"]["id"] for one in tried["firings"]] == [one["occurrence"]["id"] for one in fired]
        assert [one["at"] for one in tried["firings"]] == [one["at"] for one in fired]
        assert tried["sentence"] == saved["sentence"]
