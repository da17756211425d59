"""Writes change the household, and the change is announced."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import requests
from plexapi.exceptions import BadRequest, NotFound
from support.deadlines import HANG_SECONDS
from support.demo_clients import asked, listening, receive_until

if TYPE_CHECKING:
    from plex_companion.demo import Demo


async def test_an_edit_is_kept_locked_and_announced(demo: Demo) -> None:
    def ask(plex: Any) -> Any:
        film = plex.library.section("Films").get("Salt & Ember")
        film.batchEdits().editTitle("Salt & Smoke").editSummary("Now with smoke.").addGenre("Western").saveEdits()
        film.removeGenre(film.genres[0].tag)
        return film.reload()

    async with listening(demo) as socket:
        film = await asked(demo, ask)
        entry = (await receive_until(socket, "Salt & Smoke"))[-1]["TimelineEntry"][0]
    assert (film.title, film.summary) == ("Salt & Smoke", "Now with smoke.")
    assert "Western" in [genre.tag for genre in film.genres]
    assert {"title", "summary", "genre"} <= {field.name for field in film.fields}
    assert entry["state"] == 5


async def test_a_tag_with_spaces_and_commas_is_taken_away(demo: Demo) -> None:
    def ask(plex: Any) -> list[str]:
        film = plex.library.section("Films").get("Salt & Ember")
        film.addGenre("Cloak, Dagger & Co").reload()
        film.removeGenre("Cloak, Dagger & Co")
        return [genre.tag for genre in film.reload().genres]

    assert await asked(demo, ask) == ["Thriller", "Romance"]


async def test_a_playlist_lives_its_life(demo: Demo) -> None:
    def ask(plex: Any) -> list[Any]:
        films = plex.library.section("Films").all()[:4]
        row = plex.createPlaylist("Tonight", items=films[:2])
        row.addItems(films[2:])
        row.reload().moveItem(row.items()[3])
        row.reload().removeItems(row.items()[1])
        row.editTitle("Tomorrow").reload()
        seen = [row.title, [item.title for item in row.items()] == [films[3].title, films[1].title, films[2].title]]
        row.delete()
        return [*seen, [other.title for other in plex.playlists() if other.title == "Tomorrow"]]

    assert await asked(demo, ask) == ["Tomorrow", True, []]


async def test_a_smart_playlist_answers_its_query(demo: Demo) -> None:
    def ask(plex: Any) -> Any:
        films = plex.library.section("Films")
        row = plex.createPlaylist(
            "New Drama",
            section=films,
            smart=True,
            libtype="movie",
            sort="addedAt:desc",
            limit=3,
            filters={"genre": "Drama"},
        )
        return row.smart, len(row.items()), row.filters()["sort"]

    assert await asked(demo, ask) == (True, 3, ["movie.addedAt:desc"])


async def test_a_collection_lives_its_life(demo: Demo) -> None:
    def ask(plex: Any) -> list[Any]:
        section = plex.library.section("Films")
        films = section.all()[:3]
        row = plex.createCollection("Fog", section, items=films[:2])
        row.addItems(films[2])
        row.removeItems(films[0])
        row.editTitle("Mist").addLabel("cosy")
        row.modeUpdate("hide")
        row.reload()
        seen = [row.title, row.childCount, row.collectionMode, [label.tag for label in row.labels]]
        row.delete()
        return [*seen, plex.fetchItem(films[1].ratingKey).title == films[1].title]

    assert await asked(demo, ask) == ["Mist", 2, 0, ["cosy"], True]


async def test_a_deleted_show_takes_its_episodes_with_it(demo: Demo) -> None:
    def ask(plex: Any) -> None:
        show = plex.library.section("Series").get("What the Dog Knew")
        episode = show.episodes()[0]
        show.delete()
        with pytest.raises(NotFound):
            plex.fetchItem(episode.ratingKey)

    await asked(demo, ask)


async def test_deletion_is_refused_while_it_is_off(demo: Demo) -> None:
    demo.state.prefs["allowMediaDeletion"].value = False
    with pytest.raises(BadRequest, match="403"):
        await asked(demo, lambda plex: plex.library.section("Films").all()[0].delete())
    assert (await asked(demo, lambda plex: plex.allowMediaDeletion)) is None


async def test_artwork_is_uploaded_and_chosen(demo: Demo) -> None:
    def ask(plex: Any) -> list[str]:
        film = plex.library.section("Films").all()[0]
        film.uploadPoster(url="https://pictures.example/new.jpg")
        first = [poster.ratingKey for poster in film.posters() if poster.selected]
        film.setPoster(film.posters()[1])
        return first + [poster.ratingKey[-2:] for poster in film.posters() if poster.selected]

    assert await asked(demo, ask) == ["https://pictures.example/new.jpg", "/2"]


async def test_a_rating_and_a_setting_stay(demo: Demo) -> None:
    def ask(plex: Any) -> Any:
        film = plex.library.section("Films").all()[0]
        film.rate(7.5)
        plex.settings.get("FriendlyName").set("Beacon")
        plex.settings.save()
        return film.reload().userRating

    assert await asked(demo, ask) == 7.5
    assert (await asked(demo, lambda plex: plex.friendlyName)) == "Beacon"


async def test_a_butler_task_runs_as_an_activity(demo: Demo) -> None:
    async with listening(demo) as socket:
        await asked(demo, lambda plex: plex.runButlerTask("BackupDatabase"))
        containers = await receive_until(socket, '"ended"')
    assert containers[0]["ActivityNotification"][0]["Activity"]["title"] == "Running BackupDatabase"


async def test_the_logs_come_as_a_zip(demo: Demo) -> None:
    answer = await anyio.to_thread.run_sync(lambda: requests.get(f"{demo.url}/diagnostics/logs", timeout=HANG_SECONDS))
    assert "Plex Media Server.log" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()


async def test_the_watchlist_belongs_to_its_user(demo: Demo) -> None:
    key = demo.get_movie().guid.rpartition("/")[2]

    def call(method: str, path: str) -> str:
        return requests.request(
            method, demo.url + path, headers={"X-Plex-Token": "demo-token-jasper"}, timeout=HANG_SECONDS
        ).text

    await anyio.to_thread.run_sync(call, "PUT", f"/actions/addToWatchlist?ratingKey={key}")
    assert key in await anyio.to_thread.run_sync(call, "GET", "/library/sections/watchlist/all")
    assert "watchlistedAt" in await anyio.to_thread.run_sync(call, "GET", f"/library/metadata/{key}/userState")
    assert list(demo.watchlists) == [90002]


async def test_emptying_the_trash_deletes_what_is_in_it_and_nothing_else(demo: Demo) -> None:
    before, film = len(demo.state.items), demo.get_movie(2)
    demo.trash_item(film.key)
    async with listening(demo) as socket:
        await asked(demo, lambda plex: plex.library.section("Films").emptyTrash())
        entry = (await receive_until(socket, '"deleted"'))[-1]["TimelineEntry"][0]
    assert entry["itemID"] == film.key
    assert len(demo.state.items) == before - 1
