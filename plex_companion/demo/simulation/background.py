"""What the server does by itself: the steps of an added item, a scan, a refresh, an activity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.demo import frames
from plex_companion.demo.household.built_in import HouseholdBuilder, add_extra, add_movie

if TYPE_CHECKING:
    from plex_companion.demo.demo_server import Demo
    from plex_companion.demo.household.model import DemoItem

NEW_TITLES = (
    "The Tuesday Tide", "A Ladder to Sillby", "Coral & Clay", "Somebody's Umbrella ☂️", "The Quiet Auction", "夜の郵便局",
    "Seventeen Geese", "Return to Hollow Bay",
)  # fmt: skip


def create_movie(demo: Demo, section: str, title: str | None = None) -> tuple[DemoItem, DemoItem]:
    """An invented film with its trailer, in no library yet."""
    house = demo.state
    build = HouseholdBuilder(house.now, house.rng, next_key=house.last_key, next_media=9000 + house.last_key)
    movie = add_movie(build, section, title or house.rng.choice(NEW_TITLES), days=1)
    movie.added_at = movie.updated_at = house.now
    extra = add_extra(build, movie)
    house.last_key = build.next_key
    return movie, extra


async def announce_added(demo: Demo, movie: DemoItem, extra: DemoItem | None = None) -> None:
    """An item's way into the library: seven entries for itself, its extra under section -1 in between."""
    house = demo.state
    house.add(movie)
    house.announce_timeline(movie, 0, title="", metadataState="created")
    await demo.wait(0.5)
    house.announce_timeline(movie, 2, title="", metadataState="queued", queueSize=2)
    house.announce_timeline(movie, 3, metadataState="loading")
    await demo.wait(1)
    house.announce_timeline(movie, 4, metadataState="loading", queueSize=1)
    if extra is not None:
        await _announce_extra(demo, movie, extra)
    house.announce_timeline(movie, 5)
    await demo.wait(2)
    house.announce_timeline(movie, 5, mediaState="analyzing")
    house.announce_timeline(movie, 5, mediaState="thumbnailing")


async def _announce_extra(demo: Demo, movie: DemoItem, extra: DemoItem) -> None:
    demo.state.items[extra.key] = extra
    demo.state.announce_timeline(extra, 0, title="", metadataState="created")
    demo.state.announce_timeline(extra, 3, title="", metadataState="loading")
    demo.state.announce_timeline(extra, 5, title=f"{movie.title}: Trailer")


def send_guide_noise(demo: Demo, count: int = 3) -> None:
    """Entries of the programme guide, with an identifier of its own: not the library's business."""
    for number in range(count):
        demo.state.announce(
            frames.build_timeline("2", str(700 + number), 4, "", 9 if number % 2 else 5, demo.state.now,
                            identifier="tv.plex.providers.epg.cloud:4")
        )  # fmt: skip


async def run_scan(demo: Demo, section: str, *, files: int = 0, force: bool = False) -> None:
    """A scan: two status frames around an activity with one update per file. Cancelled when the section stops refreshing."""
    house = demo.state
    if section not in house.sections:
        return
    title, items = house.sections[section].title, house.list_section(section, house.list_levels(section)[0])
    names = [item.title for item in items][: files or 6] or [title]
    total = files or len(names)
    activity = begin_scan(demo, section)
    for number in range(total):
        if section not in house.refreshing:
            break
        # Progress text and `librarySectionID` as context: shape from hand-written tests (unverified).
        house.move_activity(activity, number * 100 // total, names[number % len(names)], librarySectionID=section)
        await demo.wait(4 / total)
    if force:
        for item in items:
            house.announce_timeline(item, 5)
    end_scan(demo, section, activity)


def begin_scan(demo: Demo, section: str) -> str:
    """A scan begins; its activity's uuid."""
    title = demo.state.sections[section].title
    demo.state.announce(frames.build_status(f'Scanning the "{title}" section'))
    return demo.state.start_activity("library.update.section", f"Scanning {title}", cancellable=True)


def end_scan(demo: Demo, section: str, activity: str) -> None:
    """A scan has ended."""
    house = demo.state
    house.end_activity(activity)
    house.scanned_at[section] = house.now
    house.refreshing.discard(section)
    house.announce(frames.build_status("Library scan complete"))


async def run_refresh(demo: Demo, key: str) -> None:
    """`library.refresh.items`: started, three updates, ended, with a context that grows."""
    house = demo.state
    path = f"/library/metadata/{key}"
    activity = house.start_activity("library.refresh.items", "Refreshing")
    house.move_activity(activity, 0, "Checking files", key=path)
    await demo.wait(0.3)
    house.move_activity(activity, 33, "Refreshing local metadata", accessible=True, exists=True)
    house.move_activity(activity, 66, "Refreshing media analysis", refreshed=False)
    await demo.wait(0.3)
    if activity in house.activities:
        house.activities[activity]["Context"]["analyzed"] = False
    house.end_activity(activity)


async def run_activity(demo: Demo, kind: str, title: str) -> None:
    """An activity that starts, gets half-way, ends."""
    activity = demo.state.start_activity(kind, title)
    await demo.wait(1)
    demo.state.move_activity(activity, 50)
    await demo.wait(1)
    demo.state.end_activity(activity)
