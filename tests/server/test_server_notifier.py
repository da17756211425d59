"""What a burst, a slow client and a client out of reach cost, over real connections."""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, ErrorData
from support.deadlines import HANG_SECONDS
from support.mcp_server import (
    ERAS,
    LEGACY,
    MODERN,
    NOTHING,
    Served,
    UpdateRecorder,
    connected,
    gone,
    served,
    subscribe,
    transport_to,
    unsubscribe,
    until,
)

from benchmarks.raw_subscribers import open_subscribers, wait_until_received
from plex_companion.server.mcp.limits import LONGEST_BYTES, MOST_BYTES, MOST_TOGETHER, refuse_over_total
from plex_companion.server.mcp.subscribers import Subscriber, Subscribers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LAMP = "plex://lamp"
everywhere = pytest.mark.parametrize("era", ERAS)


@everywhere
async def test_a_burst_becomes_few_notifications_with_one_after_the_end(era: str) -> None:
    async with served() as running, connected(transport_to(running.url, "sse"), era, LAMP) as (_, updates):
        began = anyio.current_time()
        for level in range(500):
            running.lamp_server.set_level(level)
            await anyio.lowlevel.checkpoint()
        ended = anyio.current_time()
        await until(lambda: running.notifier.count().waiting == 0)
        running.lamp_server.add_bulb("b")  # whoever hears of this has heard of the lamp
        await updates.until("list")
        times = [at for what, at in updates.received if what == LAMP]
        assert times[-1] >= ended
        assert len(times) <= 2 + (ended - began) / 0.05


@everywhere
async def test_progress_waits_and_a_change_of_state_does_not(era: str) -> None:
    other = f"{LAMP}/2"
    async with served() as running, connected(transport_to(running.url, "sse"), era, LAMP, other) as (_, updates):
        running.notifier.announce([], [LAMP, other])
        await updates.until(LAMP)
        await updates.until(other)
        running.notifier.announce([], [other, LAMP])
        running.notifier.announce([LAMP])
        await updates.until(other, 2)
        assert [what for what, _ in updates.received[2:]] == [LAMP, other]


async def test_many_things_at_once_all_arrive() -> None:
    uris = [f"{LAMP}/{number}" for number in range(1000)]
    async with served() as running, connected(f"{running.url}/mcp", MODERN, *uris) as (_, updates):
        for _ in range(5):
            running.notifier.announce(uris)
            await anyio.lowlevel.checkpoint()
        await until(lambda: {what for what, _ in updates.received} >= set(uris))


@everywhere
async def test_a_change_of_state_amid_a_round_of_progress_reaches_every_subscriber(era: str) -> None:
    async with served() as house, open_subscribers(f"{house.url}/mcp", era, 120, LAMP) as crowd:
        await until(lambda: house.notifier.count().pumps + house.notifier.count().listen_streams == 120)
        house.notifier.announce([], [LAMP])
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        pressed = time.monotonic()
        house.lamp_server.set_level(1)
        await wait_until_received(crowd, pressed)
        await until(lambda: house.notifier.count().waiting == 0)


async def test_announcing_what_nobody_wants_leaves_no_trace() -> None:
    async with served() as running:
        running.notifier.announce([LAMP], [f"{LAMP}/1"], listing=True)
        assert running.notifier.count() == NOTHING


@everywhere
async def test_an_unknown_address_cannot_be_subscribed_to(era: str) -> None:
    with pytest.RaisesGroup(MCPError, flatten_subgroups=True) as raised:
        async with served() as running, connected(f"{running.url}/mcp", era, "plex://attic"):
            pass
    (error,) = _leaves(raised.value)
    assert error.error.code == INVALID_PARAMS
    assert error.error.data == {"uri": "plex://attic"}


async def test_a_foreign_address_may_be_subscribed_to_and_never_changes() -> None:
    async with served() as running, connected(f"{running.url}/mcp", LEGACY, "test://watched") as (client, _):
        await unsubscribe(client, "test://watched")


async def test_a_client_holds_no_more_than_its_share() -> None:
    uris = [f"{LAMP}/{number}" for number in range(1025)]
    with pytest.RaisesGroup(MCPError, flatten_subgroups=True):
        async with served() as running, connected(f"{running.url}/mcp", MODERN, *uris):
            pass


async def _refused(url: str, era: str, *uris: str) -> ErrorData:
    """What a client is told that wants to subscribe to these."""
    async with Client(f"{url}/mcp", mode=era) as client:
        with pytest.raises(MCPError) as refused:
            await _subscribe_all(client, era, uris)
    return refused.value.error


async def _subscribe_all(client: Client, era: str, uris: tuple[str, ...]) -> None:
    if era == LEGACY:
        for uri in uris:
            await subscribe(client, uri)
        return
    async with client.listen(resource_subscriptions=uris):
        pass


LONG = "test://" + "a" * (LONGEST_BYTES - 7)


@pytest.mark.parametrize("uri", [LONG + "a", "test://" + "é" * 1_100, f"{LAMP}/{'b' * 3_000}", f"{LAMP}/{'%61' * 700}"])
@everywhere
async def test_a_uri_that_is_too_long_is_refused(era: str, uri: str) -> None:
    async with served() as running:
        refused = await _refused(running.url, era, LAMP, uri)
        assert refused.code == INVALID_PARAMS
        assert uri.startswith(refused.data["uri"])
        assert len(str(refused)) < 500, "it is not said in full"
        await gone(running.notifier)


async def test_a_uri_that_is_too_long_can_be_neither_unsubscribed_from_nor_read() -> None:
    async with served() as running, connected(f"{running.url}/mcp", LEGACY, LONG) as (client, _):
        for ask in (lambda: unsubscribe(client, LONG + "a"), lambda: client.read_resource(LONG + "a")):
            with pytest.raises(MCPError) as refused:
                await ask()
            assert (refused.value.code, len(refused.value.error.data["uri"])) == (INVALID_PARAMS, 100)
        await unsubscribe(client, LONG)


@pytest.mark.slow
async def test_the_addresses_of_a_client_are_bounded_in_bytes() -> None:
    fitting = MOST_BYTES // LONGEST_BYTES
    longs = [f"{LONG[:-4]}{number:04}" for number in range(fitting + 1)]
    async with served() as running, connected(f"{running.url}/mcp", LEGACY, *longs[:fitting]) as (client, _):
        with pytest.raises(MCPError, match="bytes together"):
            await subscribe(client, longs[fitting])
        await subscribe(client, longs[0])
        await unsubscribe(client, longs[0])
        await subscribe(client, longs[fitting])
        assert "bytes together" in (await _refused(running.url, MODERN, *longs)).message


def test_the_addresses_of_all_clients_together_are_bounded() -> None:
    subscribers, greedy = Subscribers(), Subscriber()
    subscribers.add(greedy, [("one", "1"), ("many", "m" * MOST_TOGETHER)])
    with pytest.raises(MCPError, match="too many"):
        refuse_over_total(subscribers)
    subscribers.add(greedy, [("many", "m")])
    refuse_over_total(subscribers)
    subscribers.drop(greedy)
    assert subscribers.characters == 0


@pytest.mark.parametrize("stuffing", [{"id": "i" * 3_000}, {"extra": "e" * 2_500_000}, {"blank": " " * 2_500_000}])
async def test_a_listen_request_that_would_fill_the_memory_is_refused(stuffing: dict[str, str]) -> None:
    message = _build_listen([LAMP], stuffing.get("id", 1), stuffing.get("extra", ""))
    async with served() as running, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        body = json.dumps(message) + stuffing.get("blank", "")
        with anyio.fail_after(HANG_SECONDS):
            answer = await web.post(f"{running.url}/mcp", content=body, headers=LISTEN_HEADERS)
        assert "2,097,152 bytes" in answer.text
        await gone(running.notifier)


async def test_a_legacy_session_without_a_stream_is_told_when_it_opens_one() -> None:
    async with served() as running, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        headers = await _initialized(web, running)
        await _post(web, running, headers, "resources/subscribe", {"uri": LAMP}, request_id=2)
        running.lamp_server.set_level(1)
        await until(lambda: running.notifier.count().waiting == 1)
        async with web.stream("GET", f"{running.url}/mcp", headers=headers) as stream:
            with anyio.fail_after(HANG_SECONDS):
                assert LAMP in await anext(line async for line in stream.aiter_lines() if line.startswith("data"))
        await web.delete(f"{running.url}/mcp", headers=headers)
        await gone(running.notifier)


async def test_what_went_into_a_stream_that_broke_is_told_again_on_the_next() -> None:
    async with served() as running, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        headers = await _initialized(web, running)
        await _post(web, running, headers, "resources/subscribe", {"uri": LAMP}, request_id=2)
        async with web.stream("GET", f"{running.url}/mcp", headers=headers):
            await until(lambda: running.notifier.count().get_streams == 1)
            running.lamp_server.set_level(1)
            await until(lambda: running.notifier.count().waiting == 0)
        await until(lambda: running.notifier.count().get_streams == 0)
        assert running.notifier.count().waiting == 1


async def test_a_session_that_vanished_costs_one_place_in_a_set() -> None:
    async with served() as running, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        headers = await _initialized(web, running)
        await _post(web, running, headers, "resources/subscribe", {"uri": LAMP}, request_id=2)
        async with connected(transport_to(running.url, "sse"), LEGACY, LAMP) as (_, updates):
            for turn in range(1, 4):
                running.lamp_server.set_level(turn)
                await updates.until(LAMP, turn)
            assert running.notifier.count().waiting == 1


async def test_a_client_that_never_reads_delays_nobody() -> None:
    uris = [f"{LAMP}/{number}{'x' * 2000}" for number in range(500)]
    async with served() as running:
        with _deaf_client(running) as deaf:
            await _deaf_session(deaf, running, uris)
            async with connected(transport_to(running.url, "sse"), LEGACY, LAMP) as (_, updates):
                for turn in range(1, 9):  # five times 1 MB are more than any buffer holds
                    running.notifier.announce([LAMP, *uris] if turn <= 5 else [LAMP])
                    await updates.until(LAMP, turn)
                assert running.notifier.count().waiting >= 100, "the deaf client was meant to be stuck"
        await gone(running.notifier)


async def test_a_listen_stream_that_is_never_read_delays_nobody() -> None:
    uris = [f"{LAMP}/{number}{'x' * 1900}" for number in range(500)]
    async with served() as running:
        with _deaf_client(running) as deaf:
            deaf.sendall(_encode_listen(running, uris))
            await until(lambda: running.notifier.count().listen_streams == 1)
            async with connected(f"{running.url}/mcp", MODERN, LAMP) as (_, updates):
                for turn in range(1, 9):
                    running.notifier.announce([LAMP, *uris] if turn <= 5 else [LAMP])
                    await updates.until(LAMP, turn)
                assert running.notifier.count().waiting >= 100, "the deaf client was meant to be stuck"
        await gone(running.notifier)


async def test_closing_amid_a_round_of_deliveries_loses_none() -> None:
    uris = [f"{LAMP}/{number}" for number in range(1000)]
    async with served() as running, Client(f"{running.url}/mcp", mode=MODERN) as client:
        async with client.listen(resource_subscriptions=uris) as stream:
            running.notifier.announce(uris)
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            running.notifier.close()
            with anyio.fail_after(HANG_SECONDS):
                assert {event.uri async for event in stream} == set(uris)  # type: ignore[union-attr]  # only these were asked for
        await gone(running.notifier)


async def test_a_get_stream_that_is_open_before_the_first_subscription_carries_its_updates() -> None:
    async with served() as running, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        headers = await _initialized(web, running, handshake=False)
        async with web.stream("GET", f"{running.url}/mcp", headers=headers) as stream:
            await until(lambda: running.notifier.count().get_streams == 1)
            assert running.notifier.count().sessions == 0
            await _post(web, running, headers, "resources/subscribe", {"uri": LAMP}, request_id=2)
            running.lamp_server.set_level(1)
            with anyio.fail_after(HANG_SECONDS):
                assert LAMP in await anext(line async for line in stream.aiter_lines() if line.startswith("data"))
        await web.delete(f"{running.url}/mcp", headers=headers)
        await gone(running.notifier)


async def test_a_session_that_ends_ends_its_stream() -> None:
    async with served() as running, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        headers = await _initialized(web, running)
        async with web.stream("GET", f"{running.url}/mcp", headers=headers) as stream:
            await until(lambda: running.notifier.count().pumps == 1)
            await web.delete(f"{running.url}/mcp", headers=headers)
            with anyio.fail_after(HANG_SECONDS):
                assert [line async for line in stream.aiter_lines() if line.startswith("data")] == []
        await gone(running.notifier)


async def test_closing_ends_modern_streams_gracefully() -> None:
    async with served() as running, Client(f"{running.url}/mcp", mode=MODERN) as client:
        async with client.listen(resource_subscriptions=[LAMP]) as stream:
            running.lamp_server.set_level(1)
            running.notifier.close()
            with anyio.fail_after(HANG_SECONDS):
                assert [event.uri async for event in stream] == [LAMP]  # type: ignore[union-attr]  # only this was asked for
        await gone(running.notifier)


async def test_a_subscriber_may_come_and_go_many_times() -> None:
    async with served() as running, Client(transport_to(running.url, "sse"), mode=LEGACY) as client:
        for _ in range(50):
            await subscribe(client, LAMP)
            await unsubscribe(client, LAMP)
        assert running.notifier.count().subscriptions == 1  # the list of resources


async def test_listening_ends_when_the_client_stops(updates: UpdateRecorder) -> None:
    async with served() as running, Client(f"{running.url}/mcp", mode=MODERN) as client:
        async with client.listen(resource_subscriptions=[LAMP]):
            assert running.notifier.count().listen_streams == 1
        await gone(running.notifier)
    assert not updates.received


@pytest.fixture
def updates() -> UpdateRecorder:
    return UpdateRecorder()


def _leaves(group: BaseExceptionGroup[Any]) -> list[MCPError]:
    return [
        leaf for one in group.exceptions for leaf in (_leaves(one) if isinstance(one, BaseExceptionGroup) else [one])
    ]


async def _initialized(web: httpx2.AsyncClient, running: Served, *, handshake: bool = True) -> dict[str, str]:
    """The headers of a legacy session that has no GET stream. Without its handshake, the notifier does not know it yet."""
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
    answer = await _post(web, running, headers, "initialize", hello, request_id=1)
    headers["mcp-session-id"] = answer.headers["mcp-session-id"]
    if handshake:
        await _post(web, running, headers, "notifications/initialized", {})
    return headers


async def _post(
    web: httpx2.AsyncClient,
    running: Served,
    headers: dict[str, str],
    method: str,
    params: dict[str, Any],
    request_id: int | None = None,
) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "method": method, "params": params, "id": request_id}
    sent = {key: value for key, value in body.items() if value is not None}
    answer = await web.post(f"{running.url}/mcp", headers=headers, json=sent)
    return answer.raise_for_status()


LISTEN_HEADERS = {
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": MODERN,
    "mcp-method": "subscriptions/listen",
}


def _build_listen(uris: list[str], request_id: int | str = 1, extra: str = "") -> dict[str, Any]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "toy", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
        "extra": extra,
    }
    params = {"_meta": meta, "notifications": {"resourceSubscriptions": uris}}
    return {"jsonrpc": "2.0", "id": request_id, "method": "subscriptions/listen", "params": params}


def _encode_listen(running: Served, uris: list[str]) -> bytes:
    body = json.dumps(_build_listen(uris)).encode()
    headers = {"host": running.url.removeprefix("http://"), "content-length": str(len(body)), **LISTEN_HEADERS}
    head = "\r\n".join(["POST /mcp HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""])
    return head.encode() + body


@contextmanager
def _deaf_client(running: Served) -> Iterator[socket.socket]:
    """A socket whose window is small, so that what is not read soon stops the sender."""
    host, port = running.url.removeprefix("http://").split(":")
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((host, int(port)))
        yield deaf


async def _deaf_session(deaf: socket.socket, running: Served, uris: list[str]) -> None:
    """An SSE session that subscribes to all of these and reads no more than it must for that."""
    host = running.url.removeprefix("http://")
    deaf.sendall(f"GET /sse HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n".encode())
    head = b""
    while b"session_id=" not in head:
        await anyio.wait_readable(deaf)
        head += deaf.recv(1000)
    path = head.decode().partition("data: ")[2].split()[0]
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "deaf", "version": "0"}}
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:

        async def post(method: str, params: dict[str, Any], **extra: int) -> None:
            body = {"jsonrpc": "2.0", "method": method, "params": params, **extra}
            (await web.post(f"{running.url}{path}", json=body)).raise_for_status()

        await post("initialize", hello, id=1)
        await post("notifications/initialized", {})
        for number, uri in enumerate(uris):
            await post("resources/subscribe", {"uri": uri}, id=number + 2)
            if number % 50 == 0:
                await anyio.wait_readable(deaf)
                deaf.recv(100_000)
    await until(lambda: running.notifier.count().subscriptions == len(uris) + 1)
