"""What Plex and plex.tv told lately, kept for minutes so that tools need not fetch again."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from plex_companion.errors import PlexError
from plex_companion.plex.xml import views
from plex_companion.plex.xml.answer import collect_damage

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer

T = TypeVar("T")
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    value: Any
    until: float
    version: object


class TtlCache:
    """Answers with an age limit, by name. Tools run in several threads, so each name is asked by one at a time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._entries: dict[object, _CacheEntry] = {}
        self._locks: dict[object, threading.Lock] = {}
        self._guard = threading.Lock()
        self._notes: dict[object, Any] = {}

    def get_or_fetch(self, name: object, seconds: float, fetch: Callable[[], T], version: object = None) -> T:
        """What `fetch` told within the last `seconds` of this `version`; else it is asked, and its answer kept."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            known = self._entries.get(name)
            if known is None or known.until <= self._now() or known.version != version:
                with collect_damage() as damage:
                    known = _CacheEntry(fetch(), self._now() + seconds, version)
                self._drop_old()
                if damage:  # whoever asks next is to be told as well
                    self._entries.pop(name, None)
                else:
                    self._entries[name] = known
        return cast("T", known.value)

    def _drop_old(self) -> None:
        """Some answers are large: those too old to be given again need not wait for their own next question."""
        for name, known in tuple(self._entries.items()):
            if known.until <= self._now():
                self._entries.pop(name, None)

    def forget(self, name: object) -> None:
        """Ask anew next time."""
        self._entries.pop(name, None)

    def clear(self) -> None:
        """Forget everything: the connection was lost, or another user's rights changed."""
        self._entries.clear()

    def remember(self, name: object, value: object) -> None:
        """Keep something for as long as this process runs."""
        self._notes[name] = value

    def recall(self, name: object) -> Any:
        """What was noted, or `None`."""
        return self._notes.get(name)

    def take_number(self, name: object) -> int:
        """1, 2, 3 … for each name."""
        with self._guard:
            number = int(self._notes.get(name, 0)) + 1
            self._notes[name] = number
        return number

    def list_sections(self, plex: PlexServer) -> tuple[Section, ...]:
        """Every library, without counts; kept for a minute."""
        return self.get_or_fetch("sections", MINUTE, lambda: _fetch_sections(plex))


def _fetch_sections(plex: PlexServer) -> tuple[Section, ...]:
    found = plex.query("/library/sections")
    if found is None or found.tag != "MediaContainer":  # nothing, or a page, must not pass for "no libraries"
        raise PlexError("GET /library/sections: an answer that is not a list. Does PLEX_URL name a Plex Media Server?")
    return tuple(section for section in map(views.parse_section, found.iter("Directory")) if section is not None)
