"""The load of the measurements: many sessions, in frames as Plex sends them."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from plex_companion.demo import build_household, frames
from plex_companion.demo.playback import build_transcode_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plex_companion.demo import Demo, Household
    from plex_companion.demo.household.model import DemoPlayer
    from plex_companion.demo.sessions import DemoSession


def build_household_with_players(players: int) -> Household:
    """Build the built-in household with so many players."""
    household = build_household(now=time.time())
    pattern = household.players[0]
    more = range(len(household.players), players)
    household.players = [*household.players, *(_copy_player(pattern, number) for number in more)][:players]
    return household


def _copy_player(pattern: DemoPlayer, number: int) -> DemoPlayer:
    return replace(pattern, id=1000 + number, client_identifier=f"bench-{number:04d}", title=f"Player {number}")


def start_sessions(demo: Demo, count: int) -> list[DemoSession]:
    """Start sessions until there are `count`; every fourth is transcoded."""
    playing = list(demo.sessions.values())
    movies = demo.state.list_section("1", "movie")
    for number in range(len(playing), count):
        item, user = movies[number % len(movies)], number % len(demo.state.users)
        playing.append(demo.start(item, user=user, player=number, transcode=number % 4 == 3))
    return playing


def generate_progress(demo: Demo, sessions: Sequence[DemoSession]) -> Iterator[str]:
    """Yield reports of the sessions in turn, forever. The demo moves its sessions too, so snapshots agree with the reports."""
    for session in itertools.cycle(sessions):
        session.offset = (session.offset + 1000) % 5_000_000
        yield str(frames.build_playing(session.build_entry()).payload)
        if session.transcode:
            yield str(frames.build_transcode("update", build_transcode_entry(demo.state, session)).payload)


def build_mixed_frames(demo: Demo, sessions: Sequence[DemoSession], count: int) -> list[str]:
    """Build the frames of a busy evening: progress, a pause or resume in fifty frames, a library entry in twenty."""
    moving = generate_progress(demo, sessions)
    return [_build_frame(demo, sessions, moving, number) for number in range(count)]


def _build_frame(demo: Demo, sessions: Sequence[DemoSession], moving: Iterator[str], number: int) -> str:
    if number % 50 == 25:
        session = sessions[number // 50 % len(sessions)]
        session.state = "paused" if session.state == "playing" else "playing"
        return str(frames.build_playing(session.build_entry()).payload)
    if number % 20 == 10:
        item, state = demo.get_movie(number // 40 % 20), 5 if number % 40 == 30 else 0
        entry = frames.build_timeline("1", item.key, 1, item.title, state, int(time.time()), metadataState="created")
        return str(entry.payload)
    return next(moving)


def build_last_frame(session: DemoSession, state: str) -> str:
    """Build the last frame of a burst. Its mark is for the bare listener; Plex's own frames have none."""
    session.state = state
    session.offset += 1
    frame = json.loads(frames.build_playing(session.build_entry()).payload)
    frame["NotificationContainer"]["last"] = True
    return frames.encode(frame)
