"""The doctor, sent to servers that are well, ill, or no Plex at all."""

from __future__ import annotations

import io
import os
import shutil
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener
from pydantic import SecretStr
from rich.console import Console
from support.deadlines import HANG_SECONDS

from plex_companion.cache.lock import open_lock
from plex_companion.commands.doctor import run_doctor
from plex_companion.demo import Demo, open_demo
from plex_companion.errors import SettingsError
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from anyio.abc import ByteStream

OPENSSL = shutil.which("openssl")
TOKEN = "canary-t0ken-7c2e"
WELL, FAILED, SKIPPED = "✓", "✗", "\N{EN DASH}"


class DoctorRun:
    """What the doctor said, by check, and the exit code."""

    def __init__(self, code: int, said: str) -> None:
        self.code, self.said = code, said
        marked = [line for line in said.splitlines() if line[0] in {WELL, FAILED, SKIPPED}]
        self.lines = {line.split()[1]: line for line in marked}
        self.marks = "".join(line[0] for line in marked)

    def verdicts(self) -> str:
        return "".join(line[0] for line in self.lines.values())


async def diagnose(folder: Path, url: str, token: str = TOKEN, **more: Any) -> DoctorRun:
    settings = Settings(**{"plex_url": url, "database": folder / "cache.sqlite3", **more})
    console = Console(file=io.StringIO(), width=1_000)
    with anyio.fail_after(HANG_SECONDS):
        code = await run_doctor(settings.model_copy(update={"plex_token": SecretStr(token)}), console=console)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    for secret in (*token.split(","), *(one.rpartition("://")[2] for one in url.split(","))):
        assert secret not in said
    return DoctorRun(code, said)


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with open_demo(alive=False, require_token=TOKEN) as running:
        yield running


@asynccontextmanager
async def open_server(
    serve_one: Callable[[ByteStream], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Open a server that runs `serve_one` on each connection, and yield its port."""

    async def handle(stream: ByteStream) -> None:
        async with stream:
            try:
                await serve_one(stream)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                return

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        chosen = listener if tls is None else TLSListener(listener, tls, standard_compatible=False)
        tasks.start_soon(chosen.serve, handle)
        yield listener.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's
        tasks.cancel_scope.cancel()


def answer_always(answer: bytes) -> Callable[[ByteStream], Awaitable[None]]:
    """Return a handler that gives this answer to every request."""

    async def serve_one(stream: ByteStream) -> None:
        await BufferedByteReceiveStream(stream).receive_until(b"\r\n\r\n", 65_536)
        await stream.send(answer)

    return serve_one


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode() + body


def build_proxy(port: int, refused: bytes | None = None) -> Callable[[ByteStream], Awaitable[None]]:
    """Return a handler that forwards to a server and can answer websocket handshakes itself."""

    async def serve_one(stream: ByteStream) -> None:
        head = await BufferedByteReceiveStream(stream).receive_until(b"\r\n\r\n", 65_536) + b"\r\n\r\n"
        if refused is not None and b"upgrade: websocket" in head.lower():
            await stream.send(refused)
            return
        async with await anyio.connect_tcp("127.0.0.1", port) as behind:
            await behind.send(head.replace(b"keep-alive", b"close"))
            async for part in behind:
                await stream.send(part)

    return serve_one


async def test_all_is_well(demo: Demo, tmp_path: Path) -> None:
    seen = await diagnose(tmp_path, demo.url)
    assert (seen.code, seen.verdicts()) == (0, WELL * 5)
    assert list(seen.lines) == ["address", "token", "owner", "websocket", "database"]
    assert "Everything works." in seen.said


async def test_the_token_is_not_sent_to_find_out_who_answers(tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def listening(stream: ByteStream) -> None:
        heads.append(await BufferedByteReceiveStream(stream).receive_until(b"\r\n\r\n", 65_536))

    async with open_server(listening) as port:
        await diagnose(tmp_path, f"http://127.0.0.1:{port}")
    assert heads
    assert not any(TOKEN.encode() in head for head in heads)


async def test_an_address_without_a_scheme_is_tried_over_https_then_http(demo: Demo, tmp_path: Path) -> None:
    seen = await diagnose(tmp_path, demo.url.removeprefix("http://"))
    assert (seen.code, seen.verdicts()) == (0, WELL * 5)


async def test_the_usual_port_is_named_only_where_the_address_has_none(tmp_path: Path) -> None:
    without = await diagnose(tmp_path, "http://no-such-host.invalid")
    assert "PLEX_URL names no port: Plex's is usually 32400." in without.lines["address"]
    with_one = await diagnose(tmp_path, "http://no-such-host.invalid:32400")
    assert "names no port" not in with_one.lines["address"]
    neither = await diagnose(tmp_path, "no-such-host.invalid")
    assert "names no port" in neither.lines["address"]
    assert "try PLEX_URL with http" not in neither.lines["address"]


def databases_below(folder: Path) -> list[Path]:
    return list(folder.rglob("*.sqlite3"))


async def test_where_nobody_answers_no_database_is_made_that_nobody_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    seen = await diagnose(tmp_path, "http://no-such-host.invalid:32400", database=None)
    assert "There is no database yet" in seen.lines["database"]
    assert databases_below(tmp_path) == []


async def test_a_closed_port_is_told_and_what_needs_it_is_not_checked(tmp_path: Path) -> None:
    with socket.socket() as taken:  # nobody listens on it, and nobody else can
        taken.bind(("127.0.0.1", 0))
        seen = await diagnose(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert (seen.code, seen.verdicts()) == (1, FAILED + SKIPPED * 3 + WELL)
    assert "is Plex running, and is the port right (usually 32400)?" in seen.lines["address"]
    assert "Not checked, because the token check failed." in seen.lines["websocket"]


async def test_another_kind_of_server_is_recognized(tmp_path: Path) -> None:
    for answer in (http("404 Not Found"), http("200 OK", b"<html>hello</html>"), http("200 OK", b"<p>not closed")):
        async with open_server(answer_always(answer)) as port:
            seen = await diagnose(tmp_path, f"http://127.0.0.1:{port}")
        assert "Something answers, but it is not a Plex Media Server." in seen.lines["address"]


@pytest.mark.parametrize("answer", [b"", http("400 Bad Request")])
async def test_a_port_that_speaks_only_https_is_guessed(tmp_path: Path, answer: bytes) -> None:
    async with open_server(answer_always(answer)) as port:
        seen = await diagnose(tmp_path, f"http://127.0.0.1:{port}")
    assert "try PLEX_URL with https://" in seen.lines["address"]


async def test_https_to_a_port_that_speaks_http_is_told(demo: Demo, tmp_path: Path) -> None:
    async def puzzled(stream: ByteStream) -> None:
        await stream.receive()
        await stream.send(http("400 Bad Request"))

    async with open_server(puzzled) as port:
        for url in (f"https://127.0.0.1:{port}", demo.url.replace("http://", "https://")):
            assert "try PLEX_URL with http://" in (await diagnose(tmp_path, url)).lines["address"]


async def test_a_redirect_and_a_login_in_front_are_told(tmp_path: Path) -> None:
    async with open_server(answer_always(http("301 Moved Permanently", b"", "Location: https://elsewhere/"))) as port:
        assert "a redirect (HTTP 301)" in (await diagnose(tmp_path, f"http://127.0.0.1:{port}")).lines["address"]
    async with open_server(answer_always(http("401 Unauthorized"))) as port:
        assert "requires a login" in (await diagnose(tmp_path, f"http://127.0.0.1:{port}")).lines["address"]


async def test_a_server_that_never_answers_is_told_in_time(tmp_path: Path) -> None:
    async def silent(stream: ByteStream) -> None:
        while True:
            await stream.receive()

    async with open_server(silent) as port:
        seen = await diagnose(tmp_path, f"http://127.0.0.1:{port}", plex_timeout_seconds=1)
    assert "nothing answers" in seen.lines["address"]


async def test_a_starting_plex_needs_only_patience(demo: Demo, tmp_path: Path) -> None:
    demo.answer_with(503)
    assert "Plex is starting or in maintenance" in (await diagnose(tmp_path, demo.url)).lines["address"]


async def test_an_unknown_host_is_told(tmp_path: Path) -> None:
    seen = await diagnose(tmp_path, "http://no-such-host.invalid:32400")
    assert "Check the spelling of the host" in seen.lines["address"]


async def test_a_refused_token_says_how_to_find_one(demo: Demo, tmp_path: Path) -> None:
    seen = await diagnose(tmp_path, demo.url, token="wrong-t0ken-11")
    assert (seen.code, seen.verdicts()) == (1, WELL + FAILED + SKIPPED * 2 + WELL)
    for words in ("View XML", "X-Plex-Token=", "PLEX_TOKEN"):
        assert words in seen.lines["token"]


async def test_a_token_that_is_not_the_owners_says_what_will_not_work(demo: Demo, tmp_path: Path) -> None:
    seen = await diagnose(tmp_path, demo.url, token=demo.get_user(1).token)
    assert (seen.code, seen.verdicts()) == (1, WELL + WELL + FAILED + WELL + WELL)
    assert "not the owner's" in seen.lines["owner"]


@pytest.mark.parametrize("refused", [http("400 Bad Request"), http("200 OK", b"hello"), b"nonsense\r\n\r\n", b""])
async def test_a_proxy_that_holds_websockets_back_is_named(demo: Demo, tmp_path: Path, refused: bytes) -> None:
    async with open_server(build_proxy(demo.port, refused)) as port:
        seen = await diagnose(tmp_path, f"http://127.0.0.1:{port}")
    assert (seen.code, seen.verdicts()) == (1, WELL * 3 + FAILED + WELL)
    assert "a proxy in front of Plex probably blocks it" in seen.lines["websocket"]
    assert "Upgrade" in seen.lines["websocket"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the name `attic`, from an authority nobody knows."""
    place = tmp_path_factory.mktemp("tls")
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=attic"
    files = ["-addext", "subjectAltName=DNS:attic", "-keyout", str(place / "key"), "-out", str(place / "cert")]
    subprocess.run([str(OPENSSL), *made.split(), *files], check=True, capture_output=True)  # noqa: S603 - ours
    (place / "both").write_bytes((place / "key").read_bytes() + (place / "cert").read_bytes())
    return place / "both"


@pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate")
async def test_a_certificate_is_judged_and_the_ways_out_are_named(
    demo: Demo, tmp_path: Path, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with open_server(build_proxy(demo.port), context) as port:
        url = f"https://localhost:{port}"
        unknown = (await diagnose(tmp_path, url)).lines["address"]
        other_name = (await diagnose(tmp_path, url, plex_ca_file=certificate)).lines["address"]
        unchecked = (await diagnose(tmp_path, url, plex_verify=False)).lines["address"]
    assert "PLEX_COMPANION_PLEX_CA_FILE" in unknown
    assert "plex.direct" in other_name
    assert "PLEX_COMPANION_PLEX_VERIFY=false" in other_name
    assert unchecked[0] == WELL


async def test_it_says_whether_another_process_listens(demo: Demo, tmp_path: Path) -> None:
    assert "No other process is listening" in (await diagnose(tmp_path, demo.url)).lines["database"]
    with open_lock(tmp_path / "cache.sqlite3") as lock:
        assert lock.try_acquire(), "it was given back"
        seen = await diagnose(tmp_path, demo.url)
        assert (seen.code, seen.lines["database"][0]) == (0, WELL)
        assert "another process is listening, and this one would follow it" in seen.lines["database"]


async def test_a_newer_database_is_told_and_left_untouched(demo: Demo, tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite3"
    with closing(sqlite3.connect(path)) as made:
        made.executescript(
            "CREATE TABLE migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT;"
            "INSERT INTO migrations VALUES (999, 'later', '2031-01-01')"
        )
    before = path.read_bytes()
    seen = await diagnose(tmp_path, demo.url)
    assert (seen.code, seen.verdicts()) == (1, WELL * 4 + FAILED)
    assert "999" in seen.lines["database"]
    assert path.read_bytes() == before


async def test_a_database_that_cannot_be_one_is_told(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "cache.sqlite3").write_text("not a database, but long enough to be looked at" * 100)
    seen = await diagnose(tmp_path, demo.url)
    assert seen.verdicts() == WELL * 4 + FAILED
    assert "--database" in seen.lines["database"]


async def test_a_file_in_place_of_the_folder_is_told(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    seen = await diagnose(tmp_path, demo.url, database=tmp_path / "file" / "cache.sqlite3")
    assert seen.verdicts() == WELL * 4 + FAILED


async def test_the_database_is_made_for_its_owner_alone(demo: Demo, tmp_path: Path) -> None:
    await diagnose(tmp_path, demo.url)
    assert stat.S_IMODE((tmp_path / "cache.sqlite3").stat().st_mode) == 0o600


@pytest.fixture
async def cabin() -> AsyncIterator[Demo]:
    async with open_demo(alive=False, require_token="another-t0ken-9", name="Cabin") as running:
        yield running


async def test_several_servers_are_checked_one_by_one_and_the_database_once(
    demo: Demo, cabin: Demo, tmp_path: Path
) -> None:
    seen = await diagnose(tmp_path, f"{demo.url},{cabin.url}", f"{TOKEN},another-t0ken-9")
    headings = [line for line in seen.said.splitlines() if line.startswith(("Server", "All"))]
    assert headings == ["Server 1 of 2", "Server 2 of 2", "All servers"]
    assert (seen.code, seen.marks) == (0, WELL * 9)
    assert "Accepted by Cabin." in seen.said


async def test_one_server_that_is_away_fails_the_examination_and_no_other_check(
    demo: Demo, cabin: Demo, tmp_path: Path
) -> None:
    await cabin.shut_down()
    seen = await diagnose(tmp_path, f"{cabin.url},{demo.url}")
    assert (seen.code, seen.marks) == (1, FAILED + SKIPPED * 3 + WELL * 5)
    assert "5 of 9 checks passed." in seen.said


async def test_a_token_for_another_server_fails_the_check_of_that_server(
    demo: Demo, cabin: Demo, tmp_path: Path
) -> None:
    seen = await diagnose(tmp_path, f"{demo.url},{cabin.url}", f"{TOKEN},{TOKEN}")
    assert (seen.code, seen.marks) == (1, WELL * 5 + FAILED + SKIPPED * 2 + WELL)


async def test_two_addresses_of_one_server_are_noticed(demo: Demo, tmp_path: Path) -> None:
    seen = await diagnose(tmp_path, f"{demo.url},http://localhost:{demo.port}")
    assert seen.code == 1
    assert "This is the same server as number 1." in seen.lines["address"]


async def test_a_name_that_two_servers_share_is_mentioned_and_fails_nothing(
    demo: Demo, cabin: Demo, tmp_path: Path
) -> None:
    cabin.state.prefs["FriendlyName"] = demo.state.prefs["FriendlyName"]
    seen = await diagnose(tmp_path, f"{demo.url},{cabin.url}", f"{TOKEN},another-t0ken-9")
    assert seen.code == 0
    assert "Another server has the same name" in seen.lines["token"]


async def test_without_a_server_there_is_nothing_to_examine() -> None:
    with pytest.raises(SettingsError):
        await run_doctor(Settings(plex_url=None, plex_token=None))


def test_the_command_says_all_is_well_of_the_demo_and_logs_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plex_companion", "doctor", "--demo"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(WELL) == 5
