"""Messages to callbacks reach the address that was checked, and no other."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import SocketAttribute
from support.event_clients import KEY, callback_receiver

from plex_companion.mcp_events.callback_client import CallbackPolicy, resolve_addresses, send_callback
from plex_companion.mcp_events.callback_urls import CallbackUrl, parse_callback_url
from plex_companion.mcp_events.event_errors import EventError
from plex_companion.mcp_events.signatures import build_signed_headers
from plex_companion.mcp_events.verification import verify_callback

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anyio.abc import ByteStream

    from plex_companion.mcp_events.callback_client import CallbackAnswer

OPENSSL = shutil.which("openssl")
LOOPBACK_ONLY = CallbackPolicy()


def policy(*addresses: str, tls: ssl.SSLContext | None = None) -> CallbackPolicy:
    """A policy under which this machine counts as public, and every name has these addresses."""

    async def resolve(_: str, __: int) -> Sequence[str]:
        return addresses

    return CallbackPolicy(lambda address: str(address) == "127.0.0.1", resolve, tls)


async def send(url: CallbackUrl, how: CallbackPolicy = LOOPBACK_ONLY, **more: Any) -> CallbackAnswer:
    headers = build_signed_headers("sub_1", "k7-1", 5, b"{}", [KEY])
    return await send_callback(url, headers, b"{}", how, **more)


def local(url: str) -> CallbackUrl:
    return parse_callback_url(url, loopback=True)


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ("200 OK", None),
        ("204 No Content", None),
        ("302 Found\r\nlocation: /elsewhere", "http_4xx"),
        ("404 Not Found", "http_4xx"),
        ("410 Gone", "http_4xx"),
        ("503 Later", "http_5xx"),
    ],
)
async def test_a_status_becomes_a_category(status: str, problem: str | None) -> None:
    async with callback_receiver(status) as hook:
        answer = await send(local(hook.url))
        assert (answer.status, answer.problem) == (int(status[:3]), problem)
        (got,) = hook.received  # no redirect was followed
        assert (got.path, got.headers["host"]) == ("/hook?key=canary-2342", urlsplit(hook.url).netloc)
        assert got.is_signed_with(KEY)


async def test_a_receiver_may_say_when_to_come_again() -> None:
    async with callback_receiver("503 Later\r\nretry-after: 30") as hook:
        assert (await send(local(hook.url))).retry_after_ms == 30_000


async def test_an_address_of_version_6_is_reached_too() -> None:
    try:
        async with callback_receiver(host="::1") as hook:
            assert (await send(local(hook.url))).problem is None
            assert hook.received[0].headers["host"].startswith("[::1]:")
    except OSError:
        pytest.skip("this machine has no IPv6")


async def test_nobody_there_is_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = local(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert (await send(url)).problem == "connection_refused"


@pytest.mark.parametrize("addresses", [[], ["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["::1"], ["169.254.169.254"]])
async def test_a_name_with_any_address_that_is_not_allowed_looks_as_if_nobody_were_there(addresses: list[str]) -> None:
    async with callback_receiver() as hook:
        named = replace(local(hook.url), text=hook.url.replace("127.0.0.1", "hooks.test"), host="hooks.test")
        answer = await send(replace(named, is_loopback=False), policy(*addresses))
        assert (answer.status, answer.problem) == (None, "connection_refused")
        assert hook.received == []


async def test_a_name_is_resolved_at_every_attempt_and_its_next_address_tried() -> None:
    async with callback_receiver() as hook:
        port = urlsplit(hook.url).port
        named = CallbackUrl(
            f"http://hooks.test:{port}/x", "hooks.test", port or 0, f"hooks.test:{port}", is_loopback=False
        )
        assert (await send(named, policy("127.0.0.1", "127.0.0.1"))).problem is None
        assert (await send(named, policy("10.0.0.1"))).problem == "connection_refused"
        (got,) = hook.received
        assert got.headers["host"] == f"hooks.test:{port}"


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1"])
async def test_a_receiver_that_never_finishes_is_left_after_a_while(part: bytes) -> None:
    async def never_finish(stream: ByteStream) -> None:
        async with stream:
            await stream.send(part)
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    await stream.receive()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, never_finish)
        url = local(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/")  # noqa: S610 - anyio's, not Django's
        answer = await send(url, CallbackPolicy(seconds=0.2), most_bytes=100)
        assert (answer.status, answer.problem) == (None, "timeout")
        tasks.cancel_scope.cancel()


async def test_of_an_endless_answer_no_more_is_read_than_a_challenge_has() -> None:
    async with callback_receiver(challenge_answer=f'{{"challenge": "{"x" * 5_000}"}}') as hook:
        with pytest.raises(EventError) as refused:
            await verify_callback(local(hook.url), "sub_1", KEY, 5, CallbackPolicy())
        assert refused.value.facts == {"reason": "challenge_failed"}


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with callback_receiver() as hook:
        assert (await send(local(hook.url))).problem is None


async def test_the_system_s_own_names_are_not_public() -> None:
    assert "127.0.0.1" in await resolve_addresses("localhost", 443)
    answer = await send(CallbackUrl("https://localhost/x", "localhost", 443, "localhost", is_loopback=False))
    assert answer.problem == "connection_refused"


@pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate")
async def test_the_certificate_must_be_for_the_name_and_not_the_address(tmp_path: Path) -> None:
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hooks"
    files = [
        "-addext",
        "subjectAltName=DNS:hooks.test",
        "-keyout",
        str(tmp_path / "key"),
        "-out",
        str(tmp_path / "cert"),
    ]
    subprocess.run([str(OPENSSL), *made.split(), *files], check=True, capture_output=True)  # noqa: ASYNC221, S603 - ours
    names: list[str | None] = []
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    served.sni_callback = lambda _, name, __: names.append(name)
    trusting = policy("127.0.0.1", tls=ssl.create_default_context(cafile=str(tmp_path / "cert")))
    async with callback_receiver(tls=served) as hook:
        port = urlsplit(hook.url).port

        def named(host: str) -> CallbackUrl:
            return parse_callback_url(f"https://{host}:{port}/x", loopback=False)

        assert (await send(named("hooks.test"), trusting)).problem is None
        assert names == ["hooks.test"]
        assert (await send(named("other.test"), trusting)).problem == "tls_error"
        assert (await send(named("hooks.test"), policy("127.0.0.1"))).problem == "tls_error"
        assert len(hook.received) == 1


async def test_a_callback_that_returns_the_challenge_is_verified() -> None:
    async with callback_receiver() as hook:
        await verify_callback(local(hook.url), "sub_1", KEY, 5, CallbackPolicy())
        (challenge,) = hook.challenges
        assert challenge.is_signed_with(KEY)
        assert challenge.headers["x-mcp-subscription-id"] == "sub_1"
        assert challenge.id.startswith("msg_verification_")


@pytest.mark.parametrize(
    "answer",
    ["{}", "[]", "ok", '{"challenge": "guessed"}', '{"challenge": 5}', '{"challenge": "\\ud83d"}', "[" * 50_000],
)
async def test_a_callback_that_returns_something_else_is_not_and_its_answer_stays_unsaid(answer: str) -> None:
    async with callback_receiver(challenge_answer=answer) as hook:
        with pytest.raises(EventError) as refused:
            await verify_callback(local(hook.url), "sub_1", KEY, 5, CallbackPolicy())
        assert refused.value.facts == {"reason": "challenge_failed"}
        assert answer not in refused.value.message or answer in "[]{}"
