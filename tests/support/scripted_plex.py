"""Servers of a few lines, on real sockets: one that plays Plex, and one that only sends bytes."""

from __future__ import annotations

import json
import logging
import math
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import fromstring

import anyio
from anyio.abc import SocketAttribute
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Response

from plex_companion.models import Moment
from plex_companion.settings import Settings
from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from ssl import SSLContext
    from xml.etree.ElementTree import Element

    from anyio.abc import SocketStream
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from websockets.http11 import Request

_quiet = logging.getLogger("plex_pretend")
_quiet.setLevel(logging.WARNING)  # below it websockets logs headers, the token that tests look for among them
TOKEN = "canary-t0ken-8d1f"
ROOT = (
    b'<MediaContainer size="0" friendlyName="Attic" machineIdentifier="attic-1" version="1.43.3.1-x" platform="Linux"/>'
)
IDENTITY = b'<MediaContainer size="0" claimed="1" machineIdentifier="attic-1" version="1.43.3.1-x"/>'
EMPTY = b'<MediaContainer size="0"/>'
SESSIONS = b"""<MediaContainer size="1">
<Video sessionKey="7" ratingKey="501" key="/library/metadata/501" guid="plex://episode/5f0c" type="episode"
 title="The Lamp" grandparentTitle="Harbour Lights" parentTitle="Season 2" index="4" parentIndex="2" year="2031"
 duration="1500000" viewOffset="60000" librarySectionID="2" librarySectionTitle="Series">
<Media id="1" videoResolution="1080" bitrate="8000" selected="1"><Part id="1" decision="directplay" selected="1"/></Media>
<User id="3" title="ada@example.org"/>
<Player address="10.1.2.3" machineIdentifier="tv-1" title="Big TV" product="Plex for Tizen" platform="Tizen"
 device="TV" version="5.6" local="1" state="playing"/>
<Session id="s-abc" bandwidth="8100" location="lan"/>
</Video></MediaContainer>"""
ACTIVITIES = (
    b'<MediaContainer size="1"><Activity uuid="u-1" type="library.update.section" cancellable="1" userID="1" '
    b'title="Scanning Series" subtitle="Harbour Lights" progress="40"><Context librarySectionID="2"/></Activity>'
    b"</MediaContainer>"
)
SECTIONS = (
    b'<MediaContainer size="2">'
    b'<Directory key="1" type="movie" title="Films" agent="tv.plex.agents.movie" scanner="Plex Movie" language="en" '
    b'uuid="u-films" updatedAt="1700000000" scannedAt="1700000100" contentChangedAt="42" refreshing="0">'
    b'<Location id="1" path="/media/films"/></Directory>'
    b'<Directory key="2" type="show" title="Series" refreshing="1"/></MediaContainer>'
)
ACCOUNTS = (
    b'<MediaContainer size="2"><Account id="0" name=""/><Account id="1" name="ada@example.org"/></MediaContainer>'
)
CLIENTS = (
    b'<MediaContainer size="1"><Server name="Big TV" host="10.1.2.3" address="10.1.2.3" port="32500" '
    b'machineIdentifier="tv-1" version="5.6" product="Plex for Tizen" deviceClass="stb" '
    b'protocolCapabilities="timeline,playback"/></MediaContainer>'
)
STARTING = b'<Response code="503" title="Maintenance" status="Plex Media Server is still starting up."/>'


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int = 200
    body: bytes = EMPTY
    headers: dict[str, str] = field(default_factory=dict)


def _household() -> dict[str, Any]:
    sections = "/library/sections"
    whole = b'<MediaContainer size="0" totalSize="%d" offset="0"/>'
    return {
        "/": Answer(body=ROOT),
        "/identity": Answer(body=IDENTITY),
        "/status/sessions": Answer(body=SESSIONS),
        "/library": Answer(),
        "/activities": Answer(body=ACTIVITIES),
        "/accounts": Answer(body=ACCOUNTS),
        "/clients": Answer(body=CLIENTS),
        sections: Answer(body=SECTIONS),
        f"{sections}/1/all": Answer(body=whole % 1200),
        f"{sections}/2/all": Answer(body=whole % 30),
    }


class Pretend:
    """Plex, as far as a test needs it: `answers` by path (an `Answer`, or a coroutine function giving one)."""

    def __init__(self) -> None:
        self.answers = _household()
        self.asked: list[str] = []
        self.headers: list[Headers] = []
        self.handshake: Answer | None = None
        self.port = 0
        self.over = anyio.Event()
        self._sockets: MemoryObjectSendStream[ServerConnection]
        self._opened: MemoryObjectReceiveStream[ServerConnection]
        self._sockets, self._opened = anyio.create_memory_object_stream(math.inf)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def socket(self) -> ServerConnection:
        """The next websocket that a listener opens."""
        return await self._opened.receive()

    async def play(self, socket: ServerConnection) -> None:
        await self._sockets.send(socket)
        await socket.wait_closed()

    async def never(self) -> Answer:
        """An answer that does not come."""
        await self.over.wait()
        return Answer(500)

    async def answer(self, _: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        self.headers.append(request.headers)
        if path.startswith("/:/websockets"):
            return None if self.handshake is None else _response(self.handshake)
        self.asked.append(request.path)
        answer = self.answers.get(path, Answer(404, b"<html>404</html>"))
        return _response(answer if isinstance(answer, Answer) else await answer())

    def close(self) -> None:
        self._sockets.close()
        self._opened.close()


def _response(answer: Answer) -> Response:
    # websockets closes the connection after an HTTP answer; whoever would use it again must be told.
    plain = {"Content-Type": "text/xml;charset=utf-8", "Connection": "close", "Content-Length": str(len(answer.body))}
    given = plain | answer.headers
    return Response(answer.status, _phrase(answer.status), Headers(given), answer.body)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Odd"


@asynccontextmanager
async def pretend_plex(pretend: Pretend | None = None, tls: SSLContext | None = None) -> AsyncIterator[Pretend]:
    """A running one; give it one that ran before and it starts again on the same port."""
    pretend = pretend or Pretend()
    running = serve(
        pretend.play,
        "127.0.0.1",
        pretend.port,
        process_request=pretend.answer,
        ping_interval=None,
        close_timeout=0.2,
        logger=_quiet,
        ssl=tls,
    )
    async with running as server:
        pretend.port = next(iter(server.sockets)).getsockname()[1]
        pretend.over = anyio.Event()
        try:
            yield pretend
        finally:
            pretend.over.set()


@asynccontextmanager
async def raw_server(serve_one: Callable[[SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """The address of a server that does to each connection what `serve_one` does, then closes it."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                await serve_one(stream)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


def settings_for(url: str, **more: Any) -> Settings:
    """Settings for this address, which is not checked as one that a person writes."""
    given = Settings(**{"plex_token": TOKEN, "plex_timeout_seconds": HANG_SECONDS, **more})
    return given.model_copy(update={"plex_url": url})


def clock() -> Callable[[], Moment]:
    """Every look at it is a millisecond later."""
    ticks = count()
    return lambda: Moment(at=1_900_000_000_000 + (tick := next(ticks)), tick=tick)


def playing_frame(session_key: str = "7", **more: Any) -> str:
    entry = {"sessionKey": session_key, "ratingKey": "501", "viewOffset": 1000, "state": "playing", **more}
    return json.dumps(
        {"NotificationContainer": {"type": "playing", "size": 1, "PlaySessionStateNotification": [entry]}}
    )


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """Whatever any logger writes, of any level it can be made to write."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root = logging.getLogger()
    handler, level = Lines(), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


async def until(true: Callable[[], object]) -> None:
    """Wait for something that nobody announces."""
    with anyio.fail_after(HANG_SECONDS):
        while not true():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.005)


def parsed(xml: bytes | str) -> Element:
    return fromstring(xml)  # noqa: S314 - our own
