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

from plex_companion.demo import frames, lives, playback
from plex_companion.demo.describe import type_number
from plex_companion.demo.house import House
from plex_companion.demo.household import Household
from plex_companion.demo.hub import Hub
from plex_companion.demo.people import live
from plex_companion.demo.scenarios import SCENARIOS
from plex_companion.demo.web import Web
from plex_companion.demo.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from anyio.abc import TaskGroup

    from plex_companion.demo.house import Requests
    from plex_companion.demo.household import Item, Player, User
    from plex_companion.demo.playback import Session

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Demo:
    """One Plex server with one household. Made by `open_demo`.

    `url` also answers the plex.tv calls. `token` is the owner's. Times given to methods are the household's seconds,
    which pass `speed` times as fast as ours, unless a name says `real`.
    """

    # Both exist while the server runs: they need the inner servers, which need the demo.
    wire: Wire
    tasks: TaskGroup

    def __init__(self, house: House, hub: Hub, *, speed: float, token: str) -> None:
        self.house, self.hub, self.speed, self.token = house, hub, speed, token
        self.chosen_pictures = house.chosen_pictures
        self.watchlists: dict[int, list[str]] = {}
        self.unowned: list[Item] = []
        """Films and shows that plex.tv knows and the household does not own."""

    # -- facts

    @property
    def port(self) -> int:
        """The public port."""
        return self.wire.port

    @property
    def url(self) -> str:
        """Where the server is, without a slash at the end."""
        host = "127.0.0.1" if self.wire.host in {"0.0.0.0", "::"} else self.wire.host  # noqa: S104  # compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it; control calls exist only then."""
        return self.wire.host in LOOPBACK

    @property
    def requests(self) -> Requests:
        """What was asked so far: `.log`, `.unknown`, `.count(path)`, `.clear()`."""
        return self.house.requests

    @property
    def sessions(self) -> dict[str, Session]:
        """Live sessions by session key."""
        return self.house.sessions

    def type_number(self, item: Item) -> int:
        """Plex's number for the item's kind."""
        return type_number(item)

    # -- plex.tv

    def confirm(self) -> None:
        """Let every program in that waits with a pin, as the owner would on plex.tv's page."""
        for pin in self.house.pins.values():
            pin.token = pin.token or self.token

    # -- time

    async def wait(self, seconds: float) -> None:
        """Let household time pass."""
        await anyio.sleep(seconds / self.speed)

    def soon(self, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        """Let something happen beside everything else, until the server closes."""
        self.tasks.start_soon(work, *arguments)

    # -- playing

    def movie(self, number: int = 0) -> Item:
        """A film of the first film section, by position."""
        section = next(key for key, section in self.house.sections.items() if section.type == "movie")
        return self.house.in_section(section, "movie")[number]

    def episode(self, number: int = 0) -> Item:
        """An episode of the first show, by position."""
        return self.house.leaves_of(self.house.of_kind("show")[0].key)[number]

    def user(self, number: int = 0) -> User:
        """A user by position; 0 is the owner."""
        return list(self.house.users.values())[number]

    def player(self, number: int = 0) -> Player:
        """A player by position."""
        return list(self.house.players.values())[number]

    def start(
        self, item: Item | str | None = None, *, user: int = 0, player: int = 0, offset: int = 0, state: str = "playing",
        transcode: bool = False,
    ) -> Session:  # fmt: skip
        """Begin a session and announce it; users and players by position, items by rating key."""
        chosen = self.house.items[item] if isinstance(item, str) else item or self.movie()
        return playback.start(
            self.house, chosen, self.user(user), self.player(player), offset=offset, state=state, transcode=transcode
        )

    def move(self, session: Session, seconds: float = playback.TICK) -> None:
        """Play on and report once."""
        playback.move(self.house, session, seconds)

    def pause(self, session: Session) -> None:
        """Report a pause; call it again for the repeats that clients send."""
        playback.report(self.house, session, "paused")

    def resume(self, session: Session) -> None:
        """Report that it plays again."""
        playback.report(self.house, session, "playing")

    def buffer(self, session: Session) -> None:
        """Report buffering."""
        playback.report(self.house, session, "buffering")

    def seek(self, session: Session, offset: int) -> None:
        """Jump to `offset` ms."""
        playback.seek(self.house, session, offset)

    def stop(self, session: Session) -> None:
        """Report the end; near the item's end it is counted as seen and becomes history."""
        playback.stop(self.house, session)

    def forget(self, session: Session) -> None:
        """Drop a session from `/status/sessions` without announcing it."""
        playback.forget(self.house, session)

    # -- announcing

    def announce(self, frame: frames.Frame) -> None:
        """Announce any frame of `demo.frames`."""
        self.house.announce(frame)

    def send_raw(self, payload: str | bytes, *, binary: bool = False) -> None:
        """Send text, or bytes as an unchecked text frame, to every listener as it is."""
        self.house.announce(frames.raw(payload, binary=binary))

    async def burst(self, count: int, session: Session | None = None) -> None:
        """`count` playing frames of one session as fast as the slowest listener takes them, positions rising by 10 ms."""
        playing = session or self.start()
        for number in range(count):
            playing.offset += 10
            self.house.announce(frames.playing(playing.entry()))
            if number % 500 == 499:  # noqa: PLR2004  # far below the listeners' queues
                await self.hub.room()

    # -- library

    async def add_movie(self, title: str | None = None, *, section: str = "1", extras: bool = True) -> Item:
        """A film appears, with all its timeline entries; returns it when it is ready."""
        movie, extra = lives.new_movie(self, section, title)
        await lives.added(self, movie, extra if extras else None)
        return movie

    def delete_item(self, key: str) -> None:
        """An item and what is below it goes, announced with state 9."""
        self.house.tell_deleted(self.house.remove(key))

    def trash_item(self, key: str) -> None:
        """An item's file is gone: it waits in the trash, marked with `deletedAt`, until that is emptied."""
        self.house.items[key].fields["deletedAt"] = str(self.house.now)
        self.house.changed(self.house.items[key].section)

    def start_scan(self, section: str, *, force: bool = False, path: str = "", files: int = 0) -> None:
        """Begin a scan in the background; a section that is being scanned is left alone."""
        if section not in self.house.refreshing:
            self.house.refreshing.add(section)
            self.soon(self._scan, section, files or (1 if path else 0), force)

    async def _scan(self, section: str, files: int, force: bool) -> None:
        await lives.scanned(self, section, files=files, force=force)

    async def scan(self, section: str = "1", *, files: int = 0) -> None:
        """Scan to the end; `files` activity updates."""
        self.house.refreshing.add(section)
        await lives.scanned(self, section, files=files)

    def refresh_item(self, key: str) -> None:
        """Begin a `library.refresh.items` activity for an item."""
        self.soon(lives.refreshed, self, key)

    def run_activity(self, kind: str, title: str) -> None:
        """Begin any activity that ends by itself."""
        self.soon(lives.simple_activity, self, kind, title)

    # -- misbehaving

    def revoke_token(self) -> None:
        """401 for everybody, on HTTP and at the handshake; open sockets stay, as they do with Plex."""
        self.house.faults.revoked = True

    def restore_token(self) -> None:
        """Tokens work again."""
        self.house.faults.revoked = False

    def answer_with(self, status: int | None, body: bytes | None = None, headers: dict[str, str] | None = None) -> None:
        """Answer every call with this status (503 is Plex's maintenance page) and, if given, this body; `None` ends it."""
        faults = self.house.faults
        faults.status, faults.body, faults.headers = status, body, headers or {}

    def plex_tv_answers(self, status: int | None, body: bytes | None = None) -> None:
        """Answer the plex.tv calls with this status and, if given, this body, the server's own go on; `None` ends it."""
        self.house.faults.cloud_status, self.house.faults.cloud_body = status, body

    def slow_down(self, real_seconds: float) -> None:
        """Hold every HTTP answer back; 0 ends it."""
        self.house.faults.delay = real_seconds

    def refuse_long_paths(self, longest: int | None) -> None:
        """Answer 414 to every path that is longer with its query, as servers and proxies do at 8 KB; `None` ends it."""
        self.house.faults.longest_path = longest

    def go_silent(self, *, everything: bool = False) -> None:
        """Sockets stay open and nothing moves on them any more, not even pongs: those open now, or really everything."""
        self.wire.freeze(everything=everything)

    def speak_again(self) -> None:
        """End the silence; what waited is delivered."""
        self.wire.thaw()

    def reset_connections(self, *, websockets_only: bool = False) -> int:
        """RST all connections, or the websockets only; returns how many."""
        return self.wire.reset(websockets_only=websockets_only)

    def cut_after(self, count: int) -> None:
        """RST every websocket after `count` more bytes to the client: in the middle of a frame."""
        self.wire.cut_after(count)

    async def shut(self) -> None:
        """The server is gone: port closed, every connection reset."""
        await self.wire.close()
        self.wire.reset()

    async def reopen(self, *, keep_sessions: bool = False) -> None:
        """The server is back on the same port; it has forgotten its sessions and counts their keys from 1 again."""
        if not keep_sessions:
            self.house.sessions.clear()
            self.house.activities.clear()
            self.house.refreshing.clear()
            self.house.next_session = 1
        await self.wire.open()

    async def restart(self, *, down: float = 1.0, starting: float = 2.0) -> None:
        """Gone for `down` seconds, 503 for `starting` more, session keys from 1."""
        await self.shut()
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


class _Uvicorn(uvicorn.Server):
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
async def _http(web: Web) -> AsyncIterator[int]:
    """The inner HTTP server; gives its port."""
    # The protocol is named because asyncio switches Nagle's delays off only where it is; else every answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as inner:
        inner.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            web, log_config=None, access_log=False, lifespan="off", ws="none", timeout_keep_alive=60
        )
        server = _Uvicorn(config)
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


def _house(household: Household | None, token: str | None, hub: Hub, clock: Callable[[], float], seed: int) -> House:
    chosen = household or Household.built_in(now=clock())
    house = House(chosen, clock=clock, rng=random.Random(seed), announce=hub.announce)  # noqa: S311  # play, not secrets
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
    hub = Hub()
    house = _house(household, require_token, hub, clock, seed)
    demo = Demo(house, hub, speed=speed, token=require_token or house.owner.token)
    try:
        async with _running(demo, host, port, alive=alive):
            yield demo
    except BaseExceptionGroup as group:
        # Task groups wrap whatever passes them; a caller wants their own exception, or `PortInUse`, as it was.
        raise _sole(group) from None


def _sole(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return group


@asynccontextmanager
async def _running(demo: Demo, host: str, port: int, *, alive: bool) -> AsyncIterator[None]:
    web = Web(demo)
    async with (
        _http(web) as http_port,
        demo.hub.serve_sockets(web.admit_socket) as sockets,
        anyio.create_task_group() as tasks,
    ):
        socket_port = next(iter(sockets.sockets)).getsockname()[1]
        demo.tasks, demo.wire = tasks, Wire(host, port, tasks, http_port=http_port, socket_port=socket_port)
        await demo.wire.open()
        if alive:
            tasks.start_soon(live, demo)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                demo.hub.close()
                await demo.shut()
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
