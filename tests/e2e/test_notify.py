"""Messages to people from a whole home: the poster from Plex, the tool, the figures, the doctor, and no URL anywhere."""

from __future__ import annotations

import base64
import io
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from mcp import Client
from msgspec.json import encode
from pydantic import SecretStr
from rich.console import Console
from support.application import Home, home
from support.deadlines import HANG_SECONDS
from support.outbox import build_message, chat_server
from support.several_processes import ending, member

from plex_companion.cache.migrate import migrate
from plex_companion.cache.queries.read import read_message_status
from plex_companion.commands.doctor import run_doctor
from plex_companion.companion import read_clock
from plex_companion.demo import open_demo
from plex_companion.events import DeliveryReport, ReceivedEvent
from plex_companion.models import Delivery, Message, Poster
from plex_companion.notify.services import INSTALL
from plex_companion.plex.pictures import find_mime
from plex_companion.resources.server import read_server
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from support.outbox import ChatServer

    from plex_companion.companion import Companion
    from plex_companion.demo import Demo

CANARY = "canary-4815162342"


async def queue_message(it: Home, message: Message) -> None:
    await queue_row(it.application.companion, message)


async def queue_row(companion: Companion, message: Message) -> None:
    """Put a message into the outbox, as a rule does."""
    ids, at = companion.state.ids.delivery, companion.now_ms
    row = Delivery(ids, "notify:chat", None, encode(message).decode(), at, at, rule_id=1)
    await companion.event_queue.put([ReceivedEvent(DeliveryReport((row,)), companion.clock())])


async def until_taken(companion: Companion, count: int = 1) -> None:
    with anyio.fail_after(HANG_SECONDS):
        while True:
            changed = companion.live.prepare_wait()
            found = (await read_message_status(companion.cache, ["chat"]))["chat"]
            rows = await companion.cache.reader.execute_fetchall(
                "SELECT count(*) FROM deliveries WHERE outcome = 'delivered'"
            )
            if not found.waiting and next(iter(rows))[0] == count:
                return
            await changed.wait()


async def call_tool(it: Home, name: str, **arguments: Any) -> Any:
    async with Client(f"{it.url}/mcp") as client:
        return await client.call_tool(name, arguments)


async def test_a_message_carries_the_poster_that_the_companion_fetched_from_plex(tmp_path: Path) -> None:
    async with chat_server() as chat, home(tmp_path, notify=f"chat={chat.url}") as it:
        movie = next(item for item in it.demo.state.items.values() if item.type == "movie")
        server = it.application.companion.state.server
        assert server is not None
        poster = Poster(server.machine_identifier, movie.key)
        await queue_message(it, build_message("New", movie.title, poster=poster))
        (got,) = await chat.until(1)
        assert find_mime(base64.b64decode(got["attachments"][0]["base64"])) is not None
        assert it.demo.token not in str(got)


@pytest.mark.parametrize("poster", [Poster("nowhere", "1"), Poster("", "99999"), Poster("", "../../secret")])
async def test_a_poster_that_cannot_be_had_leaves_the_message_as_it_is(tmp_path: Path, poster: Poster) -> None:
    async with chat_server() as chat, home(tmp_path, notify=f"chat={chat.url}") as it:
        server = it.application.companion.state.server
        assert server is not None
        asked = Poster(poster.server or server.machine_identifier, poster.rating_key)
        await queue_message(it, build_message("New", "Sunset Harbour", poster=asked))
        (got,) = await chat.until(1)
        assert (got["message"], got["attachments"]) == ("Sunset Harbour", [])


async def test_while_plex_is_away_a_message_does_not_wait_for_its_poster(tmp_path: Path) -> None:
    async with chat_server() as chat, home(tmp_path, notify=f"chat={chat.url}") as it:
        server = it.application.companion.state.server
        assert server is not None
        movie = it.demo.state.list_kind("movie")[0]
        it.demo.answer_with(503)
        it.demo.reset_connections()
        await it.until(lambda: not it.application.companion.is_live)
        it.demo.requests.clear()
        await queue_message(it, build_message("Away", poster=Poster(server.machine_identifier, movie.key)))
        (got,) = await chat.until(1)
        assert got["attachments"] == []
        assert it.demo.requests.count(f"/library/metadata/{movie.key}") == 0


async def test_the_tool_sends_a_test_and_says_which_service_took_it(tmp_path: Path) -> None:
    async with chat_server() as chat, home(tmp_path, notify=f"chat={chat.url}") as it:
        answer = await call_tool(it, "notify_test", target="chat")
        assert answer.structured_content == {
            "target": "chat",
            "service": "JSON",
            "message": "JSON took the message for chat.",
        }
        (got,) = await chat.until(1)
        assert got["title"] == "Test of plex-companion"


async def test_the_tool_says_what_the_service_answered_and_which_targets_there_are(tmp_path: Path) -> None:
    async with chat_server("403 Forbidden") as chat, home(tmp_path, notify=f"chat={chat.url};me={chat.url}") as it:
        refused = await call_tool(it, "notify_test", target="chat")
        unknown = await call_tool(it, "notify_test", target="family")
    assert refused.is_error
    assert "HTTP 403" in refused.content[0].text
    assert "not_delivered" in refused.content[0].text
    assert "There is no target 'family'. Targets: chat, me." in unknown.content[0].text
    for said in (refused, unknown):
        assert CANARY not in said.content[0].text
        assert chat.address not in said.content[0].text


async def test_the_status_and_the_metrics_count_messages_by_the_name_of_their_target(tmp_path: Path) -> None:
    async with chat_server("500 Oops", "200 OK") as chat, home(tmp_path, notify=f"chat={chat.url};me={chat.url}") as it:
        await queue_message(it, build_message("New"))
        await until_taken(it.application.companion)
        shown = (await read_server(it.application.companion))["notify"]
        assert (shown["chat"]["waiting"], shown["chat"]["failed"]) == (0, 0)
        assert shown["chat"]["last_delivered_at"].endswith("Z")
        assert shown["me"] == {"waiting": 0, "failed": 0, "last_delivered_at": None}
        async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
            lines = (await web.get(f"{it.url}/metrics")).text.splitlines()
        assert 'plex_companion_notify_messages_total{target="chat"} 1.0' in lines
        assert 'plex_companion_notify_failures_total{target="chat"} 1.0' in lines
        assert 'plex_companion_notify_waiting{target="me"} 0.0' in lines


async def test_without_targets_neither_status_nor_metrics_have_figures_of_them(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        assert (await read_server(it.application.companion))["notify"] is None
        async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
            lines = (await web.get(f"{it.url}/metrics")).text.splitlines()
        assert [line for line in lines if line.startswith("plex_companion_notify")] == []


async def test_no_url_of_a_target_is_in_a_file_a_page_an_answer_or_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "plex_companion")
    async with chat_server("500 Oops") as chat, home(tmp_path, notify=f"chat={chat.url}") as it:
        await queue_message(it, build_message("New"))
        await chat.until(2)
        async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
            pages = [(await web.get(f"{it.url}{path}")).text for path in ("/settings", "/metrics", "/", "/api/server")]
        answer = await call_tool(it, "companion_status")
        settings = it.application.companion.settings
        said = f"{caplog.text} {pages} {answer} {settings!r} {settings}"
        files = [file.read_bytes() for file in tmp_path.iterdir()]  # noqa: ASYNC240 - what is tested
    assert "The target chat takes no messages (HTTP 500)" in said
    assert CANARY not in said
    assert not any(CANARY.encode() in content for content in files)


@pytest.mark.slow
async def test_of_several_processes_the_one_that_listens_sends_and_another_goes_on_after_it(
    demo: Demo, tmp_path: Path
) -> None:
    async with (
        chat_server("200 OK", "503 Down") as chat,
        ending(demo, tmp_path, notify=f"chat={chat.url}") as (first, end),
        member(demo, tmp_path, notify=f"chat={chat.url}") as second,
    ):
        await queue_row(first.companion, build_message("First"))
        await chat.until(1)
        await queue_row(first.companion, build_message("Second"))
        await chat.until(2)
        assert not second.listens
        await end.end()
        await second.until(lambda: second.listens)
        chat.receiver.answers[:] = ["200 OK"]
        await until_taken(second.companion, 2)
    assert [one.message["title"] for one in chat.receiver.accepted] == ["First", "Second"]


# The doctor


async def diagnose(folder: Path, notify: str) -> tuple[int, str]:
    async with open_demo(alive=False) as demo:
        given = {"plex_url": demo.url, "database": folder / "cache.sqlite3", "notify": notify}
        settings = Settings.load(given).model_copy(update={"plex_token": SecretStr(demo.token)})
        console = Console(file=io.StringIO(), width=1_000)
        code = await run_doctor(settings, console=console)
    assert isinstance(console.file, io.StringIO)
    return code, console.file.getvalue()


async def test_the_doctor_names_the_targets_and_sends_nothing(tmp_path: Path) -> None:
    async with chat_server() as chat:
        code, said = await diagnose(tmp_path, f"chat={chat.url};me=ntfy://{CANARY}")
        assert code == 0
        assert "Messages go to chat (JSON), me (ntfy)." in said
        assert chat.receiver.received == []
        assert CANARY not in said


async def test_the_doctor_says_which_url_no_service_can_use(tmp_path: Path) -> None:
    code, said = await diagnose(tmp_path, f"family=discord://{CANARY}")
    assert code == 1
    assert "the URL of family is not one that Apprise can use" in said
    assert CANARY not in said


# The program


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(folder), "PATH": os.environ["PATH"], **more}


def run(folder: Path, *arguments: str, code: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    program = ["-c", code] if code else ["-m", "plex_companion"]
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, *program, *arguments],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_the_command_lists_names_and_services_and_no_url(tmp_path: Path) -> None:
    done = run(tmp_path, "notify", PLEX_COMPANION_NOTIFY=f"family=json://127.0.0.1/{CANARY};me=ntfy://{CANARY}")
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["family  JSON", "me      ntfy"]
    assert run(tmp_path, "notify").stdout.startswith("No target is set. Set PLEX_COMPANION_NOTIFY")


@pytest.mark.slow
async def test_the_command_tests_a_target_and_says_what_came_of_it(tmp_path: Path) -> None:
    async with chat_server("200 OK", "403 Forbidden") as chat:

        async def test() -> subprocess.CompletedProcess[str]:
            variables = {"PLEX_COMPANION_NOTIFY": f"chat={chat.url}"}
            return await anyio.to_thread.run_sync(lambda: run(tmp_path, "notify", "--test", "chat", **variables))

        taken, refused = await test(), await test()
    assert (taken.returncode, taken.stdout.strip()) == (0, "JSON took the message for chat.")
    assert refused.returncode == 1
    assert "The target chat did not take the message: HTTP 403" in refused.stderr
    for said in (taken, refused):
        assert CANARY not in said.stdout + said.stderr


@pytest.mark.slow
def test_an_unknown_target_is_exit_2_with_the_names_there_are(tmp_path: Path) -> None:
    done = run(tmp_path, "notify", "--test", "mum", PLEX_COMPANION_NOTIFY=f"family=ntfy://{CANARY}")
    assert done.returncode == 2
    assert done.stderr.strip() == "plex-companion: There is no target 'mum'. Targets: family."


@pytest.mark.slow
@pytest.mark.parametrize("notify", [f"discord://{CANARY}/{CANARY}", f"family=discord://{CANARY}", f"family={CANARY}"])
def test_a_target_that_cannot_be_is_exit_2_at_the_start_without_its_url(tmp_path: Path, notify: str) -> None:
    done = run(tmp_path, "serve", "--demo", PLEX_COMPANION_NOTIFY=notify)
    assert done.returncode == 2
    assert "PLEX_COMPANION_NOTIFY" in done.stderr
    assert CANARY not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["serve --demo", "notify", "notify --test family"])
def test_without_the_extra_it_is_exit_2_with_the_command_that_installs_it(tmp_path: Path, command: str) -> None:
    code = "import sys; sys.modules['apprise'] = None; from plex_companion.cli import main; main(sys.argv[1:])"
    done = run(tmp_path, *command.split(), code=code, PLEX_COMPANION_NOTIFY="family=json://127.0.0.1")
    assert done.returncode == 2
    assert INSTALL in done.stderr


@pytest.mark.slow
def test_the_program_ends_at_once_while_a_target_hangs(tmp_path: Path) -> None:
    """A test message, and the program that sends it, against a server that takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"json://127.0.0.1:{silent.getsockname()[1]}/?rto=3600&cto=3600"
        program = subprocess.Popen(
            [sys.executable, "-m", "plex_companion", "notify", "--test", "chat"],
            cwd=tmp_path,
            env=environment(tmp_path, PLEX_COMPANION_NOTIFY=f"chat={url}"),
            stdin=subprocess.DEVNULL,
        )
        try:
            connection, _ = silent.accept()
            with connection:
                program.send_signal(signal.SIGINT)
                assert program.wait(HANG_SECONDS) == 0
        finally:
            program.kill()
            program.wait()


MANY, EVERY_MS = 40, 400
KILLS = 4


def start_program(folder: Path, url: str) -> subprocess.Popen[bytes]:
    variables = {"PLEX_COMPANION_NOTIFY": f"chat={url}", "PLEX_COMPANION_NOTIFY_RATE": "600"}
    arguments = ["serve", "--demo", "--transport", "http", "--port", "0", "--database", str(folder / "cache.sqlite3")]
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "plex_companion", *arguments],
        cwd=folder,
        env=environment(folder, **variables),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def fill_outbox(path: Path, began: int, numbers: range) -> None:
    """Put messages into the outbox of a program that does not run, due one after the other from then on."""
    rows = [
        ("notify:chat", encode(build_message(f"Film {number}")).decode(), began + number * EVERY_MS)
        for number in numbers
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO deliveries (target, body, created_at, due_at, tries) VALUES (?1, ?2, ?3, ?3, 0)", rows
        )


def list_films(chat: ChatServer) -> list[str]:
    """The films that messages told of, those of digests included."""
    lines = [line for text in chat.texts for line in text.splitlines()]
    return [line[line.index("Film") :] for line in lines]


async def until_received(chat: ChatServer, count: int) -> None:
    """Wait for so many more messages, or for all films: to a program that starts late, several are due as one message."""
    received = chat.receiver.received
    wanted = len(received) + count
    with anyio.fail_after(HANG_SECONDS):
        while len(received) < wanted and f"Film {MANY - 1}" not in list_films(chat):
            await chat.receiver.until(len(received) + 1)


@pytest.mark.slow
async def test_whenever_the_program_is_killed_every_message_arrives_in_order_and_hardly_any_twice(
    tmp_path: Path,
) -> None:
    path, began = tmp_path / "cache.sqlite3", read_clock().at
    migrate(path)
    fill_outbox(path, began, range(MANY))
    async with chat_server() as chat:
        for count in range(1, KILLS + 1):
            program = start_program(tmp_path, chat.url)
            try:
                await until_received(chat, count)
            finally:
                program.kill()  # between the answer and its being written down, if chance wants it
                await anyio.to_thread.run_sync(program.wait)
        fill_outbox(path, began, range(MANY, MANY + 1))  # so that there is one for the last start in any case
        program = start_program(tmp_path, chat.url)
        try:
            with anyio.fail_after(HANG_SECONDS):
                while f"Film {MANY}" not in list_films(chat):
                    await chat.receiver.until(len(chat.receiver.received) + 1)
        finally:
            program.terminate()
            assert await anyio.to_thread.run_sync(program.wait) == 0
    films = list_films(chat)
    once = list(dict.fromkeys(films))
    assert once == [f"Film {number}" for number in range(MANY + 1)]
    repeated = [text for text in chat.texts if chat.texts.count(text) > 1]
    assert len(repeated) <= 2 * KILLS, "only what was on its way when the program was killed"
