"""Delivery to subscribed webhooks from a real database, under a clock that moves only while delivery waits."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.event_clients import SECRET, CallbackReceiver, callback_receiver
from support.frames import DEN, START

from plex_companion.cache.database import Cache, open_cache
from plex_companion.cache.load import load_state
from plex_companion.events import Connecting, EventSubscribed, ReceivedEvent, Snapshot, Tick
from plex_companion.ingest.live import Live
from plex_companion.ingest.loop import ingest
from plex_companion.ingest.queue import EventQueues
from plex_companion.mcp_events.delivery import EventDelivery, deliver_occurrences
from plex_companion.mcp_events.messages import LARGEST_BYTES
from plex_companion.mcp_events.shared_feed import OccurrenceFeed
from plex_companion.models import ONLY_LINK, Moment
from plex_companion.occurrences.reading import read_newest_cursor
from plex_companion.text import SecretFilter
from plex_companion.times import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.changes.kinds import Effect
    from plex_companion.events import SubscriptionReport
    from plex_companion.ingest.queue import EventQueue
    from plex_companion.models import DeliveryProgress

SPEED = 20_000
"""How much quicker it waits. What it does in between, however long that takes here, takes no time at all."""
NAME = "connection.lost"
INSERT = "INSERT INTO occurrences (server, at, type, inferred, data) VALUES (?, ?, ?, 0, ?)"


@dataclass
class FastPost:
    """Ingest and delivery on a real file."""

    cache: Cache
    live: Live
    inbox: EventQueue
    feed: OccurrenceFeed
    hook: CallbackReceiver
    passed: int = 0
    """Milliseconds since it began."""

    def now(self) -> Moment:
        return Moment(START + self.passed, self.passed)

    async def say(self, *events: Any) -> None:
        await self.inbox.put([ReceivedEvent(event, self.now()) for event in events])

    async def subscribe(self) -> None:
        """Subscribe, or refresh."""
        at = self.now().at
        position = await read_newest_cursor(self.cache)
        await self.say(
            EventSubscribed(
                "sub_1", "p", self.hook.url, NAME, "{}", SECRET, f"r{at}", at, at + 3_650 * DAY_MS, position
            )
        )
        await self.until(lambda: "sub_1" in self.live.state.event_subscriptions)

    async def occur(self, *details: str) -> None:
        """Let the connection be lost, once for each detail."""
        rows = [(DEN.machine_identifier, self.now().at, NAME, json.dumps({"detail": detail})) for detail in details]
        await self.cache.transact(lambda connection: connection.executemany(INSERT, rows))
        await self.say(Tick())

    @property
    def progress(self) -> DeliveryProgress:
        return self.live.state.event_subscriptions["sub_1"].progress

    async def until(self, fact: Callable[[], object]) -> None:
        with anyio.fail_after(HANG_SECONDS):
            while not fact():
                await self.live.wait_for_commit()

    def deliver(self, report: Callable[[SubscriptionReport], Any], *, tries_again: bool = True) -> EventDelivery:
        async def sleep(seconds: float) -> None:
            if not tries_again:
                await anyio.sleep_forever()
            await anyio.sleep(seconds / SPEED)
            self.passed += int(seconds * 1_000)

        return EventDelivery(
            self.live, self.feed, report, lambda: self.now().at, lambda: 0.0, lambda _: False,
            loopback=True, secrets=SecretFilter(()), sleep=sleep,
        )  # fmt: skip


@asynccontextmanager
async def waiting(folder: Path, hook: CallbackReceiver) -> AsyncIterator[FastPost]:
    """Everything but the delivery, with a subscription."""
    async with open_cache(folder / "cache.sqlite3") as cache, anyio.create_task_group() as tasks:
        live = Live(await load_state(cache, Moment(START, 0)))
        feed = OccurrenceFeed(cache, live, dict)
        queues = EventQueues((ONLY_LINK,), 1_000, live.counters)
        it = FastPost(cache, live, queues.by_link[ONLY_LINK], feed, hook)

        def announce(_: Mapping[str, Sequence[Effect]], __: TouchedUris) -> None:
            """Nobody is told."""

        tasks.start_soon(ingest, queues, live, cache, announce)
        tasks.start_soon(feed.run)
        await it.say(Connecting(), Snapshot(1, first=True, requested=it.now(), server=DEN, sessions=(), activities=()))
        await it.until(lambda: live.state.server)
        await it.subscribe()
        yield it
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def delivering(folder: Path, hook: CallbackReceiver) -> AsyncIterator[FastPost]:
    async with waiting(folder, hook) as it, anyio.create_task_group() as tasks:
        tasks.start_soon(deliver_occurrences, it.deliver(it.say))
        yield it
        tasks.cancel_scope.cancel()


def details(hook: CallbackReceiver) -> list[str]:
    return [one.message["data"]["detail"] for one in hook.received]


async def test_what_fails_for_an_hour_is_suspended_and_a_refresh_goes_on_where_it_was(tmp_path: Path) -> None:
    async with callback_receiver("500 Oops") as hook, delivering(tmp_path, hook) as it:
        await it.occur("one")
        await hook.until(5)
        await it.until(lambda: it.progress.last_error and not it.progress.pending)
        it.passed += HOUR_MS
        await it.occur("two")
        await it.until(lambda: it.progress.suspended)
        assert details(hook) == ["one"] * 5 + ["two"] * 5
        assert len({one.id for one in hook.received}) == 2
        hook.answers = ["204 OK"]
        await it.occur("three")
        await it.subscribe()
        await it.until(lambda: not it.progress.suspended)
        await hook.until(11)
        assert details(hook)[10:] == ["three"]
        await it.until(lambda: it.progress.last_delivered_at)
        assert (it.progress.last_error, it.progress.failed_since) == (None, None)


@pytest.mark.parametrize("answer", ["410 Gone", "413 Too Large"])
async def test_a_message_that_is_refused_for_good_is_sent_once(tmp_path: Path, answer: str) -> None:
    async with callback_receiver(answer, "204 OK") as hook, delivering(tmp_path, hook) as it:
        await it.occur("one", "two")
        await hook.until(2)
        await it.until(lambda: it.progress.last_delivered_at)
        assert details(hook) == ["one", "two"]
        assert it.progress.pending == ()


async def test_an_occurrence_too_large_for_a_message_is_left_out(tmp_path: Path) -> None:
    async with callback_receiver() as hook, delivering(tmp_path, hook) as it:
        await it.occur("x" * LARGEST_BYTES, "two")
        await hook.until(1)
        assert details(hook) == ["two"]


async def test_what_was_sent_and_not_recorded_is_sent_again_with_its_id(tmp_path: Path) -> None:
    async def lose(_: SubscriptionReport) -> None:
        """As if the process were killed at this moment."""

    async with callback_receiver() as hook, waiting(tmp_path, hook) as it:
        await it.occur("one")
        for report, count in ((lose, 1), (it.say, 2)):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(deliver_occurrences, it.deliver(report))
                await hook.until(count)
                if report is not lose:
                    await it.until(lambda: it.progress.last_delivered_at)
                tasks.cancel_scope.cancel()
        first, second = hook.received
        assert (first.id, first.body) == (second.id, second.body)


async def test_what_is_pruned_before_it_is_tried_again_becomes_a_gap(tmp_path: Path) -> None:
    async with callback_receiver("500 Oops") as hook, waiting(tmp_path, hook) as it:
        await it.occur("one")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(deliver_occurrences, it.deliver(it.say, tries_again=False))
            await it.until(lambda: it.progress.pending)
            tasks.cancel_scope.cancel()
        assert details(hook) == ["one"]
        await it.cache.transact(lambda connection: connection.execute("DELETE FROM occurrences"))
        it.feed = OccurrenceFeed(it.cache, it.live, dict)
        hook.answers = ["204 OK"]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.feed.run)
            tasks.start_soon(deliver_occurrences, it.deliver(it.say))
            await it.until(lambda: it.progress.last_delivered_at)
            tasks.cancel_scope.cancel()
        assert hook.received[1].message["type"] == "gap"
        assert it.progress.pending == ()
