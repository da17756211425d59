"""What only the leading process does beside listening: ticks, database maintenance, webhooks."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.leadership import TouchedUris
from plex_companion.cache.maintenance import MaintenancePlan, maintain
from plex_companion.changes.kinds import Change, DeliveryChanged
from plex_companion.changes.kinds import RefreshRequested as WantedChange
from plex_companion.events import ReceivedEvent, Tick
from plex_companion.plex.history import ImportProgress
from plex_companion.resources.registry import list_existing
from plex_companion.webhooks import DeliveryContext, WakeUp, Webhook, deliver_alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.companion import Companion
    from plex_companion.events import DeliveryReport, StorageReport
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueue
    from plex_companion.models import History, Moment
    from plex_companion.plex.refresh import RefreshRequests
    from plex_companion.processes.election import LeaderTask
    from plex_companion.settings import Settings


def build_leader_tasks(companion: Companion, bell: WakeUp, tick_seconds: float) -> list[LeaderTask]:
    """What only the process that listens does, besides listening."""
    cache, inbox, now, settings = companion.cache, companion.event_queue, companion.clock, companion.settings
    return [
        partial(send_ticks, inbox, now, tick_seconds),
        partial(maintain_database, cache, inbox, now, settings),
        partial(deliver_to_webhooks, companion, bell),
    ]


def list_all_uris(companion: Companion) -> TouchedUris:
    """Every URI there is, for when nobody knows which of them changed."""
    return TouchedUris({uri for _, uri, _ in list_existing(companion)}, listing=True)


def build_import_progress(live: Live) -> ImportProgress:
    """What is known of Plex's history; it is read no faster than it can be written."""

    def read_progress() -> History | None:
        return live.state.history if live.state.server else None

    async def wait_until_written(number: int) -> None:
        while live.state.history_page < number or live.storage != "ok":
            await live.wait_for_commit()

    return ImportProgress(read_progress, wait_until_written)


def request_refreshes(changes: Sequence[Change], wanted: RefreshRequests, bell: WakeUp) -> None:
    """What only Plex can tell is asked for as soon as it is missed; what is to be delivered rings the bell."""
    for change in changes:
        match change:
            case WantedChange(what="library"):
                wanted.request_library()
            case WantedChange(what="history"):
                wanted.request_history()
            case WantedChange():
                wanted.request_snapshot()
            case DeliveryChanged():
                bell.wake()
            case _:
                pass


async def send_ticks(inbox: EventQueue, now: Callable[[], Moment], seconds: float) -> None:
    """Queue a `Tick` every so many seconds, forever."""
    while True:
        await anyio.sleep(seconds)
        await inbox.put([ReceivedEvent(Tick(), now())])


async def maintain_database(cache: Cache, inbox: EventQueue, now: Callable[[], Moment], settings: Settings) -> None:
    """Look after the database; for the process that listens. Whatever should be known of it is an event like any other."""

    async def report(report: StorageReport) -> None:
        await inbox.put([ReceivedEvent(report, now())])

    await maintain(cache, MaintenancePlan(settings.backups), lambda: now().at, report)


async def deliver_to_webhooks(companion: Companion, wake_up: WakeUp) -> None:
    """Send alerts to the webhooks in the settings, forever; return where there are none."""
    settings = companion.settings

    async def report(result: DeliveryReport) -> None:
        await companion.event_queue.put([ReceivedEvent(result, companion.clock())])

    key = settings.read_webhook_key()
    webhooks = tuple(Webhook(name, url, key) for name, url in settings.list_webhooks().items())
    if webhooks:
        context = DeliveryContext(
            companion.cache, wake_up, report, lambda: companion.now_ms, random.random, companion.secrets
        )
        await deliver_alerts(webhooks, context)
