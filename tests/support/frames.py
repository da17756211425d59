"""Stories for the pure rooms: what Plex says, moment by moment, and what comes of it. Everything in them is invented."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self, TypeVar

from msgspec.structs import replace

from plex_companion.changes.alerts.rules import Thresholds
from plex_companion.changes.derive import changes_for
from plex_companion.changes.kinds import (
    AlertOpened,
    AlertReopened,
    AlertResolved,
    Change,
    PlayEventRecorded,
    RefreshRequest,
    SessionEnded,
)
from plex_companion.changes.state import State, advance
from plex_companion.events import Connecting, Disconnected, Snapshot, Tick
from plex_companion.models import Alert, Connection, Item, Moment, Player, ServerIdentity, SessionRow, User
from plex_companion.parsing.websocket_frames import parse_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.events import Event
    from plex_companion.models import Session

K = TypeVar("K", bound=Change)

START = 1_795_370_400_000
DEN = ServerIdentity("den-0001", "Den", "1.43.3", "Linux", "6.1")
LISTS = {
    "playing": "PlaySessionStateNotification",
    "timeline": "TimelineEntry",
    "activity": "ActivityNotification",
    "status": "StatusNotification",
    "reachability": "ReachabilityNotification",
    "update.statechange": "AutoUpdateNotification",
    "progress": "ProgressNotification",
    "preference": "Setting",
    "account": "AccountUpdateNotification",
    "log": "LogSentNotification",
    "transcodeSession.start": "TranscodeSession",
    "transcodeSession.update": "TranscodeSession",
    "transcodeSession.end": "TranscodeSession",
}


def frame(kind: str, *entries: object) -> str:
    """A frame as Plex sends it."""
    listed = LISTS.get(kind, "InventedNotification")
    return json.dumps({"NotificationContainer": {"type": kind, "size": len(entries), listed: list(entries)}})


def report(session_key: str | None = "1", state: str = "playing", at: int = 0, **more: object) -> dict[str, Any]:
    """An entry of a `playing` frame; `at` is the position in seconds, `item` and `client` say what and where."""
    item, client = str(more.pop("item", "7001")), more.pop("client", "lamp")
    entry: dict[str, Any] = {
        "sessionKey": session_key,
        "clientIdentifier": client,
        "guid": "",
        "ratingKey": item,
        "url": "",
        "key": f"/library/metadata/{item}" if item else "",
        "viewOffset": at * 1000,
        "state": state,
        **more,
    }
    return {name: value for name, value in entry.items() if value is not None}


def listed(key: str | None = "1", state: str = "playing", at: int = 0, **more: Any) -> SessionRow:
    """An entry of `/status/sessions`."""
    item, client = str(more.pop("item", "7001")), more.pop("client", "lamp")
    row = SessionRow(
        session_key=key,
        session_id=f"id-{key}",
        item=Item(item, f"/library/metadata/{item}", type="movie", title=f"Film {item}", duration_ms=7_200_000),
        user=User("1", "Ada"),
        player=Player(client, title="Lamp", product="Plex Web", address="127.0.0.1", local=True),
        state=state,
        view_offset_ms=at * 1000,
        transcode=None,
        decision="direct play",
        bandwidth_kbps=4000,
        location="lan",
    )
    return replace(row, **more)


class Story:
    """A state, a clock, and every change there was."""

    def __init__(self, *, connected: bool = True, thresholds: Thresholds | None = None) -> None:
        self.state = State(Connection("offline", START))
        self.now = Moment(START, 50_000_000)
        self.thresholds = thresholds or Thresholds()
        self.changes: list[Change] = []
        self.requests: set[str] = set()
        """What must be read from Plex after the latest frame or event."""
        self.epoch = 0
        if connected:
            self.connect()

    def after(self, seconds: float) -> Self:
        """Both clocks go on."""
        passed = int(seconds * 1000)
        self.now = Moment(self.now.at + passed, self.now.tick + passed)
        return self

    def clock_jumps(self, seconds: int) -> Self:
        """Somebody sets the wall clock."""
        self.now = replace(self.now, at=self.now.at + seconds * 1000)
        return self

    def receive(self, *events: Event) -> list[Change]:
        """Apply events at one moment; returns the changes they mean."""
        found: list[Change] = []
        self.requests = set()
        for event in events:
            effects = changes_for(event, self.state, self.now, self.thresholds)
            changes = [effect for effect in effects if not isinstance(effect, RefreshRequest)]
            self.requests |= {effect.what for effect in effects if isinstance(effect, RefreshRequest)}
            for change in changes:
                advance(self.state, change)
            found += changes
        self.changes += found
        return found

    def say(self, kind: str, *entries: object) -> list[Change]:
        """Apply a frame that Plex sends."""
        return self.receive(*parse_frame(frame(kind, *entries)))

    def plays(self, session_key: str | None = "1", state: str = "playing", at: int = 0, **more: object) -> list[Change]:
        """A client reports."""
        return self.say("playing", report(session_key, state, at, **more))

    def connect(self, *rows: SessionRow, sessions_readable: bool = True, **parts: Any) -> list[Change]:
        """A new connection, and its first snapshot."""
        self.epoch += 1
        self.receive(Connecting())
        parts = {"server": DEN, "activities": (), **parts}
        sessions = rows if sessions_readable else None
        return self.receive(Snapshot(self.epoch, first=True, requested=self.now, sessions=sessions, **parts))

    def look(self, *rows: SessionRow, asked_ago: float = 0, epoch: int | None = None, **parts: Any) -> list[Change]:
        """A later snapshot, read since `asked_ago` seconds."""
        ago = int(asked_ago * 1000)
        requested = Moment(self.now.at - ago, self.now.tick - ago)
        parts = {"sessions": rows, **parts}
        return self.receive(Snapshot(epoch or self.epoch, first=False, requested=requested, **parts))

    def lose(self, detail: str = "connection reset", *, unauthorized: bool = False) -> list[Change]:
        """The connection is gone."""
        return self.receive(Disconnected(detail, unauthorized))

    def tick(self) -> list[Change]:
        """Time has passed, and somebody looks."""
        return self.receive(Tick())

    def session(self, key: str = "1") -> Session:
        """The session of that key, which must be there."""
        return self.state.sessions[key]

    @property
    def ended(self) -> list[SessionEnded]:
        """Every end there was, in order."""
        return of(self.changes, SessionEnded)

    @property
    def opened(self) -> list[Alert]:
        """Every alert there was, in order."""
        return [change.alert for change in of(self.changes, AlertOpened)]

    @property
    def reopened(self) -> list[Alert]:
        """Every alert that was opened again, in order."""
        return [change.alert for change in of(self.changes, AlertReopened)]

    @property
    def play_timeline(self) -> list[tuple[str, dict[str, Any]]]:
        """What became of all plays: the turns they took and their details, corrected ones as they were corrected."""
        marks = {mark.mark_id: mark for mark in of(self.changes, PlayEventRecorded)}
        return [(mark.kind, dict(mark.detail)) for mark in marks.values()]

    @property
    def resolved(self) -> list[Alert]:
        """Every alert that ended, in order."""
        return [change.alert for change in of(self.changes, AlertResolved)]

    def alerts(self, kind: str) -> list[Alert]:
        """The alerts of a kind that were opened."""
        return [alert for alert in self.opened if alert.kind == kind]


def of(changes: Sequence[Change], kind: type[K]) -> list[K]:
    """The changes of a kind."""
    return [change for change in changes if isinstance(change, kind)]
