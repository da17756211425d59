"""Clients of MCP Events: the SDK's own, with requests made by hand, and a receiver of webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener
from mcp import Client
from mcp.client.extension import ClientExtension, NotificationBinding
from mcp.shared.exceptions import MCPError
from mcp_types import Request, RequestParams, Result
from pydantic import BaseModel, ConfigDict

from support.application import MODERN
from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import ByteStream

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
KEY = b"a key of twenty-four bytes"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
KINDS = ("active", "event", "heartbeat", "error", "terminated")


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class _OpenParams(RequestParams):
    model_config = ConfigDict(extra="allow")


class _OpenResult(Result):
    model_config = ConfigDict(extra="allow")


@dataclass
class Frame:
    """A notification of a stream."""

    kind: str
    params: dict[str, Any]

    @property
    def subscription(self) -> Any:
        return self.params["_meta"][SUBSCRIPTION]


class EventsExtension(ClientExtension):
    """Receives the notifications of event streams."""

    identifier = "io.modelcontextprotocol/events"

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self._more = anyio.Event()

    def notifications(self) -> list[NotificationBinding[Any]]:
        return [
            NotificationBinding(method=f"notifications/events/{kind}", params_type=_Open, handler=self._receiver(kind))
            for kind in KINDS
        ]

    def _receiver(self, kind: str) -> Callable[[_Open], Any]:
        async def receive(params: _Open) -> None:
            self.frames.append(Frame(kind, params.model_dump()))
            self._more.set()
            self._more = anyio.Event()

        return receive

    def of(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.kind == kind]

    async def until(self, kind: str, count: int = 1) -> list[Frame]:
        """The frames of a kind, once there are so many."""
        with anyio.fail_after(HANG_SECONDS):
            while len(self.of(kind)) < count:
                await self._more.wait()
        return self.of(kind)


@dataclass
class EventsClient:
    """A client of the SDK's that calls `events/*`."""

    client: Client
    extension: EventsExtension

    async def request(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a request."""
        request: Request[Any, Any] = Request(method=method, params=_OpenParams(**params))
        found = await self.client.session.send_request(request, _OpenResult)
        return found.model_dump(by_alias=True, exclude_unset=True)

    async def refused(self, method: str, **params: Any) -> tuple[int, Any]:
        """Code and data of the error that a request gets."""
        try:
            found = await self.request(method, **params)
        except MCPError as error:
            return error.error.code, error.error.data
        raise AssertionError(found)

    @asynccontextmanager
    async def stream(self, name: str, **params: Any) -> AsyncIterator[EventsExtension]:
        """An open stream, and what it received."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: self.request("events/stream", name=name, **params))
            await self.extension.until("active")
            yield self.extension
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def events_client(target: Any, **more: Any) -> AsyncIterator[EventsClient]:
    """A client of the era that has events."""
    extension = EventsExtension()
    async with Client(target, mode=MODERN, extensions=[extension], **more) as client:
        yield EventsClient(client, extension)


@dataclass
class Callback:
    """One request to a webhook."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_with(self, key: bytes) -> bool:
        signed = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body])
        expected = f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
        return expected in self.headers["webhook-signature"].split(" ")


async def read_callback(stream: ByteStream) -> Callback:
    """The request that a connection brings."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += await stream.receive()
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers["content-length"]):
        body += await stream.receive()
    return Callback(first.split()[1], headers, body)


@dataclass
class CallbackReceiver:
    """A web server that returns challenges, and answers all else with these statuses, the last one for ever."""

    answers: list[str]
    challenge_answer: str | None = None
    """What it answers to challenges instead."""
    url: str = ""
    challenges: list[Callback] = field(default_factory=list)
    received: list[Callback] = field(default_factory=list)
    accepted: list[Callback] = field(default_factory=list)
    """Of what was received: what was answered with success."""
    delay: anyio.Event | None = None
    """It answers only when this is set."""
    _more: anyio.Event = field(default_factory=anyio.Event)

    async def serve(self, stream: ByteStream) -> None:
        async with stream:
            try:
                await self._answer(stream)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return

    async def _answer(self, stream: ByteStream) -> None:
        got = await read_callback(stream)
        if got.message.get("type") == "verification":
            self.challenges.append(got)
            answer = json.dumps({"challenge": got.message["challenge"]})
            await _respond(stream, "200 OK", self.challenge_answer or answer)
            return
        self.received.append(got)
        self._more.set()
        self._more = anyio.Event()
        if self.delay is not None:
            await self.delay.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.accepted += [got] if answer.startswith("2") else []
        await _respond(stream, answer, "")

    async def until(self, count: int) -> list[Callback]:
        """What was received, once it is so much."""
        with anyio.fail_after(HANG_SECONDS):
            while len(self.received) < count:
                await self._more.wait()
        return self.received


async def _respond(stream: ByteStream, status: str, body: str) -> None:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    await stream.send(f"{head}{body}".encode())


@asynccontextmanager
async def callback_receiver(
    *answers: str, challenge_answer: str | None = None, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[CallbackReceiver]:
    """A receiver of webhooks on a free port."""
    async with await anyio.create_tcp_listener(local_host=host) as plain:
        listener = TLSListener(plain, tls, standard_compatible=False) if tls else plain
        it = CallbackReceiver(list(answers) or ["204 No Content"], challenge_answer)
        shown = f"[{host}]" if ":" in host else host
        it.url = f"http://{shown}:{plain.extra(SocketAttribute.local_port)}/hook?key=canary-2342"  # noqa: S610 - anyio's, not Django's
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, it.serve)
            yield it
            tasks.cancel_scope.cancel()
