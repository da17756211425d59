"""The file of the database is taken away under those who use it: it is noticed, said, and made good."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.several_processes import Member, member, rows, two

from plex_companion.cache.migrate import migrate
from plex_companion.errors import Internal
from plex_companion.history.alert_pages import list_alerts
from plex_companion.resources.registry import read_resource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow


async def until(fact: Callable[[], object]) -> None:
    """Wait for what nothing announces: a file."""
    with anyio.fail_after(HANG_SECONDS):
        while not fact():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.02)


def written(folder: Path, sql: str) -> list[tuple[object, ...]]:
    """Rows of the file that has the name, none where it is not ready."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'cache.sqlite3'}?mode=ro", uri=True)) as reader:
            return reader.execute(sql).fetchall()
    except sqlite3.Error:
        return []


async def healed(one: Member, folder: Path) -> None:
    """The alert is over, the storage is well, and the file in its place says so."""
    recorded = "SELECT 1 FROM alerts WHERE kind = 'storage' AND subject = 'file' AND resolved_at IS NOT NULL"
    await until(lambda: one.companion.live.storage == "ok" and written(folder, recorded))


def shows(one: Member, key: str) -> bool:
    return key in one.sessions and one.companion.live.storage == "ok"


def is_degraded(one: Member) -> bool:
    return one.companion.live.storage == "degraded"


def remove(folder: Path, *ends: str) -> None:
    for end in ends:
        (folder / f"cache.sqlite3{end}").unlink()


@pytest.mark.parametrize(
    "ends",
    [("",), ("", "-wal", "-shm"), ("-wal",), ("-shm",), ("-wal", "-shm"), ("", "-wal", "-shm", ".lock")],
    ids=str,
)
async def test_a_database_whose_files_are_removed_is_written_anew_with_all_that_was_in_it(
    ends: tuple[str, ...], demo: Demo, tmp_path: Path
) -> None:
    async with member(demo, tmp_path, tick=0.1) as one:
        await one.live()
        before = demo.start()
        await one.until(lambda: before.key in one.sessions)
        remove(tmp_path, *ends)
        await healed(one, tmp_path)
        after = demo.start(demo.get_movie(1), player=1, user=1)
        await one.until(lambda: after.key in one.sessions)
        assert one.listens
    keys = [key for (key,) in rows(tmp_path, "SELECT session_key FROM plays WHERE session_key IS NOT NULL ORDER BY id")]
    assert keys == [before.key, after.key]
    ids = [id_ for (id_,) in rows(tmp_path, "SELECT id FROM events ORDER BY id")]
    assert ids == list(range(1, len(ids) + 1))
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert not [name for name in next(os.walk(tmp_path))[2] if "partial" in name]


async def test_who_ends_before_it_has_noticed_leaves_the_database_behind(demo: Demo, tmp_path: Path) -> None:
    async with member(demo, tmp_path, tick=20) as one:
        await one.live()
        session = demo.start()
        await one.until(lambda: session.key in one.sessions)
        remove(tmp_path, "", "-wal", "-shm")
    assert rows(tmp_path, "SELECT session_key FROM plays WHERE ended_at IS NULL") == [(session.key,)]


@pytest.mark.parametrize("ends", [("",), ("", "-wal", "-shm", ".lock")], ids=str)
async def test_who_follows_finds_the_new_file(ends: tuple[str, ...], demo: Demo, tmp_path: Path) -> None:
    async with two(demo, tmp_path) as (first, second):
        remove(tmp_path, *ends)
        await until((tmp_path / "cache.sqlite3").exists)
        session = demo.start()
        for one in (first, second):
            await until(partial(shows, one, session.key))
        await until(lambda: first.listens != second.listens)  # who was slow to rewrite it learns that it was replaced
    plays = rows(tmp_path, "SELECT count(*), count(DISTINCT session_key) FROM plays WHERE session_key IS NOT NULL")
    assert plays == [(1, 1)]


@pytest.mark.parametrize("kind", ["text", "recipes", "another house", "empty", "folder"])
async def test_a_foreign_file_in_its_place_is_left_alone_and_told(kind: str, demo: Demo, tmp_path: Path) -> None:
    path, other = tmp_path / "cache.sqlite3", tmp_path / "other"
    match kind:
        case "text":
            other.write_text("words " * 999)
        case "recipes":
            with closing(sqlite3.connect(other)) as recipes:
                recipes.execute("CREATE TABLE recipes (title TEXT)")
        case "another house":
            migrate(other)
            with closing(sqlite3.connect(other)) as other_file:
                other_file.execute("INSERT INTO servers VALUES ('cabin', 'Cabin', NULL, NULL, NULL, 0, 0)")
                other_file.commit()
                other_file.execute("PRAGMA journal_mode = DELETE")
        case "empty":
            other.touch()
        case _:
            other.mkdir()
    before = other.read_bytes() if other.is_file() else b""
    async with member(demo, tmp_path, tick=0.1) as one:
        await one.live()
        path.unlink()
        other.rename(path)
        await until(lambda: one.companion.live.storage == "degraded")
        await until(lambda: ("storage", "file") in one.companion.state.alerts)
        session = demo.start()
        await one.until(lambda: session.key in one.sessions)
        assert (path.read_bytes() if path.is_file() else b"") == before
        recorded = await list_alerts(one.companion, 9, kinds=["storage"])
        assert [alert["resolved_at"] for alert in recorded["alerts"]] == [None], "it is told, though it is not written"
        assert (await list_alerts(one.companion, 9, kinds=["buffering"]))["alerts"] == []
        path.rename(other)
        await healed(one, tmp_path)
    assert (other.read_bytes() if other.is_file() else b"") == before
    assert rows(tmp_path, "SELECT session_key FROM plays WHERE session_key IS NOT NULL") == [(session.key,)]


async def test_a_database_that_is_cut_under_it_says_what_is_wrong_and_what_plays(demo: Demo, tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite3"
    async with member(demo, tmp_path, tick=0.1) as one:
        await one.live()
        session = demo.start()
        await one.until(lambda: session.key in one.sessions)
        os.truncate(path, 0)
        await until(lambda: is_degraded(one))
        assert session.key in await read_resource(one.companion, "plex://sessions")
        with pytest.raises(Internal, match="The database cannot be read"):
            await read_resource(one.companion, "plex://history")


async def test_an_older_copy_of_the_same_house_in_its_place_is_gone_on_with(demo: Demo, tmp_path: Path) -> None:
    path, copy = tmp_path / "cache.sqlite3", tmp_path / "copy.sqlite3"
    async with member(demo, tmp_path, tick=0.1) as one:
        await one.live()
        await until(lambda: written(tmp_path, "SELECT 1 FROM servers WHERE machine_identifier <> 'unknown'"))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        known = demo.start()
        await one.until(lambda: known.key in one.sessions)
        copy.replace(path)
        playing = "SELECT 1 FROM plays WHERE ended_at IS NULL"
        await until(lambda: written(tmp_path, playing) and one.listens and one.companion.live.storage == "ok")
    assert rows(tmp_path, "SELECT session_key FROM plays WHERE session_key IS NOT NULL") == [(known.key,)]


async def test_while_its_folder_is_gone_it_goes_on_in_memory(demo: Demo, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with member(demo, folder, tick=0.1) as one:
        await one.live()
        shutil.rmtree(folder)
        await until(lambda: one.companion.live.storage == "degraded")
        await until(lambda: ("storage", "file") in one.companion.state.alerts)
        session = demo.start()
        await one.until(lambda: session.key in one.sessions)
        assert not folder.exists()
        folder.mkdir()
        await healed(one, folder)
    assert rows(folder, "SELECT session_key FROM plays WHERE session_key IS NOT NULL") == [(session.key,)]


async def test_a_folder_that_is_renamed_and_comes_back_is_used_again(demo: Demo, tmp_path: Path) -> None:
    folder, away = tmp_path / "data", tmp_path / "away"
    async with two(demo, folder) as (first, second):
        folder.rename(away)
        for one in (first, second):
            await until(partial(is_degraded, one))
        away.rename(folder)
        session = demo.start()
        for one in (first, second):
            await until(partial(shows, one, session.key))
    assert rows(folder, "SELECT session_key FROM plays WHERE session_key IS NOT NULL") == [(session.key,)]
