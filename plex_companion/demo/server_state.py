"""The state of a running demo server: the library, what users have watched, what is going on."""

from __future__ import annotations

import copy
import re
import uuid
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.demo import frames
from plex_companion.demo.household.model import LEVELS, TYPE_NUMBERS, DemoPlay, ViewState
from plex_companion.demo.prefs import build_default_prefs, build_section_prefs

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine, Iterator

    from anyio.abc import TaskGroup

    from plex_companion.demo.household.model import (
        DemoCollection,
        DemoItem,
        DemoPlayer,
        DemoPlaylist,
        DemoSection,
        DemoUser,
        Household,
    )
    from plex_companion.demo.page_faults import PageFault
    from plex_companion.demo.prefs import Pref
    from plex_companion.demo.sessions import DemoSession

OWNER = 1
LISTING = re.compile(r"/library/(sections/[^/]+/)?all")
"""The paths that list whole libraries."""
NO_ROWS = b"X-Plex-Container-Size=0"


@dataclass(slots=True)
class SimulatedFaults:
    """The faults that the server shows just now.

    `status` answers every call, with `body` instead of Plex's page if there is one. `cloud_status` and `cloud_body` do this
    for plex.tv. `delay` holds every answer back, in seconds. Paths that are longer than `longest_path`, with their query,
    are refused with 414. `page` is about the pages of long listings.
    """

    status: int | None = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cloud_status: int | None = None
    cloud_body: bytes | None = None
    delay: float = 0.0
    revoked: bool = False
    longest_path: int | None = None
    page: PageFault | None = None

    def take_page_fault(self, path: str) -> str:
        """Return the kind of fault that a page of a listing has; nothing if it has none."""
        if self.page is None or not LISTING.fullmatch(path) or not self.page.take():
            return ""
        return self.page.kind


@dataclass(slots=True)
class RequestLog:
    """The requests so far, newest last: (method, path with query), without tokens. Tests count and clear them."""

    log: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=20_000))
    unknown: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=1_000))
    open_listings: int = 0
    most_open_listings: int = 0
    """How many listings of whole libraries were being answered at once, at most."""

    def __len__(self) -> int:
        """Return the number of requests since the last `clear`."""
        return len(self.log)

    def count(self, start: str = "", method: str | None = None) -> int:
        """Count the requests whose path begins with `start`."""
        return sum(path.startswith(start) and method in {None, verb} for verb, path in self.log)

    @contextmanager
    def track(self, path: str, query: bytes = b"") -> Iterator[None]:
        """Count a listing as open until it is answered. A request for no rows only asks how many there are."""
        listing = bool(LISTING.fullmatch(path)) and not query.endswith(NO_ROWS)
        self.open_listings += listing
        self.most_open_listings = max(self.most_open_listings, self.open_listings)
        try:
            yield
        finally:
            self.open_listings -= listing

    def clear(self) -> None:
        """Forget the requests so far."""
        self.log.clear()
        self.unknown.clear()
        self.most_open_listings = self.open_listings


@dataclass(slots=True)
class PlayQueue:
    """A play queue; `entries` are (play queue item id, rating key)."""

    id: int
    entries: list[tuple[int, str]]
    source: str
    version: int = 1
    selected: int = 0
    shuffled: bool = False


@dataclass(slots=True)
class ManagedHub:
    """One row of the recommendations of a library. Only promoted collections can be removed again."""

    identifier: str
    title: str
    deletable: bool = False
    shown: dict[str, bool] | None = None


@dataclass(slots=True)
class DemoPin:
    """A pin of plex.tv. `token` is set once somebody has confirmed it."""

    id: int
    code: str
    client_identifier: str
    product: str
    created_at: int
    seconds: int
    token: str | None = None


@dataclass(frozen=True, slots=True)
class UploadedSubtitle:
    """A subtitle that somebody uploaded for an item."""

    id: int
    rating_key: str
    title: str
    codec: str
    language: str


class ServerState:
    """All state of one demo server. Every change empties the cache of listings."""

    tasks: TaskGroup
    """The tasks in the background. Exists while the server runs."""

    def __init__(
        self,
        household: Household,
        *,
        clock: Callable[[], float],
        rng: random.Random,
        announce: Callable[[frames.Frame], None],
    ) -> None:
        self.name, self.version = household.name, household.version
        self.machine_identifier, self.house = household.machine_identifier, household.house
        self.clock, self.rng, self.announce = clock, rng, announce
        self.url, self.port = "", 0
        """The public address, once the server listens."""
        self.speed = 1.0
        """How many household seconds pass in one of ours."""
        self.token: str | None = None
        self.faults, self.requests = SimulatedFaults(), RequestLog()
        self.listings: dict[tuple[object, ...], list[Any]] = {}
        self._fill_library(household)
        self._fill_people(household)
        self.sessions: dict[str, DemoSession] = {}
        self.activities: dict[str, frames.Entry] = {}
        self.refreshing: set[str] = set()
        self.volumes: dict[str, int] = {}
        self.play_queues: dict[int, PlayQueue] = {}
        self.prefs: dict[str, Pref] = build_default_prefs(self.name)
        self._section_prefs: dict[str, dict[str, Pref]] = {}
        self.next_session, self.next_queue, self.next_queue_item = 1, 40, 7000
        self.chosen_pictures: dict[tuple[str, str], str] = {}
        self.uploaded_pictures: dict[tuple[str, str], list[str]] = {}
        self.managed_hubs: dict[str, list[ManagedHub]] = {}
        self.chosen_streams: dict[tuple[int, int], dict[str, str]] = {}
        """The streams that a user chose for a file, by user and id of the part."""
        self.uploaded_subtitles: dict[int, UploadedSubtitle] = {}
        self.last_subtitle = 90_000_000
        self.item_prefs: dict[str, dict[str, Pref]] = {}
        self._fill_plex_tv()

    def _fill_plex_tv(self) -> None:
        self.claimed = True
        self.pins: dict[int, DemoPin] = {}
        self.account: dict[str, Any] = {
            "webhooks": [], "optOutPlayback": False, "optOutLibraryStats": False, "consent": False,
        }  # fmt: skip
        """The settings of the owner at plex.tv."""
        self.watchlists: dict[int, list[str]] = {}
        """Discover's rating keys by user id, oldest first."""
        self.unowned: list[DemoItem] = []
        """Films and shows that plex.tv knows and the household does not own."""
        self.more_servers: list[dict[str, Any]] = []
        """Other servers that plex.tv knows, as `/api/v2/resources` lists them."""

    def _fill_library(self, household: Household) -> None:
        self.sections: dict[str, DemoSection] = {section.key: section for section in household.sections}
        self.items: dict[str, DemoItem] = {
            item.key: replace(item, tags=dict(item.tags), missing=set(item.missing)) for item in household.items
        }
        self.children: dict[str, list[str]] = {}
        self.of_type: dict[tuple[str, str], list[str]] = {}
        for item in self.items.values():
            self._index(item)
        self.playlists: dict[str, DemoPlaylist] = {p.key: copy.deepcopy(p) for p in household.playlists}
        self.collections: dict[str, DemoCollection] = {c.key: copy.deepcopy(c) for c in household.collections}
        keys = (int(key) for pool in (self.items, self.playlists, self.collections) for key in pool if key.isdigit())
        self.last_key = max(keys, default=100)
        self.tag_ids: dict[tuple[str, str], int] = {}
        self.scanned_at = {key: int(self.clock()) for key in self.sections}
        self.changed_at = {key: 100_000 + int(key) if key.isdigit() else 100_000 for key in self.sections}

    def _fill_people(self, household: Household) -> None:
        self.users: dict[int, DemoUser] = {user.id: user for user in household.users}
        self.by_token = {user.token: user for user in household.users}
        self.players: dict[str, DemoPlayer] = {player.client_identifier: player for player in household.players}
        # Oldest first inside, because that is where rows are appended.
        self.history: list[DemoPlay] = sorted(household.history, key=lambda play: (play.viewed_at, play.id))
        self.views = {
            user: {key: replace(view) for key, view in seen.items()} for user, seen in household.views.items()
        }
        self.next_play = max((play.id for play in self.history), default=0) + 1

    def _index(self, item: DemoItem) -> None:
        if item.parent:
            self.children.setdefault(item.parent, []).append(item.key)
        self.of_type.setdefault((item.section, item.type), []).append(item.key)

    # -- reading

    @property
    def now(self) -> int:
        """The server's own clock, in epoch seconds."""
        return int(self.clock())

    @property
    def owner(self) -> DemoUser:
        """The owner of the server."""
        return self.users[OWNER]

    @property
    def owner_token(self) -> str:
        """The owner's token, which may have been chosen when the server was started."""
        return self.token or self.owner.token

    def new_key(self) -> str:
        """Return a rating key that was never used."""
        self.last_key += 1
        return str(self.last_key)

    def new_uuid(self) -> str:
        """Return a reproducible UUID."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def mark_changed(self, section: str | None = None) -> None:
        """Discard the cached listings and advance the section's `contentChangedAt`."""
        self.listings.clear()
        if section in self.changed_at:
            self.changed_at[section] += 1

    def get_listing(self, key: tuple[object, ...], make: Callable[[], list[Any]]) -> list[Any]:
        """Return a selected and sorted list, cached until the next change because clients read lists page by page."""
        if key not in self.listings:
            if len(self.listings) > 200:  # noqa: PLR2004  # enough for every client that pages at once
                self.listings.clear()
            self.listings[key] = make()
        return self.listings[key]

    def list_section(self, section: str, kind: str) -> list[DemoItem]:
        """Return the items of one type in a section, in the order they were added."""
        return [self.items[key] for key in self.of_type.get((section, kind), ())]

    def list_kind(self, kind: str) -> list[DemoItem]:
        """Return the items of one type in every section."""
        return [item for section in self.sections for item in self.list_section(section, kind)]

    def list_children(self, key: str) -> list[DemoItem]:
        """Return the direct children of an item."""
        return [self.items[child] for child in self.children.get(key, ())]

    def list_leaves(self, key: str) -> list[DemoItem]:
        """Return everything playable below an item, or the item itself if it is playable."""
        below = self.list_children(key)
        if not below:
            return [self.items[key]] if self.items[key].type in {"movie", "episode", "track", "photo", "clip"} else []
        return [leaf for child in below for leaf in self.list_leaves(child.key)]

    def get_view(self, user: DemoUser, key: str) -> ViewState:
        """Return how far the user is with an item; an empty view if they never played it. Do not change it."""
        return self.views.get(user.id, {}).get(key) or ViewState()

    def get_own_view(self, user: DemoUser, key: str) -> ViewState:
        """Return the user's stored view of an item, to be changed."""
        return self.views.setdefault(user.id, {}).setdefault(key, ViewState())

    def get_tag_id(self, kind: str, tag: str) -> int:
        """Return the number of a tag; a tag keeps its number."""
        return self.tag_ids.setdefault((kind, tag), 1000 + len(self.tag_ids))

    # -- writing

    def add(self, item: DemoItem) -> DemoItem:
        """Add an item to the library without announcing it."""
        self.items[item.key] = item
        self._index(item)
        self.mark_changed(item.section)
        return item

    def remove(self, key: str) -> list[DemoItem]:
        """Remove an item and everything below it, and return the removed items, innermost first."""
        gone = [item for child in list(self.children.get(key, ())) for item in self.remove(child)]
        item = self.items.pop(key)
        self.of_type[item.section, item.type].remove(key)
        self.children.pop(key, None)
        if item.parent in self.children:
            self.children[item.parent].remove(key)
        self._forget_entries(key)
        self.mark_changed(item.section)
        return [*gone, item]

    def _forget_entries(self, key: str) -> None:
        for playlist in self.playlists.values():
            playlist.entries = [entry for entry in playlist.entries if entry[1] != key]
        for collection in self.collections.values():
            collection.items = [held for held in collection.items if held != key]

    def scrobble(self, user: DemoUser, key: str) -> None:
        """Count everything playable below `key` as watched. Since 2023 Plex writes no history row for this."""
        for leaf in self.list_leaves(key):
            view = self.get_own_view(user, leaf.key)
            view.count, view.offset, view.viewed_at = view.count + 1, 0, self.now
        self.mark_changed()

    def unscrobble(self, user: DemoUser, key: str) -> None:
        """Count everything playable below `key` as unwatched."""
        for leaf in self.list_leaves(key):
            view = self.get_own_view(user, leaf.key)
            view.count, view.offset = 0, 0
        self.mark_changed()

    def rate(self, user: DemoUser, key: str, rating: float | None) -> None:
        """Store a user's rating of an item or a collection; `None` removes it."""
        view = self.get_own_view(user, key)
        view.rating, view.rated_at = rating, self.now
        self.mark_changed()

    def add_play(self, session: DemoSession) -> DemoPlay:
        """Add a history row for a play that reached its end."""
        play = DemoPlay(self.next_play, session.item.key, self.now, session.user.id, session.player.id)
        self.next_play += 1
        self.history.append(play)
        self.mark_changed()
        return play

    def change_user(self, user: DemoUser) -> DemoUser:
        """Replace the user with this id, or add them."""
        known = self.users.get(user.id)
        self.users[user.id] = user
        # The owner's token may have been chosen when the server was started.
        tokens = [token for token, holder in self.by_token.items() if holder is known] or [user.token]
        self.by_token |= dict.fromkeys(tokens, user)
        return user

    def forget_user(self, user: DemoUser) -> None:
        """Remove a user and their tokens. Their plays stay."""
        self.users.pop(user.id, None)
        self.by_token = {token: holder for token, holder in self.by_token.items() if holder.id != user.id}

    def delete_item(self, key: str) -> None:
        """Remove an item and everything below it, and announce each with state 9."""
        for item in self.remove(key):
            self.announce_timeline(item, 9, metadataState="deleted")

    # -- time

    async def wait(self, seconds: float) -> None:
        """Wait until so many household seconds have passed."""
        await anyio.sleep(seconds / self.speed)

    def run_later(self, work: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        """Run `work` in the background until it ends or the server closes."""
        self.tasks.start_soon(work, *arguments)

    # -- announcing

    def announce_timeline(self, item: DemoItem, state: int, *, title: str | None = None, **more: Any) -> None:
        """Announce one step of adding, changing or deleting an item."""
        name = self.format_timeline_title(item) if title is None else title
        self.announce(
            frames.build_timeline(item.section, item.key, TYPE_NUMBERS[item.type], name, state, self.now, **more)
        )

    def format_timeline_title(self, item: DemoItem) -> str:
        """Return the title as timelines carry it: an episode names its show."""
        season = self.items.get(item.parent or "") if item.type == "episode" else None
        show = self.items.get(season.parent or "") if season else None
        return f"{show.title} S{season.index or 0:02} E{item.index or 0:02}" if season and show else item.title

    def start_activity(
        self, kind: str, title: str, subtitle: str = "", *, user: int = 1, cancellable: bool = False
    ) -> str:
        """Start an activity, announce it and return its uuid."""
        name = self.new_uuid()
        self.activities[name] = {
            "uuid": name, "type": kind, "cancellable": cancellable, "userID": user, "title": title, "subtitle": subtitle,
            "progress": 0,
        }  # fmt: skip
        self.announce(frames.build_activity("started", dict(self.activities[name])))
        return name

    def move_activity(self, name: str, progress: int, subtitle: str | None = None, **context: Any) -> None:
        """Announce the progress of an activity. Do nothing if it has ended."""
        entry = self.activities.get(name)
        if entry is None:
            return
        entry["progress"] = progress
        if subtitle is not None:
            entry["subtitle"] = subtitle
        if context:
            entry["Context"] = {**entry.get("Context", {}), **context}
        self.announce(frames.build_activity("updated", dict(entry)))

    def end_activity(self, name: str) -> None:
        """End an activity; `ended` repeats its last context with progress 100."""
        entry = self.activities.pop(name, None)
        if entry is not None:
            self.announce(frames.build_activity("ended", {**entry, "progress": 100}))

    def get_prefs(self, section: str) -> dict[str, Pref]:
        """Return the settings of a library, to be read or changed."""
        return self._section_prefs.setdefault(section, build_section_prefs())

    def list_levels(self, section: str) -> tuple[str, ...]:
        """Return the types that a section holds, outermost first."""
        return LEVELS[self.sections[section].type]
