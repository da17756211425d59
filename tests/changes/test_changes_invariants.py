"""Whatever order things are said in, some facts hold: random but valid stories, told to the rooms and to a real file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from support.frames import START, Story, of
from support.random_stories import Teller

from plex_companion.cache.database import open_cache
from plex_companion.cache.load import load_state
from plex_companion.changes.kinds import (
    AlertOpened,
    Change,
    Journaled,
    LibraryItemChanged,
    SessionChanged,
    SessionEnded,
    SessionStarted,
)

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.changes.state import State
    from plex_companion.models import Session

pytestmark = pytest.mark.slow


def _open_plays(changes: list[Change]) -> dict[int, Session]:
    plays: dict[int, Session] = {}
    for change in changes:
        match change:
            case SessionEnded(session=session):
                plays.pop(session.play_id)
            case SessionStarted(session=session) | SessionChanged(session=session):
                plays[session.play_id] = session
            case _:
                pass
    return plays


@pytest.mark.parametrize("seed", range(40))
def test_at_most_one_play_is_open_per_key_and_those_are_the_sessions(seed: int) -> None:
    teller = Teller(seed)
    for _ in range(250):
        teller.one_more()
        open_plays = _open_plays(teller.story.changes)
        keys = Counter(session.session_key for session in open_plays.values())
        assert all(count == 1 for count in keys.values()), keys
        assert {one.session_key: one for one in open_plays.values()} == teller.story.state.sessions


@pytest.mark.parametrize("seed", range(40))
def test_no_play_ends_before_it_began_or_lasts_longer_than_the_time_that_passed(seed: int) -> None:
    teller = Teller(seed)
    began: dict[int, int] = {}
    for _ in range(400):
        for change in teller.one_more():
            match change:
                case SessionStarted(session=session):
                    assert session.play_id not in began
                    began[session.play_id] = teller.story.now.tick
                case SessionEnded(session=session, ended_at=ended_at):
                    assert ended_at >= session.started_at
                case _:
                    pass
        for session in teller.story.state.sessions.values():
            lasted = teller.story.now.tick - began.get(session.play_id, 0)
            assert 0 <= session.watched_ms + session.paused_ms <= lasted
            assert session.heard_tick <= teller.story.now.tick


@pytest.mark.parametrize("seed", range(10))
def test_ids_are_unique_and_grow(seed: int) -> None:
    teller = Teller(seed)
    for _ in range(400):
        teller.one_more()
    changes = teller.story.changes
    moved: list[int] = []
    for move in of(changes, LibraryItemChanged):
        if move.change.id not in moved:
            moved.append(move.change.id)
    for ids in (
        [row.id for row in of(changes, Journaled)],
        [start.session.play_id for start in of(changes, SessionStarted)],
        [alert.alert.id for alert in of(changes, AlertOpened)],
        moved,
    ):
        assert ids == sorted(set(ids))


@pytest.mark.parametrize("seed", range(10))
def test_no_two_open_alerts_are_about_the_same(seed: int) -> None:
    teller = Teller(seed)
    for _ in range(400):
        teller.one_more()
        opened = [*teller.story.opened, *teller.story.reopened]
        unresolved = Counter((alert.kind, alert.subject) for alert in opened if alert.resolved_at is None)
        unresolved.subtract((alert.kind, alert.subject) for alert in teller.story.resolved)
        assert {key for key, count in unresolved.items() if count} == teller.story.state.alerts.keys()
        assert set(unresolved.values()) <= {0, 1}


def _comparable(state: State) -> dict[str, object]:
    """Without what does not outlive a process: ticks, who is stale, where in the stream we are."""
    sessions = {
        key: structs.replace(one, heard_tick=0, stale=False, transcode_key=None) for key, one in state.sessions.items()
    }
    return {
        "sessions": sessions,
        "clients": state.clients,
        "timelines": state.timelines,
        "activities": state.activities,
        "recent": list(state.recent),
        "alerts": state.alerts,
        "sections": state.sections,
        "accounts": state.accounts,
        "server": state.server,
        "next": (state.ids.event, state.ids.play, state.ids.alert, state.ids.change),
    }


@pytest.mark.parametrize("batch", [1, 7, 1000])
@pytest.mark.parametrize("seed", range(4))
async def test_what_is_loaded_is_what_was_known(seed: int, batch: int, tmp_path: Path) -> None:
    teller = Teller(seed)
    reported = [teller.story.changes.copy()] + [teller.one_more() for _ in range(150)]
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        for first in range(0, len(reported), batch):
            changes = [change for one in reported[first : first + batch] for change in one]
            await cache.write(changes, "unknown" if first == 0 else "den-0001", START)
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        loaded = await load_state(cache, teller.story.now)
    assert _comparable(loaded) == _comparable(teller.story.state)
    assert loaded.connection.state == "offline"
    assert all(session.stale for session in loaded.sessions.values())


def test_a_copy_of_the_state_shares_no_table_with_the_original() -> None:
    state = Story().state
    copied = state.copy()
    tables = {name for name in state.__dataclass_fields__ if hasattr(getattr(state, name), "copy")}
    assert len(tables) > 10
    assert [name for name in tables if getattr(copied, name) is getattr(state, name)] == []
