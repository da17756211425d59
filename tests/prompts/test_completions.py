"""What is proposed while somebody types, out of memory alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mcp import Client
from mcp_types import PromptReference, ResourceTemplateReference
from support.application import Home, home, settings_for

from plex_companion.app import open_application
from plex_companion.demo import open_demo
from plex_companion.prompts.completions import propose_values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("home")) as running:
        running.demo.start()
        companion = running.application.companion
        await running.until(lambda: companion.state.accounts and companion.state.sections)
        await running.until(lambda: any(one.item.full_title for one in companion.state.sessions.values()))
        await running.until(lambda: companion.state.clients)
        yield running


async def test_a_session_is_found_by_key_by_title_and_by_user(it: Home) -> None:
    companion = it.application.companion
    ((key, session),) = companion.state.sessions.items()
    assert session.item.full_title
    assert session.user
    assert session.user.name
    for typed in ("", key, session.item.full_title[:4].upper(), session.user.name):
        assert propose_values(companion, "session_key", typed) == [key]
    assert propose_values(companion, "title", session.item.full_title[:3]) == [session.item.full_title]
    assert propose_values(companion, "session_key", "no such thing") == []


async def test_a_client_is_found_by_the_name_of_the_player(it: Home) -> None:
    companion = it.application.companion
    client = next(iter(companion.state.clients.values()))
    assert client.title
    assert client.client_identifier in propose_values(companion, "client_identifier", client.title)


async def test_libraries_and_users_are_proposed_by_their_names(it: Home) -> None:
    companion = it.application.companion
    titles = [section.title for section in companion.state.sections]
    assert propose_values(companion, "library", "") == titles
    assert propose_values(companion, "library", titles[0][:2].lower())[0] == titles[0]
    names = [account.name for account in companion.state.accounts if account.name]
    assert names
    assert propose_values(companion, "user", "") == names


async def test_what_begins_with_it_comes_before_what_holds_it(it: Home) -> None:
    assert propose_values(it.application.companion, "since", "d") == ["2d", "7d", "30d", "today", "yesterday"]
    assert propose_values(it.application.companion, "since", "2") == ["24h", "2d"]
    assert propose_values(it.application.companion, "occasion", "rain") == []


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_a_client_is_offered_values_for_prompts_and_uris(it: Home, era: str) -> None:
    companion = it.application.companion
    (key,) = companion.state.sessions
    async with Client(it.application.server, mode=era) as client:
        of_uri = await client.complete(
            ResourceTemplateReference(uri="plex://sessions/{session_key}"), {"name": "session_key", "value": ""}
        )
        of_prompt = await client.complete(
            PromptReference(name="make_a_playlist"), {"name": "library", "value": companion.state.sections[0].title}
        )
        strange = await client.complete(PromptReference(name="sing"), {"name": "library", "value": ""})
    assert (of_uri.completion.values, of_uri.completion.total, of_uri.completion.has_more) == ([key], 1, False)
    assert of_prompt.completion.values[0] == companion.state.sections[0].title
    assert strange.completion.values == []


async def test_what_was_seen_before_is_proposed_while_plex_is_away(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo:
        settings = settings_for(demo, tmp_path)
        async with home(tmp_path, demo=demo) as it:
            it.demo.start()
            await it.until(lambda: it.application.companion.state.clients)
            seen = propose_values(it.application.companion, "client_identifier", "")
    async with open_application(settings) as application:
        assert not application.companion.is_live
        assert propose_values(application.companion, "client_identifier", "") == seen
        assert seen
