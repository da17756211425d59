"""Sends the messages of the outbox to the targets of notifications, each in its own order and at its own pace."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anyio
from msgspec import DecodeError
from msgspec.json import decode
from msgspec.structs import replace

from plex_companion.cache.database import StorageError
from plex_companion.cache.queries.read import read_delivery_times
from plex_companion.changes.deliveries import GIVEN_UP, DeliveryAttempt
from plex_companion.events import DeliveryReport
from plex_companion.models import NOTIFY_PREFIX, Message
from plex_companion.notify.daemon_call import DaemonCall
from plex_companion.notify.message_texts import merge_messages
from plex_companion.notify.schedule import NOT_TAKEN, QueuedMessage, is_given_up, plan_send, record_answer
from plex_companion.times import MINUTE_MS
from plex_companion.webhooks import read_waiting, wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import tzinfo

    from plex_companion.models import Delivery, Poster
    from plex_companion.notify.services import NotifyService
    from plex_companion.notify.target_counts import TargetCounts
    from plex_companion.webhooks import DeliveryContext

logger = logging.getLogger(__name__)

MOST_READ = 1_000
"""Messages that are read at once, and so the most of one digest."""
CLOSING_SECONDS = 0.5
"""How long the end of the program waits for messages that are being sent."""
FAILED = DeliveryAttempt(None, NOT_TAKEN)


@dataclass(frozen=True, slots=True)
class SenderTimeouts:
    """How long one attempt may take, in seconds."""

    attempt: float = 30.0
    """After this it counts as failed. It goes on, and nothing else is sent to the target meanwhile."""
    hung: float = 600.0
    """After this it is given up, and the next attempt begins beside it."""
    pictures: float = 20.0
    """So long the pictures that a message shows in its text are waited for; it is sent with those that came."""


@dataclass(frozen=True, slots=True)
class SenderParts:
    """What sending needs: `delivery` as webhooks do, and what only messages to people need."""

    delivery: DeliveryContext
    zone: tzinfo
    """The time zone of times in a digest."""
    rate: int
    """The most messages a minute to a target."""
    fetch_picture: Callable[[Poster], Awaitable[bytes | None]]
    counts: dict[str, TargetCounts]
    """By name of target."""
    timeouts: SenderTimeouts = SenderTimeouts()


@dataclass(slots=True)
class SendingEnd:
    """Lets the program end between messages rather than in one, whose acceptance would not be recorded."""

    seconds: float = CLOSING_SECONDS
    """How long a message that is being sent is waited for."""
    _closing: bool = False
    _sending: int = 0
    _idle: anyio.Event = field(default_factory=anyio.Event)

    async def close(self) -> None:
        """Let nothing more be sent, and wait a moment for what is."""
        self._closing = True
        with anyio.move_on_after(self.seconds):
            while self._sending:
                self._idle = anyio.Event()
                await self._idle.wait()

    @property
    def is_sending(self) -> bool:
        """Whether a message is being sent."""
        return self._sending > 0

    async def begin(self) -> None:
        """Say that something is sent from now on. Never returns when the program ends."""
        if self._closing:
            await anyio.sleep_forever()
        self._sending += 1

    def finish(self) -> None:
        """Say that it was sent, and that the result was reported."""
        self._sending -= 1
        self._idle.set()


async def send_messages(services: Sequence[NotifyService], parts: SenderParts, end: SendingEnd) -> None:
    """Send to every target, forever. Targets do not wait for each other."""
    async with anyio.create_task_group() as tasks:
        for service in services:
            tasks.start_soon(TargetSender(service, parts, end).run)


class TargetSender:
    """Sends to one target, one message at a time. While it cannot be reached, all its messages wait."""

    def __init__(self, service: NotifyService, parts: SenderParts, end: SendingEnd) -> None:
        self._service, self._parts, self._end = service, parts, end
        self._context = parts.delivery
        self._target = f"{NOTIFY_PREFIX}{service.name}"
        self._counts = parts.counts[service.name]
        self._answered: dict[int, Delivery] = {}  # results that may not be in the database yet
        self._sent_at: list[int] = []
        self._failing = False

    async def run(self) -> None:
        """Send, forever."""
        await self._read_sent_times()
        while True:
            wake_event = self._context.wake_up.prepare_wait()
            waiting = await self._read_messages()
            self._counts.waiting = len(waiting)
            plan = plan_send(waiting, self._sent_at, self._context.now(), self._parts.rate)
            if plan.group:
                await self._send(plan.group)
            else:
                await wait_until(plan.wait_until, self._context, wake_event)

    async def _read_sent_times(self) -> None:
        """Read what was sent within the last minute, perhaps by another process: the rate holds over restarts."""
        since = self._context.now() - MINUTE_MS
        try:
            self._sent_at = await read_delivery_times(self._context.cache, self._target, since)
        except StorageError:
            self._sent_at = []

    async def _read_messages(self) -> list[QueuedMessage]:
        """Return what waits for the target. What is no message is given up."""
        found: list[QueuedMessage] = []
        for row in await read_waiting(self._target, self._context, self._answered, MOST_READ):
            try:
                found.append(QueuedMessage(row, decode(self._context.secrets.hide(row.body), type=Message)))
            except DecodeError:
                outcome = f"{GIVEN_UP}: it is not a message"
                await self._report((replace(row, tries=row.tries + 1, done_at=self._context.now(), outcome=outcome),))
        return found

    async def _send(self, group: Sequence[QueuedMessage]) -> None:
        """Send messages as one, and report what became of them."""
        await self._end.begin()
        try:
            call = await self._begin_call(group)
            answer = await call.wait(self._parts.timeouts.attempt)
            if answer is None and not call.is_done:
                answer = DeliveryAttempt(None, f"no answer within {self._parts.timeouts.attempt:.0f} s")
            await self._record(group, answer or FAILED)
        finally:
            self._end.finish()
        if not call.is_done:
            await self._wait_for_late_answer(group, call)

    async def _begin_call(self, group: Sequence[QueuedMessage]) -> DaemonCall[DeliveryAttempt]:
        dated = [(one.delivery.created_at, one.message) for one in group]
        message = merge_messages(dated, self._parts.zone, self._service.most)
        picture, poster = None, message.poster
        if poster is not None and self._service.takes_pictures and all(one.may_have_picture for one in group):
            picture = await self._parts.fetch_picture(poster)
        inline = await self._fetch_inline(message) if self._service.is_mail else {}
        return DaemonCall(f"notify {self._service.name}", partial(self._service.send, message, picture, inline))

    async def _fetch_inline(self, message: Message) -> dict[str, bytes]:
        """Fetch the pictures that the HTML of a message shows, as many as come in time."""
        found: dict[str, bytes] = {}
        with anyio.move_on_after(self._parts.timeouts.pictures):
            for number, poster in enumerate(message.inline, 1):
                picture = await self._parts.fetch_picture(poster)
                if picture is not None:
                    found[f"picture-{number}.jpg"] = picture
        return found

    async def _wait_for_late_answer(self, group: Sequence[QueuedMessage], call: DaemonCall[DeliveryAttempt]) -> None:
        """Wait for an attempt that hangs: another one beside it might be accepted as well."""
        late = await call.wait(self._parts.timeouts.hung)
        if late is not None and late.is_good:
            tried = [QueuedMessage(self._answered.get(one.delivery.id, one.delivery), one.message) for one in group]
            await self._record(tried, late)

    async def _record(self, group: Sequence[QueuedMessage], answer: DeliveryAttempt) -> None:
        now = self._context.now()
        results = record_answer(group, answer, now, self._context.chance())
        self._count(answer, len(group), now)
        self._log(answer, sum(map(is_given_up, results)))
        await self._report(results)

    async def _report(self, results: tuple[Delivery, ...]) -> None:
        self._answered |= {result.id: result for result in results}
        await self._context.report(DeliveryReport(results))

    def _count(self, answer: DeliveryAttempt, messages: int, now: int) -> None:
        if answer.is_good:
            self._sent_at = [*(at for at in self._sent_at if at > now - MINUTE_MS), now]
            self._counts.sent += messages
        else:
            self._counts.failed += 1

    def _log(self, answer: DeliveryAttempt, given_up: int) -> None:
        """Log when the target begins to fail, when it works again, and what is given up."""
        name, fails = self._service.name, not answer.is_good
        if fails and not self._failing:
            logger.warning("The target %s takes no messages (%s); they will be sent later", name, answer.words)
        if self._failing and not fails:
            logger.warning("The target %s takes messages again", name)
        if given_up:
            logger.warning("The target %s took no messages for too long: %d are given up", name, given_up)
        self._failing = fails
