"""What became of the libraries: an import is one entry, a better file is no addition, a refresh is neither."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from support.recorded_plays import DAY, HOUR, NOW, SERVER, change, past

if TYPE_CHECKING:
    from pathlib import Path

    from support.recorded_plays import Row

CHANGES = "library_changes"


def build_season_rows(
    first: int, show: str, season: int, episodes: int, *, at: int = NOW - HOUR, **more: Any
) -> list[Row]:
    """Build the rows that the import of a season leaves: the show, the season, its episodes."""
    root, parent = f"{show}-0", f"{show}-{season}"
    of = {"section_id": "2", **more}
    rows = [
        change(first, at, root, type="show", title=show, **of),
        change(
            first + 1, at, parent, type="season", title=f"Season {season}", parent_item_id=root, root_item_id=root, **of
        ),
    ]
    for index in range(1, episodes + 1):
        title = f"{show} S{season:02d} E{index:02d}"
        above = {"parent_item_id": parent, "root_item_id": root}
        rows.append(
            change(first + 1 + index, at + index, f"{parent}-{index}", type="episode", title=title, **{**above, **of})
        )
    return rows


async def test_the_import_of_a_season_is_one_entry_with_its_first_titles(tmp_path: Path) -> None:
    async with past(tmp_path, library_changes=build_season_rows(1, "Harbour", 2, 8)) as it:
        new = (await it.well(CHANGES, since="24h"))["new"]
        (entry,) = new["entries"]
        assert (new["items"], new["total_entries"]) == (8, 1)
        assert (entry["type"], entry["title"], entry["items"]) == ("season", "Harbour - Season 2", 8)
        assert entry["titles"] == [f"Harbour S02 E0{n}" for n in range(1, 6)]
        assert (entry["item_id"], entry["library"]) == ("Harbour-2", "Shows")
        assert (entry["first_at"], entry["last_at"]) == ("2026-11-22T16:00:00.124Z", "2026-11-22T16:00:00.131Z")


def write_catalogue(path: Path, *items: tuple[str, str, str]) -> None:
    """Write items with their rating key, type and title."""
    sql = "INSERT INTO items (server, rating_key, type, title, detailed) VALUES (?, ?, ?, ?, 0)"
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany(sql, [(SERVER, *item) for item in items])


async def test_what_plex_did_not_name_has_the_name_that_the_catalogue_knows(tmp_path: Path) -> None:
    _, season, *episodes = build_season_rows(1, "Harbour", 5, 2)
    unnamed = [{**row, "title": None} for row in (season, *episodes, change(9, NOW - 2 * HOUR, "7"))]
    async with past(tmp_path, library_changes=unnamed) as it:
        items = ("Harbour-0", "show", "Harbour Street"), ("Harbour-5", "season", "Season 5"), ("7", "movie", "Low Tide")
        write_catalogue(tmp_path / "cache.sqlite3", *items)
        entries = (await it.well(CHANGES, since="24h"))["new"]["entries"]
        assert [one["title"] for one in entries] == ["Harbour Street - Season 5", "Low Tide"]


async def test_an_album_is_one_entry_and_films_are_one_each(tmp_path: Path) -> None:
    album = [
        change(1, NOW - HOUR, "a", type="artist", title="Marlow", section_id="3"),
        change(2, NOW - HOUR, "b", type="album", title="Gravel", parent_item_id="a", root_item_id="a", section_id="3"),
    ]
    tracks = [
        change(
            n,
            NOW - HOUR,
            f"t{n}",
            type="track",
            title=f"Song {n}",
            parent_item_id="b",
            root_item_id="a",
            section_id="3",
        )
        for n in (3, 4)
    ]
    films = [change(n, NOW - n * HOUR, str(n)) for n in (5, 6)]
    async with past(tmp_path, library_changes=[*album, *tracks, *films]) as it:
        new = (await it.well(CHANGES, since="24h"))["new"]
        assert (new["items"], new["total_entries"]) == (4, 3)
        answer = [(entry["type"], entry["title"], entry["items"]) for entry in new["entries"]]
        assert answer == [("album", "Marlow - Gravel", 2), ("movie", "Film 5", 1), ("movie", "Film 6", 1)]


async def test_episodes_that_name_no_season_are_bundled_by_their_titles(tmp_path: Path) -> None:
    episodes = [
        change(
            n, NOW - HOUR, str(n), type="episode", title=f"Two Kettles S0{s} E0{n}", section_id="2", change="deleted"
        )
        for s, numbers in ((1, (1, 2, 3)), (2, (4, 5)))
        for n in numbers
    ]
    async with past(tmp_path, library_changes=episodes) as it:
        deleted = (await it.well(CHANGES, since="24h"))["deleted"]
        answer = {(entry["type"], entry["title"], entry["items"]) for entry in deleted["entries"]}
        assert answer == {("season", "Two Kettles S01", 3), ("season", "Two Kettles S02", 2)}


async def test_a_show_without_anything_below_it_is_told_itself(tmp_path: Path) -> None:
    async with past(
        tmp_path, library_changes=[change(1, NOW, "s", type="show", title="Harbour", section_id="2")]
    ) as it:
        (entry,) = (await it.well(CHANGES, since="24h"))["new"]["entries"]
        assert (entry["type"], entry["title"], entry["titles"]) == ("show", "Harbour", [])


async def test_a_new_file_of_an_old_item_is_an_upgrade_and_of_a_new_one_is_not(tmp_path: Path) -> None:
    analyzed = {"change": "updated", "analyzed": 1}
    rows = [
        change(1, NOW - HOUR, "old", **analyzed),
        change(2, NOW - 30 * HOUR, "young"),
        change(3, NOW - 20 * HOUR, "young", **analyzed),
        change(4, NOW - 100 * HOUR, "grown"),
        change(5, NOW - 60 * HOUR, "grown", **analyzed),
        change(6, NOW - HOUR, "looks", change="updated"),
        change(7, NOW - HOUR, "gone", change="deleted"),
    ]
    async with past(tmp_path, library_changes=rows) as it:
        answer = await it.well(CHANGES, since="7d")
        reported = {
            kind: {entry["item_id"] for entry in answer[kind]["entries"]} for kind in ("new", "upgraded", "deleted")
        }
        assert reported == {"new": {"young", "grown"}, "upgraded": {"old", "grown"}, "deleted": {"gone"}}
        assert answer["refreshed"] == 2
        later = await it.well(CHANGES, since="24h")
        assert {entry["item_id"] for entry in later["upgraded"]["entries"]} == {"old"}, "created before the window"


async def test_collections_and_playlists_are_no_changes_of_the_library(tmp_path: Path) -> None:
    rows = [change(n, NOW, str(n), type=kind) for n, kind in enumerate(("collection", "playlist", "movie"), 1)]
    async with past(tmp_path, library_changes=rows) as it:
        assert [entry["type"] for entry in (await it.well(CHANGES, since="1h"))["new"]["entries"]] == ["movie"]


async def test_a_long_list_is_cut_to_the_latest_and_counted(tmp_path: Path) -> None:
    rows = [change(n, NOW - n, str(n)) for n in range(1, 31)]
    async with past(tmp_path, library_changes=rows) as it:
        new = (await it.well(CHANGES, since="1h", limit=3))["new"]
        assert [entry["item_id"] for entry in new["entries"]] == ["1", "2", "3"]
        assert (new["items"], new["total_entries"]) == (30, 30)


async def test_a_window_before_what_is_kept_says_so(tmp_path: Path) -> None:
    async with past(tmp_path, library_changes=[change(500, NOW - DAY, "1")]) as it:
        answer = await it.well(CHANGES, since="7d")
        assert (answer["incomplete"], answer["kept_since"]) == (True, "2026-11-21T17:00:00.123Z")
        assert not (await it.well(CHANGES, since="1h"))["incomplete"]
    (tmp_path / "young").mkdir()
    async with past(tmp_path / "young", library_changes=[change(1, NOW - DAY, "1")]) as it:
        assert not (await it.well(CHANGES, since="7d"))["incomplete"], "nothing was ever dropped"


async def test_an_unreadable_time_is_refused(tmp_path: Path) -> None:
    async with past(tmp_path) as it:
        assert (await it.refused(CHANGES, since="lately"))["argument"] == "since"
        assert (await it.refused(CHANGES, since="1h", until="2h"))["argument"] == "until"
        assert (await it.refused(CHANGES))["argument"] == "since"
