"""A machine of `benchmarks.chronicle_load`, without Plex and clients. It leads where it is opened, or replays in a process of its own.

`python -m benchmarks.chronicle_machine DATABASE DSN` replays, and answers every line of input with what it has used.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc
from anyio import to_thread
from anyio.streams.buffered import BufferedByteReceiveStream

from benchmarks.figures import subtract_fields
from benchmarks.links import LINKS, name_links
from benchmarks.programs import ROOT, build_environment
from plex_companion.cache.connections import run_read
from plex_companion.cache.database import Cache, open_cache
from plex_companion.cache.leadership import TouchedUris
from plex_companion.cache.link_rows import plan_link_update, read_links
from plex_companion.cache.load import load_states
from plex_companion.cache.replication.transaction import Transaction
from plex_companion.chronicle.open_chronicle import build_connection
from plex_companion.chronicle.timeouts import DEFAULT_CHRONICLE_TIMEOUTS
from plex_companion.companion import read_clock
from plex_companion.ingest.leader import LeaderRecord
from plex_companion.ingest.live import Live
from plex_companion.ingest.loop import ingest
from plex_companion.ingest.queue import QUEUE_LIMIT, EventQueues
from plex_companion.processes.chronicle_member import ChronicleMember
from plex_companion.processes.follower import Follower
from plex_companion.resources.registry import find_touched_of_links
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

GROUP = "load"
HOURS = 24
_TCP_COUNTS = struct.Struct("=QQII")
_TCP_COUNTS_AT = 120
"""Where `tcp_info` has `tcpi_bytes_acked`, `tcpi_bytes_received`, `tcpi_segs_out` and `tcpi_segs_in` (linux/tcp.h)."""


@dataclass(frozen=True)
class MachineUsage:
    """What a machine has used until now."""

    number: int = 0
    """The last entry that it has."""
    cpu: float = 0.0
    """Seconds of its process, with all threads."""
    sent: int = 0
    """Bytes to PostgreSQL, as the kernel counts them."""
    received: int = 0
    segments_sent: int = 0
    segments_received: int = 0

    def since(self, before: MachineUsage) -> MachineUsage:
        """Return what was used since then."""
        return subtract_fields(self, before)


@dataclass
class LoadMachine:
    """A database with a hundred links, and its part in a chronicle if there is one."""

    cache: Cache
    live: Live
    queues: EventQueues
    member: ChronicleMember | None

    def read_usage(self) -> MachineUsage:
        """Return what this process has used until now."""
        number, counts = 0, (0, 0, 0, 0)
        if self.member and (session := self.member.connection.session):
            number = self.member.connection.status.number
            with socket.socket(fileno=os.dup(session._connection.fileno())) as wire:  # noqa: SLF001 - psycopg's socket
                counts = _TCP_COUNTS.unpack_from(
                    wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), _TCP_COUNTS_AT
                )
        return MachineUsage(number, time.process_time(), *counts)

    async def lead(self, tasks: anyio.abc.TaskGroup, announce: Callable[[], None]) -> None:
        """Begin the chronicle, if there is one, and write what comes into the queues in a task of its own."""
        if self.member:
            await self.member.replay()
            tasks.start_soon(self.member.hold)
        now, names = read_clock(), tuple(self.live.states)
        update = plan_link_update(names, await run_read(self.cache.reader, read_links))
        await self.cache.commit(Transaction(now.at, lambda: [update.build_call(now.at)]))
        self.live.publish(await load_states(self.cache, names, now))
        self.live.now = now.at
        record = LeaderRecord(os.getpid(), find_touched_of_links)
        tasks.start_soon(
            lambda: ingest(self.queues, self.live, self.cache, lambda *_: announce(), leader_record=record)
        )


@asynccontextmanager
async def open_machine(path: Path, dsn: str | None) -> AsyncIterator[LoadMachine]:
    """Open a machine with a new database."""
    names = name_links(LINKS)
    async with open_cache(path) as cache:
        states = await load_states(cache, names, read_clock())
        live = Live(states[names[0]], links=names)
        queues = EventQueues(names, QUEUE_LIMIT, live.counters)
        member = None
        if dsn:
            follower = Follower(live, cache, queues, lambda _: None, TouchedUris, read_clock, DAY_MS)
            connection = build_connection(dsn, GROUP, DEFAULT_CHRONICLE_TIMEOUTS)
            member = ChronicleMember(connection, cache, live, follower, queues, read_clock, os.getpid(), HOURS)
        yield LoadMachine(cache, live, queues, member)
        if member:
            await member.step_down()


@dataclass
class ReplayProcess:
    """A machine that replays, in a process of its own."""

    requests: anyio.abc.ByteSendStream
    answers: BufferedByteReceiveStream

    async def read_usage(self) -> MachineUsage:
        """Ask it what it has used until now."""
        await self.requests.send(b"usage\n")
        return MachineUsage(**json.loads(await self.answers.receive_until(b"\n", 1_000)))


@asynccontextmanager
async def run_replay(folder: Path, name: str, dsn: str) -> AsyncIterator[ReplayProcess]:
    """Run a machine that replays until the block ends."""
    command = [sys.executable, "-m", "benchmarks.chronicle_machine", str(folder / f"{name}.sqlite3"), dsn]
    environment = build_environment(folder)
    async with await anyio.open_process(
        command, stdin=subprocess.PIPE, stderr=None, cwd=ROOT, env=environment
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield ReplayProcess(process.stdin, BufferedByteReceiveStream(process.stdout))
        finally:
            await process.stdin.aclose()


async def replay(path: Path, dsn: str) -> None:
    """Replay until the input ends."""
    async with open_machine(path, dsn) as machine, anyio.create_task_group() as tasks:
        assert machine.member
        tasks.start_soon(machine.member.replay)
        while await to_thread.run_sync(sys.stdin.readline):
            print(json.dumps(asdict(machine.read_usage())), flush=True)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(partial(replay, Path(sys.argv[1]), sys.argv[2]))
