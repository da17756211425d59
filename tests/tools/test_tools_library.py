"""The libraries: listed, counted, described, browsed, scanned, refreshed."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.tools import Tools, tools_home

from plex_companion.demo import Household, build_household, load_household
from plex_companion.demo.household.built_in import make_section

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ASKING: dict[str, dict[str, Any]] = {
    "library_list": {},
    "library_get_stats": {"library_name": "Films"},
    "library_refresh": {"library_name": "Films"},
    "library_scan": {"library_name": "Films"},
    "library_get_details": {"library_name": "Films"},
    "library_get_recently_added": {},
    "library_get_contents": {"library_name": "Films"},
}
NAMED = {name: given for name, given in ASKING.items() if name != "library_list"}
CONTENTS = "library_get_contents"
WRONG: tuple[tuple[str, dict[str, Any]], ...] = (
    ("library_get_recently_added", {"count": 0}),
    ("library_get_recently_added", {"count": -4}),
    (CONTENTS, {"limit": 0, "library_name": "Films"}),
    (CONTENTS, {"offset": -1, "library_name": "Films"}),
    (CONTENTS, {"watched": True, "unwatched": True, "library_name": "Films"}),
    (CONTENTS, {"sort": "year desc", "library_name": "Films"}),
    (CONTENTS, {"year": "nineties", "library_name": "Films"}),
    (CONTENTS, {"resolution": "900", "library_name": "Films"}),
    (CONTENTS, {"media_type": None}),
    (CONTENTS, {"media_type": "playlist"}),
)
"""Arguments that cannot be; the first is the one refused."""
MISFITS: tuple[dict[str, Any], ...] = (
    {"media_type": "show", "library_name": "Films"},
    {"media_type": "movie", "library_name": "Photos"},
    {"network": "X", "library_name": "Films"},
    {"resolution": "1080", "library_name": "Series"},
    {"director": "X", "library_name": "Music"},
    {"content_rating": "X", "library_name": "Music", "media_type": "track"},
    {"genre": "X", "library_name": "Photos"},
)
"""Arguments that do not fit the library or the type; the first is the one refused."""


@asynccontextmanager
async def home(folder: Path, **more: Any) -> AsyncIterator[Tools]:
    async with tools_home(folder, **more) as tools:
        await tools.application.companion.gateway.call(lambda plex: plex)  # connecting costs a request of its own
        yield tools


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tools]:
    async with home(tmp_path_factory.mktemp("shared")) as tools:
        yield tools


def twins() -> Household:
    """Two libraries of one name."""
    built = build_household(now=time.time())
    built.sections = [replace(one, title="Films") if one.key == "5" else one for one in built.sections]
    return built


def changes(tools: Tools) -> list[str]:
    """What was asked of Plex that sets it to work."""
    return [path for _, path in tools.demo.requests.log if "refresh" in path]


# -- what holds for all


async def test_every_tool_says_that_plex_is_starting_or_gone(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.answer_with(503)
        for name, given in ASKING.items():
            assert (await tools.refused(name, **given))["code"] == "plex_starting"
        tools.demo.answer_with(None)
        await tools.demo.shut_down()
        for name, given in ASKING.items():
            assert (await tools.refused(name, **given))["code"] == "plex_unreachable"


async def test_an_unknown_library_is_not_found_and_the_known_ones_are_named(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for name, given in NAMED.items():
            error = await tools.refused(name, **given | {"library_name": "Vinyl"})
            assert (error["code"], error["what"], len(error["available"])) == ("not_found", "library", 5)
        assert changes(tools) == []


async def test_a_name_of_two_libraries_is_ambiguous_and_an_id_is_not(tmp_path: Path) -> None:
    async with home(tmp_path, household=twins()) as tools:
        for name, given in NAMED.items():
            error = await tools.refused(name, **given | {"library_name": "films"})
            assert (error["code"], [match["id"] for match in error["matches"]]) == ("ambiguous", [1, 5])
        assert changes(tools) == []
        assert (await tools.well("library_get_details", library_name=5))["library_id"] == 5
        listed = await tools.ask("library_list")
    assert [key for key in listed.text if "Films" in key] == ["Films", "Films (5)"]
    assert listed.body["count"] == 5


async def test_a_wrong_argument_is_refused_before_plex_is_asked(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for name, given in WRONG:
            sent = {key: value for key, value in given.items() if value is not None}
            error = await tools.refused(name, **sent)
            assert (error["code"], error["argument"]) == ("invalid", next(iter(given)))
            assert tools.requests == 0


# -- library_list


async def test_libraries_are_listed_with_counts_as_a_list_and_by_title(tools: Tools) -> None:
    listed = await tools.ask("library_list")
    assert tools.requests <= 1 + 5
    films = len(tools.demo.state.list_section("1", "movie"))
    assert set(listed.body["libraries"][0]) == {
        "title", "type", "libraryId", "totalSize", "uuid", "locations", "updatedAt",
    }  # fmt: skip
    assert set(listed.text) == {"Films", "Series", "Music", "Photos", "Pip's Films"}
    assert listed.text["Films"]["totalSize"] == films
    assert listed.text["Films"] == {k: v for k, v in listed.body["libraries"][0].items() if k != "title"}


async def test_a_server_without_libraries_says_so(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.state.sections.clear()
        listed = await tools.ask("library_list")
        refresh = await tools.well("library_refresh")
    assert (listed.body["libraries"], listed.body["count"]) == ([], 0)
    assert listed.body["message"] == listed.text["message"] == "This server has no libraries."
    assert refresh["libraries"] == []


async def test_a_library_that_changed_is_counted_anew(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        before = (await tools.ask("library_list")).text["Films"]["totalSize"]
        tools.demo.state.remove(tools.demo.get_movie(0).key)
        tools.application.companion.ttl_cache.clear()
        assert (await tools.ask("library_list")).text["Films"]["totalSize"] == before - 1


# -- library_get_stats


async def test_films_are_counted_by_genre_director_studio_and_decade(tools: Tools) -> None:
    found = await tools.well("library_get_stats", library_name="films")
    assert tools.requests <= 1 + 4 + 10
    films = tools.demo.state.list_section("1", "movie")
    again = await tools.well("library_get_stats", library_name=1)
    assert tools.requests == 1
    stats = found["movieStats"]
    assert set(stats) == {"count", "unwatched", "topGenres", "topDirectors", "topStudios", "byDecade"}
    assert (found["name"], found["type"], found["totalItems"], stats["count"]) == ("Films", "movie", *[len(films)] * 2)
    assert (found["sampled"], found["sample_size"]) == (False, len(films))
    assert sum(stats["byDecade"].values()) == len(films)
    assert sum(stats["topStudios"].values()) == len(films)
    assert list(stats["byDecade"]) == sorted(stats["byDecade"])
    assert len(stats["topGenres"]) == len(stats["topDirectors"]) == 5
    drama = sum("Drama" in film.tags["Genre"][:2] for film in films)  # a listing tells two genres of each film
    assert stats["topGenres"].get("Drama", drama) == drama
    assert 0 <= stats["unwatched"] <= len(films)
    assert again == found


async def test_shows_are_counted_with_seasons_episodes_and_what_is_unseen(tools: Tools) -> None:
    stats = (await tools.well("library_get_stats", library_name="Series"))["showStats"]
    state = tools.demo.state
    counts = [len(state.list_section("2", kind)) for kind in ("show", "season", "episode")]
    assert set(stats) == {"shows", "seasons", "episodes", "unwatchedShows", "topGenres", "topStudios", "byDecade"}
    assert [stats["shows"], stats["seasons"], stats["episodes"]] == counts
    assert stats["topGenres"]["Drama"] == 6


async def test_music_is_counted_over_tracks_with_the_genres_of_their_artists(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.state.scrobble(tools.demo.get_user(), tools.demo.state.list_section("3", "artist")[0].key)
        found = await tools.well("library_get_stats", library_name="Music")
        assert tools.requests <= 1 + 4 + 10
    stats = found["musicStats"]
    assert set(stats) == {
        "count", "totalTracks", "totalAlbums", "totalPlays", "topGenres", "topArtists", "topAlbums", "byYear", "audioFormats",
    }  # fmt: skip
    assert (found["totalItems"], stats["count"], stats["totalAlbums"], stats["totalTracks"]) == (4, 4, 6, 42)
    assert (stats["topGenres"]["Indie"], stats["audioFormats"]) == (14, {"mp3": 42})
    assert stats["totalPlays"] >= stats["topArtists"]["The Velvet Kettles"] >= 14
    assert "The Velvet Kettles - Steam Songs" in stats["topAlbums"]


async def test_two_artists_of_one_name_are_counted_apart(tmp_path: Path) -> None:
    path = tmp_path / "home.json"
    artists = [
        {"rating_key": key, "title": "The Ferrymen", "albums": [album]}
        for key, album in (("71", "Dock"), ("72", "Pier"))
    ]
    films = {"title": "Films", "type": "movie", "generate": 30}
    path.write_text(json.dumps({"sections": [films, {"title": "Music", "type": "artist", "items": artists}]}))
    async with home(tmp_path, household=load_household(path)) as tools:
        for key in ("71", "72"):
            tools.demo.state.scrobble(tools.demo.get_user(), key)
        stats = (await tools.well("library_get_stats", library_name="Music"))["musicStats"]
    assert set(stats["topArtists"]) == {"The Ferrymen (71)", "The Ferrymen (72)"}
    assert set(stats["topAlbums"]) == {"The Ferrymen - Dock", "The Ferrymen - Pier"}


async def test_photos_are_counted(tools: Tools) -> None:
    found = await tools.well("library_get_stats", library_name="Photos")
    assert (found["photoStats"], found["totalItems"], found["sampled"]) == ({"count": 22}, 3, False)


@pytest.mark.slow
async def test_a_library_beyond_ten_thousand_items_is_a_sample(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    path.write_text(json.dumps({"sections": [{"title": "Films", "type": "movie", "generate": 10_400}]}))
    async with home(tmp_path, household=load_household(path)) as tools:
        found = await tools.well("library_get_stats", library_name="Films")
        assert tools.requests <= 1 + 4 + 10
    assert (found["sampled"], found["sample_size"], found["movieStats"]["count"]) == (True, 10_000, 10_400)


async def test_an_empty_library_has_empty_statistics(tmp_path: Path) -> None:
    household = build_household(now=time.time())
    household.sections += [make_section("7", "Nothing", "movie"), make_section("8", "Silence", "artist")]
    async with home(tmp_path, household=household) as tools:
        films = (await tools.well("library_get_stats", library_name="Nothing"))["movieStats"]
        music = (await tools.well("library_get_stats", library_name="Silence"))["musicStats"]
        recent = await tools.well("library_get_recently_added", library_name="Nothing")
        contents = await tools.well(CONTENTS, library_name="Silence")
    assert films == {
        "count": 0, "unwatched": 0, "topGenres": {}, "topDirectors": {}, "topStudios": {}, "byDecade": {},
    }  # fmt: skip
    assert (music["totalTracks"], music["topArtists"], music["byYear"]) == (0, {}, {})
    assert (recent["count"], recent["items"], bool(recent["message"])) == (0, {}, True)
    assert (contents["totalItems"], contents["items"], bool(contents["message"])) == (0, [], True)


# -- library_refresh, library_scan


async def test_a_refresh_of_one_library_fetches_its_metadata_anew(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        done = await tools.well("library_refresh", library_name="FILMS")
        assert tools.requests <= 1 + 1
        assert changes(tools) == ["/library/sections/1/refresh?force=1"]
    assert (done["success"], done["libraries"]) == (True, ["Films"])
    assert "started" in done["message"]


async def test_a_refresh_of_all_libraries_names_them(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        done = await tools.well("library_refresh")
        assert changes(tools) == ["/library/sections/all/refresh?force=1"]
    assert done["libraries"] == ["Films", "Series", "Music", "Photos", "Pip's Films"]
    assert all(name in done["message"] for name in done["libraries"])


async def test_a_scan_looks_into_a_library_or_one_of_its_folders(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        whole = await tools.well("library_scan", library_name="films")
        part = await tools.well("library_scan", library_name="1", path="/media/1/new & old")
        assert tools.requests <= 1 + 1
        assert changes(tools) == [
            "/library/sections/1/refresh",
            "/library/sections/1/refresh?path=%2Fmedia%2F1%2Fnew+%26+old",
        ]
    assert (whole["success"], whole["library_id"]) == (True, 1)
    assert "/media/1/new & old" in part["message"]


@pytest.mark.parametrize("path", ["/media/2", "/media/1/../2", "/media/11", " ", "media/1"])
async def test_a_folder_outside_the_library_is_not_scanned(tmp_path: Path, path: str) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused("library_scan", library_name="Films", path=path)
        assert changes(tools) == []
    assert (error["code"], error["argument"], error["allowed"]) == ("invalid", "path", ["/media/1"])


# -- library_get_details


async def test_a_library_is_described_with_its_settings(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        await tools.well("library_list")
        tools.demo.state.refreshing.add("1")
        found = await tools.well("library_get_details", library_name="Films")
        assert tools.requests <= 1 + 2
    assert set(found) == {
        "name", "type", "uuid", "totalItems", "locations", "agent", "scanner", "language", "advancedSettings", "library_id",
        "created_at", "scanned_at", "content_changed_at", "refreshing",
    }  # fmt: skip
    assert (found["name"], found["library_id"], found["agent"], found["language"]) == (
        "Films", 1, "tv.plex.agents.movie", "en-US",
    )  # fmt: skip
    assert found["advancedSettings"] == {
        "hidden": 0, "enableBIFGeneration": True, "collectionMode": 2, "enableCinemaTrailers": True,
        "augmentWithProviderContent": True, "enableCreditsMarkerGeneration": True,
    }  # fmt: skip
    assert found["refreshing"] is True
    assert found["created_at"] == "2023-11-14T22:13:20.000Z"
    assert found["totalItems"] == 56


# -- library_get_recently_added


async def test_what_was_added_to_all_libraries_comes_by_type_newest_first(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        found = await tools.well("library_get_recently_added", limit=30)
        assert tools.requests == 1
        capped = await tools.well("library_get_recently_added", count=9_999)
    assert (found["count"], found["requestedCount"], found["library"]) == (30, 30, "All Libraries")
    assert sum(map(len, found["items"].values())) == 30
    assert set(found["items"]) <= {"movie", "season", "album", "photo"}
    film, season = found["items"]["movie"][0], capped["items"]["season"][0]
    assert {"title", "year", "addedAt", "rating_key", "guid", "library", "added_at_utc"} == set(film)
    assert {"showTitle", "seasonNumber", "addedAt", "rating_key"} <= set(season)
    assert {"artist", "title"} <= set(capped["items"]["album"][0])
    times = [row["added_at_utc"] for row in found["items"]["movie"]]
    assert times == sorted(times, reverse=True)
    assert (capped["requestedCount"], capped["limit"]) == (9_999, 500)


@pytest.mark.parametrize(
    ("library", "kind", "keys"),
    [
        ("Films", "movie", {"title", "year"}),
        ("Series", "episode", {"showTitle", "seasonNumber", "episodeNumber", "title"}),
        ("Music", "album", {"artist", "title"}),
        ("Photos", "photo", {"title"}),
    ],
)
async def test_what_was_added_to_one_library_is_of_its_own_kind(
    tmp_path: Path, library: str, kind: str, keys: set[str]
) -> None:
    async with home(tmp_path) as tools:
        found = await tools.well("library_get_recently_added", library_name=library, count=3)
        assert tools.requests <= 1 + 1
    assert (found["library"], list(found["items"])) == (library, [kind])
    assert set(found["items"][kind][0]) == keys | {"addedAt", "added_at_utc", "rating_key", "guid", "library"}
    assert found["items"][kind][0]["library"] == library


# -- library_get_contents


async def test_a_library_is_browsed_page_by_page(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        first = await tools.well(CONTENTS, library_name="Films", limit=20)
        assert tools.requests <= 1 + 1
        last = await tools.well(CONTENTS, library_name="Films", limit=20, offset=40)
        capped = await tools.well(CONTENTS, library_name="Films", limit=5_000)
        beyond = await tools.well(CONTENTS, library_name="Films", offset=500)
        stored = tools.demo.state.items[str(first["items"][0]["rating_key"])]
    assert (first["name"], first["type"], first["totalItems"], first["offset"]) == ("Films", "movie", 56, 0)
    assert (first["limit"], first["size"], first["truncated"]) == (20, 20, True)
    assert (last["size"], last["truncated"], capped["limit"], capped["size"]) == (16, False, 500, 56)
    assert (beyond["items"], beyond["totalItems"]) == ([], 56)
    film = first["items"][0]
    assert set(film) == {
        "media_id", "rating_key", "title", "guid", "type", "library", "library_id", "year", "duration", "mediaInfo",
        "watched", "inProgress", "progressPercent",
    }  # fmt: skip
    minutes = (stored.duration or 0) // 60_000
    assert film["duration"] == {"hours": minutes // 60, "minutes": minutes % 60}
    assert film["mediaInfo"] == {"resolution": stored.media[0].resolution, "codec": stored.media[0].video_codec}
    assert (film["library"], film["library_id"], film["media_id"]) == ("Films", 1, film["rating_key"])


async def test_shows_tell_how_far_they_were_watched(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        state, owner = tools.demo.state, tools.demo.get_user()
        shows = state.list_section("2", "show")
        state.scrobble(owner, shows[0].key)
        state.unscrobble(owner, shows[1].key)
        state.unscrobble(owner, shows[2].key)
        state.scrobble(owner, state.list_leaves(shows[2].key)[0].key)
        found = await tools.well(CONTENTS, library_name="Series")
        assert tools.requests <= 1 + 1
        unseen = await tools.well(CONTENTS, library_name="Series", unwatched=True)
        seen = await tools.well(CONTENTS, library_name="Series", watched=True)
    by_key = {str(item["rating_key"]): item for item in found["items"]}
    answer = [by_key[show.key] for show in shows[:3]]
    assert set(answer[0]) == {
        "media_id", "rating_key", "title", "guid", "type", "library", "library_id", "year", "seasonCount", "episodeCount",
        "watchedEpisodeCount", "watchStatus", "watched",
    }  # fmt: skip
    assert [show["watchStatus"] for show in answer] == ["watched", "unwatched", "partial"]
    assert [show["watched"] for show in answer] == [True, False, False]
    assert (answer[0]["seasonCount"], answer[0]["episodeCount"], answer[2]["watchedEpisodeCount"]) == (3, 24, 1)
    assert unseen["totalItems"] + seen["totalItems"] == 6
    assert answer[0]["rating_key"] in [item["rating_key"] for item in seen["items"]]


async def test_artists_are_told_with_their_albums_in_one_more_request(tools: Tools) -> None:
    found = await tools.well(CONTENTS, library_name="Music")
    assert tools.requests <= 1 + 2
    kettles = next(item for item in found["items"] if item["title"] == "The Velvet Kettles")
    assert {"albumCount", "trackCount", "viewCount", "skipCount", "watched"} <= set(kettles)
    assert (kettles["albumCount"], kettles["trackCount"], kettles["type"]) == (2, 14, "artist")


async def test_albums_tracks_and_episodes_are_told_with_what_they_belong_to(tools: Tools) -> None:
    album = (await tools.well(CONTENTS, library_name="Music", media_type="album"))["items"][0]
    track = (await tools.well(CONTENTS, library_name="Music", media_type="Track"))["items"][0]
    episode = (await tools.well(CONTENTS, library_name="Series", media_type="episode"))["items"][0]
    photos = await tools.well(CONTENTS, library_name="Photos")
    assert {"artist", "viewCount", "watched"} <= set(album)
    assert {"artist", "album", "duration", "progressPercent"} <= set(track)
    assert track["mediaInfo"] == {"codec": "mp3"}
    assert {"show", "season", "episode", "duration"} <= set(episode)
    assert isinstance(episode["season"], int)
    assert set(photos["items"][0]) == {"media_id", "rating_key", "title", "guid", "type", "library", "library_id"}


async def test_all_libraries_are_browsed_by_type(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        found = await tools.well(CONTENTS, media_type="movie", limit=500)
        assert tools.requests == 1
        some = await tools.well(CONTENTS, media_type="movie", genre="drama", director=found_director(tools))
        assert tools.requests <= 1 + 2
        rated = await tools.well(CONTENTS, media_type="movie", content_rating="PG", studio="Blue Gate")
        network = await tools.well(CONTENTS, media_type="episode", network="Tall Heron Films")
        missing = await tools.refused(CONTENTS, media_type="movie", genre="Opera")
        artists = await tools.well(CONTENTS, media_type="artist")
        state = tools.demo.state
        films = [item for item in state.items.values() if item.type == "movie"]
    assert (found["name"], found["type"], found["totalItems"]) == ("All Libraries", "movie", 63)
    assert {item["library"] for item in found["items"]} == {"Films", "Pip's Films"}
    assert {item["library_id"] for item in found["items"]} == {1, 5}
    assert some["totalItems"] > 0
    expected = [film for film in films if film.content_rating == "PG" and film.studio == "Blue Gate"]
    assert rated["totalItems"] == len(expected)
    assert network["totalItems"] > 0
    assert (missing["code"], missing["argument"], "Drama" in missing["allowed"]) == ("invalid", "genre", True)
    assert artists["items"][0]["albumCount"] > 0


def found_director(tools: Tools) -> str:
    """Somebody who made a drama."""
    films = [item for item in tools.demo.state.items.values() if item.type == "movie"]
    return next(film.tags["Director"][0] for film in films if "Drama" in film.tags["Genre"])


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({"genre": "comedy"}, lambda film: "Comedy" in film.tags["Genre"]),
        ({"year": 1999}, lambda film: film.year == 1999),
        ({"year": "1999, 2005"}, lambda film: film.year in {1999, 2005}),
        ({"content_rating": "pg-13"}, lambda film: film.content_rating == "PG-13"),
        ({"director": "Noor Ashby"}, lambda film: "Noor Ashby" in film.tags["Director"]),
        ({"writer": "Alma Drago"}, lambda film: "Alma Drago" in film.tags["Writer"]),
        ({"actor": "Piet Halloran"}, lambda film: "Piet Halloran" in film.roles),
        ({"resolution": "4K"}, lambda film: film.media[0].resolution == "4k"),
        ({"resolution": "1080p"}, lambda film: film.media[0].resolution == "1080"),
        ({"studio": "Blue Gate"}, lambda film: film.studio == "Blue Gate"),
        ({"title": "comet"}, lambda film: "comet" in film.title.casefold()),
        (
            {"genre": "Drama", "studio": "Blue Gate"},
            lambda film: "Drama" in film.tags["Genre"] and film.studio == "Blue Gate",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
async def test_films_are_filtered(tools: Tools, given: dict[str, Any], fits: Any) -> None:
    found = await tools.well(CONTENTS, library_name="Films", limit=500, **given)
    assert tools.requests <= 1 + 2 + len(given)
    expected = {int(film.key) for film in tools.demo.state.list_section("1", "movie") if fits(film)}
    asked = tools.demo.requests.log[-1][1]
    assert {item["rating_key"] for item in found["items"]} == expected
    assert "genre=Drama" not in asked


async def test_films_are_filtered_by_what_was_watched_and_sorted(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.state.scrobble(tools.demo.get_user(), tools.demo.get_movie(0).key)
        unseen = await tools.well(CONTENTS, library_name="Films", unwatched=True, limit=500)
        seen = await tools.well(CONTENTS, library_name="Films", watched=True, limit=500, sort="year:desc")
        started = await tools.well(CONTENTS, library_name="Films", limit=500, sort="viewOffset:desc")
    assert unseen["totalItems"] + seen["totalItems"] == 56
    assert {item["watched"] for item in seen["items"]} == {True}
    years = [item["year"] for item in seen["items"]]
    assert years == sorted(years, reverse=True)
    for item in started["items"]:
        assert item["inProgress"] is (item["progressPercent"] > 0)


async def test_episodes_and_tracks_are_filtered_by_what_they_belong_to(tools: Tools) -> None:
    mystery = await tools.well(CONTENTS, library_name="Series", media_type="episode", genre="mystery", limit=500)
    rated = await tools.well(CONTENTS, library_name="Series", media_type="episode", content_rating="TV-PG", limit=500)
    tracks = await tools.well(CONTENTS, library_name="Music", media_type="track", year=2016, limit=500)
    albums = await tools.well(CONTENTS, library_name="Music", media_type="album", genre="folk")
    asked = "".join(path for _, path in tools.demo.requests.log)
    episodes = len(tools.demo.state.list_kind("episode"))
    assert {item["show"] for item in mystery["items"]} == {"The Night Gardeners"}
    assert rated["totalItems"] == episodes
    assert tracks["totalItems"] == 28
    assert {item["artist"] for item in albums["items"]} == {"Marlow Finch"}
    assert "show.genre=" in asked
    assert "album.year=2016" in asked


async def test_a_filter_or_type_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for given in MISFITS:
            error = await tools.refused(CONTENTS, **given)
            assert (error["code"], error["argument"]) == ("invalid", next(iter(given)))
            assert isinstance(error["allowed"], list)


async def test_an_unknown_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused(CONTENTS, library_name="Films", genre="Opera")
    assert (error["code"], error["argument"]) == ("invalid", "genre")
    assert "Drama" in error["allowed"]


async def test_a_library_is_seen_as_another_user_sees_it(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        state, jasper = tools.demo.state, tools.demo.get_user(1)
        film = tools.demo.get_movie(4)
        state.unscrobble(tools.demo.get_user(), film.key)
        state.scrobble(jasper, film.key)
        own = await tools.well(CONTENTS, library_name="Films", title=film.title)
        theirs = await tools.well(CONTENTS, library_name="Films", title=film.title, username="jasper@example.net")
        assert tools.requests <= 1 + 2 + 2
        nobody = await tools.refused(CONTENTS, library_name="Films", username="Nobody")
        tools.demo.answer_plex_tv_with(503)
        tools.application.companion.ttl_cache.clear()
        away = await tools.refused(CONTENTS, library_name="Films", username="Jasper O'Dell")
    assert [own["items"][0]["watched"], theirs["items"][0]["watched"]] == [False, True]
    assert (nobody["code"], nobody["what"]) == ("not_found", "user")
    assert away["code"] == "plextv_unreachable"
