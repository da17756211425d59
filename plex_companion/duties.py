"""Tasks of the leading process in addition to listening: ticks, database maintenance, and what tells others."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.leadership import TouchedUris
from plex_companion.cache.maintenance import MaintenancePlan, checkpoint_log, maintain
from plex_companion.changes.kinds import (
    ConnectionChanged,
    DeliveryChanged,
    Effect,
    Journaled,
    OccurrenceRecorded,
    ReadabilityChanged,
    RefreshRequest,
    RuleChanged,
    RuleFired,
    SessionChanged,
    TranscodeSeen,
)
from plex_companion.companion import OWNER
from plex_companion.errors import ToolError
from plex_companion.events import PlexTvUsersRead, ReceivedEvent, Tick
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.models import PlexTvUser
from plex_companion.plex.history_importer import ImportProgress
from plex_companion.plex.pictures import fetch_poster
from plex_companion.resources import registry
from plex_companion.times import HOUR_MS
from plex_companion.tools.users import get_account
from plex_companion.webhooks import DeliveryContext, WakeUp, Webhook, deliver_alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.companion import Companion
    from plex_companion.events import DeliveryReport, RuleReport, StorageReport, SubscriptionReport
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueue
    from plex_companion.models import History, Moment, Poster
    from plex_companion.notify.sender import SendingEnd
    from plex_companion.plex.refresh import RefreshRequests
    from plex_companion.processes.election import LeaderTask
    from plex_companion.settings import Settings


PICTURE_SECONDS = 5.0
"""How long a message waits for its picture."""


@dataclass(frozen=True, slots=True)
class WakeUps:
    """What wakes the tasks that wait for a commit of certain changes."""

    outbox: WakeUp = field(default_factory=WakeUp)
    rules: WakeUp = field(default_factory=WakeUp)
    rule_changes: WakeUp = field(default_factory=WakeUp)
    """As long as no rule is enabled, nothing else need wake rules."""


def build_leader_tasks(
    companion: Companion, wake_ups: WakeUps, tick_seconds: float, sending_end: SendingEnd
) -> list[LeaderTask]:
    """Return the tasks that only the leading process runs, in addition to listening."""
    now, settings, links = companion.clock, companion.settings, companion.configured
    return [
        *(partial(send_ticks, link.event_queue, now, tick_seconds) for link in links),
        *list_file_tasks(companion),
        partial(deliver_to_webhooks, companion, wake_ups.outbox),
        partial(run_stored_rules, companion, wake_ups),
        *([partial(send_to_people, companion, wake_ups.outbox, sending_end)] if settings.notify else []),
        *([partial(queue_digests, companion)] if settings.digest else []),
        *([partial(deliver_events, companion)] if settings.event_webhooks else []),
        *([partial(publish_to_mqtt, companion)] if settings.mqtt_url else []),
        *([] if len(links) == 1 else [partial(identify_owner, companion.choose_link(link.link_id)) for link in links]),
    ]


def list_file_tasks(companion: Companion) -> list[LeaderTask]:
    """Return the tasks of the one process that writes a database, whether it leads or replays what another machine wrote."""
    cache, queue = companion.cache, companion.event_queue
    return [
        partial(maintain_database, cache, queue, companion.clock, companion.settings),
        partial(checkpoint_log, cache),
    ]


def list_all_uris(companion: Companion) -> TouchedUris:
    """Return every URI as touched, for when it is unknown which of them changed."""
    return TouchedUris(registry.list_all_uris(companion), listing=True)


def build_import_progress(live: Live, link_id: str) -> ImportProgress:
    """Build the view of the history import that the importer needs.

    Each page waits until the one before is written, so the import is never faster than the disk.
    """

    def read_progress() -> History | None:
        state = live.states[link_id]
        return state.history if state.server else None

    async def wait_until_written(number: int) -> None:
        while live.states[link_id].history_page < number or live.storage != "ok":
            await live.wait_for_commit()

    return ImportProgress(read_progress, wait_until_written)


def request_refreshes(changes: Sequence[Effect], requests: RefreshRequests, wake_ups: WakeUps) -> None:
    """Request from Plex what a batch of changes shows to be missing, and wake the tasks that the changes concern."""
    for change in changes:
        match change:
            case Journaled() | SessionChanged() | TranscodeSeen():
                pass  # nearly all are
            case RefreshRequest(what="library"):
                requests.request_library()
            case RefreshRequest(what="history"):
                requests.request_history()
            case RefreshRequest():
                requests.request_snapshot()
            case DeliveryChanged():
                wake_ups.outbox.wake()
            case RuleChanged():
                wake_ups.rule_changes.wake()
                wake_ups.rules.wake()
            case OccurrenceRecorded() | RuleFired() | ConnectionChanged() | ReadabilityChanged():
                wake_ups.rules.wake()
            case _:
                pass


async def send_ticks(queue: EventQueue, now: Callable[[], Moment], seconds: float) -> None:
    """Queue a `Tick` at a fixed interval, forever."""
    while True:
        await anyio.sleep(seconds)
        await queue.put([ReceivedEvent(Tick(), now())])


async def identify_owner(companion: Companion) -> None:
    """Learn the id at plex.tv of a server's owner, who has the id 1 on every server and may be a guest on another.

    Of a single server nobody asks. A failure is tried again after an hour.
    """
    while not any(user.id == OWNER for user in companion.state.plex_tv_users):
        while not companion.is_live:
            await companion.live.wait_for_commit()
        with suppress(ToolError):
            account = await companion.gateway.call(partial(get_account, companion=companion))
            if at_plex_tv := account.get("id"):
                found = PlexTvUsersRead((PlexTvUser(OWNER, at_plex_tv),))
                await companion.event_queue.put([ReceivedEvent(found, companion.clock())])
                return
        await anyio.sleep(HOUR_MS / 1000)


async def maintain_database(cache: Cache, queue: EventQueue, now: Callable[[], Moment], settings: Settings) -> None:
    """Maintain the database, forever; queue what should be known about it as an event."""

    async def report(report: StorageReport) -> None:
        await queue.put([ReceivedEvent(report, now())])

    await maintain(cache, MaintenancePlan(settings.backups), lambda: now().at, report)


async def deliver_to_webhooks(companion: Companion, wake_up: WakeUp) -> None:
    """Send alerts to the webhooks in the settings, forever; return where there are none."""
    settings = companion.settings

    key = settings.read_webhook_key()
    webhooks = tuple(Webhook(name, url, key) for name, url in settings.list_webhooks().items())
    if webhooks:
        await deliver_alerts(webhooks, build_delivery_context(companion, wake_up))


def build_delivery_context(companion: Companion, wake_up: WakeUp) -> DeliveryContext:
    """Build what reads the outbox and reports what became of its rows."""

    async def report(result: DeliveryReport) -> None:
        await companion.event_queue.put([ReceivedEvent(result, companion.clock())])

    return DeliveryContext(companion.cache, wake_up, report, lambda: companion.now_ms, random.random, companion.secrets)


async def check_notify_targets(settings: Settings) -> None:
    """Check the targets of notifications in the settings. Nothing is sent.

    Raises:
        SettingsError: Apprise is not installed, or cannot use the URL of a target.
    """
    if settings.notify:
        from plex_companion.notify.services import open_services  # noqa: PLC0415 - others do without

        await compute_off_loop(partial(open_services, settings.list_notify_targets()))


async def send_to_people(companion: Companion, wake_up: WakeUp, sending_end: SendingEnd) -> None:
    """Send messages to the targets of notifications in the settings, forever.

    Raises:
        SettingsError: Apprise is not installed, or cannot use the URL of a target.
    """
    from plex_companion.notify.sender import SenderParts, send_messages  # noqa: PLC0415 - others do without
    from plex_companion.notify.services import open_services  # noqa: PLC0415 - the same
    from plex_companion.notify.target_counts import TargetCounts  # noqa: PLC0415 - the same

    settings = companion.settings
    services = await compute_off_loop(partial(open_services, settings.list_notify_targets()))
    for service in services:
        companion.target_counts.setdefault(service.name, TargetCounts())
    parts = SenderParts(
        build_delivery_context(companion, wake_up),
        settings.zone,
        settings.notify_rate,
        partial(fetch_message_picture, companion),
        companion.target_counts,
    )
    await send_messages(services, parts, sending_end)


async def fetch_message_picture(companion: Companion, poster: Poster) -> bytes | None:
    """Fetch the picture of a message from Plex; `None` if there is none, or Plex does not answer in time."""
    with suppress(ToolError):
        if poster.rating_key.isascii() and poster.rating_key.isdecimal():
            chosen = companion.choose_server(poster.server)
            if not chosen.is_live:  # its answer would be waited for in vain
                return None
            return await chosen.gateway.call(
                lambda plex: fetch_poster(plex, poster.rating_key), timeout=PICTURE_SECONDS
            )
    return None


async def run_stored_rules(companion: Companion, wake_ups: WakeUps) -> None:
    """Run the rules that households write, forever, from the first one that is enabled."""
    while True:
        woken, rules = wake_ups.rule_changes.prepare_wait(), companion.live.state.rules
        if rules.pending or any(rule.enabled for rule in rules.stored.values()):
            break
        await woken.wait()
    from plex_companion.rules.engine.loop import RuleContext, run_rules  # noqa: PLC0415 - households without rules do without
    from plex_companion.rules.engine.planning import ActionSettings  # noqa: PLC0415 - the same
    from plex_companion.tools.client.stop_stream import stop_stream  # noqa: PLC0415 - the same

    settings = companion.settings

    async def report(report: RuleReport) -> None:
        await companion.event_queue.put([ReceivedEvent(report, companion.clock())])

    async def stop(play_id: int, message: str) -> str:
        try:
            await stop_stream(companion, str(play_id), message)
        except ToolError as error:
            return error.code
        return "done"

    actions = ActionSettings(
        settings.zone,
        settings.read_only,
        tuple(settings.list_notify_targets()),
        tuple(settings.list_webhooks()),
        several_servers=len(companion.states) > 1,
    )
    context = RuleContext(companion.live, companion.cache, wake_ups.rules, report, stop, actions, companion.clock)
    await run_rules(context)


async def queue_digests(companion: Companion) -> None:
    """Queue the digest every week, forever."""
    from plex_companion.digests.duty import send_digests  # noqa: PLC0415 - others do without

    await send_digests(companion)


async def deliver_events(companion: Companion) -> None:
    """Send occurrences to the webhooks that clients subscribed, forever."""
    from plex_companion.mcp_events.delivery import EventDelivery, deliver_occurrences  # noqa: PLC0415 - others do without
    from plex_companion.mcp_events.principals import is_revoked  # noqa: PLC0415 - the same

    settings = companion.settings
    token = settings.token.get_secret_value() if settings.token else None

    async def report(report: SubscriptionReport) -> None:
        await companion.event_queue.put([ReceivedEvent(report, companion.clock())])

    context = EventDelivery(
        companion.live,
        companion.occurrence_feed,
        report,
        lambda: companion.now_ms,
        random.random,
        partial(is_revoked, token=token, issuer=settings.oauth_issuer),
        settings.event_webhooks_loopback,
        companion.secrets,
    )
    await deliver_occurrences(context)


async def publish_to_mqtt(companion: Companion) -> None:
    """Publish states and occurrences to the MQTT broker in the settings, forever."""
    from plex_companion.mqtt.publisher import PublisherContext, publish_forever  # noqa: PLC0415 - others do without

    address = companion.settings.read_broker_address()
    if address is not None:
        context = PublisherContext(
            address,
            companion.cache,
            companion.live,
            companion.occurrence_feed,
            lambda: companion.now_ms,
            companion.secrets,
            companion.broker,
            lambda kind: kind in companion.live.state.muted_kinds,
        )
        await publish_forever(context)
