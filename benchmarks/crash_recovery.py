"""`python -m benchmarks.crash_recovery [POINTS]`: kill -9 at random points while writing; the database must stay consistent.

A process ingests an invented household (about 1,000 events a second), prunes, checkpoints and makes
backups all the while, and prints each event before it hands it over. It is killed after a random time and started again
on the same file. Afterwards the file must pass SQLite's check, roll-ups and the title index must equal a recount, plays
must match the journal, and the next process must close what was left open.
"""

from __future__ import annotations

import itertools
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.database import open_cache
from plex_companion.cache.load import load_state
from plex_companion.cache.maintenance import MaintenancePlan, maintain
from plex_companion.events import Connecting, Event, ReceivedEvent, Snapshot
from plex_companion.ingest.live import Live
from plex_companion.ingest.loop import ingest
from plex_companion.ingest.queue import EventQueues
from plex_companion.ingest.retention import Retention
from plex_companion.models import Moment, ServerIdentity
from plex_companion.parsing.websocket_frames import parse_frame
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.changes.kinds import Effect
    from plex_companion.events import StorageReport

ROOT = Path(__file__).resolve().parent.parent
SERVER = ServerIdentity("den-0001", "Den", "1.43.3")
EVERY_SECONDS = 0.001
PROMISED_MS = 25
EVENTS_PER_PLAY = 10
"""Events from the start of a play to the start of the next; the last of them ends it."""


@dataclass(frozen=True, slots=True)
class KillResult:
    """One kill: the age of the oldest lost event in milliseconds, the number of lost events, and the last written event."""

    lost_ms: float
    lost: int
    rows: int


# The process that is killed


def read_clock() -> Moment:
    return Moment(time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000)


def generate_events(first: int) -> Iterator[Event]:
    """Yield the events of plays that begin and end in turn. Session keys are numbers of plays."""
    number = 0
    while True:
        key, step = first + number // EVENTS_PER_PLAY, number % EVENTS_PER_PLAY
        entry = {
            "sessionKey": str(key),
            "clientIdentifier": f"client-{key % 5}",
            "ratingKey": str(7000 + key % 100),
            "key": f"/library/metadata/{7000 + key % 100}",
            "state": "stopped" if step == EVENTS_PER_PLAY - 1 else "playing",
            "viewOffset": step * 1000,
        }
        frame = {"type": "playing", "size": 1, "PlaySessionStateNotification": [entry]}
        yield from parse_frame(json.dumps({"NotificationContainer": frame}))
        number += 1


async def ingest_until_killed(path: Path) -> None:
    """Ingest until the process is killed."""

    def announce(_: Mapping[str, Sequence[Effect]], __: TouchedUris) -> None:
        pass

    async def tell(_: StorageReport) -> None:
        await anyio.lowlevel.checkpoint()

    async with open_cache(path) as cache, anyio.create_task_group() as tasks:
        known = Live(await load_state(cache, read_clock()))
        first = known.state.next_play
        queues = EventQueues(known.states, 4_096, known.counters)
        queue = queues.first
        tasks.start_soon(ingest, queues, known, cache, announce, Retention(events_rows=2_000))
        days = itertools.count()  # a backup at every look
        tasks.start_soon(
            maintain, cache, MaintenancePlan(every_seconds=0.2), lambda: read_clock().at + next(days) * DAY_MS, tell
        )
        epoch = known.state.connection.epoch + 1
        snapshot = Snapshot(epoch, first=True, requested=read_clock(), server=SERVER, sessions=(), activities=())
        await queue.put([ReceivedEvent(Connecting(), read_clock()), ReceivedEvent(snapshot, read_clock())])
        while known.state.connection.state != "live":
            await known.wait_for_commit()
        print_line(f"began {known.state.next_event} {first}")
        for number, event in enumerate(generate_events(first), known.state.next_event):
            print_line(f"{number} {time.monotonic()}")
            await queue.put([ReceivedEvent(event, read_clock())])
            await anyio.sleep(EVERY_SECONDS)


def print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


# The process that kills


def kill_after(path: Path, seconds: float) -> KillResult:
    """Kill the process so many seconds after its first event and check its database."""
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "benchmarks.crash_recovery", "live", str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        began, number, first = process.stdout.readline().split()
        assert began == "began"
        time.sleep(seconds)
        killed = time.monotonic()
        process.send_signal(signal.SIGKILL)
        said = [line.split() for line in process.stdout.read().splitlines()]
    sent = {int(line[0]): float(line[1]) for line in said if len(line) == 2}
    last = check_database(path, int(number), int(first))
    lost = {at for number, at in sent.items() if number > last}
    return KillResult(max((killed - at) * 1000 for at in lost) if lost else 0.0, len(lost), last)


ESTIMATES = "coalesce(sum(watched_ms) FILTER (WHERE ended_by = 'imported'), 0)"
SUMS = f"count(*), count(watched_ms), coalesce(sum(watched_ms), 0), {ESTIMATES} FROM plays"
NAMES = "coalesce(user_id, '=' || user_name, ''), coalesce(library_id, '=' || library, ''), coalesce(platform, '')"
PAIRS = (
    (f"SELECT started_at / 900000, server, {SUMS} GROUP BY 1, 2", "SELECT * FROM play_quarters WHERE plays > 0"),
    (
        f"SELECT started_at / 86400000, server, {NAMES}, {SUMS} GROUP BY 1, 2, 3, 4, 5",
        "SELECT * FROM play_days WHERE plays > 0",
    ),
)

OCCURRED = """
    SELECT CAST(json_extract(data, '$.play_id') AS INTEGER) AS play FROM occurrences WHERE type = :type AND play >= :first
    ORDER BY id
"""


def check_database(path: Path, began: int, first: int) -> int:
    """Check that all tables of the file agree, and return the last event that was written."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        db.execute("INSERT INTO play_titles (play_titles, rank) VALUES ('integrity-check', 1)")
        for recount, kept in PAIRS:
            assert sorted(db.execute(recount)) == sorted(db.execute(kept)), kept
        ids = [row[0] for row in db.execute("SELECT id FROM events ORDER BY id")]
        assert ids == list(range(ids[0], ids[-1] + 1)), "the journal has no holes"
        events = max(0, ids[-1] - began + 1)
        plays = db.execute("SELECT session_key, ended_by FROM plays WHERE id >= ? ORDER BY id", (first,)).fetchall()
        expected: list[tuple[str, str | None]] = [(str(first + n), "stopped") for n in range(events // EVENTS_PER_PLAY)]
        expected += [(str(first + events // EVENTS_PER_PLAY), None)] if events % EVENTS_PER_PLAY else []
        assert plays == expected, "plays match the journal"
        for name in ("play.started", "play.stopped"):
            happened = [row[0] for row in db.execute(OCCURRED, {"type": name, "first": first})]
            ended = [
                row[0] for row in db.execute("SELECT id FROM plays WHERE id >= ? AND ended_at IS NOT NULL", (first,))
            ]
            assert happened == ended, f"every play that ended has one {name}"
        before = "SELECT count(*) FROM plays WHERE id < ? AND ended_at IS NULL"
        assert db.execute(before, (first,)).fetchone() == (0,), "what was left open was closed by the next process"
    return int(ids[-1])


def main(points: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.sqlite3"
        found = [kill_after(path, chance.uniform(0.0, 0.4)) for _ in range(points)]
        aside = [file.name for file in Path(folder).iterdir() if "corrupt" in file.name]
    assert not aside, aside
    lost = sorted(point.lost_ms for point in found)
    print(
        f"killed {points} times in {time.monotonic() - began:.0f} s (seed {seed}); every file whole, every table agrees"
    )
    print(f"events written {found[-1].rows}, lost at most {max(point.lost for point in found)} at once")
    median, most = lost[len(lost) // 2], lost[-1]
    within = sum(ms <= PROMISED_MS for ms in lost)
    print(
        f"window of loss: median {median:.1f} ms, at most {most:.1f} ms, {within} of {points} within {PROMISED_MS} ms"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["live"]:
        anyio.run(ingest_until_killed, Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, int(sys.argv[2]) if len(sys.argv) > 2 else 20)
