"""Out of a real server, through history and websocket: what has one name and is not one thing stays apart."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anyio
from support.application import FAST, settings_for
from support.deadlines import HANG_SECONDS

from plex_companion.app import open_companion
from plex_companion.demo import Household, load_household, open_demo
from plex_companion.history.play_counts import count_plays
from plex_companion.times import Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plex_companion.companion import Companion


def household(folder: Path) -> Household:
    """Two films, two shows and two libraries of one name each, and a film that is there twice."""
    at = int(time.time()) - 86_400
    film = {"title": "Twin Rivers"}
    show = {"title": "Harbour", "seasons": [{"index": 1, "episodes": [{"title": "Fog"}, {"title": "Tide"}]}]}
    again = {"rating_key": "14", "title": "Salt Orchard", "guid": "plex://movie/salt"}
    movies = [{**film, "rating_key": "11", "year": 1992}, {**film, "rating_key": "12", "year": 2019}]
    sections: list[dict[str, Any]] = [
        {"key": "1", "title": "Movies", "type": "movie", "items": [*movies, {**again, "rating_key": "13"}]},
        {"key": "2", "title": "Movies", "type": "movie", "items": [again]},
        {"key": "3", "title": "Series", "type": "show", "items": [{**show, "rating_key": "31"}]},
        {"key": "4", "title": "More series", "type": "show", "items": [{**show, "rating_key": "41"}]},
    ]
    file = folder / "home.json"
    file.write_text(json.dumps({"sections": sections}))
    built = load_household(file)
    episodes = [item for item in built.items if item.type == "episode"]
    played = ["11", "12", "12", "13", "14", *(episode.key for episode in episodes)]
    plays = [{"rating_key": key, "viewed_at": at + n, "user": 1} for n, key in enumerate(played)]
    file.write_text(json.dumps({"sections": sections, "history": plays}))
    return load_household(file)


async def until(companion: Companion, fact: Callable[[], object]) -> None:
    with anyio.fail_after(HANG_SECONDS):
        while not fact():
            await companion.live.wait_for_commit()


async def reported(companion: Companion, by: Any) -> dict[str, int]:
    answer = await count_plays(companion, by, Window(0, companion.now_ms), 50)
    return {entry["label"]: entry["plays"] for entry in answer["entries"]}


async def test_what_was_imported_and_what_was_heard_is_counted_by_what_it_is(tmp_path: Path) -> None:
    async with open_demo(alive=False, household=household(tmp_path)) as demo:
        settings = settings_for(demo, tmp_path)
        async with open_companion(settings, lambda _: None, timeouts=FAST) as companion:
            await until(companion, lambda: companion.state.history.complete)
            titles = {
                "Twin Rivers (1992)": 1,
                "Twin Rivers (2019)": 2,
                "Salt Orchard": 2,
                "Harbour (Series)": 2,
                "Harbour (More series)": 2,
            }
            assert await reported(companion, "title") == titles
            assert await reported(companion, "library") == {
                "Movies (id 1)": 4,
                "Movies (id 2)": 1,
                "Series": 2,
                "More series": 2,
            }
            demo.start(next(item for item in demo.state.items.values() if item.key == "12"))
            await until(companion, lambda: [one for one in companion.state.sessions.values() if one.listed])
            assert await reported(companion, "title") == {**titles, "Twin Rivers (2019)": 3}
