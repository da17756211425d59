"""A story told by dice: sessions that mostly just go on, with everything that may come between."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from plex_companion.changes.alerts.rules import Thresholds
from plex_companion.events import Connecting, Disconnected, ReceivedEvent, Snapshot, Tick
from plex_companion.models import Moment, Transcode
from plex_companion.parsing.websocket_frames import parse_frame
from support.frames import DEN, START, frame, listed, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.events import Event
    from plex_companion.models import SessionRow

KEYS = ("1", "2", "3")
CLIENTS = {"1": "lamp", "2": "stove", "3": "den"}
STRICT = Thresholds(buffering_count=2, slow_ms=3_000, streams=1, streams_grace_ms=2_000, paused_ms=8_000)


class Evening:
    """Random reports of a few sessions that mostly just go on, with everything that may come between."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - a story, not a secret
        self.now = Moment(START, 50_000_000)
        self.epoch = 1
        self.states = dict.fromkeys(KEYS, "playing")
        self.offsets = dict.fromkeys(KEYS, 0)
        self.items = dict.fromkeys(KEYS, "7001")
        self.jobs: dict[str, str | None] = {"1": None, "2": "job2", "3": "job3"}

    def tell(self, count: int) -> list[ReceivedEvent]:
        """Return so many things, received one after another, or at the same time."""
        told = [self._receive(self._look(first=True))]
        while len(told) < count:
            passed = self.dice.choice((0, 0, 0, 1, 20, 500, 1_000, 1_000, 10_000, 61_000))
            self.now = Moment(self.now.at + passed, self.now.tick + passed)
            if self.dice.random() < 0.03:  # the listener may date an event a little back
                self.now = Moment(self.now.at, self.now.tick - 1)
            told += [self._receive(event) for event in self._say(passed)]
        return told

    def _receive(self, event: Event) -> ReceivedEvent:
        return ReceivedEvent(event, self.now)

    def _say(self, passed: int) -> Sequence[Event]:
        dice, key = self.dice, self.dice.choice(KEYS)
        chance = dice.random()
        if chance < 0.75:
            if self.states[key] == "playing":
                self.offsets[key] += dice.choice((0, passed, 1_000, 1_000, -500))
            return self._report(key)
        if chance < 0.85:
            return self._change(key)
        if chance < 0.95 and self.jobs[key]:
            speed, height = dice.choice((0.5, 2.0, 2.1)), dice.choice((1080, 1080, 1080, 720))
            job = {"key": f"/transcode/sessions/{self.jobs[key]}", "videoDecision": "transcode", "speed": speed}
            kind = dice.choice(("update", "update", "update", "update", "start", "end"))
            return parse_frame(frame(f"transcodeSession.{kind}", {**job, "height": height}))
        return self._rare(key)

    def _report(self, key: str) -> Sequence[Event]:
        entry = report(key, self.states[key], item=self.items[key], client=CLIENTS[key])
        job = {"transcodeSession": self.jobs[key]} if self.jobs[key] else {}
        return parse_frame(frame("playing", {**entry, "viewOffset": self.offsets[key], **job}))

    def _change(self, key: str) -> Sequence[Event]:
        match self.dice.randrange(6):
            case 0 | 1 | 2:
                self.states[key] = self.dice.choice(("playing", "paused", "paused", "buffering", "error"))
            case 3:
                self.offsets[key] = max(0, self.offsets[key] + self.dice.choice((-60_000, 60_000, 6_000)))
            case 4:
                self.items[key] = self.dice.choice(("7001", "7002"))
            case _:
                self.jobs[key] = self.dice.choice((None, f"job{key}", "shared"))
        return self._report(key)

    def _rare(self, key: str) -> Sequence[Event]:
        match self.dice.randrange(7):
            case 0:
                return parse_frame(frame("playing", report(key, "stopped", item=self.items[key], client=CLIENTS[key])))
            case 1:
                return parse_frame(frame("playing", report(None, "stopped", item="", client=CLIENTS[key])))
            case 2:
                return [Disconnected("reset"), Connecting(), self._look(first=True)]
            case 3:
                step = {"sectionID": "1", "itemID": self.items[key], "type": 1, "state": self.dice.choice((0, 5))}
                return parse_frame(frame("timeline", step))
            case 4:
                return [Tick()]
            case _:
                return [self._look(first=False)]

    def _look(self, *, first: bool) -> Snapshot:
        self.epoch += first
        rows = [self._list(key) for key in KEYS if self.dice.random() < 0.95]
        return Snapshot(self.epoch, first=first, requested=self.now, server=DEN, sessions=tuple(rows), activities=())

    def _list(self, key: str) -> SessionRow:
        job = self.jobs[key]
        transcode = Transcode(job, "transcode", speed=2.0, height=1080) if job else None
        more: dict[str, Any] = {"transcode": transcode, "video_resolution": "4k" if key == "3" else "1080"}
        return listed(key, item=self.items[key], client=CLIENTS[key], **more)
