"""A database that nobody named is created once a server has answered, and not for an address that is wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from support.application import settings_for
from support.deadlines import HANG_SECONDS
from support.free_port import find_free_port
from support.several_processes import FAST
from test_processes_owners import NOWHERE

from plex_companion.app import open_companion
from plex_companion.demo import open_demo
from plex_companion.errors import DatabaseUnusable
from plex_companion.events import Audit, ReceivedEvent
from plex_companion.settings import find_database_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from plex_companion.companion import Companion
    from plex_companion.demo import Demo
    from plex_companion.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this user's data goes."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def unnamed(demo: Demo, folder: Path, **more: object) -> Settings:
    return settings_for(demo, folder, **more).model_copy(update={"database": None})


def opened(settings: Settings) -> AbstractAsyncContextManager[Companion]:
    return open_companion(settings, lambda _: None, timeouts=FAST, tick_seconds=0.1)


def rows_of(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as reader:
        return reader.execute(sql).fetchall()


def shows(one: Companion, key: str) -> bool:
    """Whether it shows this session out of the file."""
    return key in one.state.sessions and not one.cache.in_memory


def is_there(path: Path) -> bool:
    return path.exists()


async def until(companion: Companion, fact: Callable[[], object]) -> None:
    with anyio.fail_after(HANG_SECONDS):
        while not fact():
            await companion.live.wait_for_commit()


@pytest.mark.parametrize("url", [NOWHERE, "http://nowhere.invalid:32400", "https://127.0.0.1:9"])
async def test_a_wrong_address_leaves_neither_database_nor_folder_behind(url: str, demo: Demo, folder: Path) -> None:
    async with opened(unnamed(demo, folder, plex_url=url)) as companion:
        await until(companion, lambda: companion.state.alerts)
        assert companion.state.connection.state == "offline"
        assert companion.live.storage == "ok"
    assert not is_there(folder)


async def test_a_refused_token_leaves_no_database_behind(folder: Path) -> None:
    async with open_demo(alive=False, require_token="the-token-of-the-owner") as demo:
        settings = unnamed(demo, folder).model_copy(update={"plex_token": None})
        async with opened(settings) as companion:
            await until(companion, lambda: companion.state.connection.state == "unauthorized")
    assert not is_there(folder)


async def test_what_was_kept_in_memory_is_in_the_file_after_the_first_answer(folder: Path) -> None:
    async with open_demo(alive=False, port=find_free_port()) as gone:
        settings = unnamed(gone, folder)
        port = int(gone.url.rsplit(":", 1)[1])
    path = find_database_path(settings)
    async with opened(settings) as companion:
        await companion.event_queue.put([ReceivedEvent(Audit("playlist_delete", "done", {}), companion.clock())])
        await until(companion, lambda: companion.state.next_event > 1 and companion.state.alerts)
        assert not is_there(folder)
        async with open_demo(alive=False, port=port) as back:
            session = back.start()
            await until(companion, lambda: session.key in companion.state.sessions and is_there(path))
    rows = rows_of(path, "SELECT subject FROM events WHERE type = 'audit'")
    assert rows == [("playlist_delete",)]
    assert rows_of(path, "SELECT session_key FROM plays WHERE session_key IS NOT NULL") == [(session.key,)]
    assert rows_of(path, "SELECT count(*) FROM alerts WHERE kind = 'connection_lost'") == [(1,)]


async def test_of_two_that_waited_in_memory_one_listens_and_the_other_follows(folder: Path) -> None:
    async with open_demo(alive=False, port=find_free_port()) as gone:
        settings = unnamed(gone, folder)
        port = int(gone.url.rsplit(":", 1)[1])
    path = find_database_path(settings)
    async with opened(settings) as first, opened(settings) as second, open_demo(alive=False, port=port) as back:
        session = back.start()
        for one in (first, second):
            await until(one, partial(shows, one, session.key))
        with anyio.fail_after(HANG_SECONDS):
            while first.live.listens == second.live.listens:  # noqa: ASYNC110 - two companions
                await anyio.sleep(0.02)
    assert rows_of(path, "SELECT session_key FROM plays WHERE session_key IS NOT NULL") == [(session.key,)]


async def test_where_no_file_can_be_created_it_goes_on_in_memory_and_says_so(demo: Demo, folder: Path) -> None:
    settings = unnamed(demo, folder)
    put(folder, "a file in place of the folder")
    with pytest.raises(DatabaseUnusable, match="cannot be created"):
        async with opened(settings):
            pass
    remove(folder)
    async with open_demo(alive=False, port=find_free_port()) as gone:
        waiting = unnamed(gone, folder)
        port = int(gone.url.rsplit(":", 1)[1])
    path = find_database_path(waiting)
    async with opened(waiting) as companion:
        put(folder, "a file in place of the folder")
        async with open_demo(alive=False, port=port) as back:
            session = back.start()
            await until(companion, lambda: ("storage", "file") in companion.state.alerts)
            await until(companion, lambda: companion.live.storage == "degraded")
            remove(folder)
            await until(companion, lambda: companion.live.storage == "ok" and is_there(path))
    assert rows_of(path, "SELECT session_key FROM plays WHERE session_key IS NOT NULL") == [(session.key,)]


def put(path: Path, text: str) -> None:
    path.write_text(text)


def remove(path: Path) -> None:
    path.unlink()
