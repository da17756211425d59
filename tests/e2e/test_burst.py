"""Ten thousand frames at once."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest
from support.application import MODERN, home, known, subscribed
from support.deadlines import HANG_SECONDS

from plex_companion.app import open_companion

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.cache.leadership import TouchedUris

FRAMES = 10_000
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]  # Plex, companion and client share one process here


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def test_after_a_burst_the_final_state_is_right_and_memory_stayed_flat(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        session = it.demo.start()
        await it.until(lambda: it.sessions and it.sessions[session.key].listed)
        async with subscribed(f"{it.url}/mcp", MODERN, "plex://sessions") as (client, updates):
            await it.demo.burst(FRAMES, session)  # the first one settles what the machine will ever need
            await it.until(lambda: it.sessions[session.key].view_offset_ms == session.offset, HANG_SECONDS)
            before = _megabytes()
            await it.demo.burst(FRAMES, session)
            it.demo.pause(session)
            await it.until(lambda: it.sessions[session.key].state == "paused", HANG_SECONDS)
            found = await known(
                client, "plex://sessions", lambda found: found["sessions"][0]["state"] == "paused", updates
            )
            assert found["sessions"][0]["view_offset_ms"] == session.offset
            assert _megabytes() - before < 20
            counters = it.application.companion.read_counters()
            assert counters["malformed"] == 0
            assert counters["events"]["playing"] + counters["collapsed"] >= 2 * FRAMES


async def test_every_changed_uri_is_announced_after_its_last_change(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        settings = it.application.companion.settings.model_copy(update={"database": tmp_path / "second.sqlite3"})
        last: dict[str, int | None] = {}

        def announce(found: TouchedUris) -> None:
            state = companion_of[0].state if companion_of else None
            playing = state.sessions.get(key) if state else None
            last.update(
                dict.fromkeys(found.immediate | found.progress_only, playing.view_offset_ms if playing else None)
            )

        session = it.demo.start()
        key = session.key
        companion_of = []
        async with open_companion(settings, announce) as companion:
            companion_of.append(companion)
            while not companion.is_live:
                await companion.live.wait_for_commit()
            await it.demo.burst(FRAMES, session)
            while companion.state.sessions[key].view_offset_ms != session.offset:
                await companion.live.wait_for_commit()
        assert last["plex://sessions"] == session.offset
        assert last[f"plex://sessions/{key}"] == session.offset
        assert last["plex://events"] == session.offset
        assert last["plex://clients"] == session.offset
