"""Who performs a track, and which edition a film is, are told wherever the track and the film are."""

from __future__ import annotations

import sqlite3
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tools import tools_home

from plex_companion.cache.migrate import migrate
from plex_companion.demo import Household, build_household
from plex_companion.models import Item
from plex_companion.wording import format_title as title_in_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.tools import Tools

    from plex_companion.demo.household.model import DemoItem

PERFORMER, EDITION = "Ada Kettle", "Director's Cut"
ALBUM_ARTIST = "Various Artists"


def household() -> Household:
    """The first track is on a compilation, the first film is an edition and has another title elsewhere."""
    built = build_household(now=time.time())
    track = next(item for item in built.items if item.type == "track")
    film = next(item for item in built.items if item.type == "movie" and item.section == "1")
    by_key = {item.key: item for item in built.items}
    by_key[by_key[track.parent or ""].parent or ""].title = ALBUM_ARTIST
    track.title, track.original_title = "Kettle Song", PERFORMER
    film.edition_title = EDITION
    film.original_title = "Le Film"
    return built


@asynccontextmanager
async def home(folder: Path) -> AsyncIterator[Tools]:
    async with tools_home(folder, household=household()) as tools:
        yield tools


def track_of(tools: Tools) -> DemoItem:
    return next(item for item in tools.demo.state.items.values() if item.original_title == PERFORMER)


async def play(tools: Tools, item: DemoItem) -> Any:
    session = tools.demo.start(item)
    state = tools.application.companion
    await tools.until(lambda: any(one.user for one in state.state.sessions.values()))
    return session


async def test_the_performer_of_a_track_is_in_its_session_and_in_history(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        session = await play(tools, track_of(tools))
        (live,) = (await tools.well("live_sessions"))["sessions"]
        assert (live["performer"], live["grandparent_title"], live.get("edition")) == (PERFORMER, ALBUM_ARTIST, None)
        assert live["full_title"].startswith(f"{PERFORMER} - ")
        assert live["full_title"].endswith(" - Kettle Song")
        (active,) = (await tools.well("sessions_get_active"))["sessions"]
        assert active["performer"] == PERFORMER
        (known,) = tools.application.companion.state.sessions.values()
        assert title_in_words(known) == live["full_title"]
        tools.demo.stop(session)
        await tools.until(lambda: not tools.application.companion.state.sessions)
        for words in ("kettle song", "ada", "Ada Kettle", "ada song", "various kettle"):
            found = await tools.well("history_query", title=words)
            assert [row["performer"] for row in found["plays"]] == [PERFORMER], words
        assert not (await tools.well("history_query", title="ada nowhere"))["plays"]


async def test_the_edition_of_a_film_is_in_its_session_and_in_history(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        film = tools.demo.get_movie(0)
        session = await play(tools, film)
        (live,) = (await tools.well("live_sessions"))["sessions"]
        assert (live["edition"], live.get("performer")) == (EDITION, None)
        assert live["full_title"] == f"{film.title} ({film.year}) - {EDITION}"
        tools.demo.stop(session)
        await tools.until(lambda: not tools.application.companion.state.sessions)
        found = await tools.well("history_query", title="director's cut")
        assert [row["edition"] for row in found["plays"]] == [EDITION]


async def test_the_performer_is_told_where_tracks_are_found_and_listed(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        track = track_of(tools)
        hit = (await tools.well("media_search", query="Kettle Song"))["results_by_type"]["track"][0]
        assert (hit["performer"], hit["artist"]) == (PERFORMER, ALBUM_ARTIST)
        answer = await tools.well("media_get_details", media_id=track.key)
        assert (answer["performer"], answer["artist"]) == (PERFORMER, ALBUM_ARTIST)
        listed = await tools.well("library_get_contents", media_type="track", title="Kettle Song")
        assert listed["items"][0]["performer"] == PERFORMER
        await tools.well("playlist_create", playlist_title="P", item_ids=[track.key])
        (entry,) = (await tools.well("playlist_get_contents", playlist_title="P"))["items"]
        assert (entry["performer"], entry["albumArtist"]) == (PERFORMER, ALBUM_ARTIST)


async def test_the_edition_is_told_where_films_are_found_and_listed(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        film = tools.demo.get_movie(0)
        tools.demo.get_movie(1).title = film.title
        (hit, other) = (await tools.well("media_search", query=film.title))["results_by_type"]["movie"]
        assert {hit.get("edition"), other.get("edition")} == {EDITION, None}
        answer = await tools.well("media_get_details", media_id=film.key)
        assert (answer["edition"], answer["original_title"]) == (EDITION, "Le Film")
        choices = await tools.well("media_get_details", media_title=film.title)
        assert EDITION in {match.get("edition") for match in choices["matches"]}


def test_a_full_title_begins_with_the_performer_and_ends_with_the_edition() -> None:
    track = Item(type="track", title="Song", grandparent_title=ALBUM_ARTIST, parent_title="Mix", performer=PERFORMER)
    assert track.full_title == "Ada Kettle - Mix - Song"
    assert Item(type="movie", title="Film", year=1999, edition=EDITION).full_title == "Film (1999) - Director's Cut"
    assert Item(type="movie", title="Film", year=1999).full_title == "Film (1999)"


NAMES = st.sampled_from([None, "Ada Kettle", "Bo Lamp"])


@pytest.mark.slow
@settings(max_examples=50)
@given(steps=st.lists(st.tuples(st.integers(1, 3), NAMES, NAMES, st.booleans()), max_size=12))
def test_the_index_of_performers_holds_what_the_plays_hold(
    steps: list[tuple[int, str | None, str | None, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("credits") / "cache.sqlite3"
    migrate(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO servers VALUES ('s', NULL, NULL, NULL, NULL, 0, 0)")
        for number, performer, edition, gone in steps:
            if gone:
                db.execute("DELETE FROM plays WHERE id = ?", (number,))
                continue
            db.execute(
                "INSERT INTO plays (id, server, title, performer, edition, live, listed, stale, started_at, updated_at) "
                "VALUES (?, 's', 'Song', ?, ?, 0, 0, 0, 0, 0) "
                "ON CONFLICT (id) DO UPDATE SET performer = excluded.performer, edition = excluded.edition",
                (number, performer, edition),
            )
        db.execute("INSERT INTO play_titles (play_titles) VALUES ('integrity-check')")
        found = db.execute("SELECT rowid FROM play_titles WHERE play_titles MATCH 'kettle song'")
        expected = "SELECT id FROM plays WHERE 'Ada Kettle' IN (performer, edition) ORDER BY 1"
        assert sorted(found.fetchall()) == db.execute(expected).fetchall()
