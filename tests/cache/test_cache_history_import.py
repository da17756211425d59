"""Plex's rows and the companion's own plays: each play is there once, whatever came first."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from support.frames import DEN, START, Story, listed

from plex_companion.cache.database import Cache, open_cache
from plex_companion.cache.load import load_state
from plex_companion.changes.kinds import PlaysRepeated
from plex_companion.events import HistoryPage
from plex_companion.models import Account, Device, History, HistoryRow, ImportedPlay, Item, Section, User

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.changes.kinds import Change

SERVER = DEN.machine_identifier
HOUR = 3_600
KEY = "/status/sessions/history/{}"


class Den:
    """A story, written down as it goes."""

    def __init__(self, cache: Cache) -> None:
        self.cache, self.story, self.pages = cache, Story(connected=False), 0

    async def say(self, changes: list[Change]) -> None:
        await self.cache.write(changes, SERVER, START)

    async def watch(self, seconds: int = HOUR, *, user: User | None = User("1", "Ada"), **more: Any) -> None:  # noqa: B008 - frozen
        """Somebody begins, is listed with or without a user, and plays so long."""
        at, length = more.pop("at", 0), more.pop("length", HOUR)
        await self.say(self.story.plays("1", at=at, **more))
        item = more.get("item", "7001")
        row = listed("1", at=at, item=item, client=more.get("client", "lamp"))
        row = replace(row, user=user, item=replace(row.item, duration_ms=length * 1000))
        await self.say(self.story.look(row))
        await self.say(self.story.after(seconds).plays("1", at=at + seconds, **more))

    async def stop(self, **more: Any) -> None:
        await self.say(self.story.plays("1", "stopped", **more))

    async def count(self, *rows: HistoryRow) -> None:
        """Plex's history is read."""
        self.pages += 1
        await self.say(self.story.receive(HistoryPage(self.pages, rows)))

    def row(self, number: int = 1, ago: int = 0, *, item: str | None = "7001", user: str | None = "1") -> HistoryRow:
        """Counted so many seconds ago."""
        return HistoryRow(KEY.format(number), self.story.now.at // 1000 - ago, Item(item, title="Film"), user)

    async def plays(self, columns: str = "id, ended_by, history_key") -> list[tuple[Any, ...]]:
        sql = f"SELECT {columns} FROM plays ORDER BY id"  # noqa: S608 - our own column names
        return [tuple(row) for row in await self.cache.reader.execute_fetchall(sql)]


@pytest.fixture
async def den(tmp_path: Path) -> AsyncIterator[Den]:
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        one = Den(cache)
        await cache.write(one.story.connect(accounts=(Account("1", "Ada"),)), "unknown", START)
        yield one


async def test_a_row_without_a_play_of_ours_becomes_a_play(den: Den) -> None:
    await den.count(den.row())
    columns = "ended_by, started_at, ended_at, viewed_at, user_id, user_name, watched_ms, paused_ms, buffer_count"
    at = den.story.now.at // 1000 * 1000
    assert await den.plays(columns) == [("imported", at, at, at, "1", "Ada", None, None, None)]
    assert await den.plays("view_offset_ms, decision, state, epoch, session_key, bandwidth_kbps") == [(None,) * 6]


async def test_a_row_that_comes_again_changes_nothing(den: Den) -> None:
    await den.count(den.row(1), den.row(2))
    before = await den.plays("*")
    await den.count(den.row(1), den.row(2), den.row(2))
    assert await den.plays("*") == before


async def test_an_own_play_that_plex_counted_is_linked_and_gets_no_second_row(den: Den) -> None:
    await den.watch()
    await den.stop()
    await den.count(den.row(5, ago=60))
    assert await den.plays() == [(1, "stopped", KEY.format(5))]
    ((viewed_at, watched_ms),) = await den.plays("viewed_at, watched_ms")
    assert viewed_at == (den.story.now.at // 1000 - 60) * 1000
    assert watched_ms == HOUR * 1000


async def test_a_play_that_goes_on_is_linked_when_plex_counts_it_at_nine_tenths(den: Den) -> None:
    await den.watch(HOUR * 9 // 10)
    await den.count(den.row(5))
    assert await den.plays() == [(1, None, KEY.format(5))]
    await den.say(den.story.after(300).plays("1", at=HOUR))
    await den.stop()
    await den.count(den.row(5, ago=300))
    assert await den.plays() == [(1, "stopped", KEY.format(5))]


async def test_somebody_elses_row_or_another_item_is_another_play(den: Den) -> None:
    await den.watch()
    await den.stop()
    await den.count(den.row(1, user="2"), den.row(2, item="7002"), den.row(3, item=None))
    assert [ended_by for _, ended_by, _ in await den.plays()] == ["stopped", "imported", "imported", "imported"]


@pytest.mark.parametrize(("ago", "links"), [(HOUR + 599, True), (HOUR + 601, False), (-599, True), (-601, False)])
async def test_clocks_may_differ_by_ten_minutes(den: Den, ago: int, links: bool) -> None:
    await den.watch(length=2 * HOUR)
    await den.stop()
    await den.count(den.row(ago=ago))
    assert len(await den.plays()) == (1 if links else 2)


async def test_a_play_whose_user_was_not_known_yet_is_linked_and_learns_who_it_was(den: Den) -> None:
    await den.watch(user=None)
    await den.stop()
    await den.count(den.row(1))
    assert await den.plays("id, history_key, user_id, user_name") == [(1, KEY.format(1), "1", "Ada")]


async def test_a_play_that_was_over_before_plex_listed_it_learns_from_its_row_what_it_was(den: Den) -> None:
    await den.say(den.story.plays("1"))
    await den.stop()
    assert await den.plays("title, user_name") == [(None, None)]
    await den.count(den.row(1))
    assert await den.plays("title, user_name, client_identifier") == [("Film", "Ada", "lamp")]
    found = await den.cache.reader.execute_fetchall("SELECT rowid FROM play_titles WHERE play_titles MATCH 'film'")
    assert [tuple(row) for row in found] == [(1,)]


async def test_a_row_whose_user_plex_does_not_tell_is_linked_all_the_same(den: Den) -> None:
    await den.watch()
    await den.stop()
    await den.count(den.row(1, user=None))
    assert await den.plays("id, history_key, user_id") == [(1, KEY.format(1), "1")]


async def test_a_play_that_was_linked_before_it_had_its_user_is_given_back_when_it_is_somebody_elses(den: Den) -> None:
    await den.watch(3000, user=None)
    await den.count(den.row(1, user="1"))
    assert await den.plays() == [(1, None, KEY.format(1))]
    row = listed("1", at=3000)
    await den.say(den.story.look(replace(row, user=User("2", "Ben"))))
    await den.stop(at=3000)
    await den.count(den.row(1, user="1"), den.row(2, user="2"))
    assert await den.plays("ended_by, history_key, user_id") == [
        ("stopped", KEY.format(2), "2"),
        ("imported", KEY.format(1), "1"),
    ]


async def test_a_row_that_came_before_its_play_is_merged_into_it(den: Den) -> None:
    await den.count(den.row(1, ago=-HOUR + 60))
    assert await den.plays() == [(1, "imported", KEY.format(1))]
    await den.watch()
    await den.stop()
    assert len(await den.plays()) == 2
    await den.count(den.row(1, ago=60))
    assert await den.plays() == [(2, "stopped", KEY.format(1))]
    counted = await den.cache.reader.execute_fetchall("SELECT sum(plays) FROM play_days")
    assert [tuple(row) for row in counted] == [(1,)], "the roll-ups forget it too"


async def test_rows_and_plays_of_one_batch_find_each_other(den: Den) -> None:
    story = den.story
    row = HistoryRow(KEY.format(1), story.now.at // 1000 + HOUR, Item("7001"), "1")
    batch = [*story.plays("1"), *story.receive(HistoryPage(1, (row,))), *story.after(HOUR).plays("1", at=HOUR)]
    await den.say([*batch, *story.plays("1", "stopped"), *story.receive(HistoryPage(2, (row,)))])
    assert await den.plays() == [(1, "stopped", KEY.format(1))]


async def test_a_play_whose_end_nobody_saw_is_linked_to_a_row_from_the_time_it_may_have_gone_on(den: Den) -> None:
    await den.watch(600, length=2 * HOUR)
    await den.say(den.story.lose())
    await den.say(den.story.after(3 * HOUR).connect())
    await den.count(den.row(1, ago=3 * HOUR - 6500))
    assert await den.plays() == [(1, "inferred", KEY.format(1))]


async def test_the_same_song_three_times_is_three_plays_each_with_its_own_row(den: Den) -> None:
    ends = []
    for _ in range(3):
        await den.watch(180, length=180)
        await den.stop()
        ends.append(den.story.now.at // 1000)
        den.story.after(5)
    rows = [HistoryRow(KEY.format(n), end - 2, Item("7001"), "1") for n, end in enumerate(ends)]
    await den.count(*reversed(rows))
    assert await den.plays() == [(n + 1, "stopped", KEY.format(n)) for n in range(3)]


async def test_a_row_of_a_play_nobody_heard_does_not_take_the_next_one(den: Den) -> None:
    unheard = HistoryRow(KEY.format(0), den.story.now.at // 1000 - 20, Item("7001"), "1")
    await den.watch(180, length=180)
    await den.stop()
    await den.count(unheard, den.row(1, ago=2))
    assert await den.plays() == [(1, "stopped", KEY.format(1)), (2, "imported", KEY.format(0))]


async def test_two_people_who_watch_the_same_at_the_same_time_have_their_own_rows(den: Den) -> None:
    story = den.story
    for key, client in (("1", "lamp"), ("2", "stove")):
        await den.say(story.plays(key, client=client))
    both = [replace(listed(key, client=client), user=User(who, who)) for key, client, who in
            (("1", "lamp", "1"), ("2", "stove", "2"))]  # fmt: skip
    await den.say(story.look(*both))
    story.after(HOUR)
    for key, client in (("1", "lamp"), ("2", "stove")):
        await den.say(story.plays(key, "stopped", at=HOUR, client=client))
    await den.count(den.row(8, user="2"), den.row(9, user="1"))
    assert await den.plays("user_id, history_key") == [("1", KEY.format(9)), ("2", KEY.format(8))]


async def test_rows_without_a_key_are_told_apart_by_what_they_say(den: Den) -> None:
    keyless = [HistoryRow(f"keyless:{n}", START // 1000, Item(None, title=f"Film {n}"), None) for n in range(3)]
    await den.count(*keyless)
    await den.count(*keyless)
    assert len(await den.plays()) == 3


async def test_how_far_it_was_read_and_the_players_are_there_after_a_restart(den: Den) -> None:
    devices, sections = (Device("7", "Big TV", "Tizen", "tv-1"), Device("8")), (Section("1", "Films", "movie"),)
    await den.say(den.story.look(devices=devices, sections=sections))
    page = HistoryPage(1, (den.row(),), mark_s=77, imported=1, total=3, complete=False)
    await den.say(den.story.receive(page))
    state = await load_state(den.cache, den.story.now)
    assert state.history == History(77, 1, 3)
    assert state.devices == devices
    await den.say(den.story.look(devices=devices[:1]))
    assert (await load_state(den.cache, den.story.now)).devices == devices[:1]


async def test_a_page_that_cannot_be_written_leaves_neither_rows_nor_mark(den: Den) -> None:
    changes = den.story.receive(HistoryPage(1, (den.row(1),), mark_s=9))
    broken = ImportedPlay(9, KEY.format(9), None, Item())  # type: ignore[arg-type]  # what the database must refuse
    with pytest.raises(sqlite3.IntegrityError):
        await den.say([*changes, PlaysRepeated((broken,))])
    assert await den.plays() == []
    assert (await load_state(den.cache, den.story.now)).history == History()
