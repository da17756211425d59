"""The program itself, on a real terminal and down a real pipe."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import sys
import termios
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.streams.text import TextReceiveStream
from support.deadlines import HANG_SECONDS

from plex_companion.commands.terminal.tty import drop_unwritable
from plex_companion.demo import Demo, open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyio.abc import Process

pytestmark = pytest.mark.slow


TOKEN = "canary-t0ken-93ab"
ENTER, LEAVE, CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"
CODES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")
POSITION = re.compile(r"(\d\d:\d\d) / ")


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with open_demo(alive=False, require_token=TOKEN) as running:
        yield running


def command(demo: Demo) -> list[str]:
    return [sys.executable, "-m", "plex_companion", "watch", "--plex-url", demo.url]


def environment(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "PATH": os.environ["PATH"], "PLEX_TOKEN": TOKEN, "TERM": "xterm-256color"}


class Terminal:
    """A pseudo terminal of 80 by 24 with the program in it. `shown` is all that was written to it."""

    def __init__(self, process: Process, keyboard: int, screen: int) -> None:
        self.process, self.keyboard, self._screen = process, keyboard, screen
        self.shown = ""

    def mode(self) -> list[object]:
        return termios.tcgetattr(self._screen)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._screen)[3] & termios.ECHO)

    async def until(self, words: str, *, since: int = 0) -> str:
        """Read until the words appear, ignoring colours, and return what was shown since."""
        with anyio.fail_after(HANG_SECONDS):
            while words not in CODES.sub("", self.shown[since:]):
                await anyio.wait_readable(self.keyboard)
                self.shown += os.read(self.keyboard, 65_536).decode("utf-8", "replace")
        return CODES.sub("", self.shown[since:])

    async def until_later(self, position: str) -> str:
        """Read until a position beyond this one appears, whichever it is: the view may leave out a second. Return it."""
        with anyio.fail_after(HANG_SECONDS):
            while (newest := max(POSITION.findall(CODES.sub("", self.shown)), default="")) <= position:
                await anyio.wait_readable(self.keyboard)
                self.shown += os.read(self.keyboard, 65_536).decode("utf-8", "replace")
        return str(newest)

    async def wait_for_end(self) -> int:
        """Wait for the end while reading on, as a terminal does."""
        with anyio.fail_after(HANG_SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read_on)
                code = await self.process.wait()
                tasks.cancel_scope.cancel()
        self._take()
        return code

    async def _read_on(self) -> None:
        while True:
            await anyio.wait_readable(self.keyboard)
            self._take()

    def _take(self) -> None:
        os.set_blocking(self.keyboard, False)
        try:
            while part := os.read(self.keyboard, 65_536):
                self.shown += part.decode("utf-8", "replace")
        except BlockingIOError:
            return


@asynccontextmanager
async def on_a_terminal(demo: Demo, folder: Path) -> AsyncIterator[Terminal]:
    keyboard, screen = os.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        process = await anyio.open_process(
            command(demo), stdin=screen, stdout=screen, stderr=screen, cwd=folder, env=environment(folder)
        )
        async with process:
            try:
                yield Terminal(process, keyboard, screen)
            finally:
                if process.returncode is None:
                    process.kill()
    finally:
        os.close(keyboard)
        os.close(screen)


async def test_it_shows_what_plays_as_soon_as_it_does(demo: Demo, tmp_path: Path) -> None:
    async with on_a_terminal(demo, tmp_path) as terminal:
        await terminal.until("Nothing is playing.")
        session = demo.start(offset=600_000)
        await terminal.until(session.user.name)
        await terminal.until_later(await terminal.until_later("10:00"))


async def test_it_says_at_once_when_plex_is_gone_and_when_it_is_back(demo: Demo, tmp_path: Path) -> None:
    async with on_a_terminal(demo, tmp_path) as terminal:
        await terminal.until("live")
        demo.start()
        await terminal.until("Now playing (1)")
        await demo.shut_down()
        await terminal.until("Last known (1)")
        seen = len(terminal.shown)
        await demo.reopen()
        await terminal.until("Nothing is playing.", since=seen)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, "q"])
async def test_it_ends_and_leaves_the_terminal_as_it_was(
    demo: Demo, tmp_path: Path, ending: signal.Signals | str
) -> None:
    async with on_a_terminal(demo, tmp_path) as terminal:
        before = terminal.mode()
        await terminal.until("live")
        assert not terminal.echoes()
        if isinstance(ending, str):
            os.write(terminal.keyboard, ending.encode())
        else:
            terminal.process.send_signal(ending)
        assert await terminal.wait_for_end() == 0
        assert terminal.mode() == before
    assert ENTER in terminal.shown
    after = terminal.shown.rpartition(LEAVE)[2]
    assert CURSOR in terminal.shown
    assert "Traceback" not in terminal.shown
    assert "Nothing is playing" not in after


@pytest.mark.parametrize("logs_elsewhere", [True, False])
async def test_it_ends_cleanly_when_its_terminal_is_closed(demo: Demo, tmp_path: Path, logs_elsewhere: bool) -> None:
    keyboard, screen = os.openpty()
    log = tmp_path / "log"
    with log.open("wb") as file:
        errors = file if logs_elsewhere else screen
        process = await anyio.open_process(
            command(demo), stdin=screen, stdout=screen, stderr=errors, cwd=tmp_path, env=environment(tmp_path)
        )
    os.close(screen)
    terminal = Terminal(process, keyboard, keyboard)
    async with process:
        await terminal.until("live")
        await demo.shut_down()  # which is worth a line in the log
        os.close(keyboard)
        process.send_signal(signal.SIGHUP)  # as the kernel does to whoever has it as the controlling terminal
        with anyio.fail_after(HANG_SECONDS):
            assert await process.wait() == 0
    assert "Traceback" not in log.read_text()


async def test_it_ends_as_soon_while_plex_is_away(demo: Demo, tmp_path: Path) -> None:
    await demo.shut_down()
    async with on_a_terminal(demo, tmp_path) as terminal:
        await terminal.until("connection refused")
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.wait_for_end() == 0
    after = terminal.shown.rpartition(LEAVE)[2]
    assert "Can't reach Plex: connection refused" in after  # the log, once there is room for it
    assert "Traceback" not in after


class Pipe:
    """What comes out of a pipe, line by line."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.process = process
        self.said = ""
        self._out = TextReceiveStream(process.stdout)

    async def until(self, words: str) -> str:
        """Wait for the next unread line with these words."""
        await self._receive(words)
        line = next(line for line in self.said.splitlines() if words in line)
        self.said = self.said.partition(f"{line}\n")[2]
        assert "\x1b" not in line
        return line

    async def until_all(self, *words: str) -> None:
        """Wait for unread lines with these words, which may come in any order."""
        for one in words:
            await self._receive(one)
        self.said = self.said.rpartition("\n")[2]

    async def _receive(self, words: str) -> None:
        with anyio.fail_after(HANG_SECONDS):
            while words not in self.said.rpartition("\n")[0]:
                self.said += await self._out.receive()


@asynccontextmanager
async def down_a_pipe(demo: Demo, folder: Path, *more: str) -> AsyncIterator[Pipe]:
    async with await anyio.open_process([*command(demo), *more], cwd=folder, env=environment(folder)) as process:
        try:
            yield Pipe(process)
        finally:
            if process.returncode is None:
                process.kill()


async def test_a_pipe_gets_a_line_for_each_change_and_no_control_codes(demo: Demo, tmp_path: Path) -> None:
    async with down_a_pipe(demo, tmp_path) as pipe:
        await pipe.until("live: ")
        await pipe.until("nothing is playing")
        session = demo.start(offset=600_000)
        line = await pipe.until(f"{session.user.name}, {session.item.title}")
        assert re.fullmatch(r"\d\d:\d\d:\d\d  playing: .+", line)
        demo.pause(session)
        await pipe.until("paused: ")
        await demo.shut_down()
        await pipe.until("Can't reach Plex")
        await pipe.until("alert: Can't reach Plex")
        await demo.reopen()
        await pipe.until("live: ")
        pipe.process.send_signal(signal.SIGINT)
        with anyio.fail_after(HANG_SECONDS):
            assert await pipe.process.wait() == 0


async def test_of_two_servers_each_line_names_its_own_and_one_can_be_chosen(demo: Demo, tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN, name="Cabin") as cabin:
        both = ("--plex-url", f"{demo.url},{cabin.url}")
        async with down_a_pipe(demo, tmp_path, *both) as pipe:
            await pipe.until_all("Lighthouse: nothing is playing", "Cabin: nothing is playing")
            cabin.start()
            await pipe.until("Cabin: playing: ")
            await demo.shut_down()
            await pipe.until("Lighthouse: Can't reach Plex")
            pipe.process.send_signal(signal.SIGINT)
            with anyio.fail_after(HANG_SECONDS):
                assert await pipe.process.wait() == 0
        async with down_a_pipe(demo, tmp_path, *both, "--server", "cabin") as pipe:
            await pipe.until("  playing: ")
            assert "Lighthouse" not in pipe.said


async def test_while_the_chosen_server_was_never_reached_it_is_said_what_is_waited_for(
    demo: Demo, tmp_path: Path
) -> None:
    async with open_demo(alive=False, require_token=TOKEN, name="Cabin") as cabin:
        await cabin.shut_down()
        chosen = ("--plex-url", f"{demo.url},{cabin.url}", "--server", "cabin")
        async with down_a_pipe(demo, tmp_path, *chosen) as pipe:
            await pipe.until("No server is called 'cabin' so far. Waiting for server 2 of 2 (connection refused).")
            await cabin.reopen()
            line = await pipe.until(":")
            assert "live: Cabin" in line, "the next line is of that server"
            await pipe.until("nothing is playing")


async def test_a_reader_that_goes_away_ends_it_without_a_word(demo: Demo, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    process = await anyio.open_process(command(demo), stdout=writing, cwd=tmp_path, env=environment(tmp_path))
    os.close(writing)
    async with process:
        assert process.stderr is not None
        with anyio.fail_after(HANG_SECONDS):
            await anyio.wait_readable(reading)
            os.close(reading)
            demo.start()
            complaints = "".join([part async for part in TextReceiveStream(process.stderr)])
            assert await process.wait() == 0
    assert "Broken" not in complaints
    assert "Traceback" not in complaints


async def test_a_pipe_that_is_full_does_not_keep_it_from_ending(demo: Demo, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 4_096)
    os.set_blocking(writing, True)
    process = await anyio.open_process(command(demo), stdout=writing, cwd=tmp_path, env=environment(tmp_path))
    async with process:
        assert process.stderr is not None
        with anyio.fail_after(HANG_SECONDS):
            async for part in TextReceiveStream(process.stderr):
                if "Connected to Plex" in part:
                    break
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(HANG_SECONDS):
            assert await process.wait() == 0
    os.close(reading)
    os.close(writing)


async def test_the_token_is_nowhere(demo: Demo, tmp_path: Path) -> None:
    async with on_a_terminal(demo, tmp_path) as terminal:
        await terminal.until("live")
        demo.revoke_token()
        demo.reset_connections()
        await terminal.until("set a new PLEX_TOKEN")
        terminal.process.send_signal(signal.SIGINT)
        await terminal.wait_for_end()
    assert TOKEN not in terminal.shown


def test_what_waits_for_a_closed_terminal_is_dropped() -> None:
    keyboard, screen = os.openpty()
    with os.fdopen(screen, "w", encoding="utf-8") as stream:
        stream.write("the end")
        os.close(keyboard)
        drop_unwritable(stream)
        stream.flush()
