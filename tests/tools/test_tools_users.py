"""Finding users, and the server as they see it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.tools import Tools, tools_home

from plex_companion.demo import Household, build_household
from plex_companion.errors import Ambiguous, Invalid, NotFound, PlexForbidden, PlexTvUnreachable
from plex_companion.tools import users

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

JASPER = 90002


async def asked(tools: Tools, question: Callable[..., Any], *words: Any) -> Any:
    """What the function finds, and in `tools.requests` how much it asked."""
    companion = tools.application.companion
    await companion.gateway.call(lambda plex: plex)  # connecting costs a request of its own
    before = len(tools.demo.requests)
    try:
        return await companion.gateway.call(partial(_with, question, companion, words))
    finally:
        tools.requests = len(tools.demo.requests) - before


def _with(question: Callable[..., Any], companion: Any, words: tuple[Any, ...], plex: Any) -> Any:
    return question(plex, companion, *words)


def household(**changes: Any) -> Household:
    """The built-in household with one thing changed about Jasper."""
    built = build_household(now=time.time())
    built.users = [replace(user, **changes) if user.id == JASPER else user for user in built.users]
    return built


@pytest.mark.parametrize("name", ["Jasper O'Dell", "jasper o'dell", " JASPER@example.net "])
async def test_a_user_is_found_by_any_name_whatever_its_case(tools: Tools, name: str) -> None:
    found = await asked(tools, users.find_user, name)
    assert (found.id, found.account_id) == (JASPER, JASPER)
    assert tools.requests == 1
    await asked(tools, users.find_user, name)
    assert tools.requests == 0


@pytest.mark.parametrize("words", [(None,), ("",), ("ottilie@example.net",), ("Ottilie Brandt",), (None, 1)])
async def test_the_owner_needs_no_request(tools: Tools, words: tuple[Any, ...]) -> None:
    found = await asked(tools, users.find_user, *words)
    assert found.is_owner
    assert found.name == "Ottilie Brandt"
    assert tools.requests == 0


async def test_the_owner_is_also_found_by_the_number_of_plex_tv(tools: Tools) -> None:
    found = await asked(tools, users.find_user, None, "90001")
    assert found.is_owner
    assert tools.requests == 2


async def test_an_id_beats_a_name(tools: Tools) -> None:
    assert (await asked(tools, users.find_user, "Pip", JASPER)).id == JASPER


@pytest.mark.parametrize("words", [("Nobody",), ("O'Dell",), (None, 4711)])
async def test_a_stranger_is_not_found_and_the_names_are_told(tools: Tools, words: tuple[Any, ...]) -> None:
    with pytest.raises(NotFound) as caught:
        await asked(tools, users.find_user, *words)
    assert caught.value.facts["available"] == ["Ottilie Brandt", "Jasper O'Dell", "Pip", "Mei 林"]
    assert tools.requests == 2


async def test_an_id_that_is_no_number_is_refused_without_a_request(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        with pytest.raises(Invalid):
            await asked(tools, users.find_user, None, "Jasper")
        assert tools.requests == 0


async def test_users_of_the_same_name_are_told_apart_by_id_and_their_addresses_stay_hidden(tmp_path: Path) -> None:
    async with tools_home(tmp_path, household=household(name="PIP")) as tools:
        with pytest.raises(Ambiguous) as caught:
            await asked(tools, users.find_user, "pip")
        matches: Any = caught.value.facts["matches"]
        assert [match["id"] for match in matches] == [JASPER, 90003]
        assert "example.net" not in str(caught.value.body())


async def test_a_user_with_the_owners_name_makes_it_ambiguous(tmp_path: Path) -> None:
    async with tools_home(tmp_path, household=household(name="ottilie brandt")) as tools:
        await tools.until(lambda: tools.application.companion.state.accounts)
        with pytest.raises(Ambiguous, match="Omit username for the owner") as caught:
            await asked(tools, users.find_user, "Ottilie Brandt")
        matches: Any = caught.value.facts["matches"]
        assert [match["id"] for match in matches] == [users.OWNER, JASPER]
        assert (await asked(tools, users.find_user, None, JASPER)).id == JASPER
        assert (await asked(tools, users.find_user)).is_owner


@pytest.mark.parametrize("number", ["9" * 5000, "0" * 5000, "1.5", "10" * 10])
async def test_a_number_that_nobody_has_is_nobody(tools: Tools, number: str) -> None:
    with pytest.raises((NotFound, Invalid)):
        await asked(tools, users.find_user, None, number)


async def test_the_server_as_somebody_else_sees_it_costs_two_requests_once(tools: Tools) -> None:
    seen = await asked(tools, users.switch_user, "Pip")
    assert tools.requests == 2
    assert seen._token == "demo-token-pip"
    await asked(tools, users.switch_user, "Jasper O'Dell")
    assert tools.requests == 0


async def test_the_owner_sees_the_server_itself(tools: Tools) -> None:
    companion = tools.application.companion
    assert await companion.gateway.call(lambda plex: users.switch_user(plex, companion) is plex)


async def test_somebody_without_access_is_told_so(tmp_path: Path) -> None:
    async with tools_home(tmp_path, household=household(shared=False)) as tools:
        with pytest.raises(PlexForbidden, match="has no access to this server"):
            await asked(tools, users.switch_user, "Jasper O'Dell")
        assert tools.requests == 2


async def test_without_plex_tv_only_the_owner_is_found(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_plex_tv_with(503)
        with pytest.raises(PlexTvUnreachable):
            await asked(tools, users.switch_user, "Pip")
        assert (await asked(tools, users.find_user, "Ottilie Brandt")).is_owner


async def test_no_token_is_shown_by_what_is_kept(tools: Tools) -> None:
    seen = await asked(tools, users.switch_user, "Pip")
    kept = repr(vars(tools.application.companion.ttl_cache))
    assert "plex.tv access" in kept
    assert "demo-token" not in kept + repr(seen)
