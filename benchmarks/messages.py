"""`python -m benchmarks.messages`: how long a message to people takes from its cause to its receiver, and 200 at once.

Then the same from a press on pause, with a rule in between. The floor is Apprise alone, which sends the same message to the same receiver.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import SocketAttribute
from mcp import Client
from msgspec.json import encode
from pydantic import SecretStr

from benchmarks.figures import Figure, Spread, describe_machine, percentile, print_table
from plex_companion.app import open_application
from plex_companion.demo import open_demo
from plex_companion.events import DeliveryReport, ReceivedEvent
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.models import Delivery, Message
from plex_companion.notify.schedule import GATHER_MS
from plex_companion.notify.services import open_services
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream

    from plex_companion.app import Application
    from plex_companion.companion import Companion
    from plex_companion.demo import Demo

SINGLE, AT_ONCE, PRESSES = 60, 200, 30
SETTLE_SECONDS = 0.5
"""After each press: what it causes is over."""
RULE: dict[str, Any] = {
    "name": "Pauses",
    "when": ["play.paused"],
    "then": [{"action": "notify", "targets": ["chat"], "title": "{data.user.name}", "text": "{data.item.full_title}"}],
}
MOST_MS = 1_000.0
"""The longest that a message may take."""
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass
class MessageReceiver:
    """A web server that notes when requests arrive."""

    url: str = ""
    arrived: list[float] = field(default_factory=list)
    _more: anyio.Event = field(default_factory=anyio.Event)

    async def receive(self, stream: SocketStream) -> None:
        """Read one request and answer it."""
        async with stream:
            head, _, body = (await stream.receive()).partition(b"\r\n\r\n")
            lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            while len(body) < int(lines[b"content-length"]):
                body += await stream.receive()
            self.arrived.append(time.perf_counter())
            await stream.send(ANSWER)
        self._more.set()
        self._more = anyio.Event()

    async def wait_for(self, count: int) -> float:
        """Wait for so many requests, and return when the last came."""
        while len(self.arrived) < count:
            await self._more.wait()
        return self.arrived[count - 1]


@asynccontextmanager
async def open_receiver() -> AsyncIterator[MessageReceiver]:
    """Run a receiver on a free port."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        receiver = MessageReceiver(f"json://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/")  # noqa: S610 - anyio's, not Django's
        tasks.start_soon(listener.serve, receiver.receive)
        yield receiver
        tasks.cancel_scope.cancel()


async def queue_messages(companion: Companion, count: int) -> None:
    """Put messages into the outbox in one transaction, as a rule does."""
    first, at = companion.state.ids.delivery, companion.now_ms
    bodies = [encode(Message("New in Films", f"Film number {number}")).decode() for number in range(count)]
    rows = (Delivery(first + place, "notify:chat", None, body, at, at) for place, body in enumerate(bodies))
    await companion.event_queue.put([ReceivedEvent(DeliveryReport(tuple(rows)), companion.clock())])


@asynccontextmanager
async def run_home(folder: Path, url: str, demo: Demo) -> AsyncIterator[Application]:
    """Run a companion with this target, connected to a demo server."""
    given = {"plex_url": demo.url, "database": folder / "cache.sqlite3", "notify": f"chat={url}", "notify_rate": 600}
    settings = Settings.load(given).model_copy(update={"plex_token": SecretStr(demo.token)})
    async with open_application(settings) as application:
        while not application.companion.is_live:
            await application.companion.live.wait_for_commit()
        yield application


async def enable_rule(application: Application) -> None:
    """Make a rule that tells of every pause."""
    async with Client(application.server) as client:
        await client.call_tool("rule_create", {"rule": RULE})
        await client.call_tool("rule_enable", {"id": RULE["name"], "confirm": True})


async def measure_presses(demo: Demo, receiver: MessageReceiver) -> list[float]:
    """Pause and resume in turn, and return the milliseconds from each pause to its message."""
    session, took = demo.start(), []
    await anyio.sleep(SETTLE_SECONDS)
    for _ in range(PRESSES):
        count, begun = len(receiver.arrived), time.perf_counter()
        demo.pause(session)
        took.append((await receiver.wait_for(count + 1) - begun) * 1_000)
        demo.resume(session)
        await anyio.sleep(SETTLE_SECONDS)
    return took


async def measure_messages(folder: Path) -> AsyncIterator[Figure]:
    """Measure single messages beside Apprise alone, then many at once."""
    async with open_receiver() as receiver:
        floor = await measure_apprise(receiver)
        receiver.arrived.clear()
        async with open_demo(alive=False) as demo, run_home(folder, receiver.url, demo) as application:
            companion, took = application.companion, []
            for number in range(SINGLE):
                begun = time.perf_counter()
                await queue_messages(companion, 1)
                took.append((await receiver.wait_for(number + 1) - begun) * 1_000)
            worst, what = percentile(took, 99), f"a message from its cause to its receiver, {GATHER_MS} ms of it waited"
            shown = Spread.from_repeats(took).format("ms")
            yield Figure("M1", what, shown, Spread.from_repeats(floor).format("ms"))
            yield Figure("M1", f"p99 of {SINGLE}", f"{worst:.0f} ms", target="≤ 1 s", met=worst <= MOST_MS)
            before, begun = len(receiver.arrived), time.perf_counter()
            await queue_messages(companion, AT_ONCE)
            last = (await receiver.wait_for(before + 1) - begun) * 1_000
            await anyio.sleep(2)  # for a second message, which must not come
            count = len(receiver.arrived) - before
            yield Figure("M2", f"{AT_ONCE} messages at once arrive as", f"{count}", target="1", met=count == 1)
            yield Figure("M2", "after", f"{last:.0f} ms", target="≤ 1 s", met=last <= MOST_MS)
            await enable_rule(application)
            presses = await measure_presses(demo, receiver)
            worst, shown = percentile(presses, 99), Spread.from_repeats(presses).format("ms")
            yield Figure("M3", "a pause in Plex to a chat, by a rule", shown)
            yield Figure("M3", f"p99 of {PRESSES}", f"{worst:.0f} ms", target="≤ 1 s", met=worst <= MOST_MS)


async def measure_apprise(receiver: MessageReceiver) -> list[float]:
    """Send with Apprise alone, and return the milliseconds until each message arrived."""
    (service,) = await compute_off_loop(partial(open_services, {"chat": receiver.url}))
    took = []
    for number in range(SINGLE):
        begun = time.perf_counter()
        await compute_off_loop(partial(service.send, Message("New in Films", f"Film number {number}")))
        took.append((receiver.arrived[number] - begun) * 1_000)
    return took


async def main() -> None:
    """Measure and print."""
    before = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        figures = [figure async for figure in measure_messages(Path(folder))]
    print_table(figures, before, "Apprise")


if __name__ == "__main__":
    anyio.run(main)
