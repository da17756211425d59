"""Occurrences in a real file: pages, cursors, gaps, and what pruning and repetition leave."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from support.frames import DEN, START, Story, listed
from support.occurrences import OccurrenceStory, list_names

from plex_companion.cache.database import Cache, open_cache
from plex_companion.cache.load import load_state
from plex_companion.cache.migrate import apply_all, list_migrations
from plex_companion.cache.prune import prune
from plex_companion.cache.record import coalesce
from plex_companion.changes.kinds import Change, OccurrenceRecorded, PlaysImported, ServerSeen
from plex_companion.errors import Invalid
from plex_companion.events import HistoryPage
from plex_companion.models import HistoryRow, ImportedPlay, Item, Occurrence
from plex_companion.occurrences.reading import (
    read_cursor_before,
    read_newest_cursor,
    read_occurrences,
    read_oldest_time,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OCCURRENCES = 9
"""The migration that adds them."""


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Cache]:
    async with open_cache(tmp_path / "cache.sqlite3", backups=0) as opened:
        await opened.write([ServerSeen(DEN)], "unknown", START)
        yield opened


def happen(number: int, name: Any = "play.paused", **more: Any) -> Change:
    return OccurrenceRecorded(Occurrence(name, START + number * 1_000, {"number": number}, **more))


async def write(cache: Cache, *changes: Change) -> None:
    await cache.write(changes, DEN.machine_identifier, START)


async def numbers(cache: Cache, cursor: str | None = None, **more: Any) -> list[int]:
    page = await read_occurrences(cache, cursor, **more)
    return [one["data"]["number"] for one in page.occurrences]


async def test_pages_follow_each_other_without_loss_or_repetition(cache: Cache) -> None:
    start = cursor = await read_newest_cursor(cache)
    await write(cache, *(happen(number) for number in range(7)))
    found: list[int] = []
    for _ in range(4):
        page = await read_occurrences(cache, cursor, limit=2)
        found += [one["data"]["number"] for one in page.occurrences]
        cursor = page.next_cursor
    assert found == [*range(7)]
    assert (await read_occurrences(cache, cursor)).occurrences == []
    assert await numbers(cache, start, limit=3) == [0, 1, 2]
    assert await numbers(cache, limit=3) == [4, 5, 6]


async def test_a_cursor_moves_past_what_is_of_other_types(cache: Cache) -> None:
    await write(cache, happen(1), happen(2, "play.stopped"), happen(3))
    page = await read_occurrences(cache, None, ["play.stopped"])
    assert [one["data"]["number"] for one in page.occurrences] == [2]
    assert page.next_cursor == await read_newest_cursor(cache)


async def test_an_occurrence_has_its_server_time_and_whether_it_was_inferred(cache: Cache) -> None:
    await write(cache, happen(0), happen(1, inferred=True))
    plain, inferred = (await read_occurrences(cache, None)).occurrences
    assert plain["data"] == {
        "server": DEN.machine_identifier, "server_name": "Den", "at": plain["at"], "number": 0,
    }  # fmt: skip
    assert (plain["inferred"], inferred["inferred"], inferred["data"]["inferred"]) == (False, True, True)
    assert plain["id"] != inferred["id"]


async def test_what_happens_before_a_server_is_known_is_its_own_once_it_is(tmp_path: Path) -> None:
    async with open_cache(tmp_path / "cache.sqlite3", backups=0) as cache:
        await cache.write([happen(1)], "unknown", START)
        (before,) = (await read_occurrences(cache, None)).occurrences
        await cache.write([happen(2), ServerSeen(DEN)], "unknown", START)
        after = (await read_occurrences(cache, None)).occurrences
    assert before["data"]["server"] is None
    assert {one["data"]["server"] for one in after} == {DEN.machine_identifier}


async def test_a_play_that_ends_because_another_server_answers_is_of_its_own_server(cache: Cache) -> None:
    story = OccurrenceStory()
    started = story.look(listed("1"))
    ended = story.after(60).connect(server=replace(DEN, machine_identifier="cabin-0002", name="Cabin"))
    await write(cache, *started)
    await write(cache, *ended)
    found = (await read_occurrences(cache, None)).occurrences
    of_plays = {(one["type"], one["data"]["server"]) for one in found if one["type"].startswith("play.")}
    assert of_plays == {("play.started", "den-0001"), ("play.stopped", "den-0001")}


@pytest.mark.parametrize(("kept", "before"), [(2, 0), (100, START + 5_000)])
async def test_a_cursor_before_what_was_pruned_is_a_gap_and_goes_on(cache: Cache, kept: int, before: int) -> None:
    start = await read_newest_cursor(cache)
    await write(cache, *(happen(number) for number in range(7)))
    cursors = [one["cursor"] for one in (await read_occurrences(cache, start)).occurrences]
    await prune(cache, events_before=before, events_kept=kept, alerts_before=0)
    page = await read_occurrences(cache, start)
    assert (page.gap, [one["data"]["number"] for one in page.occurrences]) == (True, [5, 6])
    assert [(await read_occurrences(cache, cursor)).gap for cursor in cursors] == [True] * 4 + [False] * 3


async def test_occurrences_can_be_kept_longer_than_the_journal(cache: Cache) -> None:
    assert await read_oldest_time(cache) is None
    await write(cache, *(happen(number) for number in range(7)))
    await prune(cache, events_before=START + 9_000, events_kept=100, alerts_before=0, occurrences_before=START + 4_000)
    assert await read_oldest_time(cache) == START + 4_000
    assert len((await read_occurrences(cache, None)).occurrences) == 3


async def test_ids_are_never_given_again_also_when_everything_was_pruned(cache: Cache) -> None:
    await write(cache, happen(1), happen(2))
    newest = await read_newest_cursor(cache)
    await prune(cache, events_before=START + 1_000_000, events_kept=100, alerts_before=0)
    assert await read_newest_cursor(cache) == newest
    assert (await read_occurrences(cache, newest)).gap is False
    await write(cache, happen(3))
    page = await read_occurrences(cache, newest)
    assert ([one["data"]["number"] for one in page.occurrences], page.gap) == ([3], False)
    assert page.occurrences[0]["cursor"].endswith("-3")


async def test_a_restored_backup_gives_other_ids_to_what_happens_after_it(tmp_path: Path) -> None:
    ids = set()
    for name, number in (("cache.sqlite3", 1), ("restored.sqlite3", 2)):
        async with open_cache(tmp_path / name, backups=0) as cache:
            await cache.write([ServerSeen(DEN)], "unknown", START)
            await cache.transact(lambda db: db.execute("UPDATE about SET value = '00000000' WHERE name = 'database'"))
            await write(cache, happen(number))
            ids |= {one["id"] for one in (await read_occurrences(cache, None)).occurrences}
    assert len(ids) == 2


async def test_a_time_becomes_the_cursor_before_it(cache: Cache) -> None:
    await write(cache, *(happen(number) for number in range(5)))
    assert await numbers(cache, await read_cursor_before(cache, START + 3_000)) == [3, 4]
    assert await numbers(cache, await read_cursor_before(cache, 0)) == [*range(5)]
    assert await numbers(cache, await read_cursor_before(cache, START + 9_000)) == []


async def test_another_file_has_other_ids_and_its_cursors_are_foreign(cache: Cache, tmp_path: Path) -> None:
    await write(cache, happen(1))
    async with open_cache(tmp_path / "other.sqlite3", backups=0) as other:
        foreign = await read_newest_cursor(other)
    page = await read_occurrences(cache, foreign)
    assert (page.gap, page.occurrences, page.next_cursor) == (True, [], await read_newest_cursor(cache))


@pytest.mark.parametrize(
    "cursor", ["", "7", "soon", "0000000g-1", "00000000-", "00000000-1 ", "-1", "٣" * 10, "x" * 9_000]
)
async def test_what_is_no_cursor_is_refused_by_name(cache: Cache, cursor: str) -> None:
    with pytest.raises(Invalid) as error:
        await read_occurrences(cache, cursor)
    assert len(str(error.value)) < 300


async def test_a_row_of_history_that_was_imported_before_causes_nothing(cache: Cache) -> None:
    play = ImportedPlay(1, "/history/1", START, Item("7001", type="movie"))
    caused = happen(1, "play.watched", history_key=play.history_key)
    for _ in range(3):
        await write(cache, PlaysImported((play,), None), caused)
    assert await numbers(cache) == [1]


def test_changes_that_wait_for_the_disk_keep_every_occurrence_in_order() -> None:
    waiting = [happen(number) for number in range(3)]
    assert coalesce(waiting) == waiting


async def test_what_an_older_version_has_recorded_is_not_recorded_again(tmp_path: Path) -> None:
    story, path = Story(), tmp_path / "cache.sqlite3"
    story.look(listed("1"), listed("2", item="7002", client="stove"))
    story.after(60).plays("1", "paused", at=6_600)
    story.after(1).plays("2", "stopped", at=6_900, item="7002", client="stove")
    async with open_cache(tmp_path / "now.sqlite3", backups=0) as now:
        await now.write(story.changes, "unknown", START)
    older = [migration for migration in list_migrations() if migration.version < OCCURRENCES]
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        apply_all(db, older)
        db.execute("ATTACH ? AS now", (str(tmp_path / "now.sqlite3"),))
        for table in ("servers", "plays"):
            columns = ", ".join(row[0] for row in db.execute("SELECT name FROM pragma_table_info(?, 'main')", (table,)))
            db.execute(f"INSERT OR IGNORE INTO {table} ({columns}) SELECT {columns} FROM now.{table}")  # noqa: S608 - our own names
    async with open_cache(path, backups=0) as cache:
        state = await load_state(cache, story.now)
    newer = OccurrenceStory(connected=False)
    newer.state, newer.now = state, story.now
    newer.epoch = story.epoch
    counted = HistoryRow("/history/1", story.now.at // 1000, Item("7002", type="movie"), account_id="1")
    found = newer.after(5).connect(replace(listed("1", "paused", at=6_600)))
    found += newer.after(5).receive(HistoryPage(1, (counted,)))
    assert [name for name in list_names(found) if name.startswith("play.")] == []
