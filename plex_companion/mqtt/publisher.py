"""Keeps an MQTT broker as the companion is: discovery and states that it keeps, and occurrences as they happen.

The live state and the occurrences in the database are all there is to send, so nothing is queued here. What the broker
keeps is compared with what it should keep, and the cursor of the last occurrence is kept by the broker, too.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.errors import Invalid
from plex_companion.mqtt.broker_client import TIMEOUT_SECONDS, BrokerLost, open_broker
from plex_companion.mqtt.event_messages import build_event_messages
from plex_companion.mqtt.retained_messages import RetainedMessages
from plex_companion.mqtt.topics import HOME_ASSISTANT_STATUS, ONLINE, Topics
from plex_companion.occurrences.reading import parse_cursor, read_newest_cursor
from plex_companion.times import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiomqtt import Client, Message

    from plex_companion.cache.database import Cache
    from plex_companion.ingest.live import Live
    from plex_companion.mcp_events.shared_feed import FeedOccurrence, OccurrenceFeed
    from plex_companion.mqtt.broker_status import BrokerStatus
    from plex_companion.setting_values import BrokerAddress
    from plex_companion.text import SecretFilter

logger = logging.getLogger(__name__)

PACE_SECONDS = 0.1
"""The shortest time between two looks at what the broker should keep."""
LATE_MS = 5 * MINUTE_MS
"""An occurrence that is older than this is not published any more: no light should go out for a film of yesterday."""


def generate_waits() -> Iterator[float]:
    """Yield the seconds between attempts to connect."""
    yield from (1.0, 2.0, 4.0, 8.0, 16.0)
    while True:
        yield 30.0


@dataclass(frozen=True, slots=True)
class PublisherContext:
    """The surroundings of the publisher."""

    address: BrokerAddress
    cache: Cache
    live: Live
    feed: OccurrenceFeed
    now: Callable[[], int]
    secrets: SecretFilter
    status: BrokerStatus
    is_muted: Callable[[str], bool] = lambda _kind: False
    """Whether alerts of a kind are kept to themselves."""
    waits: Callable[[], Iterator[float]] = generate_waits


async def publish_forever(context: PublisherContext) -> NoReturn:
    """Publish to the broker, forever. While it is away, attempts to connect are repeated, and nothing else waits."""
    cursor = await _read_cursor(context)
    topics, waits, status = Topics(parse_cursor(cursor)[0]), context.waits(), context.status
    position: str | None = None
    status.begin()
    while True:
        connection = BrokerConnection(context, topics, cursor, position)
        try:
            await connection.run()
        except BrokerLost as lost:
            if str(lost) != status.problem:
                logger.warning("The MQTT broker at %s: %s; trying again", context.address.host, lost)
            status.lose(str(lost), context.now())
        if connection.is_ready:
            position, waits = connection.position, context.waits()
        await anyio.sleep(next(waits))


async def _read_cursor(context: PublisherContext) -> str:
    """Return the cursor to begin at, if nothing was ever published: what happens from now on is news."""
    while True:
        try:
            return await read_newest_cursor(context.cache)
        except StorageError:
            await anyio.sleep(1)


@dataclass
class BrokerConnection:
    """One connection to the broker."""

    context: PublisherContext
    topics: Topics
    cursor: str
    """Where to begin if neither this process nor the broker knows how far was published."""
    position: str | None
    """The cursor of the last occurrence that this process published."""
    is_ready: bool = False
    """Whether everything was published once."""
    _kept: dict[str, dict[str, str]] = field(default_factory=dict)
    """What the broker keeps, by device and topic, as far as this connection has published it."""
    _found: set[str] = field(default_factory=set)
    """Topics of discovery that the broker had kept before."""
    _marker: str = field(default_factory=lambda: secrets.token_hex(8))
    _read: anyio.Event = field(default_factory=anyio.Event)
    """Set when all that the broker had kept is read."""
    _asked: bool = False
    """Whether Home Assistant has started, and everything is to be published again."""
    _woken: anyio.Event = field(default_factory=anyio.Event)
    _publishing: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        """Begin with nothing built."""
        self._messages = RetainedMessages(self.topics)

    async def run(self) -> None:
        """Publish what is to be kept, then every change and occurrence, until the connection is lost.

        Raises:
            BrokerLost: the broker cannot be reached, or was lost.
        """
        identifier = f"plex-companion-{self.topics.node}"
        async with (
            open_broker(self.context.address, identifier, self.topics.status) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._receive, client)
            await self._read_kept(client)
            await self._publish_changes(client)
            await self._announce(client)
            tasks.start_soon(self._follow_occurrences, client)
            await self._follow_state(client)

    async def _read_kept(self, client: Client) -> None:
        """Read how far was published, and which discovery the broker keeps of this companion."""
        topics = self.topics
        await client.subscribe(
            [(topics.every_config, 0), (topics.position, 0), (topics.status, 0), (HOME_ASSISTANT_STATUS, 0)]
        )
        await client.subscribe(topics.marker)
        await client.publish(topics.marker, self._marker, qos=1)
        with anyio.move_on_after(TIMEOUT_SECONDS):  # a broker that may not be subscribed to sends nothing back
            await self._read.wait()
        await client.unsubscribe([topics.every_config, topics.position, topics.marker])

    async def _announce(self, client: Client) -> None:
        """Publish that the companion runs: the birth message, after everything that it makes available."""
        await client.publish(self.topics.status, ONLINE, qos=1, retain=True)
        if not self.is_ready:
            logger.info("The MQTT broker at %s is connected", self.context.address.host)
        self.is_ready = True
        self.context.status.connect(self.context.now())

    async def _receive(self, client: Client) -> None:
        async for message in client.messages:
            await self._handle(client, message, message.payload.decode(errors="replace"))

    async def _handle(self, client: Client, message: Message, payload: str) -> None:
        topics, topic = self.topics, message.topic.value
        if topic == topics.marker and payload == self._marker:
            self._read.set()
        elif topic == topics.position:
            self.position = _choose_later(self.position, payload)
        elif topic == topics.status:
            if self.is_ready and payload != ONLINE:  # the will of a connection that was given up late
                await client.publish(topics.status, ONLINE, qos=1, retain=True)
        elif topic == HOME_ASSISTANT_STATUS:
            if self.is_ready and payload == ONLINE and not message.retain:
                self._asked = True
                self._woken.set()
        elif message.retain and payload:
            self._found.add(topic)

    async def _follow_state(self, client: Client) -> None:
        while True:
            changed = self.context.live.prepare_wait()  # before looking, or a commit in between would be missed
            await self._publish_changes(client)
            await anyio.sleep(PACE_SECONDS)
            await self._wait(changed)

    async def _wait(self, changed: anyio.Event) -> None:
        """Wait for a commit, or for Home Assistant to start."""
        async with anyio.create_task_group() as tasks:

            async def wait_until_woken() -> None:
                await self._woken.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(wait_until_woken)
            await changed.wait()
            tasks.cancel_scope.cancel()

    async def _publish_changes(self, client: Client) -> None:
        """Publish what the broker should keep and does not; remove what it should not keep any more."""
        async with self._publishing:
            if self._asked:
                self._asked, self._woken = False, anyio.Event()
                self._kept.clear()
            wanted = self._messages.build(tuple(self.context.live.states.values()), self.context.now())
            for device in [*self._kept.keys() - wanted.keys()]:
                await self._publish_device(client, device, {})
            for device, messages in wanted.items():
                if self._kept.get(device) is not messages:
                    await self._publish_device(client, device, messages)
            if self._found:
                known = {topic for messages in wanted.values() for topic in messages}
                for topic in self._found - known:
                    await self._publish(client, topic, "")
                self._found.clear()

    async def _publish_device(self, client: Client, device: str, messages: dict[str, str]) -> None:
        """Publish what is different of a device. Without messages, the broker keeps nothing of it any more."""
        before = self._kept.pop(device, {})
        for topic in before.keys() - messages.keys():
            await self._publish(client, topic, "")
        for topic, payload in messages.items():
            if before.get(topic) != payload:
                await self._publish(client, topic, payload)
        if messages:
            self._kept[device] = messages

    async def _publish(self, client: Client, topic: str, payload: str) -> None:
        """Publish a message for the broker to keep. It is not confirmed: after a lost connection all are sent again."""
        await client.publish(topic, self.context.secrets.hide(payload), qos=0, retain=True)
        self.context.status.published += 1

    async def _follow_occurrences(self, client: Client) -> None:
        self.position = self.position or self.cursor
        with self.context.feed.follow():
            while True:
                arrived = self.context.feed.prepare_wait()
                if not await self._publish_occurrences(client):
                    await arrived.wait()

    async def _publish_occurrences(self, client: Client) -> bool:
        """Publish a page of occurrences. Return whether there was one."""
        before = self.position or self.cursor
        try:
            page = await self.context.feed.read_after(before)
        except StorageError:
            await anyio.sleep(1)
            return True
        fresh = [one for one in page.occurrences if self._is_news(one)]
        if fresh:
            await self._publish_changes(client)  # what a player does, before what happened on it
        for occurrence in fresh:
            await self._publish_occurrence(client, occurrence)
        if page.next_cursor != self.position:
            await self._store_position(client, page.next_cursor)
        return page.next_cursor != before

    def _is_news(self, occurrence: FeedOccurrence) -> bool:
        """Return whether an occurrence is to be published: it is not late, and no alert of a muted kind."""
        at = datetime.fromisoformat(occurrence.row["at"]).timestamp() * 1_000
        kind = (occurrence.row["data"].get("alert") or {}).get("kind")
        return self.context.now() - at <= LATE_MS and (kind is None or not self.context.is_muted(kind))

    async def _publish_occurrence(self, client: Client, occurrence: FeedOccurrence) -> None:
        """Publish an occurrence and how far was published, at once: a process that is killed in between is improbable."""
        async with anyio.create_task_group() as tasks:
            for topic, payload in build_event_messages(occurrence.row, self.topics):
                tasks.start_soon(self._send, client, topic, payload)
            tasks.start_soon(self._store_position, client, occurrence.cursor)

    async def _send(self, client: Client, topic: str, payload: str) -> None:
        await client.publish(topic, self.context.secrets.hide(payload), qos=1)
        self.context.status.published += 1

    async def _store_position(self, client: Client, cursor: str) -> None:
        await client.publish(self.topics.position, cursor, qos=1, retain=True)
        self.position = cursor


def _choose_later(own: str | None, kept: str) -> str | None:
    """Return the later of our own cursor and the one that the broker has kept: another process may have led meanwhile."""
    try:
        number = parse_cursor(kept)[1]
        return kept if own is None or number > parse_cursor(own)[1] else own
    except Invalid:
        return own
