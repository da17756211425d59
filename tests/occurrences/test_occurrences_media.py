"""Media that is added, upgraded and removed: recorded once, in groups that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.frames import DEN, Story
from support.occurrences import OccurrenceStory, list_names, list_occurrences

from plex_companion.events import CataloguePage
from plex_companion.models import CatalogueItem, MediaFile, MediaType, Section

if TYPE_CHECKING:
    from plex_companion.changes.kinds import Change

FILMS, SHOWS = Section("1", "Films", "movie"), Section("2", "Shows", "show")
MOVIE, SHOW, SEASON, EPISODE = MediaType.MOVIE, MediaType.SHOW, MediaType.SEASON, MediaType.EPISODE
ABOVE = {"parentItemID": "801", "rootItemID": "800"}


@pytest.fixture
def story() -> OccurrenceStory:
    story = OccurrenceStory()
    story.look(sections=(FILMS, SHOWS))
    return story


def step(story: Story, item: str, state: int, kind: MediaType = MOVIE, title: str = "", **more: Any) -> list[Change]:
    section = "1" if kind is MOVIE else "2"
    entry = {"sectionID": section, "itemID": item, "type": int(kind), "state": state, "title": title, **more}
    return story.say("timeline", entry)


def create(story: Story, item: str, kind: MediaType = MOVIE, title: str = "", **more: Any) -> None:
    step(story, item, 0, kind, metadataState="created", **more)
    step(story.after(1), item, 5, kind, title or f"Film {item}")


def wait(story: Story, seconds: int) -> list[Change]:
    """Time passes, and something looks every five seconds."""
    return [change for _ in range(seconds // 5) for change in story.after(5).tick()]


def test_a_film_is_recorded_ten_seconds_after_it_is_ready(story: OccurrenceStory) -> None:
    create(story, "7001")
    assert list_names(wait(story, 5)) == []
    (added,) = list_occurrences(wait(story, 10))
    data = added["data"]
    assert (added["type"], data["library"], data["type"], data["count"]) == ("media.added", "Films", "movie", 1)
    assert (data["title"], data["items"][0]["rating_key"], data["caught_up"]) == ("Film 7001", "7001", [])
    assert list_names(wait(story, 300)) == []


def test_different_films_are_different_occurrences(story: OccurrenceStory) -> None:
    create(story, "7001")
    create(story, "7002")
    assert list_names(wait(story, 60)) == ["media.added", "media.added"]


def test_a_season_that_arrives_at_once_is_one_occurrence_with_its_episodes(story: OccurrenceStory) -> None:
    step(story, "800", 0, SHOW, metadataState="created")
    step(story, "801", 0, SEASON, metadataState="created", **ABOVE | {"parentItemID": "800"})
    for number in range(1, 7):
        create(story, f"81{number}", EPISODE, f"Harbour Street S01 E0{number}", **ABOVE)
    step(story, "801", 5, SEASON, "Season 1")
    step(story, "800", 5, SHOW, "Harbour Street")
    (added,) = list_occurrences(wait(story, 60))
    data = added["data"]
    assert (data["type"], data["title"], data["count"]) == ("season", "Harbour Street - Season 1", 6)
    assert [(item["show"], item["season"], item["index"]) for item in data["items"]] == [
        ("Harbour Street", 1, number) for number in range(1, 7)
    ]


def test_an_item_that_is_never_ready_is_recorded_after_two_minutes_and_not_again(story: OccurrenceStory) -> None:
    step(story, "7001", 0, metadataState="created", title="Slow")
    assert list_names(wait(story, 115)) == []
    assert list_names(wait(story, 10)) == ["media.added"]
    step(story, "7001", 5, title="Slow")
    assert list_names(wait(story, 300)) == []


def test_what_the_catalogue_reads_meanwhile_is_recorded(story: OccurrenceStory) -> None:
    create(story, "7001")
    file = MediaFile("1", size_bytes=9_000_000_000, resolution="4k")
    item = CatalogueItem("7001", "1", "movie", "The Lamp", guid="plex://movie/1", year=2020, files=(file,))
    story.receive(CataloguePage(1, DEN.machine_identifier, (item,)))
    (added,) = list_occurrences(wait(story, 60))
    (recorded,) = added["data"]["items"]
    assert (recorded["title"], recorded["year"], recorded["resolution"], recorded["size_bytes"]) == (
        "The Lamp",
        2020,
        "4k",
        9_000_000_000,
    )
    assert (added["data"]["resolution"], added["data"]["size_bytes"]) == ("4k", 9_000_000_000)


def test_an_analysis_of_a_new_item_is_no_upgrade_and_of_an_old_one_it_is(story: OccurrenceStory) -> None:
    create(story, "7001")
    wait(story, 60)
    step(story, "7001", 5, title="Film 7001", mediaState="analyzing")
    step(story, "7001", 5, title="Film 7001")
    assert list_names(wait(story, 60)) == []
    for _ in range(3):
        step(story, "6001", 5, title="Old", mediaState="analyzing")
    step(story, "6001", 5, title="Old")
    assert list_names(wait(story, 60)) == ["media.upgraded"]


def test_a_refresh_of_metadata_is_no_news(story: OccurrenceStory) -> None:
    step(story, "6001", 5, title="Old", metadataState="loading")
    step(story, "6001", 5, title="Old")
    assert list_names(wait(story, 60)) == []


def test_what_is_removed_is_recorded_once_however_often_it_is_reported(story: OccurrenceStory) -> None:
    step(story, "6001", 9, title="Old", metadataState="deleted")
    step(story.after(1), "6001", 9, title="Old", metadataState="deleted")
    (removed,) = list_occurrences(wait(story, 60))
    assert (removed["type"], removed["data"]["title"]) == ("media.removed", "Old")
    step(story, "6001", 9, title="Old", metadataState="deleted")
    assert list_names(wait(story, 60)) == []


def test_what_is_gone_before_it_was_recorded_was_never_there(story: OccurrenceStory) -> None:
    create(story, "7001")
    step(story.after(1), "7001", 9, title="Film 7001", metadataState="deleted")
    assert list_names(wait(story, 300)) == []


def test_a_creation_that_is_reported_again_is_recorded_once(story: OccurrenceStory) -> None:
    create(story, "7001")
    wait(story, 60)
    create(story, "7001")
    assert list_names(wait(story, 300)) == []


def test_a_show_that_is_removed_as_a_whole_is_recorded_by_its_episodes(story: OccurrenceStory) -> None:
    for number in (1, 2):
        step(story, f"81{number}", 9, EPISODE, f"Harbour Street S01 E0{number}", metadataState="deleted")
    step(story, "801", 9, SEASON, "Season 1", metadataState="deleted")
    step(story, "800", 9, SHOW, "Harbour Street", metadataState="deleted")
    (removed,) = list_occurrences(wait(story, 60))
    assert (removed["data"]["type"], removed["data"]["count"]) == ("season", 2)


def test_a_show_that_is_removed_without_a_word_of_its_episodes_is_recorded_itself(story: OccurrenceStory) -> None:
    step(story, "800", 9, SHOW, "Harbour Street", metadataState="deleted")
    (removed,) = list_occurrences(wait(story, 60))
    assert (removed["data"]["type"], removed["data"]["title"]) == ("show", "Harbour Street")


@pytest.mark.parametrize("kind", [MediaType.COLLECTION, MediaType.PLAYLIST, MediaType.PERSON, MediaType.TRAILER])
def test_what_is_no_media_is_not_recorded(story: OccurrenceStory, kind: MediaType) -> None:
    create(story, "9001", kind, "Something")
    assert list_names(wait(story, 300)) == []


def test_a_storm_of_a_thousand_episodes_is_an_occurrence_per_season(story: OccurrenceStory) -> None:
    for number in range(1_000):
        season = str(number // 100)
        create(
            story,
            f"1{number:04}",
            EPISODE,
            f"Long S{season} E{number % 100}",
            parentItemID=f"8{season}",
            rootItemID="8",
        )
        if number % 5 == 0:
            story.tick()
    found = list_occurrences([*story.changes, *wait(story, 300)])
    added = [one for one in found if one["type"] == "media.added"]
    items = [item["rating_key"] for one in added for item in one["data"]["items"]]
    assert len(items) == len(set(items)) == 1_000
    assert {one["data"]["type"] for one in added} == {"season"}


def test_another_server_takes_no_media_with_it(story: OccurrenceStory) -> None:
    create(story, "7001")
    story.connect(server=type(DEN)("cabin-0002", "Cabin", "1.43.3"))
    assert list_names(wait(story, 300)) == []


def test_what_only_the_catalogue_found_is_inferred_and_recorded_once(story: OccurrenceStory) -> None:
    at = story.now.at - 60_000
    found = [CatalogueItem(str(7000 + number), "1", "movie", f"Film {number}", added_at=at) for number in (1, 2, 3)]
    keys = frozenset(item.rating_key for item in found)
    create(story, "7002")
    for number in (1, 2):
        story.receive(CataloguePage(number, DEN.machine_identifier, tuple(found), unannounced=keys))
    added = list_occurrences(wait(story, 60))
    recorded = {one["data"]["items"][0]["rating_key"]: one["inferred"] for one in added}
    assert len(added) == 3
    assert recorded == {"7001": True, "7002": False, "7003": True}
    story.receive(CataloguePage(3, DEN.machine_identifier, tuple(found), unannounced=keys))
    create(story, "7001")
    assert list_names(wait(story, 60)) == []
