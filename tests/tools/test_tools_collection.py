"""Collections: listed, created, filled, emptied, edited, deleted."""

from __future__ import annotations

import base64
import time
from contextlib import asynccontextmanager
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

import pytest
from mcp_types import ElicitResult
from support.deadlines import HANG_SECONDS
from support.tools import ToolAnswer, Tools, tools_home

from plex_companion.demo import Household, build_household
from plex_companion.demo.household.model import DemoCollection
from plex_companion.errors import NotConfirmed, NotFound, Partial, TimedOut
from plex_companion.plex.query import send
from plex_companion.plex.steps import check_confirmed, run_steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from plex_companion.plex.client import PlexServer
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
UNKNOWN = "999999"
EVERY: dict[str, dict[str, Any]] = {
    "collection_list": {},
    "collection_create": {"collection_title": "New", "library_name": "Films", "item_titles": ["A"]},
    "collection_add_to": {"collection_title": "Rainy Sundays", "item_titles": ["A"]},
    "collection_remove_from": {"collection_title": "Rainy Sundays", "item_titles": ["A"]},
    "collection_edit": {"collection_title": "Rainy Sundays", "new_summary": "x"},
    "collection_delete": {"collection_title": "Rainy Sundays", "confirm": True},
}
FINDING = {name: given for name, given in EVERY.items() if "collection_title" in given and name != "collection_create"}


def household() -> Household:
    """Two collections called the same in two libraries, a smart one, a music one, and two films of one name."""
    built = build_household(now=time.time())
    films = [item for item in built.items if item.type == "movie" and item.section == "1"]
    rainy = built.collections[0]
    rainy.items = [item.key for item in films[4:10]]
    films[1].title = films[0].title
    artist = next(item for item in built.items if item.type == "artist")
    now = films[0].added_at
    built.collections += [
        DemoCollection("90001", "Cosy Crime", "1", "movie", now, now, items=[films[0].key, films[1].key, films[2].key]),
        DemoCollection(
            "90002", "All of them", "1", "movie", now, now, smart=True, content="/library/sections/1/all?type=1"
        ),
        DemoCollection("90003", "Kettles", "3", "artist", now, now, items=[artist.key]),
    ]
    return built


def made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


@asynccontextmanager
async def home(folder: Path, **more: Any) -> AsyncIterator[Tools]:
    async with tools_home(made(folder), household=household(), hushed=True, **more) as tools:
        await tools.application.companion.gateway.call(lambda plex: plex)  # connecting costs a request of its own
        yield tools


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tools]:
    async with home(tmp_path_factory.mktemp("shared")) as tools:
        yield tools


def films(tools: Tools) -> list[Any]:
    return tools.demo.state.list_section("1", "movie")


def one(tools: Tools, title: str) -> DemoCollection:
    return next(row for row in tools.demo.state.collections.values() if row.title == title)


def writes(tools: Tools) -> int:
    return sum(method != "GET" for method, _ in tools.demo.requests.log)


async def test_plex_that_starts_or_is_away_is_told(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.answer_with(503)
        for name, given in EVERY.items():
            assert (await tools.refused(name, **given))["code"] == "plex_starting"
        tools.demo.answer_with(None)
        await tools.demo.shut_down()
        for name, given in EVERY.items():
            assert (await tools.refused(name, **given))["code"] == "plex_unreachable"


async def test_a_collection_that_is_not_there_is_told_and_nothing_changes(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for name in FINDING:
            rest = {key: value for key, value in EVERY[name].items() if key != "collection_title"}
            for which in ({"collection_title": "No such thing"}, {"collection_id": UNKNOWN}):
                assert (await tools.refused(name, **which, **rest))["code"] == "not_found"
            elsewhere = {"collection_title": "Rainy Sundays", "library_name": "Series"}
            assert (await tools.refused(name, **elsewhere, **rest))["code"] == "not_found"
            error = await tools.refused(name, collection_title="Rainy Sundays", library_name="No library", **rest)
            assert "Films" in error["available"]
            assert (await tools.refused(name, **rest))["argument"] == "collection_title"
        assert writes(tools) == 0


async def test_an_id_of_another_kind_is_refused_and_the_kind_named(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for name in FINDING:
            rest = {key: value for key, value in EVERY[name].items() if key != "collection_title"}
            movie = films(tools)[0]
            error = await tools.refused(name, collection_id=int(movie.key), **rest)
            assert (error["code"], error["argument"]) == ("invalid", "collection_id")
            assert "movie" in error["message"]
            error = await tools.refused(name, collection_id="Rainy Sundays", **rest)
            assert error["code"] == "invalid"
            assert movie.key in tools.demo.state.items
        assert writes(tools) == 0


@pytest.mark.parametrize(("title", "count"), [("Cosy Crime", 2), ("Rainy", 1)])
async def test_a_title_of_several_or_of_none_exactly_is_answered_with_what_fits(
    tools: Tools, title: str, count: int
) -> None:
    for name in FINDING:
        said = await tools.ask(name, **{**EVERY[name], "collection_title": title})
        assert not said.is_error
        assert said.body["status"] == "multiple_matches"
        assert said.body["count"] == count
        assert said.text == said.body["matches"]
        assert {"title", "id", "rating_key", "library", "item_count"} <= said.text[0].keys()
    assert writes(tools) == 0


# -- list


async def test_a_librarys_collections_are_listed_in_two_requests(tools: Tools) -> None:
    said = await tools.ask("collection_list", library_name="films")
    assert tools.requests == 2
    assert isinstance(said.text, list)
    first = said.text[0]
    assert {"title", "is_smart", "ID", "items", "rating_key", "library"} <= first.keys()
    assert said.body["collections"] == said.text
    library = {"library": "Films", "id": 1, "type": "movie", "collections_count": 4}
    assert said.body["libraries"] == [library]
    assert {"total": 4, "offset": 0, "limit": 50, "size": 4, "truncated": False}.items() <= said.body.items()
    by_title = {row["title"]: row for row in said.text}
    assert by_title["Rainy Sundays"]["items"] == 6
    assert by_title["All of them"]["is_smart"] is True


async def test_all_libraries_are_listed_music_too_with_one_request_each(tools: Tools) -> None:
    said = await tools.ask("collection_list")
    assert tools.requests == 1 + 4  # all but the photos
    assert list(said.text) == ["Films", "Series", "Music", "Pip's Films"]
    assert said.text["Music"]["collections"][0]["title"] == "Kettles"
    assert said.text["Pip's Films"] == {"type": "movie", "collections_count": 0, "collections": []}
    assert said.body["total"] == 6


async def test_a_page_runs_across_libraries(tools: Tools) -> None:
    everything = (await tools.well("collection_list"))["collections"]
    for offset, limit in ((0, 2), (3, 2), (4, 1), (5, 10), (6, 5)):
        some = await tools.well("collection_list", offset=offset, limit=limit)
        assert some["collections"] == everything[offset : offset + limit]
        assert (some["total"], some["size"]) == (6, len(some["collections"]))
        assert some["truncated"] is (offset + some["size"] < 6)


async def test_an_impossible_page_is_refused_unasked(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for given in ({"limit": 0}, {"limit": -5}, {"offset": -1}):
            error = await tools.refused("collection_list", **given)
            assert (error["code"], error["argument"], tools.requests) == ("invalid", next(iter(given)), 0)


async def test_a_limit_over_the_cap_is_clamped_and_an_empty_library_is_no_error(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        body = await tools.well("collection_list", limit=10_000, library_name="Pip's Films")
        assert (body["limit"], body["total"], body["collections"]) == (500, 0, [])
        assert body["message"]
        assert (await tools.refused("collection_list", library_name="Nowhere"))["code"] == "not_found"


# -- create


async def test_a_collection_is_created_from_titles_and_ids_within_its_budget(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        row = films(tools)
        given = {"item_titles": [row[3].title.upper(), "Not there"], "item_ids": [int(row[4].key), UNKNOWN]}
        body = await tools.well("collection_create", title="Two & a half, more", library_name="Films", **given)
        assert tools.requests <= 1 + 4 + 2 * 2 + 2
        made = one(tools, "Two & a half, more")
        assert made.items == [row[3].key, row[4].key]
        assert (made.section, made.subtype) == ("1", "movie")
        assert body == {
            "created": True,
            "title": "Two & a half, more",
            "id": int(made.key),
            "rating_key": int(made.key),
            "library": "Films",
            "items_added": 2,
            "item_ids_added": [int(row[3].key), int(row[4].key)],
            "items_not_found": ["Not there", UNKNOWN],
        }


async def test_a_title_that_is_taken_is_a_conflict(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        key = films(tools)[0].key
        error = await tools.refused(
            "collection_create", collection_title="rainy sundays", library_name="Films", item_ids=[key]
        )
        assert (error["code"], error["rating_key"]) == ("conflict", int(one(tools, "Rainy Sundays").key))
        assert writes(tools) == 0


@pytest.mark.parametrize("clear", [True, False])
async def test_an_unclear_title_creates_nothing_even_beside_clear_ones(tools: Tools, clear: bool) -> None:
    row = films(tools)
    titles = [row[0].title] + ([row[3].title] if clear else [])
    body = await tools.well("collection_create", collection_title="X", library_name="1", item_titles=titles)
    assert body["status"] == "multiple_matches"
    assert {match["id"] for match in body["matches"]} == {int(row[0].key), int(row[1].key)}
    assert body["unresolved"][0]["title"] == row[0].title
    assert writes(tools) == 0


CREATES: dict[str, tuple[dict[str, Any], str]] = {
    "blank title": ({"collection_title": " "}, "invalid"),
    "nothing named": ({"item_titles": []}, "invalid"),
    "blank item": ({"item_titles": [""]}, "invalid"),
    "a title for an id": ({"item_ids": ["abc"]}, "invalid"),
    "nothing found": ({"item_titles": ["Nothing of the kind"]}, "not_found"),
    "unknown library": ({"library_name": "Nowhere"}, "not_found"),
}


async def test_what_cannot_be_created_is_refused_before_anything_changes(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for case, (given, code) in CREATES.items():
            expected: dict[str, Any] = {"collection_title": "X", "library_name": "Films", **given}
            if "item_titles" not in given and "item_ids" not in given:
                expected["item_ids"] = [films(tools)[0].key]
            assert (await tools.refused("collection_create", **expected))["code"] == code, case
        assert writes(tools) == 0


async def test_items_of_two_types_or_another_library_are_refused(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        state = tools.demo.state
        show, episode, movie = (state.list_kind(kind)[0].key for kind in ("show", "episode", "movie"))
        other = state.list_section("5", "movie")[0].key
        for library, keys in (("Series", [show, episode]), ("Series", [movie]), ("Films", [movie, other])):
            error = await tools.refused("collection_create", collection_title="X", library_name=library, item_ids=keys)
            assert (error["code"], error["argument"]) == ("invalid", "item_ids")
        assert writes(tools) == 0


# -- add


async def test_items_are_added_once_and_what_was_there_is_told(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        rainy, row = one(tools, "Rainy Sundays"), films(tools)
        before = list(rainy.items)
        there = tools.demo.state.items[before[2]]
        new = [film for film in row[2:] if film.key not in before][:2]
        body = await tools.well(
            "collection_add_to",
            collection_title="rainy sundays",
            library_name="Films",
            items=[new[0].title, there.title, "Not there", row[0].title],
            item_ids=[new[1].key],
        )
        assert tools.requests <= 1 + 5 + 4 * 2
        assert rainy.items == [*before, new[0].key, new[1].key]
        assert body["added"] is True
        assert body["items_added"] == [new[0].title, new[1].title]
        assert body["items_already_in_collection"] == [there.title]
        assert body["items_not_found"][0] == "Not there"
        assert body["items_not_found"][1]["title"] == row[0].title
        assert len(body["items_not_found"][1]["possible_matches"]) == 2
        assert (body["total_items"], body["id"], body["title"]) == (8, int(rainy.key), "Rainy Sundays")
        assert tools.demo.requests.count("/library/collections", "PUT") == 1


async def test_nothing_is_added_when_everything_is_there(tools: Tools) -> None:
    rainy = one(tools, "Rainy Sundays")
    body = await tools.well("collection_add_to", collection_id=int(rainy.key), item_ids=rainy.items[:2])
    assert (body["added"], body["items_added"], body["total_items"]) == (False, [], 6)
    assert body["message"]
    assert writes(tools) == 0


@pytest.mark.parametrize("name", ["collection_add_to", "collection_remove_from"])
async def test_a_smart_collection_takes_and_loses_nothing(tmp_path: Path, name: str) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused(name, collection_title="All of them", item_ids=[films(tools)[0].key])
        assert (error["code"], error["reason"]) == ("not_supported", "smart")
        assert writes(tools) == 0


async def test_items_that_do_not_fit_or_are_unclear_are_not_added(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        show, row = tools.demo.state.list_kind("show")[0].key, films(tools)
        error = await tools.refused("collection_add_to", collection_title="Rainy Sundays", item_ids=[show, row[9].key])
        assert (error["code"], error["argument"]) == ("invalid", "item_ids")
        error = await tools.refused("collection_add_to", collection_title="Rainy Sundays", item_titles=["Nope"])
        assert (error["code"], error["items_not_found"]) == ("not_found", ["Nope"])
        body = await tools.well("collection_add_to", collection_title="Rainy Sundays", item_titles=[row[0].title])
        assert (body["status"], body["count"]) == ("multiple_matches", 2)
        assert writes(tools) == 0


# -- remove


async def test_items_are_removed_and_stay_in_the_library(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        rainy = one(tools, "Rainy Sundays")
        before = list(rainy.items)
        gone = [tools.demo.state.items[key] for key in before[2:4]]
        body = await tools.well(
            "collection_remove_from",
            collection_id=rainy.key,
            item_titles=[gone[0].title, "Not there"],
            item_ids=[int(gone[1].key), int(gone[0].key)],
        )
        assert tools.requests <= 1 + 4 + 2
        assert rainy.items == before[:2] + before[4:]
        assert all(item.key in tools.demo.state.items for item in gone)
        assert body == {
            "removed": True,
            "title": "Rainy Sundays",
            "id": int(rainy.key),
            "items_removed": [gone[0].title, gone[1].title],
            "items_not_found": ["Not there"],
            "remaining_items": 4,
        }


async def test_what_is_not_in_the_collection_is_told_with_what_is(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused("collection_remove_from", collection_title="Rainy Sundays", item_titles=["Nope"])
        assert error["code"] == "not_found"
        assert error["collection_title"] == "Rainy Sundays"
        assert error["collection_id"] == int(one(tools, "Rainy Sundays").key)
        assert len(error["current_items"]) == 6
        assert error["current_items"][0].keys() == {"title", "type", "id"}
        assert (await tools.refused("collection_remove_from", collection_title="Rainy Sundays"))["code"] == "invalid"
        assert writes(tools) == 0


async def test_two_items_of_one_title_are_both_left_in(tools: Tools) -> None:
    row = films(tools)
    held = [row[0].title, row[2].title]
    body = await tools.well("collection_remove_from", collection_id="90001", item_titles=held)
    assert body["status"] == "multiple_matches"
    assert {match["id"] for match in body["matches"]} == {int(row[0].key), int(row[1].key)}
    assert writes(tools) == 0


# -- edit


async def test_texts_labels_and_settings_are_edited_together(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        rainy = one(tools, "Rainy Sundays")
        rainy.labels = ("Old", "Kept")
        body = await tools.well(
            "collection_edit",
            collection_title="Rainy Sundays",
            library_name="Films",
            new_title="Stormy",
            new_sort_title="aaa",
            new_summary="",
            new_content_rating="PG",
            add_labels=["Würzig, & scharf"],
            remove_labels=["old", "never there"],
            new_advanced_settings={"collectionMode": "hide", "collectionSort": 2, "collectionFilterBasedOnUser": "1"},
        )
        assert tools.requests <= 2 + 6
        assert (rainy.title, rainy.title_sort, rainy.summary, rainy.content_rating) == ("Stormy", "aaa", "", "PG")
        assert set(rainy.labels) == {"Kept", "Würzig, & scharf"}
        assert (rainy.mode, rainy.sort, rainy.filter_by_user) == (0, 2, 1)
        assert body == {
            "updated": True,
            "title": "Stormy",
            "id": int(rainy.key),
            "changes": [
                "title",
                "sort_title",
                "summary",
                "content_rating",
                "labels",
                "collectionMode",
                "collectionSort",
                "collectionFilterBasedOnUser",
            ],
        }
        assert writes(tools) == 2


@pytest.mark.parametrize(("labels", "left"), [([], set()), (["One", "Two, three"], {"One", "Two, three"})])
async def test_new_labels_replace_all(tmp_path: Path, labels: list[str], left: set[str]) -> None:
    async with home(tmp_path) as tools:
        rainy = one(tools, "Rainy Sundays")
        rainy.labels = ("Old", "Plain")
        body = await tools.well("collection_edit", collection_id=rainy.key, new_labels=labels)
        assert set(rainy.labels) == left
        assert body["changes"] == ["labels"]


async def test_what_is_so_already_is_not_sent(tools: Tools) -> None:
    rainy = one(tools, "Rainy Sundays")
    body = await tools.well(
        "collection_edit",
        collection_id=rainy.key,
        new_title="Rainy Sundays",
        remove_labels=["none such"],
        new_advanced_settings={"collectionMode": "default"},
    )
    assert body["updated"] is False
    assert body["message"]
    assert (await tools.well("collection_edit", collection_id=rainy.key))["updated"] is False
    assert writes(tools) == 0


async def test_pictures_are_sent_as_bytes_within_the_budget(tmp_path: Path) -> None:
    (tmp_path / "poster.png").write_bytes(PNG)
    async with home(tmp_path, media_folder=str(tmp_path)) as tools:
        rainy = one(tools, "Rainy Sundays")
        body = await tools.well(
            "collection_edit",
            collection_title="Rainy Sundays",
            new_summary="Wet",
            poster_path="poster.png",
            background_path="poster.png",
            new_advanced_settings={"collectionMode": 2},
        )
        assert tools.requests == 1 + 6
        assert body["changes"] == ["summary", "poster", "background", "collectionMode"]
        chosen = tools.demo.chosen_pictures
        assert chosen[rainy.key, "posters"].startswith("upload://")
        assert chosen[rainy.key, "arts"].startswith("upload://")


EDITS: dict[str, tuple[dict[str, Any], str]] = {
    "blank title": ({"new_title": "  "}, "invalid"),
    "labels both ways": ({"new_labels": ["a"], "add_labels": ["b"]}, "invalid"),
    "a label added and removed": ({"add_labels": ["a"], "remove_labels": ["A"]}, "invalid"),
    "a blank label": ({"add_labels": [" "]}, "invalid"),
    "two posters": ({"poster_path": "a.png", "poster_url": "http://example.net/a.png"}, "invalid"),
    "unknown setting": ({"new_advanced_settings": {"collectionColour": 1}}, "invalid"),
    "unknown value": ({"new_advanced_settings": {"collectionMode": "sideways"}}, "invalid"),
    "no folder": ({"background_path": "/etc/hostname", "new_title": "X"}, "path_not_allowed"),
    "own network": ({"poster_url": "http://127.0.0.1:1/a.png", "new_title": "X"}, "path_not_allowed"),
}


async def test_an_edit_that_cannot_be_is_refused_unasked(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for case, (given, code) in EDITS.items():
            error = await tools.refused("collection_edit", collection_title="Rainy Sundays", **given)
            assert (error["code"], tools.requests) == (code, 0), case


# -- delete


def answering(action: Literal["accept", "decline"], then: Callable[[], None] | None = None) -> Callable[..., Any]:
    """A client whose person says this, after something happened."""

    async def answer(_context: Any, params: Any) -> ElicitResult:
        assert "Rainy Sundays" in params.message
        if then is not None:
            then()
        return ElicitResult(action=action, content={"confirm": True} if action == "accept" else None)

    return answer


DELETED = {"deleted", "title", "id", "library", "item_count", "smart"}


async def test_a_collection_is_deleted_and_its_items_stay(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        rainy = one(tools, "Rainy Sundays")
        body = await tools.well(
            "collection_delete", collection_title="rainy sundays", library_name="Films", confirm=True
        )
        assert tools.requests <= 1 + 5
        assert rainy.key not in tools.demo.state.collections
        assert all(key in tools.demo.state.items for key in rainy.items)
        assert body.keys() >= DELETED
        assert (body["title"], body["id"], body["library"]) == ("Rainy Sundays", int(rainy.key), "Films")
        assert (body["item_count"], body["smart"]) == (6, False)


async def test_without_confirmation_the_victim_is_shown_and_nothing_deleted(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused("collection_delete", collection_title="Rainy Sundays")
        assert error["code"] == "confirmation_required"
        assert (error["victim"]["title"], error["victim"]["item_count"]) == ("Rainy Sundays", 6)
        assert writes(tools) == 0


@pytest.mark.parametrize("era", ["auto", "legacy"])
@pytest.mark.parametrize("confirm", [True, False])
async def test_a_person_is_asked_and_what_they_say_counts(tmp_path: Path, era: str, confirm: bool) -> None:
    given = {"collection_title": "Rainy Sundays", "confirm": confirm}
    async with home(tmp_path, era=era, answer=answering("decline")) as tools:
        error = await tools.refused("collection_delete", **given)
        assert (error["code"], writes(tools)) == ("declined", 0)
    async with home(tmp_path / "anew", era=era, answer=answering("accept")) as tools:
        said: ToolAnswer = await tools.ask("collection_delete", **given)
        assert said.body["deleted"] is True
        assert tools.requests <= 1 + 5


async def test_a_collection_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    def shrink() -> None:
        one(tools, "Rainy Sundays").items.pop()

    async with home(tmp_path, era="legacy", answer=answering("accept", shrink)) as tools:
        error = await tools.refused("collection_delete", collection_title="Rainy Sundays")
        assert error["code"] == "conflict"
        assert error["rating_key"] == int(one(tools, "Rainy Sundays").key)
        assert writes(tools) == 0


# -- several requests


async def test_a_write_that_stops_half_way_says_how_far_it_came(tools: Tools) -> None:

    def half(plex: PlexServer) -> list[str]:
        gone = partial(send, plex, "DELETE", "/library/collections/999999")
        return run_steps(plex, [("first", list), ("second", gone), ("third", gone)])

    with pytest.raises(Partial) as answer:
        await tools.application.companion.gateway.call(half)
    assert answer.value.facts == {"applied": ["first"], "failed": ["second", "third"]}
    assert "DELETE /library/collections/999999" in answer.value.message


@pytest.mark.slow
async def test_a_deadline_in_the_middle_of_a_write_says_how_far_it_came(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        call = tools.application.companion.gateway.call
        await call(lambda plex: plex.query("/identity"))
        tools.demo.slow_down(HANG_SECONDS)

        def half(plex: PlexServer) -> list[str]:
            gone = partial(send, plex, "DELETE", "/library/collections/999999")
            return run_steps(plex, [("first", list), ("second", gone), ("third", gone)])

        with pytest.raises(Partial) as answer:
            await call(half, timeout=2)
        assert answer.value.facts == {"applied": ["first"], "failed": ["second", "third"]}
        assert "may have been made all the same" in answer.value.message
        with pytest.raises(TimedOut, match="may have been made all the same"):
            await call(lambda plex: send(plex, "DELETE", "/library/collections/999999"), timeout=2)


async def test_a_write_that_plex_answers_with_nonsense_half_way_is_partial(tools: Tools) -> None:

    def half(plex: PlexServer) -> list[str]:
        return run_steps(plex, [("first", list), ("second", partial(send, plex, "PUT", "/library/sections/1/all"))])

    with pytest.raises(Partial) as answer:
        await tools.application.companion.gateway.call(half)
    assert answer.value.facts == {"applied": ["first"], "failed": ["second"]}


async def test_a_write_whose_first_request_fails_fails_as_that_does(tools: Tools) -> None:

    def nothing(plex: PlexServer) -> list[str]:
        return run_steps(plex, [("first", partial(send, plex, "DELETE", "/library/collections/999999"))])

    with pytest.raises(NotFound):
        await tools.application.companion.gateway.call(nothing)


def test_what_is_not_so_afterwards_is_not_confirmed() -> None:
    check_confirmed(requested=1, found=1, message="fine")
    with pytest.raises(NotConfirmed) as answer:
        check_confirmed(requested={"title": "A"}, found={"title": "B"}, message="Look again.")
    assert answer.value.facts == {"requested": {"title": "A"}, "found": {"title": "B"}}


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


class Stubborn(DemoCollection):
    """It stays as it is."""

    def __setattr__(self, name: str, value: object) -> None:
        if not hasattr(self, name):
            object.__setattr__(self, name, value)


async def test_what_plex_forgets_is_not_reported_as_done(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        rainy, state = one(tools, "Rainy Sundays"), tools.demo.state
        rainy.items = Forgetful(rainy.items)
        new = films(tools)[12].key
        state.collections = Lasting(state.collections)
        values = {
            field.name: getattr(one(tools, "Boats & Harbours ⚓"), field.name) for field in fields(DemoCollection)
        }
        state.collections[values["key"]] = Stubborn(**values)
        for name, given in (
            ("collection_add_to", {"collection_id": rainy.key, "item_ids": [new]}),
            ("collection_remove_from", {"collection_id": rainy.key, "item_ids": [rainy.items[0]]}),
            ("collection_edit", {"collection_id": values["key"], "new_title": "X"}),
            ("collection_delete", {"collection_id": rainy.key, "confirm": True}),
        ):
            error = await tools.refused(name, **given)
            assert error["code"] == "not_confirmed", name
            assert {"requested", "found"} <= error.keys()
