"""One item at a time: searched, shown, marked, edited, deleted, and its state."""

from __future__ import annotations

import base64
import json
import time
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

import pytest
from mcp_types import ElicitResult
from support.picture_server import JPEG, PNG, own_address, serve_pictures
from support.tools import Tools, tools_home

from plex_companion.demo import Household, build_household
from plex_companion.demo.household.model import DemoItem, ViewState
from plex_companion.tools.media.item_details import format_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


LAMP, JASPERS = "The Lamplighter of Lower Quay", 90002
UNKNOWN = "999999"
FIND = 2
EVERY: dict[str, dict[str, Any]] = {
    "media_search": {"query": "harbour"},
    "media_get_details": {"media_title": "Salt & Ember"},
    "media_set_watched_status": {"media_id": 103, "watched": True},
    "media_edit_metadata": {"media_title": "Salt & Ember", "new_summary": "x"},
    "media_delete": {"media_title": "Salt & Ember", "confirm": True},
    "media_get_artwork": {"media_title": "Salt & Ember"},
    "media_set_artwork": {"media_title": "Salt & Ember", "filepath": "p.png"},
    "media_list_available_artwork": {"media_title": "Salt & Ember"},
}
FINDING = {name: given for name, given in EVERY.items() if "media_title" in given}
WRITING = ("media_set_watched_status", "media_edit_metadata", "media_delete", "media_set_artwork")


def household() -> Household:
    """Two films of one title; users have seen nothing."""
    built = build_household(now=time.time())
    films = [item for item in built.items if item.type == "movie"]
    films[2].title = films[3].title = "Twice Told"
    built.views = {}
    return built


@asynccontextmanager
async def home(folder: Path, **more: Any) -> AsyncIterator[Tools]:
    (folder / "media").mkdir(exist_ok=True)
    (folder / "media" / "p.png").write_bytes(PNG)
    given: dict[str, Any] = {"household": household(), "hushed": True, "media_folder": folder / "media"}
    async with tools_home(folder, **{**given, **more}) as tools:
        await tools.application.companion.gateway.call(lambda plex: plex)  # connecting costs a request of its own
        yield tools


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tools]:
    async with home(tmp_path_factory.mktemp("shared")) as tools:
        yield tools


def first(tools: Tools, kind: str) -> DemoItem:
    return tools.demo.state.list_kind(kind)[0]


def titled(tools: Tools, title: str) -> DemoItem:
    return next(item for item in tools.demo.state.items.values() if item.title == title)


def writes(tools: Tools) -> list[str]:
    marks = ("/:/scrobble", "/:/unscrobble")
    return [path for method, path in tools.demo.requests.log if method != "GET" or path.startswith(marks)]


# -- all of them


async def test_plex_that_starts_or_is_away_is_told(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.answer_with(503)
        for name, given in EVERY.items():
            assert (await tools.refused(name, **given))["code"] == "plex_starting"
        tools.demo.answer_with(None)
        await tools.demo.shut_down()
        for name, given in EVERY.items():
            assert (await tools.refused(name, **given))["code"] == "plex_unreachable"


async def test_what_is_not_there_is_told_and_nothing_changes(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for name, given in FINDING.items():
            rest = {key: value for key, value in given.items() if key != "media_title"}
            for which in ({"media_title": "No such thing"}, {"media_id": UNKNOWN}):
                error = await tools.refused(name, **which, **rest)
                assert (error["code"], error["what"]) == ("not_found", "item")
            error = await tools.refused(name, **given, library_name="No library")
            assert "Films" in error["available"]
            error = await tools.refused(name, **given, library_name="Series")
            assert error["code"] == "not_found"
            assert tools.requests <= FIND + 2 + 1
            error = await tools.refused(name, **rest)
            assert (error["code"], error["argument"]) == ("invalid", "media_title")
        assert (await tools.refused("media_set_watched_status", media_id=UNKNOWN, watched=True))["code"] == "not_found"
        assert writes(tools) == []


async def test_an_id_of_another_kind_is_refused_and_the_right_tool_named(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        playlist, collection = next(iter(tools.demo.state.playlists)), next(iter(tools.demo.state.collections))
        marking = {"media_set_watched_status": {"watched": True}}
        for name, given in {**FINDING, **marking}.items():
            rest = {key: value for key, value in given.items() if key != "media_title"}
            for key, words in ((playlist, "playlist_"), (collection, "collection_"), ("Salt & Ember", "number")):
                error = await tools.refused(name, media_id=key, **rest)
                assert (error["code"], error["argument"]) == ("invalid", "media_id")
                assert words in error["message"]
        assert playlist in tools.demo.state.playlists
        assert collection in tools.demo.state.collections
        assert writes(tools) == []


@pytest.mark.parametrize(("title", "count", "for_reads"), [("twice told", 2, True), ("Ember", 1, False)])
async def test_a_title_of_several_or_for_writes_of_none_exactly_is_answered_with_what_fits(
    tools: Tools, title: str, count: int, for_reads: bool
) -> None:
    for name, given in FINDING.items():
        if name in WRITING or for_reads:
            said = await tools.ask(name, **{**given, "media_title": title})
            assert not said.is_error
            assert (said.body["status"], said.body["count"]) == ("multiple_matches", count)
            assert said.text == said.body["matches"]
            assert {"title", "id", "rating_key", "type", "year", "library"} <= said.text[0].keys()
    assert writes(tools) == []


UNUSABLE: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("media_search", {"query": "x", "limit": 0}, "limit"),
    ("media_search", {"query": "  "}, "query"),
    ("media_search", {"query": "x", "content_type": "podcast"}, "content_type"),
    ("media_get_details", {"media_id": 103, "limit": 0}, "limit"),
    ("media_get_details", {"media_id": 103, "offset": -1}, "offset"),
    ("media_list_available_artwork", {"media_id": 103, "limit": -5}, "limit"),
    ("media_list_available_artwork", {"media_id": 103, "art_type": "banner"}, "art_type"),
    ("media_get_artwork", {"media_id": 103, "image_types": []}, "image_types"),
    ("media_get_artwork", {"media_id": 103, "image_types": ["poster", "fresco"]}, "image_types"),
    ("media_get_artwork", {"media_id": 103, "output_format": "pdf"}, "output_format"),
    ("media_get_artwork", {"media_id": 103, "max_width": 0}, "max_width"),
    ("media_get_artwork", {"media_id": 103, "art_type": "poster", "image_types": ["art"]}, "art_type"),
    ("media_set_artwork", {"media_id": 103}, "filepath"),
    ("media_set_artwork", {"media_id": 103, "filepath": "p.png", "url": "http://example.org/p.png"}, "filepath"),
    ("media_set_artwork", {"media_id": 103, "filepath": "p.png", "art_type": "banner"}, "art_type"),
    ("media_set_artwork", {"media_id": 103, "url": "file:///etc/passwd"}, "url"),
    ("media_edit_metadata", {"media_id": 103, "new_title": " "}, "new_title"),
    ("media_edit_metadata", {"media_id": 103, "new_rating": 10.5}, "new_rating"),
    ("media_edit_metadata", {"media_id": 103, "new_rating": -1}, "new_rating"),
    ("media_edit_metadata", {"media_id": 103, "new_release_date": "31.12.2001"}, "new_release_date"),
    ("media_edit_metadata", {"media_id": 103, "new_release_date": "2001-02-31"}, "new_release_date"),
    ("media_edit_metadata", {"media_id": 103, "new_genre": " "}, "new_genre"),
    ("media_edit_metadata", {"media_id": 103, "new_tags": ["a", ""]}, "new_tags"),
    ("media_delete", {"media_id": 103, "username": "Pip"}, "username"),
)


async def test_an_argument_that_cannot_be_used_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for name, given, argument in UNUSABLE:
            error = await tools.refused(name, **given)
            assert (error["code"], error["argument"]) == ("invalid", argument), given
            assert tools.requests == 0


# -- search


async def test_a_search_gives_what_is_found_by_kind_in_one_request(tools: Tools) -> None:
    body = await tools.well("media_search", query="harbour")
    assert tools.requests == 1
    assert {"status", "message", "query", "content_type", "limit", "total_count", "results_by_type"} == body.keys()
    assert body["limit"] == 100
    show = body["results_by_type"]["show"][0]
    assert {"title", "type", "rating_key", "guid", "library", "year", "summary"} <= show.keys()
    assert (show["title"], show["library"]) == ("Harbour Street", "Series")
    assert body["total_count"] == sum(len(listed) for listed in body["results_by_type"].values())


@pytest.mark.parametrize(
    ("query", "kind", "keys"),
    [
        ("Salt & Ember", "movie", {"year", "rating", "summary", "resolution", "container", "codec"}),
        ("Season 1", "season", {"show_title", "season_number"}),
        ("Fog Warning", "episode", {"show_title", "season_number", "episode_number", "resolution"}),
        ("Steam Songs", "album", {"artist", "year"}),
        ("Velvet Kettles", "artist", {"art", "thumb"}),
        ("Rust", "track", {"artist", "album", "track_number", "duration", "thumb", "album_thumb", "artist_thumb", "art",
                           "audio_codec", "bitrate", "container"}),
    ],
)  # fmt: skip
async def test_every_kind_has_its_own_facts(tools: Tools, query: str, kind: str, keys: set[str]) -> None:
    body = await tools.well("media_search", query=query, content_type=kind)
    assert list(body["results_by_type"]) == [kind]
    for item in body["results_by_type"][kind]:
        assert keys <= item.keys()
        assert isinstance(item["rating_key"], int)


async def test_kinds_come_in_their_order_and_groups_of_them_can_be_asked_for(tools: Tools) -> None:
    every = await tools.well("media_search", query="e")
    order = ["track", "album", "artist", "movie", "show", "season", "episode"]
    assert [kind for kind in every["results_by_type"] if kind in order] == order
    some = await tools.well("media_search", query="e", content_type="movies,music")
    assert list(some["results_by_type"]) == ["track", "album", "artist", "movie"]


async def test_a_search_keeps_to_a_library_and_a_limit(tools: Tools) -> None:
    body = await tools.well("media_search", query="e", library_name="films", limit=3)
    assert tools.requests == 2
    assert {item["library"] for item in body["results_by_type"]["movie"]} == {"Films"}
    assert body["total_count"] == 3
    assert not (await tools.ask("media_search", query="e", limit=5000)).is_error


async def test_a_search_without_a_hit_is_a_success(tools: Tools) -> None:
    body = await tools.well("media_search", query="zzzz")
    assert (body["total_count"], body["count"], body["results"], body["results_by_type"]) == (0, 0, [], {})
    assert "zzzz" in body["message"]


# -- details

COMMON = {"title", "type", "id", "rating_key", "guid", "library", "library_id", "added_at", "added_at_utc", "rating",
          "user_rating", "critic_rating", "audience_rating", "files"}  # fmt: skip
LEAF = {"view_count", "watched", "playback_offset_ms", "in_progress", "progress_percent"}
CONTAINER = {"watched", "watch_status", "watched_count", "total_count", "total", "offset", "limit", "size", "truncated"}
TECHNICAL = {"content_rating", "duration", "studio", "year"}


@pytest.mark.parametrize(
    ("kind", "keys", "absent", "below"),
    [
        ("movie", LEAF | TECHNICAL | {"summary", "genres", "directors", "writers", "actors"}, set[str](), 0),
        ("show", CONTAINER | TECHNICAL | {"summary", "seasons_count", "episodes_count", "seasons"}, set[str](), 2),
        ("season", CONTAINER | {"show_title", "season_number", "episodes"}, set[str](), 1),
        ("episode", LEAF | {"show_title", "season_number", "episode_number", "summary"}, {"studio"}, 0),
        ("artist", CONTAINER | {"summary", "albums_count", "tracks_count", "albums"}, TECHNICAL, 1),
        ("album", CONTAINER | {"summary", "artist", "artist_id", "tracks_count", "tracks", "duration"}, set[str](), 1),
        ("track", LEAF | {"artist", "artist_id", "album", "album_id", "track_number", "disc_number", "skip_count"},
         set[str](), 0),
    ],
)  # fmt: skip
async def test_each_kind_is_told_in_full(tools: Tools, kind: str, keys: set[str], absent: set[str], below: int) -> None:
    item = first(tools, kind)
    body = await tools.well("media_get_details", media_id=item.key)
    assert tools.requests == 1 + below
    assert (COMMON | keys) - body.keys() == set()
    assert absent & body.keys() == set()
    assert (body["id"], body["title"], body["type"]) == (int(item.key), item.title, kind)
    assert "matched" not in body


async def test_a_show_has_its_seasons_and_a_page_of_its_episodes(tools: Tools) -> None:
    show = first(tools, "show")
    leaves = tools.demo.state.list_leaves(show.key)
    body = await tools.well("media_get_details", media_title=show.title, limit=3, offset=1)
    assert tools.requests <= FIND + 3
    listed = [episode for season in body["seasons"] for episode in season["episodes"]]
    assert [episode["id"] for episode in listed] == [int(leaf.key) for leaf in leaves[1:4]]
    assert {"title", "id", "rating_key", "episode_number", "duration"} == listed[0].keys()
    assert {"title", "id", "rating_key", "season_number", "episodes_count", "episodes"} == body["seasons"][0].keys()
    assert (body["episodes_count"], body["total"], body["size"]) == (len(leaves), len(leaves), 3)
    assert body["truncated"]
    assert sum(season["episodes_count"] for season in body["seasons"]) == len(leaves)


async def test_a_limit_over_the_cap_is_clamped(tools: Tools) -> None:
    body = await tools.well("media_get_details", media_id=first(tools, "season").key, limit=100_000)
    assert body["limit"] == 1000


async def test_an_artist_is_counted_from_its_albums(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        artist = first(tools, "artist")
        albums = tools.demo.state.list_children(artist.key)
        tracks = tools.demo.state.list_leaves(artist.key)
        tools.demo.state.scrobble(tools.demo.get_user(), albums[0].key)
        body = await tools.well("media_get_details", media_id=artist.key, limit=1)
        assert (body["albums_count"], body["tracks_count"]) == (len(albums), len(tracks))
        assert (body["watch_status"], body["watched"]) == ("partial", False)
        assert body["watched_count"] == len(tools.demo.state.list_leaves(albums[0].key))
        assert [album["title"] for album in body["albums"]] == [albums[0].title]


async def test_the_owners_rating_goes_before_the_critics(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        movie = titled(tools, "Salt & Ember")
        critics = await tools.well("media_get_details", media_id=movie.key)
        assert (critics["rating"], critics["critic_rating"], critics["user_rating"]) == (
            movie.rating,
            movie.rating,
            None,
        )
        tools.demo.state.get_own_view(tools.demo.get_user(), movie.key).rating = 9.0
        tools.demo.state.mark_changed()
        own = await tools.well("media_get_details", media_id=movie.key)
        assert (own["rating"], own["critic_rating"], own["user_rating"]) == (9.0, movie.rating, 9.0)


async def test_a_part_of_a_title_finds_one_item_for_reading_and_says_so(tools: Tools) -> None:
    body = await tools.well("media_get_details", media_title="ember", library_name="Films")
    assert (body["title"], body["matched"]) == ("Salt & Ember", "contains")


async def test_another_users_view_is_theirs(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        movie = titled(tools, "Salt & Ember")
        jasper = tools.demo.state.users[JASPERS]
        tools.demo.state.scrobble(jasper, movie.key)
        theirs = await tools.well("media_get_details", media_id=movie.key, username=jasper.name)
        assert tools.requests <= 1 + 2
        mine = await tools.well("media_get_details", media_id=movie.key)
        assert (theirs["view_count"], mine["view_count"]) == (1, 0)
        error = await tools.refused("media_get_details", media_id=movie.key, username="Nobody")
        assert error["code"] == "not_found"


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(None, None), (0, None), (61_000, "00:01:01"), (90_000_000, "1:01:00:00"), (86_399_000, "23:59:59")],
)
def test_durations_are_written_as_clocks(milliseconds: int | None, shown: str | None) -> None:
    assert format_clock(milliseconds, days=True) == shown


# -- watched

MARKED = {"status", "changed", "view_count", "media_id", "title", "type", "previous_watched", "previous_watch_status",
          "watched", "watch_status", "affected"}  # fmt: skip


@pytest.mark.parametrize("kind", ["movie", "episode", "track", "show", "season", "album", "artist"])
async def test_an_item_is_marked_and_unmarked_with_all_it_holds(tmp_path: Path, kind: str) -> None:
    async with home(tmp_path) as tools:
        item, state, me = first(tools, kind), tools.demo.state, tools.demo.get_user()
        leaves = state.list_leaves(item.key)
        budget = 5 if kind == "artist" else 3
        body = await tools.well("media_set_watched_status", media_id=int(item.key), watched=True)
        assert tools.requests <= budget
        assert MARKED - body.keys() == set()
        assert (body["changed"], body["previous_watch_status"], body["watch_status"]) == (True, "unwatched", "watched")
        assert all(state.get_view(me, leaf.key).count for leaf in leaves)
        assert body["affected"] == len(leaves)
        assert ("total_count" in body) == (kind not in {"movie", "episode", "track"})
        body = await tools.well("media_set_watched_status", media_id=item.key, watched=False)
        assert (body["previous_watched"], body["watched"], body["changed"]) == (True, False, True)
        assert not any(state.get_view(me, leaf.key).count for leaf in leaves)


@pytest.mark.parametrize("watched", [True, False])
async def test_what_is_so_already_is_not_asked_for(tmp_path: Path, watched: bool) -> None:
    async with home(tmp_path) as tools:
        show = first(tools, "show")
        if watched:
            tools.demo.state.scrobble(tools.demo.get_user(), show.key)
        body = await tools.well("media_set_watched_status", media_id=show.key, watched=watched)
        assert (tools.requests, body["changed"], body["affected"], writes(tools)) == (1, False, 0, [])


async def test_half_seen_counts_as_neither(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        movie = titled(tools, "Salt & Ember")
        tools.demo.state.get_own_view(tools.demo.get_user(), movie.key).offset = 90_000
        body = await tools.well("media_set_watched_status", media_id=movie.key, watched=False)
        assert (body["previous_watch_status"], body["watch_status"], body["changed"]) == ("partial", "unwatched", True)


async def test_marking_for_another_user_leaves_the_owner_alone(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        movie, state = titled(tools, "Salt & Ember"), tools.demo.state
        await tools.well("media_set_watched_status", media_id=movie.key, watched=True, username="jasper o'dell")
        assert tools.requests <= 3 + 2
        assert (
            state.get_view(state.users[JASPERS], movie.key).count,
            state.get_view(state.owner, movie.key).count,
        ) == (1, 0)


async def test_a_mark_that_plex_forgets_is_not_reported_as_done(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.state.get_own_view = lambda user, key: ViewState()  # type: ignore[method-assign]  # noqa: ARG005  # Plex says yes and forgets
        error = await tools.refused("media_set_watched_status", media_id=103, watched=True)
        assert (error["code"], error["requested"], error["found"]) == ("not_confirmed", "watched", "unwatched")


# -- edit


async def test_everything_is_edited_in_one_put_and_a_rating(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        movie = titled(tools, "Salt & Ember")
        was = (movie.title, movie.summary, movie.studio, movie.released, dict(movie.tags))
        body = await tools.well(
            "media_edit_metadata", media_title="salt & ember", library_name="Films", new_title="Pepper & Ash",
            new_summary="Two lines.\nThe second.", new_rating=7.5, new_release_date="1990-01-02", new_genre="Drama & Co",
            remove_genre="thriller", new_director="Noor Ashby", new_studio="", new_tags=["Best", "Old, but gold"],
        )  # fmt: skip
        assert tools.requests <= 1 + FIND + 4
        assert len(writes(tools)) == 2
        assert {"updated", "title", "media_id", "changes", "message", "rating_key", "before"} == body.keys()
        assert (movie.title, movie.summary, movie.studio, movie.released) == (
            "Pepper & Ash",
            "Two lines.\nThe second.",
            "",
            "1990-01-02",
        )
        assert movie.tags["Genre"] == ("Romance", "Drama & Co")
        assert movie.tags["Director"] == (*was[4]["Director"], "Noor Ashby")
        assert movie.tags["Label"] == ("Best", "Old, but gold")
        assert tools.demo.state.get_view(tools.demo.get_user(), movie.key).rating == 7.5
        assert {"title", "summary", "studio", "originallyAvailableAt", "genre", "director", "label"} <= movie.locked
        assert body["before"] == {
            "title": was[0], "summary": was[1], "studio": was[2], "release_date": was[3], "genres": list(was[4]["Genre"]),
            "directors": list(was[4]["Director"]), "labels": [], "rating": None,
        }  # fmt: skip
        assert body["message"].startswith("Successfully updated metadata for 'Salt & Ember'. Changes: ")
        assert "removed genre 'Thriller'" in body["changes"]


async def test_nothing_to_change_changes_nothing(tools: Tools) -> None:
    movie = titled(tools, "Salt & Ember")
    for given in ({}, {"new_title": movie.title, "new_genre": movie.tags["Genre"][0].upper(), "remove_genre": "x"}):
        body = await tools.well("media_edit_metadata", media_id=movie.key, **given)
        assert body["updated"] is False
        assert body["message"] == "No changes were made to 'Salt & Ember'."
    assert writes(tools) == []


async def test_the_last_genre_can_go(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        artist = first(tools, "artist")
        artist.tags["Genre"] = ("Indie, or so",)
        await tools.well("media_edit_metadata", media_id=artist.key, remove_genre="indie, or so")
        assert artist.tags["Genre"] == ()


@pytest.mark.parametrize(
    ("kind", "given"),
    [("season", {"new_genre": "Drama"}), ("track", {"new_summary": "x"}), ("show", {"new_director": "A"})],
)
async def test_what_a_kind_lacks_is_refused_before_any_edit(tmp_path: Path, kind: str, given: dict[str, str]) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused(
            "media_edit_metadata", media_id=first(tools, kind).key, new_title="Another", **given
        )
        assert (error["code"], error["arguments"]) == ("not_supported", list(given))
        assert writes(tools) == []


async def test_an_album_is_not_merged_with_another_by_its_title(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        one, other = tools.demo.state.list_kind("album")[:2]
        error = await tools.refused("media_edit_metadata", media_id=one.key, new_title=other.title.upper())
        assert (error["code"], error["rating_key"]) == ("conflict", int(other.key))
        assert writes(tools) == []
        body = await tools.well("media_edit_metadata", media_id=one.key, new_title="Quite Another", new_rating=3)
        assert tools.requests <= FIND + 4
        assert body["title"] == one.title == "Quite Another"


async def test_a_refresh_is_only_started_when_asked_for(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        await tools.well("media_edit_metadata", media_id=103, new_title="A")
        assert tools.demo.requests.count("/library/metadata/103/refresh") == 0
        body = await tools.well("media_edit_metadata", media_id=103, new_title="B", refresh=True)
        assert tools.demo.requests.count("/library/metadata/103/refresh", "PUT") == 1
        assert "refresh" in body["message"]


async def test_an_edit_that_plex_forgets_is_not_reported_as_done(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        movie = titled(tools, "Salt & Ember")
        kept = movie.summary

        class Stubborn(DemoItem):
            """Its summary stays as it is."""

            def __setattr__(self, name: str, value: object) -> None:
                object.__setattr__(self, name, kept if name == "summary" else value)

        stubborn = Stubborn(**{field.name: getattr(movie, field.name) for field in fields(movie)})
        tools.demo.state.items[movie.key] = stubborn
        error = await tools.refused("media_edit_metadata", media_id=movie.key, new_summary="New")
        assert (error["code"], error["requested"]) == ("not_confirmed", ["summary"])
        error = await tools.refused("media_edit_metadata", media_id=movie.key, new_summary="New", new_title="New")
        assert (error["code"], error["applied"], error["failed"]) == ("partial", ["title"], ["summary"])


# -- delete

DELETED = {"deleted", "title", "type", "files_on_disk", "files_total", "size_bytes", "media_id", "year", "library"}


def saying(action: Literal["accept", "decline"], then: Callable[[], None] | None = None) -> Callable[..., Any]:
    """A client whose person says this to a deletion, after something happened, and chooses none of several titles."""

    async def answer(_context: Any, params: Any) -> ElicitResult:
        if "choice" in params.requested_schema["properties"]:
            return ElicitResult(action="decline")
        for word in ("movie", "Salt & Ember", "(1989)", "Films", "1 file", "cannot be undone"):
            assert word in params.message
        if then is not None:
            then()
        return ElicitResult(action=action, content={"confirm": True} if action == "accept" else None)

    return answer


@pytest.mark.parametrize("kind", ["movie", "episode", "track", "show", "season", "album", "artist"])
async def test_an_item_is_deleted_with_its_files(tmp_path: Path, kind: str) -> None:
    async with home(tmp_path) as tools:
        item, state = first(tools, kind), tools.demo.state
        files = [media for leaf in state.list_leaves(item.key) for media in leaf.media]
        body = await tools.well("media_delete", media_id=item.key, confirm=True)
        assert tools.requests <= FIND + 6
        assert item.key not in state.items
        assert DELETED - body.keys() == set()
        assert (body["deleted"], body["title"], body["type"], body["media_id"]) == (
            True,
            item.title,
            kind,
            int(item.key),
        )
        assert (body["files_total"], body["size_bytes"]) == (len(files), sum(media.size for media in files))
        assert body["files_on_disk"] == [media.file for media in files][:50]


@pytest.mark.parametrize("given", [{}, {"library_name": "Series"}])
async def test_a_show_is_deleted_by_its_title_within_the_budget(tmp_path: Path, given: dict[str, str]) -> None:
    async with home(tmp_path) as tools:
        show = first(tools, "show")
        await tools.well("media_delete", media_title=show.title.lower(), confirm=True, **given)
        assert tools.requests <= FIND + 6
        assert show.key not in tools.demo.state.items


async def test_without_a_person_to_ask_the_victim_is_named_and_stays(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        movie = titled(tools, "Salt & Ember")
        error = await tools.refused("media_delete", media_title="Salt & Ember")
        assert error["code"] == "confirmation_required"
        assert error["victim"]["files_on_disk"] == [movie.media[0].file]
        assert (error["victim"]["title"], error["victim"]["library"]) == ("Salt & Ember", "Films")
        assert "confirm=true" in error["message"]
        assert (movie.key in tools.demo.state.items, writes(tools)) == (True, [])


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize("confirm", [True, False])
async def test_a_person_is_asked_even_with_confirm_and_what_they_say_counts(
    tmp_path: Path, era: str, confirm: bool
) -> None:
    given = {"media_title": "Salt & Ember", "confirm": confirm}
    async with home(tmp_path, era=era, answer=saying("decline")) as tools:
        error = await tools.refused("media_delete", **given)
        assert (error["code"], error["victim"]["title"], writes(tools)) == ("declined", "Salt & Ember", [])
    async with home(tmp_path, era=era, answer=saying("accept")) as tools:
        assert (await tools.well("media_delete", **given))["deleted"] is True
        assert len(writes(tools)) == 1


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_victim_that_changed_meanwhile_is_left_alone(tmp_path: Path, era: str) -> None:
    def renamed() -> None:
        titled(tools, "Salt & Ember").title = "Salt and Ember"

    async with home(tmp_path, era=era, answer=saying("accept", renamed)) as tools:
        key = titled(tools, "Salt & Ember").key
        said = await tools.ask("media_delete", media_title="Salt & Ember")
        assert said.code == "conflict" if era == "legacy" else said.body.get("deleted") is None
        assert (key in tools.demo.state.items, writes(tools)) == (True, [])


async def test_a_server_that_does_not_delete_says_so_before_any_question(tmp_path: Path) -> None:
    async with home(tmp_path, answer=saying("accept")) as tools:
        tools.demo.state.prefs["allowMediaDeletion"].value = False
        error = await tools.refused("media_delete", media_title="Salt & Ember")
        assert (error["code"], writes(tools)) == ("not_supported", [])


async def test_a_deletion_that_plex_forgets_is_not_reported_as_done(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.state.delete_item = lambda key: None  # type: ignore[method-assign]  # noqa: ARG005  # Plex says yes and forgets
        error = await tools.refused("media_delete", media_id=103, confirm=True)
        assert (error["code"], error["requested"]) == ("not_confirmed", "deleted")


# -- artwork: shown


async def test_a_poster_comes_as_base64_within_the_budget(tools: Tools) -> None:
    body = await tools.well("media_get_artwork", media_title="Salt & Ember")
    assert tools.requests <= FIND + 1 + 2
    poster = body["poster"]
    assert {"filename", "type", "versions_available", "base64", "rating_key", "mime"} == poster.keys()
    assert base64.b64decode(poster["base64"]).startswith(b"\x89PNG")
    assert (poster["filename"], poster["mime"], poster["versions_available"]) == (
        "Salt_&_Ember_poster.png",
        "image/png",
        2,
    )


async def test_an_image_comes_as_a_block_and_not_in_the_json(tools: Tools) -> None:
    given = {"media_id": 103, "image_types": ["poster", "background"], "output_format": "image"}
    answer = await tools.client.call_tool("media_get_artwork", given)
    text, *images = [block.model_dump(by_alias=True) for block in answer.content]
    assert [(block["type"], block["mimeType"]) for block in images] == [("image", "image/png")] * 2
    assert base64.b64decode(images[0]["data"]).startswith(b"\x89PNG")
    body = answer.structured_content or {}
    assert "base64" not in body["poster"]
    assert json.loads(text["text"]) == body


async def test_a_url_is_plexs_path_without_a_token(tools: Tools) -> None:
    body = await tools.well("media_get_artwork", media_id=103, art_type="thumb", output_format="url")
    assert body["thumb"]["url"].startswith("/library/metadata/103/thumb/")
    assert "token" not in json.dumps(body).lower()
    assert tools.demo.requests.count("/photo/") == 0


async def test_a_type_that_is_missing_fails_for_itself(tools: Tools) -> None:
    types = ["Poster", "banner", "logo", "poster"]
    album = tools.demo.state.list_kind("album")[0]
    body = await tools.well("media_get_artwork", media_id=album.key, image_types=types)
    assert list(body) == ["poster", "banner", "logo"]
    assert "base64" in body["poster"]
    assert "banner" in body["banner"]["error"]
    assert "logo" in body["logo"]["error"]


@pytest.mark.parametrize("kind", ["movie", "show"])
async def test_a_logo_is_shown_with_its_own_path_and_versions(tmp_path: Path, kind: str) -> None:
    async with home(tmp_path) as tools:
        item = tools.demo.state.list_kind(kind)[0]
        body = await tools.well("media_get_artwork", media_id=item.key, image_types=["logo"])
        assert body["logo"]["versions_available"] == 2
        assert body["logo"]["base64"]
        asked = [path for _, path in tools.demo.requests.log if path.startswith("/photo/")]
        assert len(asked) == 1
        assert f"%2Fmetadata%2F{item.key}%2FclearLogo%2F" in asked[0]
        await tools.well("media_set_artwork", media_id=item.key, filepath="p.png", art_type="logo")
        listed = await tools.well("media_list_available_artwork", media_id=item.key, art_type="logo")
        assert [art["selected"] for art in listed["artwork"]] == [False, False, True]


async def test_artwork_is_saved_below_the_media_folder_only(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        movie = titled(tools, "Salt & Ember")
        movie.title = "../../x"
        given = {"media_id": movie.key, "output_format": "file_path"}
        body = await tools.well("media_get_artwork", output_dir="out", **given)
        kept = tmp_path / "media" / "out" / "x_poster.png"
        assert (body["poster"]["path"], body["poster"]["filename"]) == (str(kept), kept.name)
        assert kept.read_bytes().startswith(b"\x89PNG")
        error = await tools.refused("media_get_artwork", output_dir="../elsewhere", **given)
        assert (error["code"], tools.requests) == ("path_not_allowed", 0)


async def test_artwork_to_a_file_is_a_write_and_the_rest_is_not(tmp_path: Path) -> None:
    async with home(tmp_path, read_only="true") as tools:
        error = await tools.refused("media_get_artwork", media_id=103, output_format="file_path")
        assert (error["code"], tools.requests) == ("read_only", 0)
        assert not (await tools.ask("media_get_artwork", media_id=103)).is_error


async def test_no_folder_means_no_files(tmp_path: Path) -> None:
    async with home(tmp_path, media_folder=None) as tools:
        for name, given in (
            ("media_get_artwork", {"output_format": "file_path"}),
            ("media_set_artwork", {"filepath": str(tmp_path / "media" / "p.png")}),
        ):
            error = await tools.refused(name, media_id=103, **given)
            assert (error["code"], tools.requests) == ("path_not_allowed", 0)


# -- artwork: set

SET = {"updated", "title", "media_id", "rating_key", "art_type", "source", "locked", "message"}


@pytest.mark.parametrize(
    ("given", "listed", "lock"),
    [
        ({"filepath": "p.png"}, "posters", "thumb"),
        ({"filepath": "p.png", "art_type": "background"}, "arts", "art"),
        ({"filepath": "p.png", "art_type": "logo"}, "clearLogos", "clearLogo"),
        ({"poster_path": "p.png"}, "posters", "thumb"),
        ({"background_path": "p.png"}, "arts", "art"),
    ],
)
async def test_a_picture_of_a_file_is_uploaded_and_locked(
    tmp_path: Path, given: dict[str, str], listed: str, lock: str
) -> None:
    async with home(tmp_path) as tools:
        movie = titled(tools, "Salt & Ember")
        body = await tools.well("media_set_artwork", media_title=movie.title, lock=True, **given)
        assert tools.requests <= FIND + 3
        assert body.keys() == SET
        assert (body["source"], body["locked"], body["title"]) == ("file", True, movie.title)
        assert tools.demo.chosen_pictures[movie.key, listed].startswith("upload://")
        assert lock in movie.locked


async def test_without_lock_nothing_is_locked(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        body = await tools.well("media_set_artwork", media_id=103, filepath="p.png")
        assert (body["locked"], tools.demo.state.items["103"].locked) == (False, set())


async def test_plex_is_never_given_a_foreign_address(tmp_path: Path) -> None:
    with serve_pictures() as state:
        async with home(tmp_path, allow_private_image_urls="true") as tools:
            for url in (state.url(host="127.0.0.1"), state.url(host="localhost"), "http://169.254.169.254/latest"):
                error = await tools.refused("media_set_artwork", media_id=103, url=url)
                assert (error["code"], tools.requests) == ("path_not_allowed", 0)
        assert state.asked == []


async def test_a_picture_of_an_address_is_fetched_and_its_bytes_are_uploaded(tmp_path: Path) -> None:
    own = own_address()
    if own is None:
        pytest.skip("this machine has no address in a private network")
    with serve_pictures(host=own) as state:
        url = state.url(host=f"[{own}]" if ":" in own else own)
        async with home(tmp_path) as tools:
            assert (await tools.refused("media_set_artwork", media_id=103, url=url))["code"] == "path_not_allowed"
            assert state.asked == []
        async with home(tmp_path, allow_private_image_urls="true") as tools:
            body = await tools.well("media_set_artwork", media_id=103, poster_url=url)
            assert (body["source"], len(state.asked)) == ("url", 1)
            assert not any("url=" in path for path in writes(tools))


@pytest.mark.parametrize(
    ("body", "code"), [(b"<svg/>", "invalid"), (JPEG[:3] + bytes(17 << 20), "too_large")], ids=["svg", "large"]
)
async def test_a_file_that_is_no_fitting_picture_changes_nothing(tmp_path: Path, body: bytes, code: str) -> None:
    async with home(tmp_path) as tools:
        (tmp_path / "media" / "bad.jpg").write_bytes(body)
        error = await tools.refused("media_set_artwork", media_id=103, filepath="bad.jpg")
        assert (error["code"], tools.requests) == (code, 0)


async def test_a_track_has_no_poster_of_its_own(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused("media_set_artwork", media_id=first(tools, "track").key, filepath="p.png")
        assert (error["code"], writes(tools)) == ("not_supported", [])


# -- artwork: listed


async def test_the_versions_are_listed_with_the_one_that_is_shown(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        await tools.well("media_set_artwork", media_id=103, filepath="p.png")
        body = await tools.well("media_list_available_artwork", media_title="Salt & Ember")
        assert tools.requests <= FIND + 1
        assert (body["media_title"], body["media_id"], body["art_type"], body["count"]) == (
            "Salt & Ember",
            103,
            "poster",
            3,
        )
        assert [art["index"] for art in body["artwork"]] == [1, 2, 3]
        assert {"index", "provider", "url", "selected", "rating_key"} == body["artwork"][0].keys()
        assert [art["rating_key"] for art in body["artwork"] if art["selected"]] == [
            tools.demo.chosen_pictures["103", "posters"]
        ]
        page = await tools.well("media_list_available_artwork", media_id=103, limit=1, offset=1)
        assert (page["count"], page["total"], page["size"], page["artwork"][0]["index"]) == (3, 3, 1, 2)


async def test_keys_of_other_services_are_hidden(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        foreign = "https://img.example.org/p.jpg?api_key=abcdef123&size=2&X-Plex-Token=abcdefgh"
        tools.demo.chosen_pictures["103", "posters"] = foreign
        body = await tools.well("media_list_available_artwork", media_id=103)
        assert "abcdef" not in json.dumps(body)
        assert "size=2" in json.dumps(body)
