"""A whole home: a demo Plex server, a companion that listens to it, and clients that subscribe."""

from __future__ import annotations

import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import (
    EmptyResult,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)
from pydantic import SecretStr

from plex_companion.app import Application, open_application
from plex_companion.cache.migrate import migrate
from plex_companion.demo import Demo, open_demo
from plex_companion.events import ReceivedEvent, StorageReport
from plex_companion.plex.disconnects import ListenerTimeouts
from plex_companion.server.http.web import serve_http
from plex_companion.settings import Settings
from support.deadlines import HANG_SECONDS
from support.sse import open_sse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from plex_companion.server.http.http_app import HttpApp

LEGACY, MODERN = "legacy", "2026-07-28"
ERAS = (LEGACY, MODERN)
TRANSPORTS = ("stdio", "sse", "http")


def quick() -> Iterator[float]:
    """Hardly any wait between tries to connect."""
    yield 0.0
    while True:
        yield 0.05


FAST = ListenerTimeouts(
    ping=20,
    pong=20,
    refused=0.3,
    merge=0.05,
    late=20,
    failed=0.1,
    after_play=0.05,
    after_play_again=0.3,
    settled=0.0,
    waits=quick,
)


QUICK_PINGS = replace(FAST, ping=0.3, pong=0.3)
"""For tests of a silent peer only: on a busy machine late pongs pass for a lost connection."""


@dataclass
class Home:
    """Everything that runs. `url` is the companion's."""

    demo: Demo
    application: Application
    url: str
    web: HttpApp

    @property
    def sessions(self) -> dict[str, Any]:
        """The sessions the companion knows, by key."""
        return dict(self.application.companion.state.sessions)

    async def until(self, fact: Callable[[], object], seconds: float = HANG_SECONDS) -> None:
        """Return as soon as a commit makes the fact so."""
        with anyio.fail_after(seconds):
            while not fact():
                await self.application.companion.live.wait_for_commit()

    async def live(self) -> None:
        """Wait until the companion is connected to Plex."""
        await self.until(lambda: self.application.companion.is_live)

    async def add_alert(self, words: str) -> int:
        """Add an unacknowledged alert about the database, and return its id."""
        companion = self.application.companion
        before = companion.state.next_alert
        await companion.event_queue.put(
            [ReceivedEvent(StorageReport("database", ok=True, words=words), companion.clock())]
        )
        await self.until(lambda: companion.state.next_alert > before)
        return before

    async def left(self) -> None:
        """Wait until no trace of any client is left."""
        with anyio.fail_after(HANG_SECONDS):
            while any(vars_of(self.application.notifier.count())):  # noqa: ASYNC110 - leaving has no event to wait for
                await anyio.sleep(0.01)


def vars_of(counts: Any) -> list[int]:
    return [getattr(counts, name) for name in counts.__dataclass_fields__]


@cache
def read_empty_database() -> bytes:
    """An empty database of today's schema, which the migrations wrote: copying it is ten times as quick."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "cache.sqlite3")
        migrate(path)
        return path.read_bytes()


def settings_for(demo: Demo, folder: Path, **more: Any) -> Settings:
    """Settings of a companion that listens to this demo server, with an empty database unless there is one.

    Nothing of the real environment is read.
    """
    if "database" not in more and folder.is_dir() and not (folder / "cache.sqlite3").exists():
        (folder / "cache.sqlite3").write_bytes(read_empty_database())
        (folder / "cache.sqlite3").chmod(0o600)
    given = {
        "plex_url": demo.url,
        "plex_tv_url": demo.url,
        "database": folder / "cache.sqlite3",
        "plex_timeout_seconds": HANG_SECONDS,
        **more,
    }
    return Settings.load(given).model_copy(update={"plex_token": SecretStr(demo.token)})


@asynccontextmanager
async def home(
    folder: Path,
    *,
    demo: Demo | None = None,
    timeouts: ListenerTimeouts = FAST,
    tick: float = 0.5,
    port: int = 0,
    **more: Any,
) -> AsyncIterator[Home]:
    """A home in which nothing happens by itself, with the companion's HTTP application on a free port or the named one."""
    if demo is None:
        async with (
            open_demo(alive=False) as fresh,
            home(folder, demo=fresh, timeouts=timeouts, tick=tick, port=port, **more) as it,
        ):
            yield it
        return
    settings = settings_for(demo, folder, **more)
    bound_to: list[int] = []
    bound = anyio.Event()

    def started(_: str, real: int) -> None:
        bound_to.append(real)
        bound.set()

    async with (
        open_application(settings, timeouts=timeouts, tick_seconds=tick) as application,
        anyio.create_task_group() as tasks,
    ):
        web = application.build_http_app()

        async def serve() -> None:
            await serve_http(web, "127.0.0.1", port, notifier=application.notifier, started=started)

        tasks.start_soon(serve)
        with anyio.fail_after(HANG_SECONDS):
            await bound.wait()
        it = Home(demo, application, f"http://127.0.0.1:{bound_to[0]}", web)
        await it.live()
        yield it
        tasks.cancel_scope.cancel()


class UpdateLog:
    """Records the updates that a client gets, by URI."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._more = anyio.Event()

    async def receive(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.record(str(message.params.uri))

    def record(self, uri: str) -> None:
        self.uris.append(uri)
        self._more.set()
        self._more = anyio.Event()

    async def until(self, uri: str, more_than: int = 0) -> None:
        with anyio.fail_after(HANG_SECONDS):
            while self.uris.count(uri) <= more_than:
                await self._more.wait()


def program(demo: Demo, folder: Path, *arguments: str) -> StdioServerParameters:
    """The program as an AI host starts it."""
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "PLEX_URL": demo.url, "PLEX_TOKEN": demo.token}
    return StdioServerParameters(
        command=sys.executable, args=["-m", "plex_companion", *arguments], env=environment, cwd=folder
    )


def transport(kind: str, it: Home, folder: Path) -> Any:
    """The way to the companion: a started program, or its HTTP application."""
    match kind:
        case "stdio":
            return stdio_client(program(it.demo, folder))
        case "sse":
            return open_sse(f"{it.url}/sse")
        case _:
            return f"{it.url}/mcp"


@asynccontextmanager
async def subscribed(target: Any, era: str, *uris: str) -> AsyncIterator[tuple[Client, UpdateLog]]:
    """A client of this era, subscribed in its era's way; unsubscribed again at the end."""
    received = UpdateLog()
    async with Client(target, mode=era, message_handler=received.receive) as client:
        if era == LEGACY:
            for uri in uris:
                request = SubscribeRequest(params=SubscribeRequestParams(uri=uri))
                await client.session.send_request(request, EmptyResult)
            yield client, received
            for uri in uris:
                leave = UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri))
                await client.session.send_request(leave, EmptyResult)
            return
        async with client.listen(resource_subscriptions=list(uris)) as stream, anyio.create_task_group() as tasks:

            async def read() -> None:
                async for event in stream:
                    received.record(event.uri)  # type: ignore[union-attr]  # nothing but resource updates was asked for

            tasks.start_soon(read)
            yield client, received
            tasks.cancel_scope.cancel()


async def body(client: Client, uri: str) -> dict[str, Any]:
    """A resource, read."""
    (contents,) = (await client.read_resource(uri)).contents
    found: dict[str, Any] = json.loads(contents.text)  # type: ignore[union-attr]  # all resources are text
    return found


async def known(
    client: Client, uri: str, fact: Callable[[dict[str, Any]], object], updates: UpdateLog | None = None
) -> dict[str, Any]:
    """The first reading of a resource that fits; between readings, wait for an update where they are recorded."""
    with anyio.fail_after(HANG_SECONDS):
        while True:
            seen = len(updates.uris) if updates else 0
            found = await body(client, uri)
            if fact(found):
                return found
            if updates is None:
                await anyio.sleep(0.02)
            else:
                while len(updates.uris) == seen:
                    await updates._more.wait()
