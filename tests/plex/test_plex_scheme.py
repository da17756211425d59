"""An address without a scheme: https is tried first, then http, by whatever asks first."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.scripted_plex import TOKEN, Pretend, clock, pretend_plex, raw_server, settings_for

from plex_companion.errors import PlexUnreachable
from plex_companion.events import Connecting
from plex_companion.plex.gateway import NO_PORT, open_gateway
from plex_companion.plex.listener import listen
from plex_companion.plex.refresh import RefreshRequests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from anyio.abc import SocketStream

    from plex_companion.events import Event, ReceivedEvent

OPENSSL = shutil.which("openssl")


@pytest.fixture
async def pretend() -> AsyncIterator[Pretend]:
    async with pretend_plex() as plex:
        yield plex
        plex.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if OPENSSL is None:
        pytest.skip("openssl makes the certificate")
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=attic"
    files = [
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(tmp_path / "key"),
        "-out",
        str(tmp_path / "cert"),
    ]
    subprocess.run([OPENSSL, *made.split(), *files], check=True, capture_output=True)  # noqa: S603 - ours
    (tmp_path / "both").write_bytes((tmp_path / "key").read_bytes() + (tmp_path / "cert").read_bytes())
    return tmp_path / "both"


def build_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_server_that_speaks_only_http_is_found_without_its_scheme(pretend: Pretend) -> None:
    with anyio.fail_after(HANG_SECONDS):
        async with open_gateway(settings_for(f"127.0.0.1:{pretend.port}")) as gateway:
            assert await gateway.call(lambda plex: str(plex.friendlyName)) == "Attic"
            assert gateway.url == await gateway.find_url() == f"http://127.0.0.1:{pretend.port}"


async def test_a_server_that_speaks_https_is_never_asked_over_http(certificate: Path) -> None:
    with anyio.fail_after(HANG_SECONDS):
        async with pretend_plex(tls=build_context(certificate)) as plex:
            settings = settings_for(f"localhost:{plex.port}", plex_ca_file=certificate)
            async with open_gateway(settings) as gateway:
                assert await gateway.call(lambda plex: str(plex.friendlyName)) == "Attic"
                assert gateway.url == f"https://localhost:{plex.port}"
            plex.close()


async def test_the_websocket_goes_where_the_answer_came_from(pretend: Pretend) -> None:
    settings = settings_for(f"127.0.0.1:{pretend.port}")
    said: list[Event] = []
    heard_something = anyio.Event()

    async def take(received: Sequence[ReceivedEvent]) -> None:
        said.extend(one.event for one in received)
        heard_something.set()

    with anyio.fail_after(HANG_SECONDS):
        async with open_gateway(settings) as gateway, anyio.create_task_group() as tasks:

            async def run() -> None:
                await listen(gateway, settings, take, now=clock(), refresh=RefreshRequests())

            tasks.start_soon(run)
            await heard_something.wait()
            tasks.cancel_scope.cancel()
    assert isinstance(said[0], Connecting)


async def test_the_token_is_not_sent_before_the_scheme_is_known() -> None:
    heads: list[bytes] = []

    async def note(stream: SocketStream) -> None:
        heads.append(await stream.receive())

    async with raw_server(note) as url:
        with pytest.raises(PlexUnreachable):
            async with open_gateway(settings_for(url.removeprefix("http://"))) as gateway:
                await gateway.call(lambda plex: plex.friendlyName)
    assert len(heads) > 1
    assert not any(TOKEN.encode() in head for head in heads)


async def test_a_certificate_that_is_not_trusted_is_told_where_http_is_not_answered(certificate: Path) -> None:
    async with pretend_plex(tls=build_context(certificate)) as plex:
        async with open_gateway(settings_for(f"localhost:{plex.port}")) as gateway:
            with pytest.raises(PlexUnreachable, match="certificate"):
                await gateway.find_url()
        plex.close()


async def test_the_usual_port_is_hinted_at_only_where_none_is_named_and_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url, hinted in ((f"http://127.0.0.1:{port}", False), ("http://no-such-host.invalid", True)):
        async with open_gateway(settings_for(url)) as gateway:
            with pytest.raises(PlexUnreachable) as caught:
                await gateway.call(lambda plex: plex.friendlyName)
        assert (NO_PORT in caught.value.message) is hinted
