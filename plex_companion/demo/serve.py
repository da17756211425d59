"""Running a demo server: the inner servers for HTTP and websockets behind the public port."""

from __future__ import annotations

import random
import secrets
import socket
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio
import uvicorn

from plex_companion.demo.demo_server import Demo
from plex_companion.demo.household.built_in import build_household
from plex_companion.demo.household.neighbours import rename_household
from plex_companion.demo.relay import PortRelay
from plex_companion.demo.server_state import ServerState
from plex_companion.demo.simulation.scenarios import SCENARIOS
from plex_companion.demo.simulation.viewers import simulate
from plex_companion.demo.subscribers import SubscriberHub
from plex_companion.demo.web import DemoWeb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from plex_companion.demo.household.model import Household


class _DemoUvicorn(uvicorn.Server):
    """An inner server that leaves signals to the program around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def close_now(self) -> None:
        """Close at once: uvicorn's own shutdown takes two tenths of a second, and does nothing when it is cancelled."""
        for listener in self.servers:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


@asynccontextmanager
async def _serve_http(web: DemoWeb) -> AsyncIterator[int]:
    """Run the inner HTTP server until the block ends and yield its port."""
    # The protocol is named because asyncio switches Nagle's delays off only where it is; else every answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as inner:
        inner.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            web, log_config=None, access_log=False, lifespan="off", ws="none", timeout_keep_alive=60
        )
        server = _DemoUvicorn(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [inner])
            while not server.started:  # noqa: ASYNC110  # uvicorn offers no event to wait for
                await anyio.sleep(0.002)
            try:
                yield inner.getsockname()[1]
            finally:
                web.close()
                server.close_now()
                tasks.cancel_scope.cancel()


def _build_state(
    household: Household, token: str | None, hub: SubscriberHub, clock: Callable[[], float], seed: int
) -> ServerState:
    state = ServerState(household, clock=clock, rng=random.Random(seed), announce=hub.announce)  # noqa: S311  # play, not secrets
    if token is not None:
        state.token = token
        state.by_token = {user.token: user for user in state.users.values() if user is not state.owner}
        state.by_token[token] = state.owner
    return state


@asynccontextmanager
async def open_demo(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    speed: float = 1.0,
    household: Household | None = None,
    require_token: str | None = None,
    alive: bool = True,
    clock: Callable[[], float] = time.time,
    seed: int = 1,
    identifier: str | None = None,
    name: str | None = None,
) -> AsyncIterator[Demo]:
    """Run a demo server until the block ends. `identifier` and `name` replace those of the household.

    With `alive`, simulated people watch and the server is busy by itself; without, nothing happens unless it is asked for.
    With `require_token`, other tokens get 401; without, any token or none is accepted.

    Raises:
        PortInUse: Another program listens on the port.
    """
    hub = SubscriberHub()
    chosen = rename_household(household or build_household(now=clock()), identifier, name)
    state = _build_state(chosen, require_token, hub, clock, seed)
    state.speed = speed
    demo = Demo(state, hub, SCENARIOS)
    try:
        async with _run(demo, host, port, alive=alive):
            yield demo
    except BaseExceptionGroup as group:
        # Task groups wrap whatever passes them; a caller wants their own exception, or `PortInUse`, as it was.
        raise _unwrap_group(group) from None


def _unwrap_group(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return group


@asynccontextmanager
async def _run(demo: Demo, host: str, port: int, *, alive: bool) -> AsyncIterator[None]:
    web = DemoWeb(demo)
    async with (
        _serve_http(web) as http_port,
        demo.subscribers.serve_sockets(web.check_socket_access) as sockets,
        anyio.create_task_group() as tasks,
    ):
        socket_port = next(iter(sockets.sockets)).getsockname()[1]
        demo.state.tasks = tasks
        demo.relay = PortRelay(host, port, tasks, http_port=http_port, socket_port=socket_port)
        await demo.relay.open()
        demo.state.url, demo.state.port = demo.url, demo.port
        if alive:
            tasks.start_soon(simulate, demo)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                demo.subscribers.close()
                await demo.shut_down()
                tasks.cancel_scope.cancel()


async def serve_demo(
    host: str = "127.0.0.1",
    port: int = 32400,
    *,
    speed: float = 1.0,
    household: Household | None = None,
    require_token: bool | str = False,
    ready: Callable[[Demo], None] | None = None,
    identifier: str | None = None,
    name: str | None = None,
) -> None:
    """Run a demo server until cancelled. `require_token` is a token, or True for a new one; `ready` is called when it listens."""
    token = secrets.token_urlsafe(15) if require_token is True else require_token or None
    async with open_demo(
        host, port, speed=speed, household=household, require_token=token, identifier=identifier, name=name
    ) as demo:
        if ready:
            ready(demo)
        await anyio.sleep_forever()
