"""The outbox with everything that sends from it, on a real file and under a clock that a test may hurry."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio
from aiosmtpd.smtp import SMTP
from anyio.abc import SocketAttribute
from msgspec.json import encode

from plex_companion.cache.database import open_cache
from plex_companion.cache.load import load_state
from plex_companion.events import Connecting, DeliveryReport, ReceivedEvent, Snapshot
from plex_companion.ingest.live import Live
from plex_companion.ingest.loop import ingest
from plex_companion.ingest.queue import EventQueue, EventQueues
from plex_companion.models import Delivery, Message, Moment
from plex_companion.notify.sender import SenderParts, SenderTimeouts, SendingEnd, send_messages
from plex_companion.notify.services import open_services
from plex_companion.notify.target_counts import TargetCounts
from plex_companion.text import SecretFilter
from plex_companion.webhooks import DeliveryContext, WakeUp
from support.deadlines import HANG_SECONDS
from support.event_clients import callback_receiver
from support.frames import DEN, START

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from aiosmtpd.smtp import Envelope, Session

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.changes.kinds import Effect
    from plex_companion.models import Poster
    from support.event_clients import CallbackReceiver

PICTURE = b"\xff\xd8\xff a poster"


def build_message(title: str, text: str = "", **more: Any) -> Message:
    return Message(title, text, **more)


def build_delivery(delivery_id: int, message: Message, at: int = START, **more: Any) -> Delivery:
    """A message in the outbox, as a rule of its own puts it there."""
    row = Delivery(delivery_id, "notify:chat", None, encode(message).decode(), at, at, rule_id=delivery_id)
    return Delivery(**{name: more.get(name, getattr(row, name)) for name in row.__struct_fields__})


@dataclass
class Outbox:
    """Ingest and sending on a real file. `jump` moves the clock that everything but the network goes by."""

    live: Live
    queue: EventQueue
    cache: Cache
    wake_up: WakeUp
    counts: dict[str, TargetCounts]
    speed: float
    jumped: int = 0
    began: float = field(default_factory=anyio.current_time)
    next_id: int = 1
    end: SendingEnd = field(default_factory=SendingEnd)

    def now(self) -> Moment:
        passed = int((anyio.current_time() - self.began) * 1_000 * self.speed) + self.jumped
        return Moment(START + passed, passed)

    def jump(self, ms: int) -> None:
        self.jumped += ms
        self.wake_up.wake()

    async def queue_messages(self, *messages: Message, target: str = "chat", after_ms: int = 0) -> list[Delivery]:
        """Put messages into the outbox, all in one transaction, due after a while."""
        at = self.now().at
        rows = [
            build_delivery(self.next_id + place, one, at, target=f"notify:{target}", due_at=at + after_ms)
            for place, one in enumerate(messages)
        ]
        self.next_id += len(rows)
        await self.report(DeliveryReport(tuple(rows)))
        return rows

    async def report(self, result: DeliveryReport) -> None:
        await self.queue.put([ReceivedEvent(result, self.now())])

    async def read_rows(self) -> list[dict[str, Any]]:
        cursor = await self.cache.reader.execute_fetchall("SELECT * FROM deliveries ORDER BY id")
        return [dict(row) for row in cursor]

    async def until(self, fact: Any) -> list[dict[str, Any]]:
        """The rows of the outbox, as soon as a commit makes the fact so."""
        with anyio.fail_after(HANG_SECONDS):
            while True:
                changed = self.live.prepare_wait()
                rows = await self.read_rows()
                if rows and fact(rows):
                    return rows
                await changed.wait()

    async def until_delivered(self) -> list[dict[str, Any]]:
        return await self.until(lambda rows: all(row["outcome"] == "delivered" for row in rows))


@asynccontextmanager
async def sending(
    folder: Path,
    targets: Mapping[str, str],
    *,
    speed: float = 1.0,
    rate: int = 5,
    timeouts: SenderTimeouts | None = None,
    begin_at: int = 0,
    closing: float = HANG_SECONDS,
) -> AsyncIterator[Outbox]:
    """Send to these targets while the block does. The clock begins `begin_at` milliseconds after `START`.

    What is being sent at the end is waited for, `closing` seconds at most.
    """
    async with open_cache(folder / "cache.sqlite3") as cache, anyio.create_task_group() as tasks:
        live = Live(await load_state(cache, Moment(START + begin_at, begin_at)))
        queues, wake_up = EventQueues(live.states, 1_000, live.counters), WakeUp()
        services = open_services(targets)
        counts = {service.name: TargetCounts() for service in services}
        it = Outbox(live, queues.first, cache, wake_up, counts, speed, begin_at, end=SendingEnd(closing))
        it.next_id = next(iter(live.states.values())).ids.delivery

        def announce(_: Mapping[str, Sequence[Effect]], __: TouchedUris) -> None:
            wake_up.wake()

        async def sleep(seconds: float) -> None:
            await anyio.sleep(seconds / speed)

        async def fetch_picture(poster: Poster) -> bytes | None:
            await anyio.lowlevel.checkpoint()
            return PICTURE if poster.rating_key == "1" else None

        context = DeliveryContext(cache, wake_up, it.report, lambda: it.now().at, lambda: 1.0, SecretFilter(()), sleep)
        parts = SenderParts(
            context,
            ZoneInfo("UTC"),
            rate,
            fetch_picture,
            counts,
            timeouts or SenderTimeouts(HANG_SECONDS, HANG_SECONDS),
        )
        tasks.start_soon(ingest, queues, live, cache, announce)
        tasks.start_soon(send_messages, services, parts, it.end)
        snapshot = Snapshot(1, first=True, requested=it.now(), server=DEN, sessions=(), activities=())
        await it.queue.put([ReceivedEvent(one, it.now()) for one in (Connecting(), snapshot)])
        yield it
        with anyio.CancelScope(shield=True):
            await it.end.close()
            while len(queues):
                await live.wait_for_commit()
        tasks.cancel_scope.cancel()


@dataclass
class ChatServer:
    """A web server that takes what Apprise's `json://` and `ntfy://` send."""

    receiver: CallbackReceiver

    @property
    def address(self) -> str:
        return self.receiver.url.removeprefix("http://").partition("/")[0]

    @property
    def url(self) -> str:
        """Its address as a target."""
        return f"json://{self.address}/canary-4815162342"

    @property
    def titles(self) -> list[str]:
        return [one.message["title"] for one in self.receiver.received]

    @property
    def texts(self) -> list[str]:
        return [one.message["message"] for one in self.receiver.received]

    async def until(self, count: int) -> list[dict[str, Any]]:
        """What it got, once it is so much."""
        return [one.message for one in await self.receiver.until(count)]


@asynccontextmanager
async def chat_server(*answers: str) -> AsyncIterator[ChatServer]:
    """A server that answers with these statuses, one a request, the last one for ever."""
    async with callback_receiver(*(answers or ["200 OK"])) as receiver:
        yield ChatServer(receiver)


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """The URL of a target that takes connections and never answers; Apprise would wait for an hour."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:

        async def hold(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                await anyio.sleep_forever()

        tasks.start_soon(listener.serve, hold)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        yield f"json://127.0.0.1:{port}/?rto=3600&cto=3600"
        tasks.cancel_scope.cancel()


@dataclass
class PostOffice:
    """A mail server that keeps what it is sent."""

    url: str = ""
    received: list[bytes] = field(default_factory=list)
    _more: anyio.Event = field(default_factory=anyio.Event)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 - aiosmtpd's
        assert isinstance(envelope.content, bytes)
        self.received.append(envelope.content)
        self._more.set()
        self._more = anyio.Event()
        return "250 taken"

    async def until(self, count: int) -> list[bytes]:
        with anyio.fail_after(HANG_SECONDS):
            while len(self.received) < count:
                await self._more.wait()
        return self.received


@asynccontextmanager
async def post_office(loop: asyncio.AbstractEventLoop) -> AsyncIterator[PostOffice]:
    """A mail server on a free port of loopback."""
    it = PostOffice()
    server = await loop.create_server(lambda: SMTP(it, enable_SMTPUTF8=True), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        it.url = f"mailto://127.0.0.1:{port}/family@example.org?from=companion@example.org"
        yield it
