"""Recent answers of Plex and plex.tv, kept for minutes so that tools need not ask again."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from plex_companion.errors import PlexError
from plex_companion.plex.call import CURRENT_CALL
from plex_companion.plex.xml import views
from plex_companion.plex.xml.answer import collect_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    """Answers with an age limit, by name. Tools run in several threads, so each name is fetched by one thread at a time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._entries: dict[object, _CacheEntry] = {}
        self._locks: dict[object, threading.Lock] = {}
        self._guard = threading.Lock()
        self._notes: dict[object, Any] = {}

    def get_or_fetch(self, name: object, seconds: float, fetch: Callable[[], T], version: object = None) -> T:
        """Return the answer of this name and `version` that is younger than `seconds`; otherwise fetch and keep it.

        An answer with damage is not kept, so that the next caller learns of the damage too.
        """
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with _hold(lock):
            known = self._entries.get(name)
            if known is None or known.until <= self._now() or known.version != version:
                with collect_damage() as damage:
                    known = _CacheEntry(fetch(), self._now() + seconds, version)
                self._drop_old()
                if damage:
                    self._entries.pop(name, None)
                else:
                    self._entries[name] = known
        return cast("T", known.value)

    def _drop_old(self) -> None:
        """Drop expired answers. Some are large, and may never be requested again."""
        for name, known in tuple(self._entries.items()):
            if known.until <= self._now():
                self._entries.pop(name, None)

    def forget(self, name: object) -> None:
        """Drop the answer of this name, so that the next call fetches it."""
        self._entries.pop(name, None)

    def clear(self) -> None:
        """Drop every answer: the connection was lost, or a user's rights changed."""
        self._entries.clear()

    def remember(self, name: object, value: object) -> None:
        """Keep a value for as long as this process runs."""
        self._notes[name] = value

    def recall(self, name: object) -> Any:
        """Return the value that was remembered under this name, or `None`."""
        return self._notes.get(name)

    def take_number(self, name: object) -> int:
        """Return the next number of this name, from 1 on."""
        with self._guard:
            number = int(self._notes.get(name, 0)) + 1
            self._notes[name] = number
        return number

    def list_sections(self, plex: PlexServer) -> tuple[Section, ...]:
        """Return every library, without counts; kept for a minute."""
        return self.get_or_fetch("sections", MINUTE, lambda: _fetch_sections(plex))


@contextmanager
def _hold(lock: threading.Lock) -> Iterator[None]:
    """Hold a lock. While another call has it, this one does not work: the other may need the slot to finish."""
    if not lock.acquire(blocking=False):
        call = CURRENT_CALL.get()
        if call is not None:
            call.pause_work()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch_sections(plex: PlexServer) -> tuple[Section, ...]:
    found = plex.query("/library/sections")
    if found is None or found.tag != "MediaContainer":  # an empty answer or a web page must not pass for "no libraries"
        raise PlexError("GET /library/sections: an answer that is not a list. Does PLEX_URL name a Plex Media Server?")
    return tuple(section for section in map(views.parse_section, found.iter("Directory")) if section is not None)
