"""One database, one Plex server: a companion of another one ends instead of showing what is not its own."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.application import settings_for
from support.deadlines import HANG_SECONDS
from support.free_port import find_free_port
from support.several_processes import Member, member, rows

from plex_companion.cli import _find_expected_error
from plex_companion.demo import build_household, open_demo
from plex_companion.errors import DatabaseOfAnotherServer
from plex_companion.processes.ownership import list_address_marks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow


NOWHERE = "http://127.0.0.1:9"


@asynccontextmanager
async def cabin(port: int = 0) -> AsyncIterator[Demo]:
    """Another household, on a machine of its own."""
    household = replace(build_household(now=1_700_000_000), name="Cabin", machine_identifier="c" * 40)
    async with open_demo(port=port, alive=False, household=household) as running:
        yield running


async def received(demo: Demo, folder: Path) -> None:
    """A companion has listened to this server on the database of the folder, and has ended."""
    async with member(demo, folder) as one:
        await recorded(one, demo, folder)


async def recorded(one: Member, demo: Demo, folder: Path) -> None:
    await one.live()
    mark = list_address_marks(settings_for(demo, folder))[0]
    with anyio.fail_after(HANG_SECONDS):
        while rows(folder, "PRAGMA user_version") != [(mark,)]:  # noqa: ASYNC110 - nothing is announced
            await anyio.sleep(0.02)


async def refused(demo: Demo, folder: Path, **more: Any) -> str:
    """A companion of this server ends with one line."""
    with pytest.raises((BaseExceptionGroup, DatabaseOfAnotherServer)) as raised:
        async with member(demo, folder, **more):
            await anyio.sleep_forever()
    error = raised.value
    found = _find_expected_error(error) if isinstance(error, BaseExceptionGroup) else error
    assert isinstance(found, DatabaseOfAnotherServer)
    assert "\n" not in found.message
    return found.message


async def test_a_companion_of_another_server_is_refused_beside_the_first_one(demo: Demo, tmp_path: Path) -> None:
    async with member(demo, tmp_path) as one, cabin() as other:
        await recorded(one, demo, tmp_path)
        line = await refused(other, tmp_path)
        assert "c" * 40 in line
        assert one.companion.state.server
        assert one.companion.state.server.machine_identifier in line
        assert one.companion.is_live
    assert rows(tmp_path, f"SELECT 1 FROM servers WHERE machine_identifier = '{'c' * 40}'") == []  # noqa: S608 - our own


async def test_a_companion_of_another_server_is_refused_when_nobody_listens(demo: Demo, tmp_path: Path) -> None:
    await received(demo, tmp_path)
    before = rows(tmp_path, "SELECT count(*) FROM events")
    async with cabin() as other:
        await refused(other, tmp_path)
    assert rows(tmp_path, "SELECT count(*) FROM events") == before


async def test_one_that_cannot_be_asked_is_known_by_its_address(demo: Demo, tmp_path: Path) -> None:
    await received(demo, tmp_path)
    assert "does not answer" in await refused(demo, tmp_path, plex_url=NOWHERE)


async def test_the_same_server_under_another_address_is_the_same(demo: Demo, tmp_path: Path) -> None:
    await received(demo, tmp_path)
    elsewhere = demo.url.replace("127.0.0.1", "localhost")
    async with member(demo, tmp_path, plex_url=elsewhere) as one:
        await one.live()
        async with member(demo, tmp_path) as second:
            assert second.companion.is_live
            assert not second.listens


async def test_a_server_that_was_installed_anew_keeps_its_database(tmp_path: Path) -> None:
    port = find_free_port()
    async with open_demo(alive=False, port=port) as demo:
        await received(demo, tmp_path)
    async with cabin(port) as anew, member(anew, tmp_path) as one:
        await one.live()
        assert one.companion.state.server
        assert one.companion.state.server.machine_identifier == "c" * 40


async def test_a_server_that_is_away_at_its_own_address_is_waited_for(tmp_path: Path) -> None:
    async with open_demo(alive=False, port=find_free_port()) as gone:
        await received(gone, tmp_path)
    async with member(gone, tmp_path) as one:
        assert one.listens
        assert one.companion.state.connection.state == "offline"


async def test_of_two_that_begin_a_database_at_once_the_second_server_ends(demo: Demo, tmp_path: Path) -> None:
    async with cabin() as other:
        ended: list[str] = []

        async def second() -> None:
            ended.append(await refused(other, tmp_path))

        async with member(demo, tmp_path) as one, anyio.create_task_group() as tasks:
            tasks.start_soon(second)
            await recorded(one, demo, tmp_path)
            assert one.companion.state.server
            theirs = one.companion.state.server.machine_identifier
        assert [theirs in line for line in ended] == [True]


@pytest.mark.parametrize("command", ["history", "stats", "alerts", "events", "digest"])
async def test_what_is_asked_of_another_servers_database_is_refused(command: str, demo: Demo, tmp_path: Path) -> None:
    await received(demo, tmp_path)
    async with cabin() as other:
        for url, code in ((other.url, 2), (NOWHERE, 2), (demo.url, 0), (None, 0)):
            done = await anyio.run_process(
                [sys.executable, "-m", "plex_companion", command, "--database", "cache.sqlite3"],
                env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], **({"PLEX_URL": url} if url else {})},
                cwd=tmp_path,
                check=False,
            )
            assert done.returncode == code, (url, done.stderr)
            assert done.stderr.count(b"\n") == (code == 2)


async def test_a_database_without_a_server_belongs_to_nobody_yet(demo: Demo, tmp_path: Path) -> None:
    async with member(demo, tmp_path, plex_url=NOWHERE):
        pass
    with closing(sqlite3.connect(tmp_path / "cache.sqlite3")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (0,)
    await received(demo, tmp_path)
