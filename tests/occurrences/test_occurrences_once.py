"""Whatever happens in whatever order, over restarts and takeovers: each occurrence is written once, in order."""

from __future__ import annotations

import random
import tempfile
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.random_scripts import Machine, write_script

from plex_companion.cache.connections import run_read
from plex_companion.cache.database import open_cache
from plex_companion.models import Moment
from plex_companion.occurrences.reading import read_occurrences

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.events import ReceivedEvent


async def play(events: list[ReceivedEvent], dice: random.Random, folder: Path) -> tuple[list[Any], list[Any]]:
    """Apply a script with restarts in between; return the occurrences and the plays that were written."""
    async with open_cache(folder / "cache.sqlite3", backups=0) as cache:
        machine, shift = Machine(cache), 0
        while events:
            size = dice.choice((1, 1, 3, 20))
            batch, events = events[:size], events[size:]
            batch = [one._replace(moment=replace(one.moment, tick=one.moment.tick + shift)) for one in batch]
            restarts = dice.random() < 0.1
            await machine.handle(batch, killed=restarts and dice.random() < 0.5)
            if restarts:
                shift += dice.randrange(-10_000, 10_000_000)
                await machine.replace(Moment(batch[-1].moment.at, batch[-1].moment.tick + shift))
        found = (await read_occurrences(cache, None, limit=100_000)).occurrences
        return found, await run_read(cache.reader, select_plays)


def select_plays(connection: sqlite3.Connection) -> list[Any]:
    sql = "SELECT id, ended_at, ended_by FROM plays WHERE ended_by IS NOT 'imported'"
    return [tuple(row) for row in connection.execute(sql)]


def check_plays(found: list[dict[str, Any]], plays: list[Any]) -> None:
    """Every play starts first and once, pauses in turn, is watched once at most, and stops last and once."""
    recorded: dict[str, list[str]] = defaultdict(list)
    for one in found:
        if one["type"].startswith("play."):
            recorded[one["data"]["play_id"]].append(one["type"])
    for play_id, ended_at, _ in plays:
        names = recorded.pop(str(play_id), [])
        counts = Counter(names)
        assert counts["play.started"] == 1 if ended_at or names else not names
        assert counts["play.stopped"] == (ended_at is not None)
        assert counts["play.watched"] <= 1
        turns = [name for name in names if name in {"play.started", "play.paused", "play.resumed"}]
        assert turns[:1] == names[:1]
        assert all(one != other for one, other in pairwise(turns))
        assert "play.resumed" not in turns[:2]
        assert (
            not [name for name in names[names.index("play.stopped") + 1 :] if name != "play.watched"]
            if ended_at
            else True
        )
    assert all(names == ["play.watched"] for names in recorded.values())  # plays that Plex alone knows


def check_rest(found: list[dict[str, Any]]) -> None:
    """Ids grow, the connection is lost and restored in turn, and media comes and goes in turn."""
    ids = [int(one["cursor"].partition("-")[2]) for one in found]
    assert ids == [*range(1, len(ids) + 1)]
    turns = [one["type"] for one in found if one["type"].startswith("connection.")]
    assert turns == [("connection.lost", "connection.restored")[place % 2] for place in range(len(turns))]
    media: dict[str, list[str]] = defaultdict(list)
    for one in found:
        for item in one["data"].get("items", ()):
            if one["type"] != "media.upgraded":
                media[item["rating_key"]].append(one["type"])
    assert all(one != other for names in media.values() for one, other in pairwise(names))
    counted = [one["data"]["play_id"] for one in found if one["type"] == "play.watched"]
    assert len(counted) == len(set(counted))


@pytest.mark.slow
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 120))
def test_over_restarts_takeovers_and_repeated_frames_each_occurrence_is_written_once_and_in_order(
    seed: int, steps: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dice = random.Random(seed)  # noqa: S311 - a story, not a secret
        found, plays = anyio.run(play, write_script(seed, steps), dice, Path(folder))
    check_plays(found, plays)
    check_rest(found)
