"""Answers of `catalogue_search` equal a recount over the demo's own data, whatever is asked."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from recount import Recount
from support.catalogue import KEPT, CatalogueHome, catalogue_home

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = 150
TEXTS = (
    "har",
    "HARBOUR",
    "a",
    "storm",
    "comedy",
    "no such word",
    "the lamp",
    "斗",
    "の",
    "東京",
    "o'hara",
    "wind & sea",
)


def draw_question(random: Random, recount: Recount) -> dict[str, Any]:
    """Some arguments at once, with values that the household knows."""
    some = random.choice(recount.items)
    users = [
        "anyone",
        *(
            user.name
            for user in recount.state.users.values()
            if any(str(user.id) == one for one, _ in recount.finished)
        ),
    ]
    possible: dict[str, Any] = {
        "text": random.choice(TEXTS),
        "type": random.choice(KEPT),
        "library": recount.state.sections[some.section].title,
        "genre": random.choice(some.tags.get("Genre", ()) or ("Comedy",)).upper(),
        "person": random.choice([*list(some.roles)[:10], *some.tags.get("Director", ())] or ["Nobody At All"]),
        "year": some.year or 2001,
        "year_from": random.randint(1970, 2020),
        "year_to": random.randint(1970, 2024),
        "duration_max_minutes": random.choice([5, 45, 90, 120]),
        "content_rating": some.content_rating or "PG",
        "resolution": random.choice(["4k", "1080", "720", "sd"]),
        "codec": random.choice(["hevc", "h264", "aac", "eac3", "flac"]),
        "size_min_gb": random.choice([0.5, 5, 20]),
        "watched_by": random.choice(users),
        "unwatched_by": random.choice(users),
    }
    return {name: possible[name] for name in random.sample(sorted(possible), random.randint(0, 3))}


async def list_all(home: CatalogueHome, asked: dict[str, Any], limit: int) -> tuple[list[str], dict[str, Any]]:
    """The keys of all pages of an answer, and the first page."""
    page = first = await home.tools.well("catalogue_search", **asked, limit=limit)
    keys = [item["rating_key"] for item in first["items"]]
    while page["next_cursor"]:
        page = await home.tools.well("catalogue_search", **asked, limit=limit, cursor=page["next_cursor"])
        keys += [item["rating_key"] for item in page["items"]]
    return keys, first


async def test_every_search_equals_a_recount_of_the_demos_own_items(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_as_plex()
        await home.until_detailed()
        await home.tools.until(lambda: home.application.companion.state.history.complete)
        recount, random = Recount(home), Random(20_260_101)  # noqa: S311 - to repeat it
        for number in range(QUESTIONS):
            asked = draw_question(random, recount)
            keys, size = recount.count(asked)
            sort = random.choice(["title", "-size", "added", "year", "-duration", "rating", "last_watched"])
            found, first = await list_all(
                home, {**asked, "sort": sort}, random.choice([7, 500]) if number % 10 == 0 else 500
            )
            assert len(found) == len(set(found)), asked
            assert set(found) == keys, asked
            assert (first["total"], first["total_size_bytes"]) == (len(keys), size), asked


async def test_bad_questions_get_clear_errors(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_complete()
        codes: dict[str, dict[str, Any]] = {
            "library": {"library": "Nowhere"},
            "user": {"unwatched_by": "Nobody"},
            "sort": {"sort": "colour"},
            "field": {"fields": ["colour"]},
            "text": {"text": "?!"},
            "time": {"added_since": "soonish"},
            "cursor": {"cursor": "nonsense"},
        }
        found = {name: (await home.tools.refused("catalogue_search", **asked))["code"] for name, asked in codes.items()}
        unknown = dict.fromkeys(("library", "user"), "not_found")
        assert found == {**dict.fromkeys(codes, "invalid"), **unknown}
        page = await home.tools.well("catalogue_search", type="movie", limit=2)
        other = await home.tools.refused("catalogue_search", type="episode", cursor=page["next_cursor"])
        assert "another question" in other["message"]


async def test_fields_always_keep_the_key_and_the_type(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_complete()
        answer = await home.tools.well("catalogue_search", type="movie", fields=["summary", "files"], limit=1)
        assert list(answer["items"][0]) == ["rating_key", "type", "summary", "files"]
        assert "path" not in str(answer)
