"""The weekly digest from a whole home to a mailbox: late where nothing ran when it was due, once, and with posters."""

from __future__ import annotations

import asyncio
import email
import sqlite3
from contextlib import closing
from email.policy import default
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.application import home
from support.catalogue import TOKEN, catalogue_home
from support.deadlines import HANG_SECONDS
from support.outbox import chat_server, post_office

from plex_companion.cache.queries.read import read_last_digest
from plex_companion.demo import open_demo
from plex_companion.occurrences.reading import read_occurrences
from plex_companion.plex.pictures import find_mime
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from pathlib import Path

    from support.application import Home

pytestmark = pytest.mark.slow


def pretend_it_was_sent(folder: Path, days_ago: int) -> None:
    """Write that the last digest was delivered so many days ago."""
    with closing(sqlite3.connect(folder / "cache.sqlite3")) as connection, connection:
        (now,) = connection.execute("SELECT unixepoch() * 1000").fetchone()
        connection.execute(
            "INSERT INTO deliveries (target, body, created_at, due_at, tries, done_at, outcome, digest_at) "
            "VALUES ('notify:mail', '{}', :at, :at, 1, :at, 'delivered', :at)",
            {"at": now - days_ago * DAY_MS},
        )


def count_digests(folder: Path) -> list[tuple[str, str | None]]:
    with closing(sqlite3.connect(folder / "cache.sqlite3")) as connection:
        sql = "SELECT target, outcome FROM deliveries WHERE digest_at IS NOT NULL AND body <> '{}' ORDER BY id"
        return connection.execute(sql).fetchall()


async def until_digest(it: Home, later_than: int) -> None:
    """Wait until a digest is written."""
    companion = it.application.companion
    with anyio.fail_after(HANG_SECONDS):
        while True:
            committed = companion.live.prepare_wait()
            if (await read_last_digest(companion.cache) or 0) > later_than:
                return
            await committed.wait()


async def until_delivered(it: Home) -> None:
    """Wait until it is written that every digest arrived: the next process would send one of which it is not."""
    companion = it.application.companion
    sql = "SELECT count(*) FROM deliveries WHERE digest_at IS NOT NULL AND done_at IS NULL"
    with anyio.fail_after(HANG_SECONDS):
        while True:
            committed = companion.live.prepare_wait()
            ((waiting,),) = await companion.cache.reader.execute_fetchall(sql)
            if not waiting:
                return
            await committed.wait()


async def test_a_digest_that_was_due_while_nothing_ran_comes_late_and_once_to_every_target(tmp_path: Path) -> None:
    async with (
        open_demo(alive=False, require_token=TOKEN) as demo,
        post_office(asyncio.get_running_loop()) as office,
        chat_server() as chat,
    ):
        settings: dict[str, Any] = {"notify": f"mail={office.url};chat={chat.url}", "digest": "mail,chat"}
        async with catalogue_home(tmp_path, demo=demo, **settings) as it:  # which has never sent one
            companion = it.application.companion
            await it.until_complete()
            show = demo.add_show("Quiet Water", seasons=1, episodes=2)

            async def is_recorded() -> bool:
                return bool((await read_occurrences(companion.cache, None, ["media.added"])).occurrences)

            await it.until(is_recorded)
            assert await read_last_digest(companion.cache) is None
        pretend_it_was_sent(tmp_path, days_ago=15)
        async with home(tmp_path, demo=demo, **settings) as late:
            mail = email.message_from_bytes((await office.until(1))[0], policy=default)
            (said,) = await chat.until(1)
            await until_delivered(late)
        for _ in range(2):
            async with home(tmp_path, demo=demo, **settings) as again:
                await again.live()
        assert (len(office.received), len(chat.receiver.received)) == (1, 1)
    assert count_digests(tmp_path) == [("notify:mail", "delivered"), ("notify:chat", "delivered")]
    assert mail["subject"] == said["title"]
    assert mail["subject"].startswith(f"{demo.state.name}: 1 new title, ")
    parts = {part.get_content_type(): part for part in mail.walk() if not part.is_multipart()}
    assert f"{show.title} - Season 1" in parts["text/html"].get_content()
    assert 'src="cid:picture-1.jpg"' in parts["text/html"].get_content()
    (picture,) = (part for part in mail.walk() if part["content-id"] == "<picture-1.jpg>")
    assert picture.get_content_type() == find_mime(picture.get_content())
    assert f"{show.title} - Season 1" in said["message"]
    assert "cid:" not in said["message"], "only mail can show them"
    assert TOKEN not in mail.as_string()


async def test_without_an_earlier_digest_the_first_comes_at_the_next_time_and_not_at_once(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, chat_server() as chat:
        settings: dict[str, Any] = {"notify": f"chat={chat.url}", "digest": "chat"}
        async with home(tmp_path, demo=demo, **settings) as it:
            demo.start()
            await it.until(lambda: it.sessions)
        assert count_digests(tmp_path) == []
        pretend_it_was_sent(tmp_path, days_ago=8)
        async with home(tmp_path, demo=demo, **settings) as it:
            await until_digest(it, later_than=it.application.companion.now_ms - 8 * DAY_MS)
        assert [target for target, _ in count_digests(tmp_path)] == ["notify:chat"]
