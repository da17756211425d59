"""A running demo server, and everything a test or a person can make it do."""

from __future__ import annotations

import random
import secrets
import socket
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn

from plex_companion.demo import frames, playback
from plex_companion.demo.household.model import Household
from plex_companion.demo.nodes.describe import find_type_number
from plex_companion.demo.relay import PortRelay
from plex_companion.demo.server_state import ServerState
from plex_companion.demo.simulation import background
from plex_companion.demo.simulation.scenarios import SCENARIOS
from plex_companion.demo.simulation.viewers import simulate
from plex_companion.demo.subscribers import SubscriberHub
from plex_companion.demo.web import DemoWeb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from anyio.abc import TaskGroup

    from plex_companion.demo.household.model import DemoItem, DemoPlayer, DemoUser
    from plex_companion.demo.playback import DemoSession
    from plex_companion.demo.server_state import RequestLog

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Demo:
    """One Plex server with one household. Made by `open_demo`.

    `url` also answers the plex.tv calls. `token` is the owner's. Times given to methods are the household's seconds,
    which pass `speed` times as fast as ours, unless a name says `real`.
    """

    # Both exist while the server runs: they need the inner servers, which need the demo.
    relay: PortRelay
    tasks: TaskGroup

    def __init__(self, house: ServerState, hub: SubscriberHub, *, speed: float, token: str) -> None:
        self.state, self.subscribers, self.speed, self.token = house, hub, speed, token
        self.chosen_pictures = house.chosen_pictures
        self.watchlists: dict[int, list[str]] = {}
        self.unowned: list[DemoItem] = []
        """Films and shows that plex.tv knows and the household does not own."""

    # -- facts

    @property
    def port(self) -> int:
        """The public port."""
        return self.relay.port

    @property
    def url(self) -> str:
        """Where the server is, without a slash at the end."""
        host = "127.0.0.1" if self.relay.host in {"0.0.0.0", "::"} else self.relay.host  # noqa: S104  # compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it; control calls exist only then."""
        return self.relay.host in LOOPBACK

    @property
    def requests(self) -> RequestLog:
        """What was asked so far: `.log`, `.unknown`, `.count(path)`, `.clear()`."""
        return self.state.requests

    @property
    def sessions(self) -> dict[str, DemoSession]:
        """Live sessions by session key."""
        return self.state.sessions

    def find_type_number(self, item: DemoItem) -> int:
        """Plex's number for the item's kind."""
        return find_type_number(item)

    # -- plex.tv

    def confirm(self) -> None:
        """Let every program in that waits with a pin, as the owner would on plex.tv's page."""
        for pin in self.state.pins.values():
            pin.token = pin.token or self.token

    # -- time

    async def wait(self, seconds: float) -> None:
        """Let household time pass."""
        await anyio.sleep(seconds / self.speed)

    def run_later(self, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        """Let something happen beside everything else, until the server closes."""
        self.tasks.start_soon(work, *arguments)

    # -- playing

    def get_movie(self, number: int = 0) -> DemoItem:
        """A film of the first film section, by position."""
        section = next(key for key, section in self.state.sections.items() if section.type == "movie")
        return self.state.list_section(section, "movie")[number]

    def get_episode(self, number: int = 0) -> DemoItem:
        """An episode of the first show, by position."""
        return self.state.list_leaves(self.state.list_kind("show")[0].key)[number]

    def get_user(self, number: int = 0) -> DemoUser:
        """A user by position; 0 is the owner."""
        return list(self.state.users.values())[number]

    def get_player(self, number: int = 0) -> DemoPlayer:
        """A player by position."""
        return list(self.state.players.values())[number]

    def start(
        self, item: DemoItem | str | None = None, *, user: int = 0, player: int = 0, offset: int = 0, state: str = "playing",
        transcode: bool = False,
    ) -> DemoSession:  # fmt: skip
        """Begin a session and announce it; users and players by position, items by rating key."""
        chosen = self.state.items[item] if isinstance(item, str) else item or self.get_movie()
        return playback.start(
            self.state,
            chosen,
            self.get_user(user),
            self.get_player(player),
            offset=offset,
            state=state,
            transcode=transcode,
        )

    def move(self, session: DemoSession, seconds: float = playback.TICK) -> None:
        """Play on and report once."""
        playback.move(self.state, session, seconds)

    def pause(self, session: DemoSession) -> None:
        """Report a pause; call it again for the repeats that clients send."""
        playback.report(self.state, session, "paused")

    def resume(self, session: DemoSession) -> None:
        """Report that it plays again."""
        playback.report(self.state, session, "playing")

    def buffer(self, session: DemoSession) -> None:
        """Report buffering."""
        playback.report(self.state, session, "buffering")

    def seek(self, session: DemoSession, offset: int) -> None:
        """Jump to `offset` ms."""
        playback.seek(self.state, session, offset)

    def stop(self, session: DemoSession) -> None:
        """Report the end; near the item's end it is counted as seen and becomes history."""
        playback.stop(self.state, session)

    def forget(self, session: DemoSession) -> None:
        """Drop a session from `/status/sessions` without announcing it."""
        playback.forget(self.state, session)

    # -- announcing

    def announce(self, frame: frames.Frame) -> None:
        """Announce any frame of `demo.frames`."""
        self.state.announce(frame)

    def send_raw(self, payload: str | bytes, *, binary: bool = False) -> None:
        """Send text, or bytes as an unchecked text frame, to every listener as it is."""
        self.state.announce(frames.build_raw(payload, binary=binary))

    async def burst(self, count: int, session: DemoSession | None = None) -> None:
        """`count` playing frames of one session as fast as the slowest listener takes them, positions rising by 10 ms."""
        playing = session or self.start()
        for number in range(count):
            playing.offset += 10
            self.state.announce(frames.build_playing(playing.build_entry()))
            if number % 500 == 499:  # noqa: PLR2004  # far below the listeners' queues
                await self.subscribers.wait_for_room()

    # -- library

    async def add_movie(self, title: str | None = None, *, section: str = "1", extras: bool = True) -> DemoItem:
        """A film appears, with all its timeline entries; returns it when it is ready."""
        movie, extra = background.create_movie(self, section, title)
        await background.announce_added(self, movie, extra if extras else None)
        return movie

    def delete_item(self, key: str) -> None:
        """An item and what is below it goes, announced with state 9."""
        self.state.announce_deleted(self.state.remove(key))

    def trash_item(self, key: str) -> None:
        """An item's file is gone: it waits in the trash, marked with `deletedAt`, until that is emptied."""
        self.state.items[key].fields["deletedAt"] = str(self.state.now)
        self.state.mark_changed(self.state.items[key].section)

    def start_scan(self, section: str, *, force: bool = False, path: str = "", files: int = 0) -> None:
        """Begin a scan in the background; a section that is being scanned is left alone."""
        if section not in self.state.refreshing:
            self.state.refreshing.add(section)
            self.run_later(self._scan, section, files or (1 if path else 0), force)

    async def _scan(self, section: str, files: int, force: bool) -> None:
        await background.run_scan(self, section, files=files, force=force)

    async def scan(self, section: str = "1", *, files: int = 0) -> None:
        """Scan to the end; `files` activity updates."""
        self.state.refreshing.add(section)
        await background.run_scan(self, section, files=files)

    def refresh_item(self, key: str) -> None:
        """Begin a `library.refresh.items` activity for an item."""
        self.run_later(background.run_refresh, self, key)

    def run_activity(self, kind: str, title: str) -> None:
        """Begin any activity that ends by itself."""
        self.run_later(background.run_activity, self, kind, title)

    # -- misbehaving

    def revoke_token(self) -> None:
        """401 for everybody, on HTTP and at the handshake; open sockets stay, as they do with Plex."""
        self.state.faults.revoked = True

    def restore_token(self) -> None:
        """Tokens work again."""
        self.state.faults.revoked = False

    def answer_with(self, status: int | None, body: bytes | None = None, headers: dict[str, str] | None = None) -> None:
        """Answer every call with this status (503 is Plex's maintenance page) and, if given, this body; `None` ends it."""
        faults = self.state.faults
        faults.status, faults.body, faults.headers = status, body, headers or {}

    def answer_plex_tv_with(self, status: int | None, body: bytes | None = None) -> None:
        """Answer the plex.tv calls with this status and, if given, this body, the server's own go on; `None` ends it."""
        self.state.faults.cloud_status, self.state.faults.cloud_body = status, body

    def slow_down(self, real_seconds: float) -> None:
        """Hold every HTTP answer back; 0 ends it."""
        self.state.faults.delay = real_seconds

    def refuse_long_paths(self, longest: int | None) -> None:
        """Answer 414 to every path that is longer with its query, as servers and proxies do at 8 KB; `None` ends it."""
        self.state.faults.longest_path = longest

    def go_silent(self, *, everything: bool = False) -> None:
        """Sockets stay open and nothing moves on them any more, not even pongs: those open now, or really everything."""
        self.relay.freeze(everything=everything)

    def speak_again(self) -> None:
        """End the silence; what waited is delivered."""
        self.relay.thaw()

    def reset_connections(self, *, websockets_only: bool = False) -> int:
        """RST all connections, or the websockets only; returns how many."""
        return self.relay.reset(websockets_only=websockets_only)

    def cut_after(self, count: int) -> None:
        """RST every websocket after `count` more bytes to the client: in the middle of a frame."""
        self.relay.cut_after(count)

    async def shut_down(self) -> None:
        """The server is gone: port closed, every connection reset."""
        await self.relay.close()
        self.relay.reset()

    async def reopen(self, *, keep_sessions: bool = False) -> None:
        """The server is back on the same port; it has forgotten its sessions and counts their keys from 1 again."""
        if not keep_sessions:
            self.state.sessions.clear()
            self.state.activities.clear()
            self.state.refreshing.clear()
            self.state.next_session = 1
        await self.relay.open()

    async def restart(self, *, down: float = 1.0, starting: float = 2.0) -> None:
        """Gone for `down` seconds, 503 for `starting` more, session keys from 1."""
        await self.shut_down()
        await self.wait(down)
        self.answer_with(503)
        await self.reopen()
        await self.wait(starting)
        self.answer_with(None)

    # -- scenarios

    async def play(self, name: str, **options: float) -> dict[str, Any]:
        """Play a scenario by its name; returns what was done. Unknown names raise `KeyError`."""
        done = await SCENARIOS[name](self, **options)
        return {"scenario": name, **done}

    scenario = play


class _DemoUvicorn(uvicorn.Server):
    """Leaves signals to the program around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def drop(self) -> None:
        """Close now: uvicorn's own way out takes two tenths of a second, and none at all when it is cancelled."""
        for listener in self.servers:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


@asynccontextmanager
async def _serve_http(web: DemoWeb) -> AsyncIterator[int]:
    """The inner HTTP server; gives its port."""
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
                server.drop()
                tasks.cancel_scope.cancel()


def _build_state(
    household: Household | None, token: str | None, hub: SubscriberHub, clock: Callable[[], float], seed: int
) -> ServerState:
    chosen = household or Household.create_built_in(now=clock())
    house = ServerState(chosen, clock=clock, rng=random.Random(seed), announce=hub.announce)  # noqa: S311  # play, not secrets
    if token is not None:
        house.token = token
        house.by_token = {user.token: user for user in house.users.values() if user is not house.owner}
        house.by_token[token] = house.owner
    return house


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
) -> AsyncIterator[Demo]:
    """Run a demo server until the block ends.

    With `alive`, people watch and things happen by themselves; without, nothing does unless it is asked for.
    With `require_token`, other tokens get 401; without, any or none will do. Raises `PortInUse`.
    """
    hub = SubscriberHub()
    house = _build_state(household, require_token, hub, clock, seed)
    demo = Demo(house, hub, speed=speed, token=require_token or house.owner.token)
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
        demo.tasks, demo.relay = tasks, PortRelay(host, port, tasks, http_port=http_port, socket_port=socket_port)
        await demo.relay.open()
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
) -> None:
    """Run a demo server until cancelled. `require_token` is a token, or True for a new one; `ready` is told when it listens."""
    token = secrets.token_urlsafe(15) if require_token is True else require_token or None
    async with open_demo(host, port, speed=speed, household=household, require_token=token) as demo:
        if ready:
            ready(demo)
        await anyio.sleep_forever()
