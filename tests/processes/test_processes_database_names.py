"""Which file a companion of several servers uses, when nobody has named one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from plex_companion.cache.migrate import migrate
from plex_companion.processes.ownership import find_other_past
from plex_companion.settings import Settings, find_database_path

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def name_databases(folder: Path, monkeypatch: pytest.MonkeyPatch, *urls: str) -> list[Path]:
    """The default database of each of these values of PLEX_URL."""
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    return [find_database_path(Settings.load({"plex_url": url})) for url in urls]


def test_another_order_of_addresses_keeps_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    den, cabin = name_databases(tmp_path, monkeypatch, "http://den,http://cabin", "http://cabin,http://den")
    assert den != cabin, "while there is none, it is named after the first address"
    den.parent.mkdir(parents=True)
    den.touch()
    assert name_databases(tmp_path, monkeypatch, "http://den,http://cabin", "http://cabin,http://den") == [den, den]


def test_the_database_of_an_address_that_was_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (both,) = name_databases(tmp_path, monkeypatch, "http://den,http://cabin")
    both.parent.mkdir(parents=True)
    migrate(both)
    cabin = Settings.load({"plex_url": "http://cabin"})
    with closing(sqlite3.connect(both)) as database, database:
        sql = "INSERT INTO links VALUES (?, NULL, 'live', 0, 1, NULL, 0, 0, 1, 1)"
        database.execute(sql, (cabin.link_id,))
    assert find_other_past(find_database_path(cabin), cabin) == both
    attic = Settings.load({"plex_url": "http://attic"})
    assert find_other_past(find_database_path(attic), attic) is None
