"""What the page of an item asks is found by the item, however many plays and items there are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from benchmarks.catalogue_database import create_catalogue_database
from plex_companion.cache.queries.item_plays import read_item_plays
from plex_companion.catalogue.item_rows import FIELDS, describe_items
from plex_companion.catalogue.viewers.begun import read_viewing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SERVER = "bench-den"
QUESTIONS: dict[str, Callable[[sqlite3.Connection, int, str], object]] = {
    "its fields": lambda database, id_, _: describe_items(database, SERVER, [id_], FIELDS),
    "its plays": lambda database, _, key: read_item_plays(database, SERVER, key, 20),
    "its viewers": lambda database, id_, _: read_viewing(database, SERVER, [id_], {}),
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "companion.sqlite3"
    create_catalogue_database(path, 1_000, 2_000, 1_790_000_000_000)
    return path


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kind", ["movie", "episode", "season", "show", "album"])
def test_a_question_about_an_item_reads_no_whole_table(many: Path, question: str, kind: str) -> None:
    asked: list[str] = []
    with closing(sqlite3.connect(many)) as database:
        database.row_factory = sqlite3.Row
        id_, key = database.execute("SELECT id, rating_key FROM items WHERE type = ?", (kind,)).fetchone()
        database.set_trace_callback(asked.append)
        QUESTIONS[question](database, id_, key)
        database.set_trace_callback(None)
        plan = [row[3] for sql in asked for row in database.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert any("plays" in step or "items" in step for step in plan), plan
    whole = [step for step in plan if step.startswith(("SCAN plays", "SCAN items", "BLOOM")) or "(item_id>?)" in step]
    assert whole == [], plan
