"""How long the event loop is blocked, and how soon SIGTERM ends the program, when Plex sends far too much.

`python -m benchmarks.huge_answers [KIND …]`. A second process acts as Plex; the companion runs in this one, so that every moment
in which its loop does nothing else is seen, and once more as the shipped program, which gets SIGTERM in the middle.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from pydantic import SecretStr
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

from plex_companion.app import open_application
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from anyio.abc import Process
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request

ROOT = b'<MediaContainer friendlyName="Attic" machineIdentifier="attic-1" version="1.43.3.1-x" platform="Linux"/>'
ROW = (
    '<Video sessionKey="{n}" ratingKey="{n}" key="/library/metadata/{n}" type="movie" title="Film {n}" viewOffset="1" '
    'duration="5400000"><Media id="1" bitrate="8000"><Part id="1" decision="directplay"><Stream id="1"/></Part></Media>'
    '<User id="{n}" title="user {n}"/><Player machineIdentifier="m{n}" title="TV {n}" state="playing" product="Plex Web"/>'
    '<Session id="s{n}" bandwidth="8100" location="lan"/></Video>'
)
MANY = 20_000
NESTED = 300_000
SECONDS = 15


def build_list(rows: Iterator[str]) -> bytes:
    return f"<MediaContainer>{''.join(rows)}</MediaContainer>".encode()


def build_answers(kind: str) -> dict[str, bytes]:  # noqa: PLR0911 - one line per kind
    """Build the answers of Plex, by path."""
    sessions = build_list(ROW.format(n=number) for number in range(1, MANY + 1))
    match kind:
        case "sessions":
            return {"/status/sessions": sessions}
        case "broken":
            return {"/status/sessions": sessions.replace(b'title="Film 7"', b'title="Salt & Ember"')}
        case "nested":
            return {"/status/sessions": build_list(iter(["<Video>" + "<a>" * NESTED + "</a>" * NESTED + "</Video>"]))}
        case "elements":
            return {"/status/sessions": build_list(iter(["<Video>" + "<a/>" * 4_000_000 + "</Video>"]))}
        case "lists":
            return {
                "/activities": build_list(f'<Activity uuid="u{n}" title="Scan" progress="1"/>' for n in range(MANY)),
                "/clients": build_list(f'<Server machineIdentifier="c{n}" name="TV {n}"/>' for n in range(MANY)),
                "/accounts": build_list(f'<Account id="{n}" name="user {n}"/>' for n in range(MANY)),
                "/devices": build_list(
                    f'<Device id="{n}" name="TV {n}" clientIdentifier="d{n}"/>' for n in range(MANY)
                ),
            }
        case "history":
            play = '<Video historyKey="/h/{n}" ratingKey="{n}" viewedAt="{at}" title="Film {n}" accountID="1"/>'
            rows = build_list(play.format(n=n, at=1_700_000_000 + n) for n in range(MANY))
            return {"/status/sessions/history/all": rows}
        case _:
            return {}


def build_frame(kind: str) -> str | None:
    """Build the frame that Plex sends once a client listens."""
    if kind != "frame":
        return None
    entry = {"ratingKey": "1", "key": "/library/metadata/1", "viewOffset": 1, "state": "playing"}
    entries = [{**entry, "sessionKey": str(n), "clientIdentifier": f"m{n}"} for n in range(MANY)]
    body = {"type": "playing", "size": len(entries), "PlaySessionStateNotification": entries}
    return json.dumps({"NotificationContainer": body})


KINDS = ("ordinary", "sessions", "broken", "nested", "elements", "lists", "history", "frame")


async def serve_plex(kind: str) -> None:
    """Serve until killed. The first line of output is the port."""
    known, frame = {"/": ROOT, **build_answers(kind)}, build_frame(kind)

    async def handle(socket: ServerConnection) -> None:
        if frame:
            await anyio.sleep(0.5)
            await socket.send(frame)
        await socket.wait_closed()

    def answer(_: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path.startswith("/:/websockets"):
            return None
        body = known.get(path, b"<MediaContainer/>")
        headers = {"Content-Type": "text/xml", "Connection": "close", "Content-Length": str(len(body))}
        return Response(200, "OK", Headers(headers), body)

    async with serve(handle, "127.0.0.1", 0, process_request=answer, max_size=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await anyio.sleep_forever()


@asynccontextmanager
async def run_plex(kind: str) -> AsyncIterator[str]:
    command = [sys.executable, "-m", "benchmarks.huge_answers", "--serve", kind]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout
        port = ""
        while not port.endswith("\n"):
            port += (await process.stdout.receive()).decode()
        try:
            yield f"http://127.0.0.1:{port.strip()}"
        finally:
            process.kill()


class LoopWatch:
    """The longest moments in which the loop did nothing else: by the clock, and the processor time this process had then.

    The second is the loop's own work: on a machine that is busy with other things the first says little.
    """

    def __init__(self) -> None:
        self.held_ms = self.worked_ms = 0.0

    async def run(self) -> None:
        """Look every millisecond until cancelled."""
        clock, work = time.perf_counter(), time.process_time()
        while True:
            await anyio.sleep(0.001)
            passed, worked = time.perf_counter() - clock, time.process_time() - work
            self.held_ms = max(self.held_ms, passed * 1000)
            self.worked_ms = max(self.worked_ms, min(passed, worked) * 1000)
            clock, work = time.perf_counter(), time.process_time()


def build_settings(url: str, folder: Path) -> Settings:
    given = {"plex_url": url, "database": folder / "cache.sqlite3", "plex_timeout_seconds": 60, "reconcile_seconds": 5}
    return Settings.load(given).model_copy(update={"plex_token": SecretStr("bench")})


async def measure_held_loop(kind: str, folder: Path) -> str:
    """Watch the loop from the first connection on, for long enough to read everything twice."""
    watch = LoopWatch()
    async with run_plex(kind) as url, open_application(build_settings(url, folder)) as application:
        companion = application.companion
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.run)
            with anyio.fail_after(120):
                while not companion.is_live:
                    await companion.live.wait_for_commit()
            await anyio.sleep(SECONDS)
            tasks.cancel_scope.cancel()
    state = companion.state
    known = f"{len(state.sessions)} sessions, {len(state.activities)} activities, {state.history.imported} imported"
    return f"{watch.held_ms:6.0f} ms, of which it worked {watch.worked_ms:5.0f} ms; {known}; {state.connection.detail or 'no detail'}"


async def _wait_until_live(process: Process) -> None:
    assert process.stderr
    output = ""
    while not re.search("Connected to Plex|cannot|Uvicorn|listening", output):
        output += (await process.stderr.receive()).decode(errors="replace")


async def measure_shutdown(kind: str, folder: Path) -> str:
    """Return the seconds from SIGTERM during the first read to the end, and the processor time that they took."""
    slowest, worked = 0.0, 0.0
    for wait in (0.3, 0.8, 1.5, 3.0):
        async with run_plex(kind) as url:
            environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PLEX_URL": url, "PLEX_TOKEN": "bench"}
            command = [sys.executable, "-m", "plex_companion", "serve", "--transport", "http", "--port", "0"]
            async with await anyio.open_process(command, env=environment, stdout=None) as process:
                with anyio.fail_after(60):
                    await _wait_until_live(process)
                    await anyio.sleep(wait)
                    before, used = _read_children_s(), _read_used_s(process.pid)
                    process.send_signal(signal.SIGTERM)
                    began = time.perf_counter()
                    await process.wait()
                    slowest = max(slowest, time.perf_counter() - began)
                    worked = max(worked, _read_children_s() - before - used)
    return f"{slowest:.2f} s, of which it worked {worked:.2f} s"


def _read_children_s() -> float:
    """Return the processor time of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _read_used_s(pid: int) -> float:
    """Return the processor time of a running process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def main(kinds: list[str]) -> None:
    for kind in kinds or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{kind:9} the loop is held for at most {await measure_held_loop(kind, Path(folder))}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            print(f"{kind:9} SIGTERM ends it within {await measure_shutdown(kind, Path(folder))}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        anyio.run(serve_plex, sys.argv[2])
    else:
        anyio.run(main, sys.argv[1:])
