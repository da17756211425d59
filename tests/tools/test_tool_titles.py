"""A title finds what it means, however its accents, dashes and quotes are written, and a year after it counts."""

from __future__ import annotations

import time
import unicodedata
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tools import tools_home

from plex_companion.demo import Household, build_household
from plex_companion.demo.household.model import DemoPlaylist
from plex_companion.names.title_years import split_year
from plex_companion.plex.titles import LONGEST_QUERY, MOST_QUERIES, list_queries, match_title

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.tools import Tools

STORED = (
    "U\u0308ber den Ba\u0308umen",
    "The Baker\u2019s Tea",
    "Caf\u00e9 Noir",
    "Part Two \u2013 Home",
    "\u2026And Rain",
    "Am\u00e9lise",
    "Hawai\u02bbi Nights",
    "Salt-Man",
    "Кафе Ёлка",
    "Νύχτα",
)
SPELT = {
    "\u00dcber den B\u00e4umen": STORED[0],
    "The Baker's Tea": STORED[1],
    "the bakers tea": STORED[1],
    "The Baker\u2018s Tea!": STORED[1],
    "Amelise?": STORED[5],
    "Cafe Noir": STORED[2],
    "Part Two - Home": STORED[3],
    "Part Two: Home": STORED[3],
    "...And Rain": STORED[4],
    "And Rain": STORED[4],
    "Amelise": STORED[5],
    "Hawaii Nights": STORED[6],
    "Salt Man": STORED[7],
    "Кафе Елка": STORED[8],
    "νυχτα".upper(): STORED[9],
}
EXACT = {
    unicodedata.normalize("NFC", STORED[0]): STORED[0],
    unicodedata.normalize("NFC", STORED[0]).upper(): STORED[0],
    unicodedata.normalize("NFD", STORED[2]): STORED[2],
    unicodedata.normalize("NFD", STORED[5]).lower(): STORED[5],
}


def household(titles: tuple[str, ...] = STORED, years: tuple[int, ...] = ()) -> Household:
    """The films have these titles, and these years."""
    built = build_household(now=time.time())
    films = [item for item in built.items if item.type == "movie" and item.section == "1"]
    for film, title in zip(films, titles, strict=False):
        film.title = title
    for film, year in zip(films, years, strict=False):
        film.year = year
    now = films[0].added_at
    built.playlists += [
        DemoPlaylist(f"8000{place}", title, "video", 1, now, now, entries=[(7000 + place, films[0].key)])
        for place, title in enumerate(titles)
    ]
    return built


@asynccontextmanager
async def home(folder: Path, **more: Any) -> AsyncIterator[Tools]:
    async with tools_home(folder, **{"household": household(), "hushed": True, **more}) as tools:
        yield tools


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tools]:
    async with home(tmp_path_factory.mktemp("shared")) as tools:
        yield tools


def key_of(tools: Tools, title: str) -> int:
    return next(int(film.key) for film in tools.demo.state.list_section("1", "movie") if film.title == title)


@pytest.mark.parametrize(("asked", "stored"), [*SPELT.items(), *EXACT.items()])
async def test_a_read_finds_the_one_that_is_spelt_otherwise(asked: str, stored: str, tools: Tools) -> None:
    for more in ({}, {"library_name": "Films"}):
        found = await tools.well("media_get_details", media_title=asked, **more)
        assert found["rating_key"] == key_of(tools, stored)
    listed = await tools.well("media_search", query=asked)
    assert stored in [film["title"] for film in listed["results_by_type"]["movie"]]
    for more in ({"library_name": "Films"}, {"media_type": "movie"}):
        held = await tools.well("library_get_contents", title=asked, **more)
        assert stored in [film["title"] for film in held["items"]]
    shown = await tools.well("playlist_get_contents", playlist_title=asked)
    assert shown["title"] == stored


async def test_a_write_knows_both_forms_of_unicode_as_one_title(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for asked, stored in EXACT.items():
            made = await tools.well("playlist_create", playlist_title="New", item_titles=[asked])
            (entry,) = next(row for row in tools.demo.state.playlists.values() if row.title == "New").entries
            assert int(entry[1]) == key_of(tools, stored)
            await tools.well("playlist_delete", playlist_id=made["data"]["rating_key"], confirm=True)
        edited = await tools.well("playlist_edit", playlist_title=next(iter(EXACT)), new_summary="x")
        assert edited["updated"]


@pytest.mark.parametrize(("asked", "stored"), SPELT.items())
async def test_a_write_is_offered_what_is_spelt_otherwise(asked: str, stored: str, tools: Tools) -> None:
    if asked in EXACT:
        return
    for tool, arguments in (
        ("media_edit_metadata", {"media_title": asked, "new_summary": "x"}),
        ("playlist_create", {"playlist_title": "New", "item_titles": [asked]}),
        ("playlist_delete", {"playlist_title": asked, "confirm": True}),
    ):
        said = await tools.well(tool, **arguments)
        assert said["status"] == "multiple_matches", tool
        assert [match["title"] for match in said["matches"]] == [stored]
        assert said["matches"][0]["id"]
        assert "New" not in {row.title for row in tools.demo.state.playlists.values()}


async def test_titles_that_differ_only_in_their_marks_stay_apart(tmp_path: Path) -> None:
    both = ("Cafe Noir", "Caf\u00e9 Noir", "caf\u00e9 noir")
    async with home(tmp_path, household=household(both)) as tools:
        for title in both:
            found = await tools.well("media_get_details", media_title=title)
            assert found["rating_key"] == key_of(tools, title)
        matches = await tools.well("media_get_details", media_title="Caf\u00e8 Noir")
        assert (matches["status"], matches["count"]) == ("multiple_matches", 3)


async def test_a_library_is_found_without_its_accents_and_a_write_is_offered_it(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        sections = tools.demo.state.sections
        sections["1"] = replace(sections["1"], title="Cin\u00e9ma")
        stats = await tools.well("library_get_stats", library_name="Cinema")
        assert stats["name"] == "Cin\u00e9ma"
        asked = await tools.well("library_scan", library_name="Cinema")
        assert (asked["status"], asked["matches"][0]["id"]) == ("multiple_matches", 1)
        assert (await tools.well("library_scan", library_name="CINE\u0301MA"))["success"]


async def test_a_player_is_found_whatever_stands_between_its_words(tools: Tools) -> None:
    listed = (await tools.well("client_list"))["clients"]
    name = next(one["name"] for one in listed if " " in one["name"])
    found = await tools.well("client_get_details", client_name=name.replace(" ", "\u2011").upper())
    assert name in str(found)
    moved = await tools.well("client_navigate", client_name=name.replace(" ", "-"), action="Move_Up")
    assert (moved["status"], [match["title"] for match in moved["matches"]]) == ("multiple_matches", [name])


async def test_a_collection_is_found_without_its_accents(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        made = await tools.well(
            "collection_create", collection_title="Fran\u00e7ais", library_name="Films", item_titles=[STORED[2]]
        )
        said = await tools.well("collection_edit", collection_title="Francais", new_summary="x")
        assert [match["id"] for match in said["matches"]] == [made["id"]]
        for more in ({}, {"library_name": "Films"}):
            edited = await tools.well(
                "collection_edit", collection_title="FRANC\u0327AIS", new_summary=str(more), **more
            )
            assert edited["updated"]


# -- years

RIVERS = ("Twin Rivers", "Twin Rivers", "Room", "Room (2019)", "Caf\u00e9 Noir", "Caf\u00e9 Noir")
YEARS = (2001, 2019, 2019, 1999, 1980, 2020)


def year_of(tools: Tools, key: int) -> tuple[str, int | None]:
    film = tools.demo.state.items[str(key)]
    return film.title, film.year


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("Twin Rivers (2019)", ("Twin Rivers", 2019)),
        ("twin rivers [2001]", ("Twin Rivers", 2001)),
        ("Twin Rivers 2001", ("Twin Rivers", 2001)),
        ("Twin Rivers, 2019", ("Twin Rivers", 2019)),
        ("Room (2019)", ("Room (2019)", 1999)),
        ("Room", ("Room", 2019)),
        ("Cafe\u0301 Noir (1980)", ("Caf\u00e9 Noir", 1980)),
    ],
)
async def test_a_year_after_a_title_tells_which_one_is_meant(
    asked: str, meant: tuple[str, int], tmp_path: Path
) -> None:
    async with home(tmp_path, household=household(RIVERS, YEARS)) as tools:
        for more in ({}, {"library_name": "Films"}):
            found = await tools.well("media_get_details", media_title=asked, **more)
            assert year_of(tools, found["rating_key"]) == meant
        edited = await tools.well("media_edit_metadata", media_title=asked, new_summary="x")
        assert year_of(tools, edited["rating_key"]) == meant


async def test_a_year_counts_for_a_title_that_is_spelt_otherwise_too(tmp_path: Path) -> None:
    async with home(tmp_path, household=household(RIVERS, YEARS)) as tools:
        found = await tools.well("media_get_details", media_title="Cafe Noir (2020)")
        assert year_of(tools, found["rating_key"]) == ("Caf\u00e9 Noir", 2020)


async def test_a_year_that_nothing_has_offers_what_is_there(tmp_path: Path) -> None:
    async with home(tmp_path, household=household(RIVERS, YEARS)) as tools:
        for tool, given in (("media_get_details", {}), ("media_edit_metadata", {"new_summary": "x"})):
            said = await tools.well(tool, media_title="Twin Rivers (1950)", **given)
            assert sorted(match["year"] for match in said["matches"]) == [2001, 2019]
            assert (await tools.well(tool, media_title="Room (1950)", **given))["count"] == 1


async def test_a_year_after_the_title_of_a_playlist_is_part_of_it(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused("playlist_get_contents", playlist_title=f"{STORED[2]} (2019)")
        assert error["code"] == "not_found"


# -- the rules themselves


@pytest.mark.parametrize(
    ("title", "parts"),
    [
        ("Room (2019)", ("Room", 2019, True)),
        ("Room [2019]", ("Room", 2019, True)),
        ("Room 2019", ("Room", 2019, False)),
        ("2019", None),
        ("(2019)", None),
        ("Room (19)", None),
        ("Room (20191)", None),
    ],
)
def test_a_year_is_four_digits_at_the_end(title: str, parts: object) -> None:
    assert split_year(title) == parts


@given(st.text())
def test_a_title_is_searched_for_as_it_is_first_and_not_often(title: str) -> None:
    queries = list_queries(title)
    assert queries[0] == title.strip()[:LONGEST_QUERY]
    assert len(queries) <= MOST_QUERIES + 1
    assert len(set(queries)) == len(queries)


@given(st.text(min_size=1).filter(str.strip), st.lists(st.text()))
def test_a_title_that_is_there_is_always_found(title: str, others: list[str]) -> None:
    matches = match_title([*others, title], title, lambda name: [name], lambda _: 2000)
    assert title in matches.exact
