"""The figures of libraries on the pages: those of the reports, and kept until the catalogue changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.catalogue import CatalogueHome, catalogue_home

from plex_companion.catalogue.disk_space.duplicates import find_duplicates, find_library_duplicates
from plex_companion.catalogue.disk_space.library_sizes import measure_libraries, measure_quality
from plex_companion.catalogue.disk_space.neglected import find_neglected
from plex_companion.catalogue.disk_space.storage import measure_storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[CatalogueHome]:
    async with catalogue_home(tmp_path) as running:
        await running.until_complete()
        await running.until_detailed()
        yield running


def sum_by(rows: list[dict[str, Any]], *names: str) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Add up items and bytes by some fields."""
    found: dict[tuple[Any, ...], tuple[int, int]] = {}
    for row in rows:
        key = tuple(row[name] for name in names)
        items, size = found.get(key, (0, 0))
        found[key] = (items + row["items"], size + row["size_bytes"])
    return found


async def test_sizes_growth_and_quality_are_those_of_the_report_on_storage(it: CatalogueHome) -> None:
    source = it.application.companion
    libraries, growth = await measure_libraries(source)
    report = await measure_storage(source)
    assert sum_by(report["groups"], "id") == sum_by([one for one in libraries if one["items"]], "id")
    dated = [month for month in report["growth"] if month["month"]]
    assert sum_by(dated, "month") == sum_by(growth, "month")
    for by in ("resolution", "codec"):
        parts = [group for one in libraries for group in (await measure_quality(source, one["id"]))[by]]
        assert sum_by(parts, "name") == sum_by((await measure_storage(source, by))["groups"], "name")


async def test_a_change_of_the_catalogue_shows_at_once(it: CatalogueHome) -> None:
    source = it.application.companion

    async def count() -> int:
        libraries = (await measure_libraries(source)).libraries
        return sum(one["counts"].get("movie", 0) for one in libraries)

    before = await count()
    await it.demo.add_movie("Saffron Sky")
    await it.until_as_plex()
    assert await count() == before + 1
    assert await count() == before + 1, "from memory"


async def test_figures_are_read_again_after_any_change_that_they_show_and_after_no_other(it: CatalogueHome) -> None:
    async def read_revision() -> int:
        (row,) = await it.rows("SELECT revision FROM figure_revisions WHERE subject = 'catalogue'")
        return int(row[0])

    writer = it.application.companion.cache.writer
    for change in (
        "UPDATE items SET summary = 'Another' WHERE type = 'movie'",
        "UPDATE items SET title = title, size_bytes = size_bytes",
        "UPDATE files SET size_bytes = size_bytes, bitrate_kbps = 1",
    ):
        before = await read_revision()
        await writer.execute(change)
        assert await read_revision() == before, change
    for change in (
        "UPDATE items SET size_bytes = 7 WHERE rating_key = (SELECT max(rating_key) FROM items)",
        "UPDATE items SET title = 'Another' WHERE rating_key = (SELECT max(rating_key) FROM items)",
        "UPDATE items SET view_count = 77 WHERE type = 'movie'",
        "UPDATE files SET resolution = '8k'",
        "UPDATE catalogue_sections SET title = title || '!'",
        "DELETE FROM items WHERE type = 'track'",
    ):
        before = await read_revision()
        await writer.execute(change)
        assert await read_revision() > before, change


async def test_neglected_titles_and_duplicates_of_a_library_are_those_of_the_reports(it: CatalogueHome) -> None:
    source = it.application.companion
    films = next(one for one in (await measure_libraries(source)).libraries if one["title"] == "Films")
    kept = await find_neglected(source, 1, films["id"], 500, hourly=True)
    exact = {item["rating_key"]: item for item in (await find_neglected(source, 1, films["id"], 500))["items"]}
    assert kept["items"]
    assert all(item == exact[item["rating_key"]] for item in kept["items"]), "up to the last whole hour"
    every = (await find_duplicates(source, 500))["groups"]
    of_films = [group for group in every if films["title"] in {item["library"] for item in group["items"]}]
    assert (await find_library_duplicates(source, films["id"], 500))["groups"] == of_films
