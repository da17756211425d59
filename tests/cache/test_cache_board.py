"""The board: what one process pins up in its transactions, and what the others read there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from stories import DEN, START, Story, listed

from plex_companion.cache import UNKNOWN, Cache, open_cache
from plex_companion.cache.board import Bulletin, Deposed, Listening, Touched
from plex_companion.cache.load import load_state, look
from plex_companion.changes.kinds import Journaled
from plex_companion.desk import FRESH_MS, Desk
from plex_companion.models import Connection, Moment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = Moment(START, 1_000_000)
LIVE = Connection("live", START, 7)


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Cache]:
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        yield cache


def row(number: int) -> Journaled:
    return Journaled(number, START, "playing", None, "playing", "{}")


def listening(connection: Connection = LIVE, refreshed_at: int = START) -> Listening:
    counters = {"events": {"playing": 3}}
    return Listening(
        4711,
        DEN.machine_identifier,
        connection,
        sessions_read=True,
        last_event_at=START,
        refreshed_at=refreshed_at,
        counters=counters,
    )


def bulletin(term: int | None = None, *urgent: str) -> Bulletin:
    return Bulletin(START, term, Touched(set(urgent)), listening())


async def test_a_first_transaction_begins_a_term_and_later_ones_belong_to_it(cache: Cache) -> None:
    assert await cache.write([row(1)], UNKNOWN, START, bulletin()) == 1
    assert await cache.write([row(2)], UNKNOWN, START, bulletin(1)) == 1
    assert await cache.write([row(3)], UNKNOWN, START, bulletin()) == 2


async def test_of_a_term_that_is_over_nothing_is_written(cache: Cache) -> None:
    first = await cache.write([row(1)], UNKNOWN, START, bulletin())
    await cache.write([row(2)], UNKNOWN, START, bulletin())
    with pytest.raises(Deposed):
        await cache.write([row(3)], UNKNOWN, START, bulletin(first, "plex://events"))
    assert (await load_state(cache, NOW)).next_event == 3
    assert (await look(cache, NOW, 0)).news.last == 0


async def test_what_is_pinned_up_is_seen_together_with_the_rows(cache: Cache) -> None:
    story = Story(connected=False)
    changes = [*story.connect(listed("1")), *story.plays("1", at=60)]
    await cache.write(changes, UNKNOWN, START, bulletin(None, "plex://sessions"))
    found = await look(cache, NOW, 0)
    assert found.listening == listening()
    assert found.state.connection == LIVE
    assert (found.state.server, found.state.sessions_read) == (DEN, True)
    assert (found.state.last_event_at, found.state.refreshed_at) == (START, START)
    (session,) = found.state.sessions.values()
    assert (session.view_offset_ms, session.stale) == (60_000, False)
    assert [one.stale for one in (await load_state(cache, NOW)).sessions.values()] == [True], (
        "who only starts knows less"
    )


async def test_sessions_of_a_connection_that_is_lost_are_stale_whatever_their_rows_say(cache: Cache) -> None:
    await cache.write(Story(connected=False).connect(listed("1")), UNKNOWN, START, bulletin())
    down = Bulletin(START, 1, listening=listening(Connection("down", START, 7, "no pong")))
    await cache.write([], UNKNOWN, START, down)
    assert [session.stale for session in (await look(cache, NOW, 0)).state.sessions.values()] == [True]


async def test_announcements_add_up_and_what_is_urgent_once_is_urgent(cache: Cache) -> None:
    for touched in (
        Touched({"plex://sessions"}, {"plex://clients"}),
        Touched(set(), {"plex://sessions", "plex://history"}, listing=True),
        Touched({"plex://events"}),
    ):
        await cache.write([], UNKNOWN, START, Bulletin(START, None, touched, listening()))
    news = (await look(cache, NOW, 1)).news
    assert (news.last, news.complete, news.committed_at) == (3, True, START)
    assert news.touched == Touched({"plex://events"}, {"plex://sessions", "plex://history"}, listing=True)
    assert (await look(cache, NOW, 0)).news.touched.urgent == {"plex://sessions", "plex://events"}
    assert not (await look(cache, NOW, 3)).news.touched


async def test_old_announcements_are_taken_down_and_whoever_missed_them_knows(cache: Cache) -> None:
    for n in range(3):
        await cache.write([], UNKNOWN, START, Bulletin(START + n, None, Touched({"plex://events"}), listening()))
    await cache.prune(events_before=0, events_kept=100, alerts_before=0, announced_before=START + 2)
    assert not (await look(cache, NOW, 0)).news.complete
    assert (await look(cache, NOW, 2)).news.complete
    await cache.prune(events_before=0, events_kept=100, alerts_before=0, announced_before=START + 9)
    assert not (await look(cache, NOW, 2)).news.complete
    assert (await look(cache, NOW, 3)).news.complete, "nothing new"


async def test_the_connection_goes_on_counting_where_nothing_played_on_the_last_one(cache: Cache) -> None:
    await cache.write([], UNKNOWN, START, bulletin())
    assert (await load_state(cache, NOW)).connection.epoch == 7


def test_what_only_grows_fresher_waits_a_second_and_what_matters_does_not() -> None:
    desk, state = Desk(4711, lambda _: Touched()), Story().state
    first = desk.bulletin(state, {}, START)
    assert first.listening is not None
    desk.pinned_up(first, 1)
    assert not desk.bulletin(state, {}, START + FRESH_MS), "the same again is worth no row"
    assert not desk.bulletin(state, {"snapshots": 2}, START + FRESH_MS - 1)
    assert desk.bulletin(state, {"snapshots": 2}, START + FRESH_MS)
    assert desk.bulletin(state, {"snapshots": 2}, START - 5_000), "the clock was set back"
    state.connection = Connection("down", START, 1, "closed by Plex")
    assert desk.bulletin(state, {}, START + 1)


def test_what_could_not_be_written_is_told_by_the_next_commit() -> None:
    desk, state = Desk(4711, lambda _: Touched({"plex://events"})), Story().state
    desk.take([], [])
    desk.name = lambda _: Touched(set(), {"plex://clients"})
    desk.take([], [])
    told = desk.bulletin(state, {}, START)
    assert told.touched == Touched({"plex://events"}, {"plex://clients"})
    desk.pinned_up(told, 1)
    assert not desk.bulletin(state, {}, START).touched
