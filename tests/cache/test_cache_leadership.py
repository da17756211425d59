"""What the leader adds to its transactions, and what the other processes read of it."""

from __future__ import annotations

from dataclasses import replace as replace_row
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from support.frames import DEN, START, Story, listed

from plex_companion.cache.database import Cache, open_cache
from plex_companion.cache.leadership import LeaderCommit, LeadershipLost, LeaderStatus, LinkStatus, TouchedUris
from plex_companion.cache.load import load_committed, load_state
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.cache.prune import prune
from plex_companion.cache.record import ServerBatch
from plex_companion.changes.kinds import Journaled
from plex_companion.ingest.leader import STATUS_INTERVAL_MS, LeaderRecord
from plex_companion.models import ONLY_LINK, Connection, Moment

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


LISTENING = LeaderStatus(4711, {"events": {"playing": 3}})


def linked(connection: Connection = LIVE, link: str = ONLY_LINK, server: str = DEN.machine_identifier) -> LinkStatus:
    return LinkStatus(link, server, connection, sessions_read=True, last_event_at=START, refreshed_at=START)


def build_commit(term: int | None = None, *urgent: str) -> LeaderCommit:
    return LeaderCommit(START, term, TouchedUris(set(urgent)), LISTENING, [linked()])


async def test_a_first_transaction_begins_a_term_and_later_ones_belong_to_it(cache: Cache) -> None:
    assert await cache.write([row(1)], UNKNOWN, START, build_commit()) == 1
    assert await cache.write([row(2)], UNKNOWN, START, build_commit(1)) == 1
    assert await cache.write([row(3)], UNKNOWN, START, build_commit()) == 2


async def test_of_a_term_that_is_over_nothing_is_written(cache: Cache) -> None:
    first = await cache.write([row(1)], UNKNOWN, START, build_commit())
    await cache.write([row(2)], UNKNOWN, START, build_commit())
    with pytest.raises(LeadershipLost):
        await cache.write([row(3)], UNKNOWN, START, build_commit(first, "plex://events"))
    assert (await load_state(cache, NOW)).next_event == 3
    assert (await load_committed(cache, NOW, 0)).announcements.last_id == 0


async def test_what_is_pinned_up_is_seen_together_with_the_rows(cache: Cache) -> None:
    story = Story(connected=False)
    changes = [*story.connect(listed("1")), *story.plays("1", at=60)]
    await cache.write(changes, UNKNOWN, START, build_commit(None, "plex://sessions"))
    found = await load_committed(cache, NOW, 0)
    assert found.leader == LISTENING
    (state,) = found.states.values()
    assert state.connection == LIVE
    assert (state.server, state.sessions_read) == (DEN, True)
    assert (state.last_event_at, state.refreshed_at) == (START, START)
    (session,) = state.sessions.values()
    assert (session.view_offset_ms, session.stale) == (60_000, False)
    assert [one.stale for one in (await load_state(cache, NOW)).sessions.values()] == [True], (
        "who only starts knows less"
    )


async def test_sessions_of_a_connection_that_is_lost_are_stale_whatever_their_rows_say(cache: Cache) -> None:
    await cache.write(Story(connected=False).connect(listed("1")), UNKNOWN, START, build_commit())
    down = LeaderCommit(START, 1, links=[linked(Connection("down", START, 7, "no pong"))])
    await cache.write([], UNKNOWN, START, down)
    (state,) = (await load_committed(cache, NOW, 0)).states.values()
    assert [session.stale for session in state.sessions.values()] == [True]


async def test_announcements_add_up_and_what_is_urgent_once_is_urgent(cache: Cache) -> None:
    for touched in (
        TouchedUris({"plex://sessions"}, {"plex://clients"}),
        TouchedUris(set(), {"plex://sessions", "plex://history"}, listing=True),
        TouchedUris({"plex://events"}),
    ):
        await cache.write([], UNKNOWN, START, LeaderCommit(START, None, touched, LISTENING))
    news = (await load_committed(cache, NOW, 1)).announcements
    assert (news.last_id, news.complete, news.committed_at) == (3, True, START)
    assert news.touched == TouchedUris({"plex://events"}, {"plex://sessions", "plex://history"}, listing=True)
    assert (await load_committed(cache, NOW, 0)).announcements.touched.immediate == {"plex://sessions", "plex://events"}
    assert not (await load_committed(cache, NOW, 3)).announcements.touched


async def test_old_announcements_are_taken_down_and_whoever_missed_them_knows(cache: Cache) -> None:
    for n in range(3):
        await cache.write([], UNKNOWN, START, LeaderCommit(START + n, None, TouchedUris({"plex://events"}), LISTENING))
    await prune(cache, events_before=0, events_kept=100, alerts_before=0, announced_before=START + 2)
    assert not (await load_committed(cache, NOW, 0)).announcements.complete
    assert (await load_committed(cache, NOW, 2)).announcements.complete
    await prune(cache, events_before=0, events_kept=100, alerts_before=0, announced_before=START + 9)
    assert not (await load_committed(cache, NOW, 2)).announcements.complete
    assert (await load_committed(cache, NOW, 3)).announcements.complete, "nothing new"


async def test_the_connection_goes_on_counting_where_nothing_played_on_the_last_one(cache: Cache) -> None:
    await cache.write([], UNKNOWN, START, build_commit())
    assert (await load_state(cache, NOW)).connection.epoch == 7


ATTIC = replace(DEN, machine_identifier="attic-0002", name="Attic")
LINKS = ("a", "b")


async def test_only_links_that_moved_are_read_again(cache: Cache) -> None:
    first, second = Story(connected=False), Story(connected=False)
    changes = [
        ServerBatch(first.connect(listed("1")), "unknown:a", "unknown:a"),
        ServerBatch(count_on(second, first).connect(listed("1"), server=ATTIC), "unknown:b", "unknown:b"),
    ]
    links = [linked(link="a"), linked(link="b", server=ATTIC.machine_identifier)]
    await cache.write_batches(changes, START, LeaderCommit(START, None, TouchedUris(), LISTENING, links, LINKS))
    whole = await load_committed(cache, NOW, 0, LINKS)
    assert [list(state.sessions) for state in whole.states.values()] == [["1"], ["1"]]
    assert [state.server for state in whole.states.values()] == [DEN, ATTIC]

    again = await load_committed(cache, NOW, 0, LINKS, whole.links)
    assert (again.states, again.links) == ({}, whole.links)

    more = [ServerBatch(count_on(second, first).plays("1", at=60), ATTIC.machine_identifier, "unknown:b")]
    await cache.write_batches(more, START, LeaderCommit(START, 1, TouchedUris(), moved=["b"]))
    sql: list[str] = []
    await cache.reader.set_trace_callback(sql.append)
    moved = await load_committed(cache, NOW, 0, LINKS, again.links)
    assert list(moved.states) == ["b"]
    assert moved.states["b"].sessions["1"].view_offset_ms == 60_000
    assert not [statement for statement in sql if DEN.machine_identifier in statement and "plays" in statement]


async def test_a_link_whose_connection_changed_is_read_again_and_one_that_is_only_fresher_is_not(cache: Cache) -> None:
    links = [linked(link="a"), linked(link="b", server=ATTIC.machine_identifier)]
    await cache.write_batches([], START, LeaderCommit(START, None, TouchedUris(), LISTENING, links))
    known = (await load_committed(cache, NOW, 0, LINKS)).links
    later = [
        replace_row(links[0], refreshed_at=START + 9),
        replace_row(links[1], connection=Connection("down", START, 7, "no")),
    ]
    await cache.write_batches([], START, LeaderCommit(START, 1, links=later))
    found = await load_committed(cache, NOW, 0, LINKS, known)
    assert list(found.states) == ["b"]
    assert found.links["a"].refreshed_at == START + 9


def count_on(story: Story, other: Story) -> Story:
    """Let a story on a second server use ids that the first has not used."""
    story.state.ids = other.state.ids.copy()
    return story


def test_what_only_grows_fresher_waits_a_second_and_what_matters_does_not() -> None:
    leader_record, state = LeaderRecord(4711, lambda *_: TouchedUris()), Story().state
    states = {ONLY_LINK: state}

    def count() -> dict[str, int]:
        return {"snapshots": 2}

    first = leader_record.build_commit(states, dict, START)
    assert first.status is not None
    leader_record.mark_committed(first, 1)
    assert not leader_record.build_commit({ONLY_LINK: state}, dict, START + STATUS_INTERVAL_MS), (
        "the same again is worth no row"
    )
    assert not leader_record.build_commit({ONLY_LINK: state}, count, START + STATUS_INTERVAL_MS - 1)
    assert leader_record.build_commit({ONLY_LINK: state}, count, START + STATUS_INTERVAL_MS)
    assert leader_record.build_commit({ONLY_LINK: state}, count, START - 5_000), "the clock was set back"
    state.connection = Connection("down", START, 1, "closed by Plex")
    assert leader_record.build_commit({ONLY_LINK: state}, dict, START + 1)


def test_what_could_not_be_written_is_told_by_the_next_commit() -> None:
    leader_record, state = LeaderRecord(4711, lambda *_: TouchedUris({"plex://events"})), Story().state
    leader_record.begin_batch({ONLY_LINK: []}, {ONLY_LINK: []}, {ONLY_LINK: state})
    leader_record.find_uris = lambda *_: TouchedUris(set(), {"plex://clients"})
    leader_record.begin_batch({ONLY_LINK: []}, {ONLY_LINK: []}, {ONLY_LINK: state})
    commit = leader_record.build_commit({ONLY_LINK: state}, dict, START)
    assert commit.touched == TouchedUris({"plex://events"}, {"plex://clients"})
    leader_record.mark_committed(commit, 1)
    assert not leader_record.build_commit({ONLY_LINK: state}, dict, START).touched
