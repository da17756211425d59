"""A certificate is judged alike over HTTP and over the websocket."""

from __future__ import annotations

import math
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.scripted_plex import Pretend, clock, pretend_plex, settings_for

from plex_companion.errors import PlexUnreachable, SettingsError
from plex_companion.events import Connecting, Disconnected
from plex_companion.plex.gateway import open_gateway
from plex_companion.plex.listener import listen
from plex_companion.plex.refresh import RefreshRequests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from plex_companion.events import Event, ReceivedEvent

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that nobody trusts, with its key in the same file."""
    place = tmp_path_factory.mktemp("tls")
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=attic"
    files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(place / "key"), "-out", str(place / "cert")]
    subprocess.run([str(OPENSSL), *made.split(), *files], check=True, capture_output=True)  # noqa: S603 - ours
    (place / "both").write_bytes((place / "key").read_bytes() + (place / "cert").read_bytes())
    return place / "both"


@pytest.fixture
async def pretend(certificate: Path) -> AsyncIterator[Pretend]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with pretend_plex(tls=context) as plex:
        yield plex
        plex.close()


async def _receive_first_event(url: str, **more: Any) -> Event:
    settings = settings_for(url, **more)
    send, receive = anyio.create_memory_object_stream["ReceivedEvent"](math.inf)

    async def pass_on(received: Sequence[ReceivedEvent]) -> None:
        await send.send(received[0])

    async with open_gateway(settings) as gateway, anyio.create_task_group() as tasks:

        async def run() -> None:
            await listen(gateway, settings, pass_on, now=clock(), refresh=RefreshRequests())

        tasks.start_soon(run)
        with send, receive, anyio.fail_after(HANG_SECONDS):
            event = (await receive.receive()).event
            tasks.cancel_scope.cancel()
    return event


async def _read_name(url: str, **more: Any) -> str:
    async with open_gateway(settings_for(url, **more)) as gateway:
        return await gateway.call(lambda plex: str(plex.friendlyName))


async def test_an_unknown_authority_is_refused_in_plain_words(pretend: Pretend) -> None:
    url = f"https://localhost:{pretend.port}"
    words = "the TLS certificate is not trusted: its authority is not known; name it as PLEX_COMPANION_PLEX_CA_FILE"
    with pytest.raises(PlexUnreachable) as caught:
        await _read_name(url)
    assert caught.value.facts == {"connection": words}
    assert await _receive_first_event(url) == Disconnected(words)


async def test_an_authority_that_is_named_is_trusted(pretend: Pretend, certificate: Path) -> None:
    url = f"https://localhost:{pretend.port}"
    assert await _read_name(url, plex_ca_file=certificate) == "Attic"
    assert isinstance(await _receive_first_event(url, plex_ca_file=certificate), Connecting)


async def test_a_certificate_for_another_name_is_refused(pretend: Pretend, certificate: Path) -> None:
    url = f"https://127.0.0.1:{pretend.port}"
    with pytest.raises(PlexUnreachable, match=r"for another name; use the plex\.direct address"):
        await _read_name(url, plex_ca_file=certificate)
    said = await _receive_first_event(url, plex_ca_file=certificate)
    assert isinstance(said, Disconnected)
    assert "for another name" in said.detail


async def test_checking_can_be_switched_off(pretend: Pretend) -> None:
    url = f"https://127.0.0.1:{pretend.port}"
    assert await _read_name(url, plex_verify=False) == "Attic"
    assert isinstance(await _receive_first_event(url, plex_verify=False), Connecting)


async def test_https_where_http_is_spoken() -> None:
    async with pretend_plex() as plain:
        plain.close()
        with pytest.raises(PlexUnreachable, match="is the address really https"):
            await _read_name(f"https://127.0.0.1:{plain.port}")


def test_a_file_that_is_not_there_is_a_matter_of_settings(tmp_path: Path) -> None:
    async def use() -> None:
        async with open_gateway(settings_for("https://127.0.0.1:9", plex_ca_file=tmp_path / "none")):
            pass

    with pytest.raises(SettingsError):
        anyio.run(use)
