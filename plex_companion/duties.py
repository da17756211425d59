"""Tasks of the leading process in addition to listening: ticks, database maintenance, webhooks."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.leadership import TouchedUris
from plex_companion.cache.maintenance import MaintenancePlan, maintain
from plex_companion.changes.kinds import DeliveryChanged, Effect, RefreshRequest
from plex_companion.events import ReceivedEvent, Tick
from plex_companion.plex.history_importer import ImportProgress
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


def build_leader_tasks(companion: Companion, wake_up: WakeUp, tick_seconds: float) -> list[LeaderTask]:
    """Return the tasks that only the leading process runs, in addition to listening."""
    cache, queue, now, settings = companion.cache, companion.event_queue, companion.clock, companion.settings
    return [
        partial(send_ticks, queue, now, tick_seconds),
        partial(maintain_database, cache, queue, now, settings),
        partial(deliver_to_webhooks, companion, wake_up),
    ]


def list_all_uris(companion: Companion) -> TouchedUris:
    """Return every URI as touched, for when it is unknown which of them changed."""
    return TouchedUris({uri for _, uri, _ in list_existing(companion)}, listing=True)


def build_import_progress(live: Live) -> ImportProgress:
    """Build the view of the history import that the importer needs.

    Each page waits until the one before is written, so the import is never faster than the disk.
    """

    def read_progress() -> History | None:
        return live.state.history if live.state.server else None

    async def wait_until_written(number: int) -> None:
        while live.state.history_page < number or live.storage != "ok":
            await live.wait_for_commit()

    return ImportProgress(read_progress, wait_until_written)


def request_refreshes(changes: Sequence[Effect], requests: RefreshRequests, wake_up: WakeUp) -> None:
    """Request from Plex what a batch of changes shows to be missing, and wake the webhook task if alerts are queued."""
    for change in changes:
        match change:
            case RefreshRequest(what="library"):
                requests.request_library()
            case RefreshRequest(what="history"):
                requests.request_history()
            case RefreshRequest():
                requests.request_snapshot()
            case DeliveryChanged():
                wake_up.wake()
            case _:
                pass


async def send_ticks(queue: EventQueue, now: Callable[[], Moment], seconds: float) -> None:
    """Queue a `Tick` every so many seconds, forever."""
    while True:
        await anyio.sleep(seconds)
        await queue.put([ReceivedEvent(Tick(), now())])


async def maintain_database(cache: Cache, queue: EventQueue, now: Callable[[], Moment], settings: Settings) -> None:
    """Maintain the database, forever; queue what should be known about it as an event."""

    async def report(report: StorageReport) -> None:
        await queue.put([ReceivedEvent(report, now())])

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
