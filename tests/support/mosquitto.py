"""A real MQTT broker on a free port, and a client that keeps what it receives."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from aiomqtt import Client

from support.deadlines import HANG_SECONDS
from support.free_port import find_free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

PROGRAM = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="mosquitto is not installed")
USER, PASSWORD = "house", "canary-br0ker-2718"
"""The login of every broker here."""


@dataclass
class Broker:
    """A mosquitto that remembers retained messages over a restart."""

    folder: Path
    port: int
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    def configure(self) -> None:
        self.folder.mkdir(exist_ok=True)
        passwords = self.folder / "passwords"
        passwords.touch()
        tool = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
        subprocess.run([tool, "-b", passwords, USER, PASSWORD], check=True, capture_output=True)  # noqa: S603 - our own words
        lines = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {passwords}",
            "persistence true",
            f"persistence_location {self.folder}/",
            "max_queued_messages 0",
            "user root",  # it gives up the rights of root for another user's, who may not read the folder of a test
        ]
        (self.folder / "mosquitto.conf").write_text("\n".join([*lines, ""]))

    async def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        command = [str(PROGRAM), "-c", str(self.folder / "mosquitto.conf")]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220, S603 - the same
        with anyio.fail_after(HANG_SECONDS):
            while not await self._accepts():
                assert self._process.poll() is None, "mosquitto has ended"
                await anyio.sleep(0.02)

    async def _accepts(self) -> bool:
        try:
            await (await anyio.connect_tcp("127.0.0.1", self.port)).aclose()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def freeze(self) -> Iterator[None]:
        """Let it answer nothing while the block runs, though it is there."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, so that it writes what it keeps."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


@asynccontextmanager
async def open_broker(folder: Path) -> AsyncIterator[Broker]:
    broker = Broker(folder / "mosquitto", find_free_port())
    broker.configure()
    await broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@dataclass
class Received:
    """A message as a subscriber gets it."""

    topic: str
    payload: str
    retained: bool
    """Whether the broker had kept it from before the subscription."""

    @property
    def data(self) -> Any:
        return json.loads(self.payload)


@dataclass
class Subscriber:
    """What a home automation would get: every message, in order."""

    client: Client
    messages: list[Received] = field(default_factory=list)
    _more: anyio.Event = field(default_factory=anyio.Event)

    async def run(self) -> None:
        async for message in self.client.messages:
            payload = message.payload.decode()
            self.messages.append(Received(message.topic.value, payload, bool(message.retain)))
            self._more.set()
            self._more = anyio.Event()

    async def until(self, fact: Callable[[], object]) -> None:
        """Return as soon as a message makes the fact so."""
        with anyio.fail_after(HANG_SECONDS):
            while not fact():
                await self._more.wait()

    @property
    def kept(self) -> dict[str, str]:
        """The last message of each topic; an empty one removes it."""
        last = {one.topic: one.payload for one in self.messages}
        return {topic: payload for topic, payload in last.items() if payload}

    @property
    def configs(self) -> dict[str, Any]:
        """The discovery there is, by topic."""
        return {topic: json.loads(text) for topic, text in self.kept.items() if topic.endswith("/config")}

    def list_payloads(self, ending: str) -> list[str]:
        """Every message of the topics with this ending."""
        return [one.payload for one in self.messages if one.topic.endswith(ending)]


@asynccontextmanager
async def subscribe(broker: Broker, *filters: str, lasting: str | None = None) -> AsyncIterator[Subscriber]:
    """Subscribe to everything, or to these filters, while the block runs.

    For one that is `lasting`, by its name, the broker keeps the messages until it comes again.
    """
    clean = {"identifier": lasting, "clean_session": lasting is None}
    async with (
        Client("127.0.0.1", broker.port, username=USER, password=PASSWORD, **clean) as client,  # type: ignore[arg-type]  # of two types
        anyio.create_task_group() as tasks,
    ):
        subscriber = Subscriber(client)
        tasks.start_soon(subscriber.run)
        for one in filters or ("#",):
            await client.subscribe(one, qos=1)
        yield subscriber
        tasks.cancel_scope.cancel()


async def publish(broker: Broker, topic: str, payload: str, *, retain: bool = False) -> None:
    async with Client("127.0.0.1", broker.port, username=USER, password=PASSWORD) as client:
        await client.publish(topic, payload, qos=1, retain=retain)
