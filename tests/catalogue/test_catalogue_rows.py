"""Rows of the catalogue: from Plex's XML, through one write, to what is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from xml.etree.ElementTree import fromstring

import pytest

from plex_companion.cache.migrate import migrate
from plex_companion.cache.record import Statements
from plex_companion.changes.kinds import CatalogueRowsRead
from plex_companion.names.search_text import build_match
from plex_companion.plex.xml.catalogue_rows import parse_catalogue_item

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from plex_companion.models import CatalogueItem

SERVER = "den-0001"
FILM = """
<Video ratingKey="11" key="/library/metadata/11" guid="plex://movie/aa" type="movie" title="Baker's Élan 斗罗大陆" year="2019"
  addedAt="1600000000" updatedAt="1600000001" duration="5400000" rating="6.1" audienceRating="7.4" summary="A lamp.">
  <Media id="1" videoResolution="4k" container="mkv" videoCodec="hevc" audioCodec="eac3" audioChannels="6" bitrate="20000">
    <Part id="1" size="4000000000" file="/films/one.mkv" exists="1"><Stream streamType="1" colorTrc="smpte2084"/></Part>
    <Part id="2" size="1000000000" file="/films/two.mkv"/>
  </Media>
  <Media id="2" videoResolution="720" container="mp4" videoCodec="h264" audioCodec="aac"><Part id="3" size="7"/></Media>
  <Genre tag="Comedy"/><Genre tag="Drama"/><Director tag="Ida Vale"/><Role tag="Noé Rune"/>
  <Guid id="imdb://tt0000001"/><Guid id="tmdb://22"/><Guid id="tvdb://33"/>
</Video>
"""


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "cache.sqlite3"
    migrate(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("INSERT INTO servers VALUES (?, NULL, NULL, NULL, NULL, 0, 0)", (SERVER,))
        yield connection
        connection.execute("INSERT INTO item_words (item_words) VALUES ('integrity-check')")


def film(xml: str = FILM, *, private: bool = True, detailed: bool = True) -> CatalogueItem:
    found = parse_catalogue_item(fromstring(xml), section_id="1", private=private, detailed=detailed)  # noqa: S314 - our own
    assert found is not None
    return found


def put(db: sqlite3.Connection, *items: CatalogueItem, gone: tuple[str, ...] = ()) -> None:
    statements = Statements(SERVER, 0)
    statements.add(CatalogueRowsRead(SERVER, items, gone, (), ()))
    statements.run(db)


def find(db: sqlite3.Connection, text: str) -> list[str]:
    sql = "SELECT rating_key FROM item_words JOIN items ON items.id = item_words.rowid WHERE item_words MATCH ?"
    return [key for (key,) in db.execute(sql, (build_match(text),))]


def test_an_item_has_the_sizes_of_all_parts_and_one_file_per_version(db: sqlite3.Connection) -> None:
    put(db, film())
    assert db.execute("SELECT size_bytes, imdb_id, tmdb_id, tvdb_id FROM items").fetchall() == [
        (5_000_000_007, "tt0000001", "22", "33")
    ]
    files = db.execute("SELECT media_id, size_bytes, resolution, hdr, path FROM files ORDER BY position").fetchall()
    assert files == [("1", 5_000_000_000, "4k", 1, None), ("2", 7, "720", None, None)]


def test_paths_are_kept_only_where_privacy_is_off(db: sqlite3.Connection) -> None:
    put(db, film(private=False))
    assert db.execute("SELECT path FROM files WHERE media_id = '1'").fetchall() == [
        ('["/films/one.mkv", "/films/two.mkv"]',)
    ]


@pytest.mark.parametrize(
    "text", ["bakers", "BAKER'S elan", "élan", "罗大", "陆", "斗罗大陆", "comedy", "ida vale", "noe", "lamp", "lam"]
)
def test_words_are_found_by_their_beginning_and_characters_anywhere(db: sqlite3.Connection, text: str) -> None:
    put(db, film())
    assert find(db, text) == ["11"]


@pytest.mark.parametrize("text", ["akers", "大罗", "elan OR lamp NOT", "tragedy"])
def test_what_is_not_in_an_item_does_not_find_it(db: sqlite3.Connection, text: str) -> None:
    put(db, film())
    assert find(db, text) == []


def test_reading_an_item_again_replaces_it_and_its_words(db: sqlite3.Connection) -> None:
    put(db, film())
    put(db, film(FILM.replace("lamp", "candle").replace("Comedy", "Crime")))
    assert (find(db, "lamp"), find(db, "candle"), find(db, "comedy"), find(db, "crime")) == ([], ["11"], [], ["11"])
    assert db.execute("SELECT count(*) FROM items").fetchone() == (1,)


def test_a_listing_takes_no_tags_from_an_item_that_was_read_in_full(db: sqlite3.Connection) -> None:
    put(db, film())
    put(db, film(FILM.replace('<Role tag="Noé Rune"/>', ""), detailed=False))
    assert find(db, "noe rune") == ["11"]
    assert db.execute("SELECT detailed FROM items").fetchone() == (1,)


def test_an_item_that_is_gone_leaves_nothing(db: sqlite3.Connection) -> None:
    put(db, film())
    put(db, gone=("11", "12"))
    assert find(db, "bakers") == []
    for table in ("items", "files", "item_tags"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608 - our own table names


def play(db: sqlite3.Connection, number: int, **columns: object) -> None:
    row = {"id": number, "server": SERVER, "type": "movie", "live": 0, "listed": 0, "stale": 0, **columns}
    row |= {"started_at": number, "updated_at": number}
    names = ", ".join(row)
    db.execute(f"INSERT INTO plays ({names}) VALUES ({', '.join(f':{name}' for name in row)})", row)  # noqa: S608 - our own column names


def linked(db: sqlite3.Connection) -> list[str | None]:
    sql = "SELECT items.rating_key FROM plays LEFT JOIN items ON items.id = plays.item_id ORDER BY plays.id"
    rows = db.execute(sql)
    return [key for (key,) in rows]


def test_plays_are_linked_by_rating_key_else_by_guid_whichever_came_first(db: sqlite3.Connection) -> None:
    play(db, 1, rating_key="11")
    play(db, 2, rating_key="7", guid="plex://movie/aa")
    play(db, 3, rating_key="7", guid="plex://movie/bb")
    assert linked(db) == [None, None, None]
    put(db, film())
    assert linked(db) == ["11", "11", None]
    play(db, 4, rating_key="11", guid="plex://movie/aa")
    assert linked(db) == ["11", "11", None, "11"]


def test_plays_follow_their_item_into_a_rebuilt_library(db: sqlite3.Connection) -> None:
    put(db, film())
    play(db, 1, rating_key="11", guid="plex://movie/aa")
    put(db, gone=("11",))
    assert linked(db) == [None]
    put(db, film(FILM.replace('ratingKey="11"', 'ratingKey="99"')))
    other = FILM.replace("movie/aa", "movie/other")
    put(db, film(other))
    assert linked(db) == ["99"], "the item that has the key now is another one"


def test_finishes_are_what_plex_counts_and_what_was_heard_to_nine_tenths(db: sqlite3.Connection) -> None:
    put(db, film(FILM.replace("<Video", '<Video viewCount="1" lastViewedAt="9"')))
    play(db, 1, rating_key="11", user_id="2", view_offset_ms=899, duration_ms=1000)
    play(db, 2, rating_key="11", user_id="3", view_offset_ms=900, duration_ms=1000)
    play(db, 3, rating_key="11", user_id="4", viewed_at=70)
    found = db.execute("SELECT user_id, at FROM finishes ORDER BY user_id").fetchall()
    assert found == [("1", 9000), ("3", 2), ("4", 70)]
