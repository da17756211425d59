"""Queues the digest once a week. Only the process that listens does."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from msgspec.json import encode

from plex_companion.cache.database import StorageError
from plex_companion.cache.queries.read import read_last_digest
from plex_companion.digests.message import read_digest_message
from plex_companion.events import DigestBuilt, ReceivedEvent
from plex_companion.times import DAY_MS, Window

if TYPE_CHECKING:
    from plex_companion.companion import Companion

WEEK_MS = 7 * DAY_MS
LONGEST_WAIT_SECONDS = 60.0
"""The longest time between two looks at the clock, which may jump."""


async def send_digests(companion: Companion) -> None:
    """Queue the digest whenever it is due, forever. One that was due while nothing ran is queued late, once."""
    settings, began_at = companion.settings, companion.now_ms
    schedule = settings.read_digest_schedule()
    while True:
        now = companion.now_ms
        due_at = schedule.find_last(now, companion.zone)
        with suppress(StorageError):  # the next look will succeed or wait again
            if due_at > (await read_last_digest(companion.cache) or began_at):
                message = await read_digest_message(companion, Window(now - WEEK_MS, now))
                await _queue(companion, DigestBuilt(due_at, settings.digest, encode(message).decode()))
        await anyio.sleep(min(LONGEST_WAIT_SECONDS, (schedule.find_next(now, companion.zone) - now) / 1000))


async def _queue(companion: Companion, built: DigestBuilt) -> None:
    """Queue a digest, and wait until it is written: a second look before would find it due again."""
    await companion.event_queue.put([ReceivedEvent(built, companion.clock())])
    while True:
        committed = companion.live.prepare_wait()
        with suppress(StorageError):
            if await read_last_digest(companion.cache) == built.digest_at:
                return
        await committed.wait()
