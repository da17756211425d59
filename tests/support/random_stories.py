"""Random but valid stories: one thing after another that Plex may say."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.models import Account, Activity, Section, Transcode
from support.frames import Story, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.changes.kinds import Change
    from plex_companion.models import SessionRow

KEYS = ("1", "2", "3", "4")
ITEMS = ("7001", "7002", "7003")
CLIENTS = ("lamp", "stove", None)
STATES = ("playing", "playing", "playing", "paused", "buffering", "error", "stopped", "stopped")
FILMS = Section("1", "Films", "movie", count=3, locations=("/films",))


class Teller:
    """Says one random thing after another, all of them things Plex says."""

    def __init__(self, seed: int, story: Story | None = None) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - a story, not a secret
        self.story = story or Story(connected=False)
        self.story.connect(sections=(FILMS,), accounts=(Account("1", "Ada"),))

    def one_more(self) -> list[Change]:
        """Something happens."""
        dice, story = self.dice, self.story
        story.after(dice.choice((0, 0.2, 1, 10, 10, 70, 400)))
        if dice.random() < 0.02:
            story.clock_jumps(dice.choice((-86_400, 86_400)))
        reported: tuple[Callable[[], list[Change]], ...] = (
            self._plays,
            self._jobs,
            self._library,
            self._looks,
            self._rare,
        )
        return dice.choices(reported, (8, 2, 2, 3, 1))[0]()

    def _plays(self) -> list[Change]:
        dice = self.dice
        key = None if dice.random() < 0.05 else dice.choice(KEYS)
        item = "" if dice.random() < 0.05 else dice.choice(ITEMS)
        state, at = dice.choice(STATES), dice.randrange(0, 7200)
        client, job = dice.choice(CLIENTS), dice.choice((None, None, "job1", "job2"))
        return self.story.plays(key, state, at=at, item=item, client=client, transcodeSession=job)

    def _jobs(self) -> list[Change]:
        phase = self.dice.choice(("start", "update", "update", "end"))
        job = {"key": f"/transcode/sessions/job{self.dice.choice('12')}", "videoDecision": "transcode"}
        return self.story.say(f"transcodeSession.{phase}", {**job, "speed": self.dice.choice((0.5, 2.0))})

    def _library(self) -> list[Change]:
        dice = self.dice
        if dice.random() < 0.5:
            inner = {"type": "library.update.section", "Context": {"librarySectionID": "1"}}
            phase = dice.choice(("started", "updated", "ended"))
            return self.story.say("activity", {"event": phase, "uuid": dice.choice("ab"), "Activity": inner})
        step = {"sectionID": "1", "itemID": dice.choice(ITEMS), "type": 1, "state": dice.choice((0, 3, 5, 9))}
        return self.story.say("timeline", step)

    def _rows(self) -> list[SessionRow]:
        dice = self.dice
        rows = [
            listed(dice.choice(KEYS), at=dice.randrange(7200), item=dice.choice(ITEMS))
            for _ in range(dice.randrange(4))
        ]
        if dice.random() < 0.3:
            rows = [replace(row, transcode=Transcode("job1", "transcode", speed=0.5)) for row in rows]
        return rows

    def _looks(self) -> list[Change]:
        rows, ago = self._rows(), self.dice.choice((0, 0, 5))
        if self.dice.random() < 0.1:
            return self.story.look(sessions=None, asked_ago=ago)
        running = tuple(Activity(uuid, "library.update.section") for uuid in self.dice.choice(("", "a", "ab")))
        return self.story.look(*rows, asked_ago=ago, activities=running)

    def _rare(self) -> list[Change]:
        story = self.story
        if self.dice.random() < 0.4:
            return story.tick()
        lost = story.lose(self.dice.choice(("reset", "closed")))
        story.after(self.dice.choice((1, 60, 900)))
        return [*lost, *story.connect(*self._rows(), sessions_readable=self.dice.random() < 0.8)]
