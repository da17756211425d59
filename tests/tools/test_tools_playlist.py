"""Playlists: listed, shown, created, filled, emptied, edited, given a poster, copied, deleted."""

from __future__ import annotations

import base64
import time
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import parse_qsl
from xml.etree.ElementTree import Element

import pytest
from mcp_types import ElicitResult
from support.tools import Tools, tools_home

from plex_companion.demo import Household, build_household
from plex_companion.demo.household.model import DemoPlaylist
from plex_companion.tools.playlist.smart import parse_definition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
JASPER = "Jasper O'Dell"
UNKNOWN = "999999"
V = 2
"""Another user's view: their list and their token, both from plex.tv."""
FRIDAY: dict[str, Any] = {"playlist_title": "Friday Films"}
EVERY: dict[str, dict[str, Any]] = {
    "playlist_list": {},
    "playlist_get_contents": FRIDAY,
    "playlist_create": {"playlist_title": "New", "item_titles": ["A"]},
    "playlist_edit": {**FRIDAY, "new_summary": "x"},
    "playlist_upload_poster": {**FRIDAY, "poster_filepath": "poster.png"},
    "playlist_copy_to_user": {**FRIDAY, "username": JASPER},
    "playlist_add_to": {**FRIDAY, "item_titles": ["A"]},
    "playlist_remove_from": {**FRIDAY, "item_titles": ["A"]},
    "playlist_delete": {**FRIDAY, "confirm": True},
    "playlist_edit_smart_filters": {**FRIDAY, "limit": 5},
    "playlist_create_smart": {"playlist_title": "New", "library_name": "Films"},
    "playlist_get_smart_filter_options": {"library_name": "Films"},
}
FINDING = {name: given for name, given in EVERY.items() if "playlist_title" in given and "create" not in name}


def household() -> Household:
    """Two playlists of one name, an empty one, one with an item twice, and two films of one name."""
    built = build_household(now=time.time())
    films = [item for item in built.items if item.type == "movie" and item.section == "1"]
    films[1].title = films[0].title
    now = films[0].added_at
    entries = [(7001, films[0].key), (7002, films[2].key), (7003, films[2].key), (7004, films[1].key)]
    built.playlists[0].entries = [(900 + place, item.key) for place, item in enumerate(films[4:9])]
    built.playlists += [
        DemoPlaylist("80001", "Twins", "video", 1, now, now, entries=entries),
        DemoPlaylist("80002", "Twins", "audio", 1, now, now),
        DemoPlaylist("80003", "Empty", "video", 1, now, now),
    ]
    return built


def with_picture(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "poster.png").write_bytes(PNG)
    return folder


@asynccontextmanager
async def home(folder: Path, **more: Any) -> AsyncIterator[Tools]:
    given = {"household": household(), "hushed": True, "media_folder": str(with_picture(folder)), **more}
    async with tools_home(folder, **given) as tools:
        await tools.application.companion.gateway.call(lambda plex: plex)  # connecting costs a request of its own
        yield tools


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tools]:
    async with home(tmp_path_factory.mktemp("shared")) as tools:
        yield tools


def films(tools: Tools) -> list[Any]:
    return tools.demo.state.list_section("1", "movie")


def one(tools: Tools, title: str, user: int = 1) -> DemoPlaylist:
    return next(row for row in tools.demo.state.playlists.values() if (row.title, row.user) == (title, user))


def keys(playlist: DemoPlaylist) -> list[str]:
    return [key for _, key in playlist.entries]


def writes(tools: Tools) -> int:
    return sum(method != "GET" for method, _ in tools.demo.requests.log)


def without_title(name: str) -> dict[str, Any]:
    return {key: value for key, value in EVERY[name].items() if key != "playlist_title"}


async def test_plex_that_starts_or_is_away_is_told(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.answer_with(503)
        tools.demo.answer_plex_tv_with(None)
        for name, given in EVERY.items():
            if name != "playlist_copy_to_user":
                assert (await tools.refused(name, **given))["code"] == "plex_starting", name
        tools.demo.answer_with(None)
        await tools.demo.shut_down()
        for name, given in EVERY.items():
            expected = {"plex_unreachable", "plextv_unreachable"}
            assert (await tools.refused(name, **given))["code"] in expected, name


async def test_a_playlist_that_is_not_there_is_told_and_nothing_changes(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for name in FINDING:
            for which in ({"playlist_title": "No such thing"}, {"playlist_id": UNKNOWN}):
                error = await tools.refused(name, **which, **without_title(name))
                assert (error["code"], error["what"]) == ("not_found", "playlist")
            theirs = int(one(tools, "Jasper's Mix", 90002).key)
            error = await tools.refused(name, playlist_id=theirs, **without_title(name))
            assert error["code"] == "not_found"
            assert (await tools.refused(name, **without_title(name)))["argument"] == "playlist_title"
        assert writes(tools) == 0


async def test_an_id_of_another_kind_is_refused_and_the_kind_named(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        collection = next(iter(tools.demo.state.collections))
        for name in FINDING:
            for key, kind in ((films(tools)[0].key, "movie"), (collection, "collection"), ("Friday", "number")):
                error = await tools.refused(name, playlist_id=key, **without_title(name))
                assert (error["code"], error["argument"]) == ("invalid", "playlist_id")
                assert kind in error["message"]
        assert writes(tools) == 0
        assert films(tools)[0].key in tools.demo.state.items


async def test_a_title_of_several_is_answered_with_what_fits(tools: Tools) -> None:
    for name in FINDING:
        said = await tools.ask(name, **{**EVERY[name], "playlist_title": "twins"})
        assert not said.is_error
        assert (said.body["status"], said.body["count"]) == ("multiple_matches", 2)
        assert said.text == said.body["matches"]
        assert said.text[0] == {
            "title": "Twins",
            "id": 80001,
            "rating_key": 80001,
            "type": "video",
            "item_count": 4,
        }
    assert writes(tools) == 0


async def test_no_write_acts_on_a_title_that_only_contains_it(tools: Tools) -> None:
    for name in FINDING:
        body = await tools.well(name, **{**EVERY[name], "playlist_title": "Friday"})
        if name == "playlist_get_contents":
            assert (body["title"], body["matched"]) == ("Friday Films", "contains")
        else:
            assert (body["status"], body["count"]) == ("multiple_matches", 1)
    assert writes(tools) == 0


async def test_an_unknown_user_is_told_and_never_replaced_by_the_owner(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for name, given in EVERY.items():
            error = await tools.refused(name, **{**given, "username": "Nobody"})
            assert (error["code"], error["what"]) == ("not_found", "user"), name
        assert writes(tools) == 0


# -- list


async def test_playlists_are_listed_in_one_request(tools: Tools) -> None:
    said = await tools.ask("playlist_list")
    assert tools.requests == 1
    assert said.text == said.body["playlists"]
    friday = said.text[0]
    assert friday["title"] == "Friday Films"
    expected = {"title", "key", "ratingKey", "type", "duration", "item_count"}
    assert expected | {"rating_key", "smart", "updated_at"} == friday.keys()
    assert (friday["key"], friday["type"]) == (f"/playlists/{friday['ratingKey']}", "video")
    assert (friday["item_count"], friday["smart"], friday["updated_at"][-1]) == (5, False, "Z")
    assert {"total": 6, "offset": 0, "limit": 50, "size": 6, "truncated": False}.items() <= said.body.items()


async def test_both_filters_another_user_and_pages_work_together(tools: Tools) -> None:
    body = await tools.well("playlist_list", library_name="Music", content_type="audio", limit=1)
    assert tools.requests == 2
    assert [row["title"] for row in body["playlists"]] == ["Washing Up"]
    body = await tools.well("playlist_list", username="jasper@example.net")
    assert tools.requests == 1 + V
    assert [row["title"] for row in body["playlists"]] == ["Jasper's Mix"]
    body = await tools.well("playlist_list", limit=2, offset=4)
    assert (body["size"], body["truncated"]) == (2, False)
    assert (await tools.well("playlist_list", limit=9999))["limit"] == 500


async def test_no_playlists_are_no_error(tools: Tools) -> None:
    body = await tools.well("playlist_list", content_type="photo")
    assert (body["playlists"], body["total"]) == ([], 0)
    assert body["message"]


async def test_what_cannot_be_asked_is_refused_unasked(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for name in ("playlist_list", "playlist_get_contents"):
            for argument, value in (("limit", 0), ("limit", -1), ("offset", -1)):
                error = await tools.refused(name, **{**EVERY[name], argument: value})
                assert (error["code"], error["argument"], tools.requests) == ("invalid", argument, 0)
        error = await tools.refused("playlist_list", content_type="smell")
        assert (error["argument"], error["allowed"], tools.requests) == ("content_type", ["video", "audio", "photo"], 0)
        assert (await tools.refused("playlist_list", library_name="Nowhere"))["code"] == "not_found"


# -- contents


async def test_contents_are_shown_in_order_page_by_page_in_two_requests(tools: Tools) -> None:
    friday = one(tools, "Friday Films")
    body = await tools.well("playlist_get_contents", playlist_title="FRIDAY films", limit=2, offset=1)
    assert tools.requests == 2
    assert [str(item["ratingKey"]) for item in body["items"]] == keys(friday)[1:3]
    assert {"title", "id", "key", "type", "summary", "duration", "itemCount", "items"} <= body.keys()
    assert (body["itemCount"], body["size"], body["truncated"]) == (5, 2, True)
    item = body["items"][0]
    expected = {"title", "type", "ratingKey", "addedAt", "duration", "thumb", "year"}
    assert item.keys() == expected | {"rating_key", "playlist_item_id", "added_at_utc"}
    assert item["playlist_item_id"] == friday.entries[1][0]
    assert (len(item["addedAt"]), item["added_at_utc"][-1]) == (19, "Z")
    assert "matched" not in body
    assert (await tools.well("playlist_get_contents", **FRIDAY, limit=99999))["limit"] == 1000


async def test_tracks_and_episodes_say_what_they_belong_to(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tracks = await tools.well("playlist_get_contents", playlist_title="Washing Up", limit=1)
        assert {"artist", "album", "albumArtist"} <= tracks["items"][0].keys()
        episode = tools.demo.state.list_kind("episode")[0].key
        one(tools, "Empty").entries = [(7100, episode)]
        episodes = await tools.well("playlist_get_contents", playlist_title="Empty")
        assert {"show", "season", "seasonNumber", "episodeNumber"} <= episodes["items"][0].keys()


async def test_an_empty_playlist_is_no_error_and_another_users_is_shown(tools: Tools) -> None:
    body = await tools.well("playlist_get_contents", playlist_id=80003)
    assert (body["itemCount"], body["items"]) == (0, [])
    body = await tools.well("playlist_get_contents", playlist_title="Jasper's Mix", username=JASPER)
    assert tools.requests == 2 + V
    assert body["itemCount"] == 5


# -- create


async def test_a_playlist_is_created_in_the_order_asked_for(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        row = films(tools)
        given: dict[str, Any] = {"items": [row[5].title.lower(), row[3].title], "item_ids": [int(row[4].key)]}
        body = await tools.well("playlist_create", title="Für & wider", summary="Three.", **given)
        assert tools.requests <= 4 + 2
        made = one(tools, "Für & wider")
        assert keys(made) == [row[5].key, row[3].key, row[4].key]
        assert (made.kind, made.summary, made.smart) == ("video", "Three.", False)
        assert body["status"] == "success"
        assert body["message"]
        assert body["data"] == {
            "title": "Für & wider",
            "key": f"/playlists/{made.key}",
            "ratingKey": int(made.key),
            "item_count": 3,
            "rating_key": int(made.key),
            "summary": "Three.",
        }


async def test_an_album_comes_in_as_its_tracks_for_another_user(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        album = tools.demo.state.list_kind("album")[0]
        body = await tools.well("playlist_create", playlist_title="Loud", item_ids=[album.key], username=JASPER)
        assert tools.requests <= 4 + V
        made = one(tools, "Loud", 90002)
        assert (made.kind, body["data"]["item_count"]) == ("audio", len(tools.demo.state.list_leaves(album.key)))


async def test_a_library_decides_between_items_of_one_name(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        other = tools.demo.state.list_section("5", "movie")[0]
        other.title = films(tools)[3].title
        given = {"playlist_title": "X", "item_titles": [other.title]}
        assert (await tools.well("playlist_create", **given))["status"] == "multiple_matches"
        await tools.well("playlist_create", **given, library_name="Films", summary="s")
        assert tools.requests <= 4 + 2
        assert keys(one(tools, "X")) == [films(tools)[3].key]


async def test_all_items_or_none(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        row = films(tools)
        unclear = await tools.well("playlist_create", playlist_title="X", item_titles=[row[3].title, row[0].title])
        assert unclear["status"] == "multiple_matches"
        assert {match["id"] for match in unclear["matches"]} == {int(row[0].key), int(row[1].key)}
        assert unclear["unresolved"] == [{"title": row[0].title, "possible_matches": unclear["matches"]}]
        missing: tuple[dict[str, Any], ...] = (
            {"item_titles": ["Nope", row[3].title]},
            {"item_ids": [row[3].key, UNKNOWN]},
        )
        for given in missing:
            error = await tools.refused("playlist_create", playlist_title="X", **given)
            assert error["code"] == "not_found"
            assert error["items_not_found"] in (["Nope"], [UNKNOWN])
        track = tools.demo.state.list_kind("track")[0].key
        error = await tools.refused("playlist_create", playlist_title="X", item_ids=[row[3].key, track])
        assert (error["code"], error["argument"]) == ("invalid", "item_ids")
        error = await tools.refused("playlist_create", playlist_title="X", item_ids=["80003"])
        assert error["code"] == "invalid"
        assert writes(tools) == 0


async def test_a_playlist_without_name_or_items_is_refused_unasked(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        wrong: tuple[dict[str, Any], ...] = (
            {"playlist_title": " ", "item_titles": ["A"]},
            {},
            {"item_titles": [" "]},
            {"item_ids": ["A"]},
            {"item_titles": ["A"], "items": ["A"]},
        )
        for given in wrong:
            error = await tools.refused("playlist_create", **{"playlist_title": "X", **given})
            assert (error["code"], tools.requests) == ("invalid", 0)


# -- smart


def clever(tools: Tools, title: str = "Newest Ten") -> list[tuple[str, str]]:
    """The query of a smart playlist as the server keeps it."""
    return parse_qsl(one(tools, title).content.partition("?")[2])


async def test_a_smart_playlist_is_created_within_its_budget_and_shows_what_it_holds(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        film = films(tools)[3]
        genre = film.tags["Genre"][0]
        body = await tools.well(
            "playlist_create_smart",
            playlist_title="Clever & new",
            library_name="films",
            filters={"genre": genre.upper(), "year>>": film.year - 1, "unwatched!": True},
            sort="year:desc, titleSort",
            limit=3,
            summary="By itself.",
        )
        assert tools.requests == 1 + 5
        made = one(tools, "Clever & new")
        assert (made.smart, made.kind, made.summary) == (True, "video", "By itself.")
        tag = str(tools.demo.state.get_tag_id("Genre", genre))
        assert clever(tools, "Clever & new") == [
            ("type", "1"),
            ("sort", "movie.year:desc,movie.titleSort"),
            ("limit", "3"),
            ("genre", tag),
            ("year>>", str(film.year - 1)),
            ("unwatched!", "1"),
        ]
        filters = {"genre": tag, "year>>": str(film.year - 1), "unwatched!": "1"}
        definition = {"libtype": "movie", "filters": filters, "sort": "movie.year:desc,movie.titleSort", "limit": 3}
        expected = {"status": "success", "title": "Clever & new", "playlist_id": int(made.key), "smart": True}
        assert {**expected, "definition": definition, "preview_limit": 20}.items() <= body.items()
        assert body["item_count"] == len(body["items"])
        assert {"title", "media_id", "type", "rating_key"} == body["items"][0].keys()


@pytest.mark.parametrize(
    ("library", "libtype", "number", "medium", "yields"),
    [
        ("Films", None, "1", "video", "movie"),
        ("Series", None, "4", "video", "episode"),
        ("Series", "show", "2", "video", "episode"),
        ("Music", None, "10", "audio", "track"),
        ("Music", "artist", "8", "audio", "track"),
    ],
)
async def test_a_smart_playlist_is_of_the_type_asked_for(
    tmp_path: Path, library: str, libtype: str | None, number: str, medium: str, yields: str
) -> None:
    async with home(tmp_path) as tools:
        given = {"library_name": library, "libtype": libtype, "username": JASPER}
        body = await tools.well("playlist_create_smart", playlist_title="X", **given)
        assert tools.requests <= 1 + 5 + V
        made = one(tools, "X", 90002)
        assert (made.kind, parse_qsl(made.content.partition("?")[2])) == (medium, [("type", number)])
        assert len(body["items"]) == 20
        assert {item["type"] for item in body["items"]} == {yields}


SMART: dict[str, tuple[dict[str, Any], str, str]] = {
    "blank title": ({"playlist_title": " "}, "invalid", "playlist_title"),
    "no items": ({"limit": 0}, "invalid", "limit"),
    "library": ({"library_name": "Nowhere"}, "not_found", ""),
    "type": ({"libtype": "track"}, "invalid", "libtype"),
    "field": ({"filters": {"smell": 1}}, "invalid", "filters"),
    "no field": ({"filters": {"a b": 1}}, "invalid", "filters"),
    "operator": ({"filters": {"genre>>": "Drama"}}, "invalid", "filters"),
    "tag": ({"filters": {"genre": "No such genre"}}, "invalid", "filters"),
    "number": ({"filters": {"year": "soon"}}, "invalid", "filters"),
    "truth": ({"filters": {"unwatched": "perhaps"}}, "invalid", "filters"),
    "date": ({"filters": {"addedAt>>": "2024-13-45"}}, "invalid", "filters"),
    "text": ({"filters": {"title": {}}}, "invalid", "filters"),
    "no value": ({"filters": {"title": []}}, "invalid", "filters"),
    "group": ({"filters": {"or": {"year": 1}}}, "invalid", "filters"),
    "sort": ({"sort": "smell:desc"}, "invalid", "sort"),
    "direction": ({"sort": "year:down"}, "invalid", "sort"),
}


async def test_what_the_library_cannot_do_is_refused_and_nothing_created(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for case, (given, code, argument) in SMART.items():
            expected = {"playlist_title": "X", "library_name": "Films", **given}
            error = await tools.refused("playlist_create_smart", **expected)
            assert (error["code"], error.get("argument", "")) == (code, argument), case
        error = await tools.refused("playlist_create_smart", playlist_title="X", library_name="Films", sort="smell")
        assert "titleSort" in error["allowed"]
        assert writes(tools) == 0


FILTERS: tuple[dict[str, Any], ...] = (
    {"year": [1999, 2004]},
    {"title=": "A, b & c", "addedAt>>": "30d"},
    {"addedAt<<": "2024-02-29", "rating>>": 7.5, "id": 12},
    {"label&": ["12", "13"]},
    {"or": [{"year": 1999}, {"and": [{"year>>": 2000}, {"title<": "The"}]}]},
)


@pytest.mark.parametrize("filters", FILTERS)
async def test_what_a_definition_shows_can_be_given_back(tmp_path: Path, filters: dict[str, Any]) -> None:
    async with home(tmp_path) as tools:
        given = {"playlist_title": "X", "library_name": "Films", "filters": filters}
        first = await tools.well("playlist_create_smart", **given)
        contents = await tools.well("playlist_get_contents", playlist_title="X")
        assert contents["smart"] is True
        assert contents["definition"] == first["definition"]
        query = clever(tools, "X")
        back = {"filters": first["definition"]["filters"]}
        again = await tools.well("playlist_edit_smart_filters", playlist_title="X", **back)
        assert again["definition"] == first["definition"]
        assert clever(tools, "X") == query


async def test_only_what_is_given_changes_and_the_definition_before_is_told(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        newest = one(tools, "Newest Ten")
        old = {"libtype": "movie", "filters": {}, "sort": "movie.addedAt:desc", "limit": 10}
        body = await tools.well("playlist_edit_smart_filters", playlist_title="Newest Ten", filters={"year>>": 1990})
        assert tools.requests <= 5
        assert body["previous_definition"] == old
        assert body["definition"] == {**old, "filters": {"year>>": "1990"}}
        assert ("limit", "10") in clever(tools)
        body = await tools.well("playlist_edit_smart_filters", playlist_id=newest.key, limit=0, sort="", filters={})
        assert tools.requests <= 5
        assert body["definition"] == {"libtype": "movie", "filters": {}, "sort": None, "limit": None}
        assert clever(tools) == [("type", "1")]
        assert body["item_count"] == len(films(tools))
        assert len(body["items"]) == 20


async def test_an_edit_of_filters_that_cannot_be_changes_nothing(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        smart = {"playlist_title": "Newest Ten"}
        assert (await tools.refused("playlist_edit_smart_filters", **smart))["code"] == "invalid"
        assert (await tools.refused("playlist_edit_smart_filters", **smart, limit=-1))["argument"] == "limit"
        for given, argument in (({"filters": {"smell": 1}}, "filters"), ({"sort": "smell"}, "sort")):
            error = await tools.refused("playlist_edit_smart_filters", **smart, **given)
            assert (error["code"], error["argument"]) == ("invalid", argument)
        error = await tools.refused("playlist_edit_smart_filters", **FRIDAY, limit=5)
        assert (error["code"], error["reason"]) == ("not_supported", "not smart")
        assert writes(tools) == 0


async def test_the_fields_and_sorts_of_a_library_are_shown(tools: Tools) -> None:
    body = await tools.well("playlist_get_smart_filter_options", library_name="Series", libtype="show")
    assert tools.requests == 1 + 1
    assert (body["library"], body["libtype"]) == ("Series", "show")
    fields = {one["field"]: one for one in body["fields"]}
    assert fields["genre"].keys() == {"field", "title", "type", "operators"}
    assert {"operator": ">>=", "title": "is greater than", "filter": "year>>"} in fields["year"]["operators"]
    assert {"field", "title", "defaultDirection"} == body["sorts"][0].keys()
    assert (await tools.well("playlist_get_smart_filter_options", library_name="Series"))["libtype"] == "episode"


async def test_the_values_of_a_field_are_shown_page_by_page(tools: Tools) -> None:
    genres = await tools.well("playlist_get_smart_filter_options", library_name="Films", field="genre")
    assert tools.requests == 1 + 2
    assert {"library": "Films", "libtype": "movie", "field": "genre"}.items() <= genres.items()
    assert genres["choices"][0].keys() == {"title", "value"}
    given = {"library_name": "Films", "field": "genre", "limit": 1, "offset": 1}
    some = await tools.well("playlist_get_smart_filter_options", **given, username=JASPER)
    assert tools.requests <= 2 + V
    assert some["choices"] == genres["choices"][1:2]
    assert (some["total"], some["size"], some["truncated"]) == (genres["total"], 1, True)
    assert (await tools.well("playlist_get_smart_filter_options", **{**given, "limit": 9999}))["limit"] == 500
    given = {"library_name": "Films", "limit": 1}
    flags = await tools.well("playlist_get_smart_filter_options", **given, field="unwatched")
    assert [choice["value"] for choice in flags["choices"]] == ["1", "0"]
    assert (await tools.well("playlist_get_smart_filter_options", **given, field="title"))["message"]


async def test_options_that_are_not_there_are_refused(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        wrong: tuple[dict[str, Any], ...] = ({"field": "smell"}, {"libtype": "track"}, {"limit": 0}, {"offset": -1})
        for given in wrong:
            error = await tools.refused("playlist_get_smart_filter_options", library_name="Films", **given)
            assert (error["code"], error["argument"]) == ("invalid", next(iter(given)))
        error = await tools.refused("playlist_get_smart_filter_options", library_name="Nowhere")
        assert error["code"] == "not_found"


@pytest.mark.parametrize(
    "content",
    [
        "server://m/com.plexapp.plugins.library/library/sections/1/all?type=1&title==A%26B&year=1,2&limit=5",
        "library://x/directory/%2Flibrary%2Fsections%2F1%2Fall%3Ftype%3D1%26title%3D%3DA%2526B%26year%3D1%252C2%26limit%3D5",
        "/library/sections/1/all?type=1&title%3D=A%26B&year=1%2C2&limit=5&includeGuids=1",
    ],
)
def test_a_definition_is_read_however_it_is_escaped(content: str) -> None:
    found = parse_definition(Element("Playlist", content=content))
    assert found is not None
    assert found.as_dict() == {
        "libtype": "movie",
        "filters": {"title=": "A&B", "year": ["1", "2"]},
        "sort": None,
        "limit": 5,
    }


@pytest.mark.parametrize("content", ["", "nonsense", "library://x/item/5"])
def test_what_is_no_definition_is_none(content: str) -> None:
    assert parse_definition(Element("Playlist", content=content)) is None


# -- edit, poster


async def test_title_and_summary_are_edited_in_one_request(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        friday = one(tools, "Friday Films")
        body = await tools.well("playlist_edit", **FRIDAY, new_title="Sat & Sun", new_summary="Both")
        assert tools.requests == 3
        assert (friday.title, friday.summary) == ("Sat & Sun", "Both")
        expected = {"updated": True, "title": "Sat & Sun", "changes": ["title", "summary"]}
        assert body == {**expected, "playlist_id": int(friday.key)}
        body = await tools.well("playlist_edit", playlist_id=friday.key, new_summary="")
        assert (friday.summary, body["changes"]) == ("", ["summary"])


async def test_an_edit_without_a_difference_is_not_sent(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for given in ({}, {"new_title": "Friday Films"}):
            body = await tools.well("playlist_edit", **FRIDAY, **given)
            assert (body["updated"], body["title"]) == (False, "Friday Films")
            assert body["message"]
        error = await tools.refused("playlist_edit", **FRIDAY, new_title="  ")
        assert (error["code"], error["argument"], tools.requests) == ("invalid", "new_title", 0)
        assert writes(tools) == 0


async def test_another_users_playlist_is_edited_with_their_token(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        await tools.well("playlist_edit", playlist_title="Jasper's Mix", new_title="Mine", username=JASPER)
        assert tools.requests == 3 + V
        assert one(tools, "Mine", 90002).kind == "audio"


async def test_a_poster_is_sent_as_bytes_and_seen(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        friday = one(tools, "Friday Films")
        body = await tools.well("playlist_upload_poster", **FRIDAY, image_path="poster.png")
        assert tools.requests == 3
        assert tools.demo.chosen_pictures[friday.key, "posters"].startswith("upload://")
        assert body == {
            "updated": True,
            "poster_source": "file",
            "title": "Friday Films",
            "playlist_id": int(friday.key),
        }


POSTERS: dict[str, tuple[dict[str, str], str]] = {
    "none": ({}, "invalid"),
    "both": ({"poster_filepath": "poster.png", "poster_url": "http://example.net/a.png"}, "invalid"),
    "outside": ({"poster_filepath": "../../../etc/hostname"}, "path_not_allowed"),
    "not there": ({"poster_filepath": "nothing.png"}, "not_found"),
    "no picture": ({"poster_filepath": "cache.sqlite3"}, "invalid"),
    "own network": ({"poster_url": "http://127.0.0.1:32400/a.png"}, "path_not_allowed"),
    "no web address": ({"poster_url": "file:///etc/hostname"}, "invalid"),
}


async def test_a_poster_that_cannot_be_used_is_refused_unasked(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for case, (given, code) in POSTERS.items():
            error = await tools.refused("playlist_upload_poster", **FRIDAY, **given)
            assert (error["code"], tools.requests) == (code, 0), case


# -- copy


async def test_a_playlist_is_copied_without_what_the_other_cannot_see(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        friday = one(tools, "Friday Films")
        friday.entries.append((999, friday.entries[0][1]))
        body = await tools.well("playlist_copy_to_user", **FRIDAY, username=JASPER)
        assert tools.requests <= 4 + 1 + V
        copy = one(tools, "Friday Films", 90002)
        assert keys(copy) == keys(friday)
        assert (body["status"], body["copied_as"], body["playlist_id"]) == ("success", "static", int(copy.key))
        assert (body["items_copied"], body["items_unavailable"]) == (6, [])
        assert (body["source_user"], body["destination_user"]) == ("Ottilie Brandt", JASPER)
        assert body["message"]


async def test_a_smart_playlist_is_copied_as_it_stands(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        await tools.well("playlist_copy_to_user", playlist_title="Newest Ten", username=JASPER)
        copy = one(tools, "Newest Ten", 90002)
        assert (copy.smart, len(copy.entries)) == (False, 10)


async def test_a_playlist_of_another_is_copied_to_the_owner(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        given = {"username": "Ottilie Brandt", "source_username": JASPER}
        await tools.well("playlist_copy_to_user", playlist_title="Jasper's Mix", **given)
        assert tools.requests <= 4 + 1 + 2 * V
        assert keys(one(tools, "Jasper's Mix")) == keys(one(tools, "Jasper's Mix", 90002))


async def test_what_cannot_be_copied_is_refused(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for given in ({}, {"username": " "}, {"username": "Ottilie Brandt"}):
            error = await tools.refused("playlist_copy_to_user", **FRIDAY, **given)
            assert (error["code"], error["argument"]) == ("invalid", "username")
        error = await tools.refused("playlist_copy_to_user", playlist_title="Empty", username=JASPER)
        assert (error["code"], error["reason"]) == ("not_supported", "empty")
        tools.demo.answer_plex_tv_with(502)
        tools.application.companion.ttl_cache.clear()
        error = await tools.refused("playlist_copy_to_user", **FRIDAY, username=JASPER)
        assert error["code"] == "plextv_unreachable"
        assert writes(tools) == 0


# -- add


async def test_items_are_added_at_the_end_in_one_request(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        row, friday = films(tools), one(tools, "Friday Films")
        before = keys(friday)
        given: dict[str, Any] = {
            "items": [row[12].title, "Nope", row[0].title],
            "item_ids": [int(row[11].key), UNKNOWN],
        }
        body = await tools.well("playlist_add_to", **FRIDAY, **given)
        assert tools.requests <= 3 + 3 + 2
        assert keys(friday) == [*before, row[12].key, row[11].key]
        assert body["added"] is True
        assert (body["title"], body["playlist_id"]) == ("Friday Films", int(friday.key))
        assert body["items_added"] == [row[12].title, row[11].title]
        assert body["item_ids_added"] == [int(row[12].key), int(row[11].key)]
        assert body["items_not_found"][:2] == ["Nope", UNKNOWN]
        assert body["items_not_found"][2]["title"] == row[0].title
        assert len(body["items_not_found"][2]["possible_matches"]) == 2
        assert body["total_items"] == 7


async def test_only_unclear_or_unknown_items_add_nothing(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        body = await tools.well("playlist_add_to", **FRIDAY, item_titles=[films(tools)[0].title, "Nope"])
        assert (body["status"], body["count"]) == ("multiple_matches", 2)
        error = await tools.refused("playlist_add_to", **FRIDAY, item_titles=["Nope"], item_ids=[UNKNOWN])
        assert (error["code"], error["items_not_found"]) == ("not_found", ["Nope", UNKNOWN])
        track = tools.demo.state.list_kind("track")[0].key
        error = await tools.refused("playlist_add_to", **FRIDAY, item_ids=[track])
        assert (error["code"], error["argument"]) == ("invalid", "item_ids")
        assert (await tools.refused("playlist_add_to", **FRIDAY))["code"] == "invalid"
        assert writes(tools) == 0


@pytest.mark.parametrize("name", ["playlist_add_to", "playlist_remove_from"])
async def test_a_smart_playlist_takes_and_loses_nothing(tmp_path: Path, name: str) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused(name, playlist_title="Newest Ten", item_ids=[films(tools)[3].key])
        assert (error["code"], error["reason"]) == ("not_supported", "smart")
        assert writes(tools) == 0


# -- remove


async def test_the_first_copy_goes_and_the_others_are_counted(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        twins, film = tools.demo.state.playlists["80001"], films(tools)[2]
        body = await tools.well("playlist_remove_from", playlist_id="80001", items=[film.title, "Nope"])
        assert tools.requests <= 3 + 1
        assert [number for number, _ in twins.entries] == [7001, 7003, 7004]
        assert body == {
            "removed": True,
            "title": "Twins",
            "playlist_id": 80001,
            "items_removed": [film.title],
            "items_not_found": ["Nope"],
            "remaining_items": 3,
            "copies_left": {film.title: 1},
        }
        assert film.key in tools.demo.state.items


async def test_a_certain_copy_or_item_is_removed_by_id(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        twins = tools.demo.state.playlists["80001"]
        first = films(tools)[0].key
        given: dict[str, Any] = {"playlist_item_ids": [7003, 7003, 12], "item_ids": [int(first), UNKNOWN]}
        body = await tools.well("playlist_remove_from", playlist_id=80001, **given)
        assert tools.requests <= 3 + 2
        assert [number for number, _ in twins.entries] == [7002, 7004]
        assert len(body["items_removed"]) == 2
        assert set(body["items_not_found"]) == {"12", UNKNOWN}


async def test_two_items_of_one_title_both_stay(tools: Tools) -> None:
    titles = [films(tools)[0].title, films(tools)[2].title]
    body = await tools.well("playlist_remove_from", playlist_id="80001", item_titles=titles)
    assert (body["status"], body["count"]) == ("multiple_matches", 2)
    assert writes(tools) == 0


async def test_what_is_not_in_the_playlist_is_told_with_what_is(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused("playlist_remove_from", **FRIDAY, item_titles=["Nope"])
        assert (error["code"], error["playlist_title"]) == ("not_found", "Friday Films")
        assert error["playlist_id"] == int(one(tools, "Friday Films").key)
        assert len(error["current_items"]) == 5
        assert error["current_items"][0].keys() == {"title", "type", "id"}
        assert (await tools.refused("playlist_remove_from", **FRIDAY))["code"] == "invalid"
        assert writes(tools) == 0


# -- delete


def answering(action: Literal["accept", "decline"], then: Callable[[], None] | None = None) -> Callable[..., Any]:
    """A client whose person says this, after something happened."""

    async def answer(_context: Any, params: Any) -> ElicitResult:
        assert "Friday Films" in params.message
        if then is not None:
            then()
        return ElicitResult(action=action, content={"confirm": True} if action == "accept" else None)

    return answer


async def test_a_playlist_is_deleted_and_its_items_stay(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        friday = one(tools, "Friday Films")
        body = await tools.well("playlist_delete", **FRIDAY, confirm=True)
        assert tools.requests == 4
        assert friday.key not in tools.demo.state.playlists
        assert all(key in tools.demo.state.items for key in keys(friday))
        expected = {"deleted": True, "title": "Friday Films", "playlist_id": int(friday.key), "type": "video"}
        assert {**expected, "item_count": 5, "owner": "Ottilie Brandt"}.items() <= body.items()


async def test_another_users_playlist_is_deleted_with_their_token(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        body = await tools.well("playlist_delete", playlist_title="Jasper's Mix", username=JASPER, confirm=True)
        assert tools.requests == 4 + V
        assert body["owner"] == JASPER
        assert "Jasper's Mix" not in {row.title for row in tools.demo.state.playlists.values()}


async def test_without_confirmation_the_victim_is_shown_and_nothing_deleted(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused("playlist_delete", **FRIDAY)
        assert error["code"] == "confirmation_required"
        assert (error["victim"]["title"], error["victim"]["item_count"]) == ("Friday Films", 5)
        assert writes(tools) == 0


@pytest.mark.parametrize("era", ["auto", "legacy"])
@pytest.mark.parametrize("confirm", [True, False])
async def test_a_person_is_asked_and_what_they_say_counts(tmp_path: Path, era: str, confirm: bool) -> None:
    async with home(tmp_path, era=era, answer=answering("decline")) as tools:
        error = await tools.refused("playlist_delete", **FRIDAY, confirm=confirm)
        assert (error["code"], writes(tools)) == ("declined", 0)
    async with home(tmp_path / "anew", era=era, answer=answering("accept")) as tools:
        assert (await tools.well("playlist_delete", **FRIDAY, confirm=confirm))["deleted"] is True
        assert tools.requests <= 4 + (era == "auto")  # the modern era calls the tool anew with the answer


async def test_a_playlist_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    def shrink() -> None:
        one(tools, "Friday Films").entries.pop()

    async with home(tmp_path, era="legacy", answer=answering("accept", shrink)) as tools:
        error = await tools.refused("playlist_delete", **FRIDAY)
        assert (error["code"], error["rating_key"]) == ("conflict", int(one(tools, "Friday Films").key))
        assert writes(tools) == 0


# -- a Plex that says yes and forgets


class Forgetful(list[Any]):
    """It takes everything, and neither keeps nor gives."""

    def __iadd__(self, _more: Any) -> Self:  # type: ignore[misc]  # it adds nothing, whatever comes
        return self

    def remove(self, _one: Any) -> None:
        """Keep it."""


class Lasting(dict[str, Any]):
    """Nothing goes."""

    def __delitem__(self, _key: str) -> None:
        """Keep it."""


class Stubborn(DemoPlaylist):
    """It stays as it is."""

    def __setattr__(self, name: str, value: object) -> None:
        if not hasattr(self, name):
            object.__setattr__(self, name, value)


async def test_what_plex_forgets_is_not_reported_as_done(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        state, friday = tools.demo.state, one(tools, "Friday Films")
        friday.entries = Forgetful(friday.entries)
        state.playlists = Lasting(state.playlists)
        values = {field.name: getattr(one(tools, "Newest Ten"), field.name) for field in fields(DemoPlaylist)}
        state.playlists[values["key"]] = Stubborn(**values)
        for name, given in (
            ("playlist_add_to", {**FRIDAY, "item_ids": [films(tools)[12].key]}),
            ("playlist_remove_from", {**FRIDAY, "item_ids": [keys(friday)[0]]}),
            ("playlist_edit", {"playlist_id": values["key"], "new_title": "X"}),
            ("playlist_edit_smart_filters", {"playlist_id": values["key"], "limit": 3}),
            ("playlist_delete", {**FRIDAY, "confirm": True}),
        ):
            error = await tools.refused(name, **given)
            assert error["code"] == "not_confirmed", name
            assert {"requested", "found"} <= error.keys()
