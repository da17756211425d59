"""An evening of a household in the demo: marks in the journal, plays that begin and end, and a person at a remote control."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

PEOPLE = 24
MARKS_PER_SECOND = 100
PLAY_SECONDS = (4.0, 8.0)
"""Longer than a takeover, so that no play begins and ends while no process listens."""
PRESS_SECONDS = 0.25


@dataclass
class Play:
    """A play. Every session key is used once."""

    session: DemoSession
    ends: float
    reported: float = 0.0


@dataclass(kw_only=True)
class SimulatedEvening:
    """What was sent so far. Times are those of the monotonic clock."""

    demo: Demo
    watched_session: DemoSession
    marks_per_second: float = MARKS_PER_SECOND
    marks: dict[int, float] = field(default_factory=dict)
    playing: list[Play] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    presses: list[float] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(21))  # noqa: S311 - the same evening each time
    over: bool = False

    async def simulate_evening(self) -> None:
        """Send marks and start, move and end plays, until `over`."""
        began, sent = time.monotonic(), 0
        while not self.over:
            now = time.monotonic()
            for number in range(sent, int((now - began) * self.marks_per_second)):
                self._mark(number)
                sent = number + 1
            for play in list(self.playing):
                self._go_on(play, now)
            self._start_some(now)
            await anyio.sleep(0.005)
        for play in self.playing:
            self.demo.stop(play.session)
            self.played.append(play.session.key)

    def _mark(self, number: int) -> None:
        said = {"type": "progress", "size": 1, "ProgressNotification": [{"message": f"mark {number}"}]}
        self.demo.send_raw(json.dumps({"NotificationContainer": said}))
        self.marks[number] = time.monotonic()

    def _go_on(self, play: Play, now: float) -> None:
        if now >= play.ends:
            self.demo.stop(play.session)
            self.playing.remove(play)
            self.played.append(play.session.key)
        elif now - play.reported >= 1:
            self.demo.move(play.session, 1)
            play.reported = now

    def _start_some(self, now: float) -> None:
        taken = {play.session.player.client_identifier for play in self.playing}
        for number in range(1, PEOPLE):
            free = self.demo.get_player(number).client_identifier not in taken
            if free and self.chance.random() < 0.02:
                movie = self.demo.get_movie(self.chance.randrange(20))
                session = self.demo.start(movie, player=number, user=number % len(self.demo.state.users))
                self.playing.append(Play(session, now + self.chance.uniform(*PLAY_SECONDS), now))

    async def press_buttons(self) -> None:
        """Pause and resume the watched session until `over`."""
        while not self.over:
            self.presses.append(time.monotonic())
            if self.watched_session.state == "playing":
                self.demo.pause(self.watched_session)
            else:
                self.demo.resume(self.watched_session)
            await anyio.sleep(PRESS_SECONDS * self.chance.uniform(0.8, 1.2))
