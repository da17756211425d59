"""Occurrences of several companions on one database: all serve the same, and a takeover repeats and loses none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.several_processes import Member, ending, member, two

from plex_companion.companion import read_clock
from plex_companion.models import Moment
from plex_companion.occurrences.reading import read_occurrences

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow

START = read_clock()


def read_fast_clock() -> Moment:
    """A clock that runs fifty times too fast, so that groups are complete soon."""
    now = read_clock()
    return Moment(START.at + (now.at - START.at) * 50, START.tick + (now.tick - START.tick) * 50)


async def happened(one: Member, *types: str) -> list[dict[str, Any]]:
    """The occurrences of these types, as soon as the last type is among them."""
    with anyio.fail_after(HANG_SECONDS):
        while True:
            changed = one.companion.live.prepare_wait()
            found = (await read_occurrences(one.companion.cache, None, types, 1_000)).occurrences
            if any(row["type"] == types[-1] for row in found):
                return found
            await changed.wait()


PLAY = ("play.started", "play.paused", "play.resumed", "play.stopped")


async def test_a_companion_that_follows_serves_the_same_occurrences(demo: Demo, tmp_path: Path) -> None:
    async with two(demo, tmp_path) as (first, second):
        demo.stop(demo.start())
        assert await happened(second, *PLAY) == await happened(first, *PLAY)


async def test_a_takeover_repeats_no_occurrence_and_loses_none(demo: Demo, tmp_path: Path) -> None:
    async with ending(demo, tmp_path) as (first, its), member(demo, tmp_path) as second:
        session, other = demo.start(), demo.start(player=1)
        await first.until(lambda: all(one.listed for one in first.sessions.values()) and len(first.sessions) == 2)
        demo.pause(session)
        await happened(first, "play.paused")
        await its.end()
        demo.stop(other)
        demo.resume(session)
        with anyio.fail_after(HANG_SECONDS):
            await second.until(lambda: second.listens and second.companion.is_live)
        demo.stop(session)
        await second.until(lambda: not second.sessions)
        found = await happened(second, *PLAY)
    names = [(row["type"], row["data"]["player"]["client_identifier"]) for row in found]
    one, another = session.player.client_identifier, other.player.client_identifier
    assert sorted(name for name in names if name[1] == another) == [
        ("play.started", another),
        ("play.stopped", another),
    ]
    assert [name for name, client in names if client == one] in (
        ["play.started", "play.paused", "play.resumed", "play.stopped"],
        ["play.started", "play.paused", "play.stopped"],
    )


async def test_a_thousand_items_with_long_titles_are_recorded_once_each(demo: Demo, tmp_path: Path) -> None:
    title = "A very long title " * 17
    async with member(demo, tmp_path, now=read_fast_clock) as one:
        await one.live()
        for number in range(1_000):
            movie = replace(demo.state.list_kind("movie")[0], key=str(90_000 + number))
            demo.state.announce_timeline(movie, 0, title="", metadataState="created")
            demo.state.announce_timeline(movie, 5, title=f"{title}{number}")
        with anyio.fail_after(HANG_SECONDS):
            while True:
                changed = one.companion.live.prepare_wait()
                found = (await read_occurrences(one.companion.cache, None, ["media.added"], 5_000)).occurrences
                if len(found) >= 1_000 and not one.companion.state.pending_media:
                    break
                await changed.wait()
    keys = [row["data"]["items"][0]["rating_key"] for row in found]
    assert sorted(keys) == [str(90_000 + number) for number in range(1_000)]
    assert all(row["data"]["title"].startswith(title) for row in found)
