"""What smart playlists hold: alternatives, release dates and sorts, counted against the household itself."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from support.tools import tools_home

if TYPE_CHECKING:
    from pathlib import Path

    from support.tools import Tools

    from plex_companion.demo.household.model import DemoItem


def films(tools: Tools) -> list[DemoItem]:
    return tools.demo.state.list_section("1", "movie")


async def held(tools: Tools, library: str = "Films", **given: Any) -> list[int]:
    """The ids of what a new smart playlist holds, in its order."""
    body = await tools.well("playlist_create_smart", playlist_title="P", library_name=library, **given)
    contents = await tools.well("playlist_get_contents", playlist_id=body["playlist_id"], limit=200)
    await tools.well("playlist_delete", playlist_id=body["playlist_id"], confirm=True)
    return [int(item["rating_key"]) for item in contents["items"]]


def keys(items: list[DemoItem]) -> set[int]:
    return {int(item.key) for item in items}


async def test_an_or_of_two_years_holds_the_items_of_both_and_no_others(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        first, second = sorted({film.year for film in films(tools) if film.year})[:2]
        found = await held(tools, filters={"or": [{"year": first}, {"year": second}]})
        assert set(found) == keys([film for film in films(tools) if film.year in {first, second}])
        assert len(found) == len(set(found))


async def test_groups_of_groups_hold_what_they_say(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        filters = {"or": [{"and": [{"year>>": 1990}, {"or": [{"title<": "The"}, {"title<": "A"}]}]}, {"rating<<": 6}]}
        found = await held(tools, filters=filters)
        expected = [
            film for film in films(tools)
            if ((film.year or 0) > 1990 and film.title.startswith(("The", "A"))) or (film.rating or 0) < 6
        ]  # fmt: skip
        assert set(found) == keys(expected)
        every = await held(tools, filters={"and": [{"year>>": 1990}, {"title<": "The"}]})
        assert set(every) == keys([f for f in films(tools) if (f.year or 0) > 1990 and f.title.startswith("The")])


async def test_a_release_date_is_compared_to_the_day(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        film = sorted(films(tools), key=lambda item: item.released)[len(films(tools)) // 2]
        day = date.fromisoformat(film.released)
        before, after = (str(day + timedelta(days=step)) for step in (-1, 1))
        later = await held(tools, filters={"originallyAvailableAt>>": before})
        earlier = await held(tools, filters={"originallyAvailableAt<<": after})
        assert set(later) == keys([other for other in films(tools) if other.released >= film.released])
        assert set(earlier) == keys([other for other in films(tools) if other.released <= film.released])


async def test_a_sort_by_the_show_and_its_season_orders_episodes(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        state = tools.demo.state
        sort = "show.titleSort:desc,season.index,episode.index:desc"
        found = await held(tools, "Series", libtype="episode", sort=sort)
        shows = sorted(
            state.list_kind("show"), key=lambda show: (show.title_sort or show.title).casefold(), reverse=True
        )
        seasons = [
            season
            for show in shows
            for season in sorted(state.list_children(show.key), key=lambda season: season.index or 0)
        ]
        expected = [int(leaf.key) for season in seasons for leaf in state.list_children(season.key)[::-1]]
        assert found == expected[: len(found)]
        assert len(found) > len(state.list_leaves(shows[0].key))


async def test_a_smart_playlist_of_shows_counts_and_orders_episodes(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        state = tools.demo.state
        show = state.list_kind("show")[0]
        sort = "titleSort,season.index,episode.index"
        found = await held(tools, "Series", libtype="show", filters={"title": show.title}, sort=sort, limit=4)
        assert found == [int(leaf.key) for leaf in state.list_leaves(show.key)][:4]
