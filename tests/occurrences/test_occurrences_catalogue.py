"""A season that arrives at the demo, recorded with what the catalogue knows and who was caught up with its show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from support.catalogue import TOKEN, catalogue_home

from plex_companion.demo import Demo, open_demo
from plex_companion.demo.household.model import DemoPlay
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.occurrences.reading import read_occurrences

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def watch_everything(demo: Demo, show: str, user: int) -> None:
    """A user has watched every episode of a show."""
    state = demo.state
    episodes = [episode for season in state.list_children(show) for episode in state.list_children(season.key)]
    for number, episode in enumerate(episodes):
        state.history.append(
            DemoPlay(90_000 + number, episode.key, state.now - 86_400, user, next(iter(state.players.values())).id)
        )


async def test_a_new_season_is_one_occurrence_with_files_and_the_users_who_were_caught_up(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        show = demo.state.list_kind("show")[0]
        viewer = next(user for user in demo.state.users.values() if user.id not in {1, demo.state.owner.id})
        watch_everything(demo, show.key, viewer.id)
        async with catalogue_home(tmp_path, demo=demo) as it:
            await it.until_as_plex()
            cache = it.application.companion.cache

            async def is_imported() -> bool:
                return bool(it.application.companion.state.history.complete)

            async def read_added() -> list[dict[str, Any]]:
                return (await read_occurrences(cache, None, ["media.added"])).occurrences

            await it.until(is_imported)
            await demo.play("scan_finished")
            await demo.play("scan_finished_over")
            await it.until(read_added)
            (added,) = await read_added()
    data = added["data"]
    Draft202012Validator(OCCURRENCE_TYPES["media.added"].data_schema).validate(data)
    assert (data["type"], data["count"], data["items"][0]["show"]) == ("season", 3, show.title)
    assert data["title"].startswith(f"{show.title} - ")
    assert all(item["resolution"] and item["size_bytes"] for item in data["items"])
    assert viewer.id in [int(user["id"]) for user in data["caught_up"]]


async def test_a_season_that_came_while_plex_was_not_heard_is_one_inferred_occurrence(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        async with catalogue_home(tmp_path, demo=demo) as it:
            await it.until_complete()
        show = demo.add_show("Quiet Water", seasons=1, episodes=4, announced=False)
        async with catalogue_home(tmp_path, demo=demo) as it:
            cache = it.application.companion.cache

            async def read_added() -> list[dict[str, Any]]:
                return (await read_occurrences(cache, None, ["media.added"])).occurrences

            await it.until(read_added)
            (added,) = await read_added()
    data = added["data"]
    assert (added["inferred"], data["inferred"], data["type"], data["count"]) == (True, True, "season", 4)
    assert (data["title"], data["items"][0]["show"]) == (f"{show.title} - Season 1", show.title)


async def test_a_season_that_went_while_plex_was_not_heard_is_one_inferred_occurrence_and_only_once(
    tmp_path: Path,
) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        show = demo.state.list_kind("show")[0]
        season = demo.state.list_children(show.key)[0]
        episodes = {episode.key: episode.title for episode in demo.state.list_children(season.key)}
        async with catalogue_home(tmp_path, demo=demo) as it:
            await it.until_as_plex()
        demo.delete_item(season.key, announced=False)
        removed: list[dict[str, Any]] = []
        for _ in range(2):
            async with catalogue_home(tmp_path, demo=demo) as it:
                await it.until_as_plex()
                removed = (await read_occurrences(it.application.companion.cache, None, ["media.removed"])).occurrences
    (only,) = removed
    data = only["data"]
    Draft202012Validator(OCCURRENCE_TYPES["media.removed"].data_schema).validate(data)
    assert (data["inferred"], data["type"], data["count"]) == (True, "season", len(episodes))
    assert data["title"] == f"{show.title} - {season.title}"
    assert {item["rating_key"]: item["title"] for item in data["items"]} == episodes
    assert all(item["size_bytes"] for item in data["items"])


async def test_an_item_whose_deletion_was_announced_is_recorded_once(tmp_path: Path) -> None:
    async with (
        open_demo(alive=False, require_token=TOKEN) as demo,
        catalogue_home(tmp_path, demo=demo) as it,
    ):
        await it.until_as_plex()
        film = demo.state.list_kind("movie")[0]
        demo.delete_item(film.key)
        await it.until_as_plex()
        cache = it.application.companion.cache

        async def read_removed() -> list[dict[str, Any]]:
            return (await read_occurrences(cache, None, ["media.removed"])).occurrences

        await it.until(read_removed)
        (removed,) = await read_removed()
    assert removed["data"]["items"][0]["title"] == film.title
    assert "inferred" not in removed["data"]
