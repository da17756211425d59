"""The outbox: the table of everything that is sent, and what earlier versions left in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from support.frames import START

from plex_companion.cache.database import open_cache
from plex_companion.cache.load import load_state
from plex_companion.cache.migrate import list_migrations, migrate
from plex_companion.cache.prune import prune
from plex_companion.cache.queries.read import read_delivery_status, read_waiting_deliveries
from plex_companion.changes.kinds import DeliveryChanged
from plex_companion.models import Delivery, Moment

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.cache.database import Cache

BEFORE_THE_OUTBOX = [migration for migration in list_migrations() if migration.version < 14]
ALERT = Delivery(41, "digest", 7, "{}", START, START, tries=2, outcome="HTTP 500")
MESSAGE = Delivery(42, "notify:family", None, '{"title":"A","text":"B"}', START, START + 60_000, rule_id=3)


async def write(cache: Cache, *deliveries: Delivery) -> None:
    await cache.write([DeliveryChanged(one) for one in deliveries], "unknown", START)


async def test_what_waited_for_a_webhook_before_an_update_still_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite3"
    migrate(path, BEFORE_THE_OUTBOX)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO deliveries (id, webhook, alert_id, body, created_at, due_at, tries, outcome) "
            "VALUES (41, 'digest', 7, '{}', :at, :at, 2, 'HTTP 500')",
            {"at": START},
        )
    async with open_cache(path) as cache:
        assert await read_waiting_deliveries(cache, "digest") == [ALERT]


async def test_an_update_gives_no_id_again_whose_row_was_deleted(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite3"
    migrate(path, BEFORE_THE_OUTBOX)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO deliveries (id, webhook, alert_id, body, created_at, due_at, tries) "
            "VALUES (900, 'digest', 7, '{}', 1, 1, 0)"
        )
        connection.execute("DELETE FROM deliveries")
    async with open_cache(path) as cache:
        assert (await load_state(cache, Moment(START, 0))).ids.delivery == 901


async def test_a_message_without_an_alert_is_written_and_read_as_it_is(tmp_path: Path) -> None:
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        await write(cache, ALERT, MESSAGE)
        assert await read_waiting_deliveries(cache, "notify:family") == [MESSAGE]
        assert (await load_state(cache, Moment(START, 0))).ids.delivery == 43


async def test_a_message_that_waits_for_the_end_of_quiet_hours_belongs_to_no_alert(tmp_path: Path) -> None:
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        await write(cache, MESSAGE)
        assert (await load_state(cache, Moment(START, 0))).waiting_deliveries == {}


async def test_the_figures_of_webhooks_count_no_messages_to_people(tmp_path: Path) -> None:
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        await write(cache, ALERT, MESSAGE)
        assert (await read_delivery_status(cache)).waiting == 1


async def test_what_waits_is_kept_however_old_it_is_as_long_as_it_is_tried(tmp_path: Path) -> None:
    held = Delivery(43, "notify:family", None, "{}", START, START + 60_000, rule_id=3)
    done = Delivery(44, "notify:family", None, "{}", START, START, 1, START + 1, "delivered")
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        await write(cache, ALERT, held, done)
        await prune(cache, events_before=START + 30_000, events_kept=0, alerts_before=0)
        assert await read_waiting_deliveries(cache, "notify:family") == [held]
        assert await read_waiting_deliveries(cache, "digest") == [], "its target left the settings long ago"
