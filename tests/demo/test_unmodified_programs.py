"""What programs written for python-plexapi by others do every day, on the demo server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from plexapi.exceptions import NotFound
from plexapi.playqueue import PlayQueue
from support.demo_clients import asked

from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow


LEVELS = {
    "Films": ("movie",),
    "Series": ("show", "season", "episode"),
    "Music": ("artist", "album", "track"),
    "Photos": ("photo", "photoalbum"),
}
SOME = {"integer": 5, "date": "30d", "string": "a", "boolean": True}
SIGNS = {"=": "", "!=": "!", "==": "=", "!==": "!=", "<=": "<", ">=": ">"}


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with open_demo(alive=False) as opened:
        yield opened


def _keys(items: Any) -> list[int]:
    return [item.ratingKey for item in items]


async def test_a_play_queue_grows_moves_and_shrinks(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films").all()
        queue = PlayQueue.create(plex, films[:3], startItem=films[1])
        assert queue.selectedItem.ratingKey == films[1].ratingKey
        queue.addItem(films[4])
        queue.addItem(films[5], playNext=True)
        expected = [films[n].ratingKey for n in (0, 1, 5, 2, 4)]
        assert _keys(queue.items) == expected
        queue.moveItem(queue.items[4], after=queue.items[0])
        queue.removeItem(queue.items[3])
        assert _keys(queue.items) == [films[n].ratingKey for n in (0, 4, 1, 2)]
        assert queue.selectedItem.ratingKey == films[1].ratingKey
        assert _keys(PlayQueue.get(plex, queue.playQueueID).items) == _keys(queue.items)
        queue.clear()
        assert queue.items == []

    await asked(demo, work)


async def test_every_field_that_can_be_edited_stays_and_is_locked(demo: Demo) -> None:
    def work(plex: Any) -> None:
        film = plex.library.section("Films").all()[2]
        film.editTitle("A").editSortTitle("B").editOriginalTitle("C").editTagline("D").editSummary("E").editStudio("F")
        film.editContentRating("R").editOriginallyAvailable("2001-02-03").editAddedAt("2020-01-02").editUserRating(7.5)
        film.addGenre(["G1", "G2"]).addDirector("D1").addWriter("W1").addCountry("C1").addProducer("P1").addLabel("L1")
        film.removeGenre("G1").lockPoster()
        film.reload()
        texts = ("title", "titleSort", "originalTitle", "tagline", "summary", "studio", "contentRating")
        assert [getattr(film, name) for name in texts] == ["A", "B", "C", "D", "E", "F", "R"]
        assert (film.originallyAvailableAt.year, film.addedAt.year, film.userRating) == (2001, 2020, 7.5)
        assert "G2" in [tag.tag for tag in film.genres]
        assert "G1" not in [tag.tag for tag in film.genres]
        assert all(film.isLocked(name) for name in (*texts, "originallyAvailableAt", "thumb"))
        assert not film.editTitle("Z", locked=False).reload().isLocked("title")

    await asked(demo, work)


async def test_many_items_are_edited_at_once_and_a_field_of_all_can_be_locked(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        some = films.all()[:3]
        films.batchMultiEdits(some).editContentRating("PG-13").addLabel("several").saveMultiEdits()
        assert {film.reload().contentRating for film in some} == {"PG-13"}
        films.lockAllField("title")
        assert all(film.reload().isLocked("title") for film in films.all()[:5])

    await asked(demo, work)


async def test_an_item_tagged_with_a_new_collection_makes_it(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        film = films.all()[6]
        film.addCollection("Made by a tag")
        collection = films.collection("Made by a tag")
        assert _keys(collection.items()) == [film.ratingKey]
        assert collection.visibility().title == "Made by a tag"

    await asked(demo, work)


@pytest.mark.parametrize("section", LEVELS)
async def test_everything_a_section_offers_to_sort_and_filter_by_can_be_used(demo: Demo, section: str) -> None:
    def work(plex: Any) -> None:
        library = plex.library.section(section)
        for kind in LEVELS[section]:
            for sort in library.listSorts(kind):
                library.search(libtype=kind, sort=f"{sort.key}:desc", maxresults=2)
            for name, value in _filters(library, kind):
                library.search(libtype=kind, filters={name: value}, maxresults=2)

    await asked(demo, work)


def _filters(library: Any, kind: str) -> Iterator[tuple[str, Any]]:
    listed = {one.filter for one in library.listFilters(kind)}
    for field in library.listFields(kind):
        name = field.key.rpartition(".")[2]
        choices = library.listFilterChoices(name, kind) if name in listed and field.type != "boolean" else ()
        value = choices[0].title if choices else SOME.get(field.type)
        if value is not None:
            signs = [one.key for one in library.listOperators(field.type)]
            yield from ((name + SIGNS.get(sign, sign[:-1]), value) for sign in (signs[0], signs[-1]))


async def test_filters_find_what_they_say(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        genre = films.listFilterChoices("genre")[0].title
        found = films.search(filters={"and": [{"or": [{"genre": genre}, {"year>>": 2000}]}, {"unwatched": True}]})
        assert found
        assert all(film.year > 2000 or genre in [tag.tag for tag in film.reload().genres] for film in found)
        assert not any(film.isPlayed for film in found)
        assert _keys(plex.fetchItems("/library/sections/1/unwatched")) == _keys(films.search(unwatched=True))
        film = films.all()[0].reload()
        assert films.getGuid(film.guids[0].id).ratingKey == film.ratingKey
        music = plex.library.section("Music")
        assert _keys(music.albums())
        assert music.all()[0].popularTracks()

    await asked(demo, work)


async def test_a_section_is_renamed_and_its_settings_change(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        films.edit(name="Pictures")
        films.editAdvanced(enableBIFGeneration=False)
        assert [one.value for one in films.settings() if one.id == "enableBIFGeneration"] == [False]
        films.defaultAdvanced()
        assert [one.value for one in films.settings() if one.id == "enableBIFGeneration"] == [True]
        assert films.timeline().latestEntryTime > 0

    await asked(demo, work)
    assert demo.state.sections["1"].title == "Pictures"


async def test_playlists_history_and_progress_as_scripts_keep_them(demo: Demo, tmp_path: Path) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films").all()
        smart = plex.createPlaylist(
            "Newer", section="Films", smart=True, limit=5, sort="year:desc", filters={"year>>": 1950}
        )
        assert len(smart.items()) == 5
        smart.updateFilters(limit=3, sort="titleSort:asc", filters={"year>>": 1960})
        assert len(plex.playlist("Newer").items()) == 3
        newest = plex.history(maxresults=1)[0]
        before = len(plex.history())
        newest.delete()
        assert len(plex.history()) == before - 1
        films[3].updateProgress(90_000)
        assert films[3].reload().viewOffset == 90_000
        films[3].removeFromContinueWatching()
        assert films[3].reload().viewOffset == 0
        assert films[0].download(savepath=str(tmp_path))
        with pytest.raises(NotFound):
            plex.playlist("There is none")

    await asked(demo, work)
