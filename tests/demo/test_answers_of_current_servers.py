"""What an unmodified python-plexapi finds where the demo once answered otherwise than Plex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from plexapi.exceptions import BadRequest, NotFound, Unauthorized
from support.deadlines import HANG_SECONDS
from support.demo_clients import asked

from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.demo import Demo


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with open_demo(alive=False) as opened:
        yield opened


def _keys(items: Any) -> list[int]:
    return [item.ratingKey for item in items]


async def test_filters_in_groups_are_joined_as_they_say(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        one, other, last = sorted({film.year for film in films.all()})[:3]
        either = films.search(filters={"or": [{"year": one}, {"year": other}]})
        assert {film.year for film in either} == {one, other}
        nested = films.search(filters={"and": [{"or": [{"year": one}, {"year": last}]}, {"year>>": one}]})
        assert {film.year for film in nested} == {last}
        assert films.search(filters={"and": [{"year": one}, {"year": other}]}) == []

    await asked(demo, work)


async def test_dates_are_compared_by_the_calendar(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        film = films.all()[4]
        day = film.originallyAvailableAt
        assert film in films.search(filters={"originallyAvailableAt<<": f"{day.year}-{day.month:02}-{day.day + 1:02}"})
        assert film not in films.search(filters={"originallyAvailableAt<<": f"{day:%Y-%m-%d}"})
        assert film in films.search(filters={"addedAt<<": "0s"})
        assert film not in films.search(filters={"addedAt>>": "0s"})

    await asked(demo, work)


async def test_a_sort_counts_the_type_that_it_names(demo: Demo) -> None:
    def work(plex: Any) -> None:
        series = plex.library.section("Series")
        sort = "show.titleSort:desc,season.index,episode.index:nullsLast"
        found = series.search(libtype="episode", sort=sort, maxresults=40)
        titles = [episode.grandparentTitle for episode in found]
        assert titles[0] != min(titles)
        places = [(episode.grandparentTitle, episode.parentIndex, episode.index) for episode in found]
        first = [place[1:] for place in places if place[0] == titles[0]]
        assert first == sorted(first)

    await asked(demo, work)


async def test_fields_of_films_have_no_type_in_front(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films, series = (plex.library.section(name) for name in ("Films", "Series"))
        assert "title" in [field.key for field in films.listFields()]
        assert "show.title" in [field.key for field in series.listFields()]
        smart = plex.createCollection("Early", films, smart=True, filters={"or": [{"year": 1990}, {"title": "the"}]})
        assert smart.filters()["filters"] == {"or": [{"year": "1990"}, {"title": "the"}]}

    await asked(demo, work)


async def test_collections_stand_among_the_items_when_they_are_asked_for(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        plain, collections = films.totalViewSize(includeCollections=False), films.collections()
        assert films.totalViewSize() == plain + len(collections)
        held = collections[0].modeUpdate("hideItems").reload()
        hidden = [item for item in held.items() if item.librarySectionID == films.key]
        assert films.totalViewSize() == plain + len(collections) - len(hidden)
        held.modeUpdate("hide")
        assert films.totalViewSize() == plain + len(collections) - 1
        assert len(films.all()) == plain

    await asked(demo, work)


async def test_what_is_excluded_is_left_out(demo: Demo) -> None:
    def work(plex: Any) -> None:
        data = plex.query("/library/sections/1/all?type=1&excludeElements=Media,Genre&excludeFields=summary,tagline")
        film = data[0]
        assert not film.findall("Media")
        assert not film.findall("Genre")
        assert film.findall("Director")
        assert "summary" not in film.attrib
        assert film.attrib["title"]

    await asked(demo, work)


async def test_items_have_images_and_colours(demo: Demo) -> None:
    def work(plex: Any) -> None:
        film = plex.library.section("Films").all()[1]
        assert {"coverPoster", "background", "clearLogo"} <= {image.type for image in film.images}
        assert f"/metadata/{film.ratingKey}/clearLogo/" in film.logo
        assert film.reload().ultraBlurColors.topLeft
        film.deleteLogo()
        assert film.reload().logo is None

    await asked(demo, work)


async def test_theme_music_is_sent_in_locked_and_taken_away(demo: Demo, tmp_path: Path) -> None:
    sound = tmp_path / "sound.mp3"
    sound.write_bytes(b"not really music")

    def work(plex: Any) -> None:
        show = plex.library.section("Series").all()[0]
        assert "/theme/" in show.theme
        show.uploadTheme(filepath=str(sound))
        assert [theme.ratingKey.startswith("upload://") for theme in show.themes()] == [False, True]
        assert show.reload().isLocked("theme")
        show.deleteTheme()
        assert not any(theme.selected for theme in show.themes())

    await asked(demo, work)


async def test_a_play_queue_is_shuffled_from_its_first_item(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films").all()[:9]
        queue = plex.createPlayQueue(films, startItem=films[5], shuffle=1)
        assert queue.playQueueShuffled is True
        assert queue.items[0].ratingKey == films[5].ratingKey == queue.selectedItem.ratingKey
        assert sorted(_keys(queue.items)) == sorted(_keys(films))
        assert plex.createPlayQueue(films).playQueueShuffled is False

    await asked(demo, work)


async def test_a_search_finds_tags_of_every_library(demo: Demo) -> None:
    def work(plex: Any) -> None:
        for name in ("Films", "Series"):
            section = plex.library.section(name)
            item = section.all()[0].reload()
            hit = next(tag for tag in plex.search(item.genres[0].tag, "genre", 20) if tag.librarySectionTitle == name)
            assert (hit.tag, hit.tagType, hit.reasonTitle) == (item.genres[0].tag, 1, name)
            assert item in hit.items()
            assert len(hit.items()) == hit.count

    await asked(demo, work)


async def test_hubs_say_what_they_hold_and_can_be_arranged(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        assert films.hubs()[0].section() == films
        assert plex.library.section("Music").stations()
        related = films.all()[0].hubs()[0]
        assert (related.context, len(related.items())) == ("hub.movie.similar", related.size)
        first = films.managedHubs()[0].promoteHome()
        assert first.promotedToOwnHome is True
        films.managedHubs()[-1].move()
        assert films.managedHubs()[1].identifier == first.identifier
        with pytest.raises(BadRequest):
            first.remove()
        collection = films.collections()[0]
        collection.visibility().updateVisibility(shared=True)
        assert collection.visibility().promotedToSharedHome is True
        collection.visibility().remove()
        films.resetManagedHubs()
        assert films.managedHubs()[0].identifier == first.identifier

    await asked(demo, work)


async def test_settings_of_items_stay(demo: Demo) -> None:
    def work(plex: Any) -> None:
        show = plex.library.section("Series").all()[0]
        assert {"flattenSeasons", "episodeSort"} <= {pref.id for pref in show.preferences()}
        show.editAdvanced(flattenSeasons=1)
        assert show.preference("flattenSeasons").value == 1
        assert show.episodes()[0].skipParent is True
        show.defaultAdvanced()
        assert show.episodes()[0].skipParent is False

    await asked(demo, work)


async def test_seasons_and_episodes_have_ids_elsewhere(demo: Demo) -> None:
    def work(plex: Any) -> None:
        series = plex.library.section("Series")
        season = series.all()[0].seasons()[0]
        episode = season.episodes()[0]
        assert {guid.id.partition(":")[0] for guid in season.guids} == {"tmdb", "tvdb"}
        assert plex.library.search(libtype="episode", guid=episode.guid)[0] == episode

    await asked(demo, work)


async def test_a_collection_is_found_by_the_tag_of_its_items(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        collection = films.collections()[0]
        tag = next(tag for tag in collection.items()[0].reload().collections if tag.tag == collection.title)
        assert tag.collection() == collection
        found = films.search(libtype="collection", filters={"title": collection.title})
        assert found == [collection]

    await asked(demo, work)


async def test_edits_of_collections_and_playlists_stay_and_lock(demo: Demo) -> None:
    def work(plex: Any) -> None:
        collection = plex.library.section("Films").collections()[0]
        collection.editSortTitle("B").editAudienceRating(7.5).editAddedAt("2020-01-02").editUserRating(4.0).addLabel(
            "wet"
        )
        collection.reload()
        assert (collection.titleSort, collection.audienceRating, collection.addedAt.year) == ("B", 7.5, 2020)
        assert collection.userRating == 4.0
        assert all(collection.isLocked(name) for name in ("titleSort", "audienceRating", "addedAt", "label"))
        playlist = plex.playlist("Friday Films").editSortTitle("C").reload()
        assert (playlist.titleSort, [field.name for field in playlist.fields]) == ("C", ["titleSort"])

    await asked(demo, work)


async def test_tags_of_several_items_are_added_to_what_they_have(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        some = films.all()[:2]
        before = [{tag.tag for tag in film.reload().genres} for film in some]
        films.batchMultiEdits(some).addGenre("Silent").saveMultiEdits()
        assert [{tag.tag for tag in film.reload().genres} for film in some] == [tags | {"Silent"} for tags in before]

    await asked(demo, work)


async def test_streams_are_chosen_and_subtitles_come_and_go(demo: Demo, tmp_path: Path) -> None:
    subtitle = tmp_path / "spoken.srt"
    subtitle.write_text("1\n")

    def work(plex: Any) -> None:
        film = plex.library.section("Films").all()[0].reload()
        film.audioStreams()[1].setSelected()
        assert [stream.selected for stream in film.reload().audioStreams()] == [False, True]
        film.uploadSubtitles(str(subtitle))
        assert [stream.title for stream in film.reload().subtitleStreams()] == [None, "spoken"]
        film.subtitleStreams()[1].setSelected()
        assert film.reload().subtitleStreams()[1].selected is True
        film.removeSubtitles(streamTitle="spoken")
        assert [stream.title for stream in film.reload().subtitleStreams()] == [None]

    await asked(demo, work)


async def test_libraries_come_with_folders_and_go(demo: Demo) -> None:
    def work(plex: Any) -> None:
        films = plex.library.section("Films")
        assert films.totalDuration > 0
        assert films.totalStorage > 0
        assert films.locations[0] in [path.path for path in plex.browse("/media")]
        given = {"type": "movie", "agent": "com.plexapp.agents.none", "scanner": "Plex Video Files Scanner"}
        plex.library.add(name="More", location=films.locations, enableBIFGeneration=0, **given)
        more = plex.library.section("More")
        assert {setting.id: setting.value for setting in more.settings()}["enableBIFGeneration"] is False
        more.addLocations(plex.library.section("Photos").locations)
        assert len(more.reload().locations) == 2
        with pytest.raises(BadRequest):
            more.addLocations("/nowhere")
        more.delete()
        assert "More" not in [section.title for section in plex.library.sections()]

    await asked(demo, work)


async def test_pins_of_the_home_are_set_and_asked_for(demo: Demo) -> None:
    def work(plex: Any) -> None:
        account = plex.myPlexAccount()
        account.setPin("0000")
        with pytest.raises(Unauthorized):
            account.setPin("1111", currentPin="2222")
        account.removePin("0000")
        account.setManagedUserPin("Pip", "1234")
        with pytest.raises(Unauthorized):
            account.switchHomeUser("Pip")
        assert account.switchHomeUser("Pip", pin="1234").title == "Pip"
        account.createHomeUser("Robin", plex)
        account.removeHomeUser("Robin")
        with pytest.raises(NotFound):
            account.user("Robin")

    await _diverted(demo, work)


async def test_the_account_keeps_what_is_set(demo: Demo) -> None:
    def work(plex: Any) -> None:
        account = plex.myPlexAccount()
        assert account.addWebhook("https://hook.example.net") == ["https://hook.example.net"]
        assert account.deleteWebhook("https://hook.example.net") == []
        account.enableViewStateSync()
        assert account.viewStateSync is True
        assert account.ping() is True
        assert account.device(plex.friendlyName).clientIdentifier == plex.machineIdentifier
        assert account.user("Mei 林").servers[0].sections()
        film, show = plex.library.section("Films").all()[0], plex.library.section("Series").all()[0]
        account.addToWatchlist([film, show])
        assert [item.guid for item in account.watchlist(filter="released", libtype="movie")] == [film.guid]

    await _diverted(demo, work)


async def _diverted(demo: Demo, work: Any) -> None:
    """Ask with a session that takes plex.tv's addresses to the demo, as the companion's own does."""
    from plexapi.server import PlexServer  # noqa: PLC0415 - for the few tests that want it
    from requests import Session  # noqa: PLC0415 - the same

    class Diverted(Session):
        def send(self, request: Any, **more: Any) -> Any:
            host, _, path = request.url.removeprefix("https://").partition("/")
            if host.endswith("plex.tv"):
                request.url, request.headers["X-Forwarded-Host"] = f"{demo.url}/{path}", host
            return super().send(request, **more)

    await asked(demo, lambda _: work(PlexServer(demo.url, demo.token, session=Diverted())))


async def test_what_an_item_has_one_of_is_an_object_in_json(demo: Demo) -> None:
    film = next(item for item in demo.state.list_kind("movie") if item.extras)

    def work(_: Any) -> Any:
        path = f"{demo.url}/library/metadata/{film.key}?includePreferences=1"
        return requests.get(path, headers={"Accept": "application/json"}, timeout=HANG_SECONDS).json()

    row = (await asked(demo, work))["MediaContainer"]["Metadata"][0]
    assert row["Extras"]["Metadata"][0]["key"] == row["primaryExtraKey"] == f"/library/metadata/{film.extras[0]}"
    assert {setting["id"] for setting in row["Preferences"]["Setting"]} >= {"useOriginalTitle"}
    assert len(row["UltraBlurColors"]["topLeft"]) == 6
