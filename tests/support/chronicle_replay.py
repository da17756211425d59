"""Applies pickled entries to a database, in a process of its own: `python -m support.chronicle_replay DATABASE ENTRIES`."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import anyio

from plex_companion.cache.database import open_cache
from plex_companion.cache.replication.replay import Replay
from support.chronicle_leader import MemoryLog


async def run(database: Path, entries: Path) -> None:
    log = MemoryLog(pickle.loads(entries.read_bytes()))  # noqa: ASYNC240, S301 - a test of ours wrote it
    async with open_cache(database) as cache:
        await Replay(1).apply(cache, log.list_after(0, cache.schema))


if __name__ == "__main__":
    anyio.run(run, Path(sys.argv[1]), Path(sys.argv[2]))
