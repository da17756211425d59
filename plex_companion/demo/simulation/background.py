"""Background activity of the server: adding an item, scanning, refreshing, and other activities."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from plex_companion.demo import frames
from plex_companion.demo.household.built_in import HouseholdBuilder, add_extra, add_movie

if TYPE_CHECKING:
    from plex_companion.demo.household.model import DemoItem
    from plex_companion.demo.server_state import ServerState

NEW_TITLES = (
    "The Tuesday Tide", "A Ladder to Sillby", "Coral & Clay", "Somebody's Umbrella ☂️", "The Quiet Auction", "夜の郵便局",
    "Seventeen Geese", "Return to Hollow Bay",
)  # fmt: skip
GUIDE = "tv.plex.providers.epg.cloud:4"


def create_movie(server: ServerState, section: str, title: str | None = None) -> tuple[DemoItem, DemoItem]:
    """Create an invented film and its trailer without adding them to a library."""
    builder = HouseholdBuilder(
        server.now, server.rng, next_key=server.last_key, next_media=9000 + server.last_key, house=server.house
    )
    movie = add_movie(builder, section, title or server.rng.choice(NEW_TITLES), days=1)
    movie.added_at = movie.updated_at = server.now
    extra = add_extra(builder, movie)
    server.last_key = builder.next_key
    return movie, extra


async def announce_added(server: ServerState, movie: DemoItem, extra: DemoItem | None = None) -> None:
    """Add an item and announce it in seven timeline entries, with those of its extra (section -1) in between."""
    server.add(movie)
    server.announce_timeline(movie, 0, title="", metadataState="created")
    await server.wait(0.5)
    server.announce_timeline(movie, 2, title="", metadataState="queued", queueSize=2)
    server.announce_timeline(movie, 3, metadataState="loading")
    await server.wait(1)
    server.announce_timeline(movie, 4, metadataState="loading", queueSize=1)
    if extra is not None:
        _announce_extra(server, movie, extra)
    server.announce_timeline(movie, 5)
    await server.wait(2)
    server.announce_timeline(movie, 5, mediaState="analyzing")
    server.announce_timeline(movie, 5, mediaState="thumbnailing")


def _announce_extra(server: ServerState, movie: DemoItem, extra: DemoItem) -> None:
    server.items[extra.key] = extra
    server.announce_timeline(extra, 0, title="", metadataState="created")
    server.announce_timeline(extra, 3, title="", metadataState="loading")
    server.announce_timeline(extra, 5, title=f"{movie.title}: Trailer")


def announce_guide_entries(server: ServerState, count: int = 3) -> None:
    """Announce entries of the programme guide: they carry an identifier of their own and are not about the library."""
    for number in range(count):
        state = 9 if number % 2 else 5
        server.announce(frames.build_timeline("2", str(700 + number), 4, "", state, server.now, identifier=GUIDE))


def start_scan(server: ServerState, section: str, *, force: bool = False, path: str = "", files: int = 0) -> None:
    """Start a scan in the background. Do nothing if the section is being scanned already."""
    if section not in server.refreshing:
        server.refreshing.add(section)
        server.run_later(partial(run_scan, server, section, files=files or (1 if path else 0), force=force))


async def run_scan(server: ServerState, section: str, *, files: int = 0, force: bool = False) -> None:
    """Scan a section: two status frames around an activity with one update per file.

    The scan ends early when the section is removed from `refreshing`.
    """
    if section not in server.sections:
        return
    title, items = server.sections[section].title, server.list_section(section, server.list_levels(section)[0])
    names = [item.title for item in items][: files or 6] or [title]
    total = files or len(names)
    activity = begin_scan(server, section)
    for number in range(total):
        if section not in server.refreshing:
            break
        # Progress text and `librarySectionID` as context: shape from hand-written tests (unverified).
        server.move_activity(activity, number * 100 // total, names[number % len(names)], librarySectionID=section)
        await server.wait(4 / total)
    if force:
        for item in items:
            server.announce_timeline(item, 5)
    end_scan(server, section, activity)


def begin_scan(server: ServerState, section: str) -> str:
    """Announce that a scan begins and return the uuid of its activity."""
    title = server.sections[section].title
    server.announce(frames.build_status(f'Scanning the "{title}" section'))
    return server.start_activity("library.update.section", f"Scanning {title}", cancellable=True)


def end_scan(server: ServerState, section: str, activity: str) -> None:
    """End the activity of a scan and announce that the scan is complete."""
    server.end_activity(activity)
    server.scanned_at[section] = server.now
    server.refreshing.discard(section)
    server.announce(frames.build_status("Library scan complete"))


def start_refresh(server: ServerState, key: str) -> None:
    """Start a `library.refresh.items` activity for an item in the background."""
    server.run_later(run_refresh, server, key)


async def run_refresh(server: ServerState, key: str) -> None:
    """Run a `library.refresh.items` activity: started, three updates, ended, with a context that grows."""
    path = f"/library/metadata/{key}"
    activity = server.start_activity("library.refresh.items", "Refreshing")
    server.move_activity(activity, 0, "Checking files", key=path)
    await server.wait(0.3)
    server.move_activity(activity, 33, "Refreshing local metadata", accessible=True, exists=True)
    server.move_activity(activity, 66, "Refreshing media analysis", refreshed=False)
    await server.wait(0.3)
    if activity in server.activities:
        server.activities[activity]["Context"]["analyzed"] = False
    server.end_activity(activity)


def start_activity(server: ServerState, kind: str, title: str) -> None:
    """Start any activity in the background; it ends by itself."""
    server.run_later(run_activity, server, kind, title)


async def run_activity(server: ServerState, kind: str, title: str) -> None:
    """Run an activity that starts, gets half-way and ends."""
    activity = server.start_activity(kind, title)
    await server.wait(1)
    server.move_activity(activity, 50)
    await server.wait(1)
    server.end_activity(activity)
