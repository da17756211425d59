"""A snapshot holds what could be read, says what could not, and fails only when Plex is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.scripted_plex import STARTING, Answer, Pretend, clock, pretend_plex, settings_for

from plex_companion.errors import PlexError, PlexStarting, PlexUnauthorized, PlexUnreachable, TimedOut, ToolError
from plex_companion.plex.gateway import Gateway, open_gateway
from plex_companion.plex.snapshot import take_snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plex_companion.events import Snapshot


@pytest.fixture
async def pretend() -> AsyncIterator[Pretend]:
    async with pretend_plex() as plex:
        yield plex
        plex.close()


@pytest.fixture
async def gateway(pretend: Pretend) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(pretend.url)) as one:
        yield one


async def _take(gateway: Gateway, *, first: bool = True, library: bool = True) -> Snapshot:
    with anyio.fail_after(HANG_SECONDS):
        return await take_snapshot(gateway, epoch=3, first=first, now=clock(), want_library=library, private=True)


async def test_the_first_one_does_not_wait_for_the_libraries(pretend: Pretend, gateway: Gateway) -> None:
    snapshot = await _take(gateway, library=False)
    assert snapshot.server is not None
    assert snapshot.sessions is not None
    assert snapshot.sections is None
    assert not [path for path in pretend.asked if path.startswith("/library")]


@pytest.mark.parametrize("answer", [Answer(500), Answer(body=b""), Answer(body=b"<html/>")])
async def test_without_the_sessions_the_first_snapshot_and_that_of_the_library_are_some_and_say_so(
    pretend: Pretend, gateway: Gateway, answer: Answer
) -> None:
    pretend.answers["/status/sessions"] = answer
    first = await _take(gateway)
    assert (first.sessions, first.is_unreadable) == (None, True)
    assert "GET /status/sessions: " in (first.detail or "")
    later = await _take(gateway, first=False)
    assert (later.sessions, later.is_unreadable) == (None, True)
    assert later.accounts is not None
    with pytest.raises(PlexError):
        await _take(gateway, first=False, library=False)


async def test_where_the_sessions_are_the_owners_alone_they_are_none_and_that_is_said(
    pretend: Pretend, gateway: Gateway
) -> None:
    pretend.answers["/status/sessions"] = Answer(403)
    snapshot = await _take(gateway)
    assert snapshot.sessions is None
    assert "GET /status/sessions: " in (snapshot.detail or "")


async def test_with_the_library_it_holds_everything(gateway: Gateway) -> None:
    snapshot = await _take(gateway)
    assert (snapshot.epoch, snapshot.first, snapshot.detail) == (3, True, None)
    assert snapshot.server is not None
    assert snapshot.server.name == "Attic"
    assert [row.session_key for row in snapshot.sessions or ()] == ["7"]
    assert [one.uuid for one in snapshot.activities or ()] == ["u-1"]
    assert [(one.title, one.count) for one in snapshot.sections or ()] == [("Films", 1200), ("Series", 30)]
    assert [(one.id, one.name) for one in snapshot.accounts or ()] == [("0", None), ("1", "hidden")]
    assert [one.client_identifier for one in snapshot.clients or ()] == ["tv-1"]


async def test_requested_is_the_moment_before_the_first_request(gateway: Gateway) -> None:
    assert (await _take(gateway)).requested == clock()()


async def test_later_ones_cost_two_requests(pretend: Pretend, gateway: Gateway) -> None:
    await _take(gateway)
    pretend.asked.clear()
    snapshot = await _take(gateway, first=False, library=False)
    assert sorted(pretend.asked) == ["/activities", "/status/sessions"]
    assert (snapshot.server, snapshot.sections, snapshot.accounts, snapshot.clients) == (None,) * 4


async def test_counting_a_library_reads_no_items(pretend: Pretend, gateway: Gateway) -> None:
    await _take(gateway)
    counted = [path for path in pretend.asked if "/all?" in path]
    assert len(counted) == 2
    assert all(path.endswith("X-Plex-Container-Size=0") for path in counted)


@pytest.mark.parametrize("path", ["/activities", "/library/sections", "/accounts", "/clients"])
@pytest.mark.parametrize("answer", [Answer(403), Answer(500), Answer(body=b""), Answer(body=b"<html/>")])
async def test_a_part_that_cannot_be_read_is_none_and_said(
    pretend: Pretend, gateway: Gateway, path: str, answer: Answer
) -> None:
    pretend.answers[path] = answer
    snapshot = await _take(gateway)
    part = {"/library/sections": "sections"}.get(path, path[1:])
    parts = ("sessions", "activities", "sections", "accounts", "clients")
    assert [name for name in parts if getattr(snapshot, name) is None] == [part]
    assert snapshot.detail is not None
    assert f"GET {path}: " in snapshot.detail


async def test_a_count_that_fails_leaves_the_library(pretend: Pretend, gateway: Gateway) -> None:
    pretend.answers["/library/sections/2/all"] = Answer(500)
    snapshot = await _take(gateway)
    assert [(one.title, one.count) for one in snapshot.sections or ()] == [("Films", 1200), ("Series", None)]
    assert snapshot.detail is not None


async def test_sessions_that_are_the_owners_alone_are_not_a_refused_token(pretend: Pretend, gateway: Gateway) -> None:
    pretend.answers["/status/sessions"] = Answer(401)
    snapshot = await _take(gateway)
    assert snapshot.sessions is None
    assert snapshot.activities is not None


@pytest.mark.parametrize(("answer", "kind"), [(Answer(401), PlexUnauthorized), (Answer(503, STARTING), PlexStarting)])
async def test_a_server_that_is_closed_raises_after_few_requests(
    pretend: Pretend, gateway: Gateway, answer: Answer, kind: type[ToolError]
) -> None:
    pretend.answers = dict.fromkeys(pretend.answers, answer)
    with pytest.raises(kind):
        await _take(gateway)
    assert len(pretend.asked) <= 2


async def test_a_server_that_is_gone_raises() -> None:
    async with pretend_plex() as gone:
        gone.close()
    async with open_gateway(settings_for(gone.url)) as gateway:
        with pytest.raises(PlexUnreachable):
            await _take(gateway)


async def test_sessions_that_take_too_long_raise(pretend: Pretend) -> None:
    pretend.answers["/status/sessions"] = pretend.never
    async with open_gateway(settings_for(pretend.url, plex_timeout_seconds=1)) as gateway:
        with pytest.raises(TimedOut):
            await _take(gateway)
