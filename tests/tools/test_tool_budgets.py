"""What tools ask of Plex, on a library of 20,000 items with 100,000 plays. The budgets do not grow with the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.tools import Tools, tools_home

from benchmarks.tools_calls import READS, WRITES, build_big_household, list_watchlist_ids
from plex_companion.tools.declare import Access
from plex_companion.tools.toolsets import TOOLSETS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.tools_calls import Call


def test_every_tool_that_reads_has_a_budget() -> None:
    every = [tool for toolset in TOOLSETS for tool in toolset.tools]
    reading = {tool.name for tool in every if tool.access is Access.READ and not tool.notes}
    assert {call.tool for call in READS} == reading


async def over_budget(tools: Tools, calls: Sequence[Call]) -> list[str]:
    """Each call with nothing kept from before; those that failed, said nothing, or asked too much."""
    wrong = []
    for call in calls:
        tools.application.companion.ttl_cache.clear()
        before = len(tools.demo.requests)
        said = await tools.ask(call.tool, **call.given)
        asked = list(tools.demo.requests.log)[before:]
        if (
            said.code != call.code
            or said.body.get("status") == "multiple_matches"
            or (call.said and not said.body[call.said])
        ):
            wrong.append(f"{call}: no good answer: {str(said.body)[:300]}")
        elif tools.requests > call.budget:
            wrong.append(f"{call}: {tools.requests} requests, {call.budget} allowed: {asked}")
    return wrong


def is_known(tools: Tools) -> bool:
    """Whether the listener has asked who plays, so that it has nothing more to ask."""
    return any(session.user for session in tools.application.companion.state.sessions.values())


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_no_tool_asks_more_than_its_budget(tmp_path: Path) -> None:
    async with tools_home(tmp_path, household=build_big_household(tmp_path)) as tools:
        demo = tools.demo
        demo.start(demo.get_movie())
        await tools.until(lambda: is_known(tools))
        demo.watchlists[demo.get_user().id] = list_watchlist_ids(demo)
        demo.state.announce = lambda _frame: None  # the listener would ask on its own, and be counted with the tool
        assert await over_budget(tools, READS) == []
        assert await over_budget(tools, WRITES) == []
