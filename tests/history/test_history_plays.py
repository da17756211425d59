"""Plays, page by page, by who, what, where and when: asked for by a client, with Plex away."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from mcp import MCPError
from support.recorded_plays import (
    DAY,
    HOUR,
    NOW,
    SERVER,
    episode,
    imported,
    imported_so_far,
    past,
    running,
    seen,
    write,
)

from plex_companion.cache.connections import run_in_thread
from plex_companion.cache.database import open_cache
from plex_companion.cache.queries.plays import (
    FEW,
    KeysetPosition,
    PlayFilter,
    list_play_libraries,
    list_play_users,
    read_plays_page,
)
from plex_companion.cache.queries.title_words import expand_beginnings
from plex_companion.history.filters import build_title_match
from plex_companion.times import Window

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from support.recorded_plays import Past, Row

HISTORY = "history_query"


def household() -> list[Row]:
    """Generate twelve plays of three people over three days, half of them imported."""
    rows = []
    for number in range(1, 13):
        make = imported if number % 2 else seen
        user = str(number % 3 + 1)
        name = {"1": "Ada", "2": "Ben", "3": "Zoë"}[user]
        more = episode("Harbour Élan", 1, number) if number > 6 else {"title": f"The Lamp {number}"}
        rows.append(make(number, NOW - (13 - number) * 6 * HOUR, user_id=user, user_name=name, **more))
    return rows


def ids(answer: dict[str, Any]) -> list[int]:
    return [int(play["id"]) for play in answer["plays"]]


async def fetch_all_pages(it: Past, **arguments: Any) -> list[int]:
    """Fetch all pages of a query."""
    found: list[int] = []
    cursor = arguments.pop("cursor", None)
    while True:
        page = await it.well(HISTORY, **arguments, **({"cursor": cursor} if cursor else {}))
        found += ids(page)
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_the_newest_come_first_and_both_kinds_are_told_for_what_they_are(tmp_path: Path) -> None:
    rows = [imported(1, NOW - DAY), seen(2, NOW - 2 * HOUR), running(3, NOW - HOUR)]
    async with past(tmp_path, plays=rows) as it:
        answer = await it.well(HISTORY)
        assert ids(answer) == [3, 2, 1]
        now, own, plex = answer["plays"]
        assert (now["ended_at"], now.get("ended_by"), now["watched_ms"]) == (None, None, HOUR)
        assert (own["ended_by"], own["percent"], own["user"]) == ("stopped", 50.0, {"id": "1", "name": "Ada"})
        assert plex["ended_by"] == "imported"
        assert plex["history_key"] == "/status/sessions/history/1"
        assert plex.keys().isdisjoint({"watched_ms", "paused_ms", "buffer_count", "percent", "decision"})
        assert answer["connection"]["state"] == "offline"
        assert (answer["count"], answer["next_cursor"]) == (3, None)


async def test_a_user_is_found_by_id_or_by_name_in_whatever_case(tmp_path: Path) -> None:
    async with past(tmp_path, plays=household()) as it:
        for user in ("2", 2, "Ben", "ben", " BEN "):
            assert ids(await it.well(HISTORY, user=user)) == [10, 7, 4, 1], user


async def test_somebody_without_an_account_is_found_by_the_name_in_the_plays(tmp_path: Path) -> None:
    gone = seen(1, NOW - DAY, user_id="9", user_name="Kit")
    async with past(tmp_path, plays=[gone, *household()[1:]]) as it:
        assert ids(await it.well(HISTORY, user="kit")) == [1]


async def test_somebody_who_played_nothing_is_known_all_the_same(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[seen(1, NOW)]) as it:
        assert ids(await it.well(HISTORY, user="Zoë")) == []


async def test_nobody_knows_a_user_and_those_there_are_are_named(tmp_path: Path) -> None:
    async with past(tmp_path, plays=household()) as it:
        error = await it.refused(HISTORY, user="Nobody")
        assert (error["code"], error["what"], error["available"]) == ("not_found", "user", ["Ada", "Ben", "Zoë"])


async def test_two_of_a_name_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    twin = seen(1, NOW - DAY, user_id="9", user_name="ADA")
    async with past(tmp_path, plays=[twin, seen(2, NOW)]) as it:
        error = await it.refused(HISTORY, user="Ada")
        assert error["code"] == "ambiguous"
        assert {match["id"] for match in error["matches"]} == {"1", "9"}
        assert ids(await it.well(HISTORY, user="9")) == [1]


async def test_a_library_is_found_by_id_or_name(tmp_path: Path) -> None:
    async with past(tmp_path, plays=household()) as it:
        for library in ("2", "Shows", "shows"):
            assert ids(await it.well(HISTORY, library=library)) == [12, 11, 10, 9, 8, 7]
            assert ids(await it.well(HISTORY, library=library, user="Ada")) == [12, 9]


async def test_an_unknown_library_names_those_there_are(tmp_path: Path) -> None:
    async with past(tmp_path, plays=household()) as it:
        error = await it.refused(HISTORY, library="Attic")
        assert (error["code"], error["available"]) == ("not_found", ["Films", "Music", "Shows"])


TITLES: tuple[tuple[str, list[int]], ...] = (
    ("lamp", [6, 5, 4, 3, 2, 1]),
    ("LAM", [6, 5, 4, 3, 2, 1]),
    ("lamp 3", [3]),
    ("3 lamp", [3]),
    ("harbour elan", [12, 11, 10, 9, 8, 7]),
    ("Élan season", [12, 11, 10, 9, 8, 7]),
    ("harbour 1", [12, 11, 10, 9, 8, 7]),
    ("part 11", [11]),
    ("lamplight", []),
    ("amp", []),
    ("lamp OR harbour", []),
    ("lamp NOT 3", []),
    ("title:lamp", []),
    ("lamp*", [6, 5, 4, 3, 2, 1]),
    ('"lamp', [6, 5, 4, 3, 2, 1]),
    ("lamp - ^3", [3]),
    ("NEAR(lamp the)", []),
)


async def test_titles_are_found_by_words_and_their_beginnings_never_by_syntax(tmp_path: Path) -> None:
    async with past(tmp_path, plays=household()) as it:
        for title, found in TITLES:
            assert ids(await it.well(HISTORY, title=title)) == found, title


async def test_a_year_after_a_title_narrows_to_the_plays_of_that_year_and_pages_on(tmp_path: Path) -> None:
    years = (2001, 2019, 2019, 2019)
    rows = [seen(n, NOW - n * HOUR, title="Twin Rivers", year=year) for n, year in enumerate(years, 1)]
    rows.append(seen(5, NOW - 5 * HOUR, title="Room (2019)", year=2015))
    async with past(tmp_path, plays=rows) as it:
        for title, found in (
            ("Twin Rivers", [1, 2, 3, 4]),
            ("twin rivers (2001)", [1]),
            ("Twin Rivers [2019]", [2, 3, 4]),
            ("Twin Rivers 2019", [2, 3, 4]),
            ("Twin Rivers (1984)", []),
            ("Room (2019)", [5]),
        ):
            assert ids(await it.well(HISTORY, title=title)) == found, title
        first = await it.well(HISTORY, title="Twin Rivers (2019)", limit=2)
        rest = await it.well(HISTORY, title="Twin Rivers (2019)", limit=2, cursor=first["next_cursor"])
        assert (ids(first), ids(rest), rest["next_cursor"]) == ([2, 3], [4], None)


async def test_a_title_is_found_without_its_apostrophes(tmp_path: Path) -> None:
    titles = ("The Baker\u2019s Tea", "L'Enfant", "Don't", "Bakery")
    rows = [seen(n, NOW - n * HOUR, title=title) for n, title in enumerate(titles, 1)]
    async with past(tmp_path, plays=rows) as it:
        for title, found in (
            ("bakers", [1]),
            ("the bakers tea", [1]),
            ("lenfant", [2]),
            ("dont", [3]),
            ("baker", [1, 4]),
        ):
            assert ids(await it.well(HISTORY, title=title)) == found, title


async def test_a_title_without_a_word_is_refused(tmp_path: Path) -> None:
    async with past(tmp_path, plays=household()) as it:
        for title in (" ", "…", '"*"', "!!! ---", "\0"):
            error = await it.refused(HISTORY, title=title)
            assert (error["code"], error["argument"]) == ("invalid", "title")


async def test_a_time_narrows_and_its_ends_belong_to_it(tmp_path: Path) -> None:
    rows = [seen(n, NOW - n * HOUR) for n in range(1, 6)]
    async with past(tmp_path, plays=rows) as it:
        assert ids(await it.well(HISTORY, since="3h")) == [1, 2, 3]
        answer = await it.well(HISTORY, since="3h", until="2h")
        assert ids(answer) == [2, 3]
        assert (answer["since"], answer["until"]) == ("2026-11-22T14:00:00.123Z", "2026-11-22T15:00:00.123Z")
        assert ids(await it.well(HISTORY, until="4h")) == [4, 5]
        assert ids(await it.well(HISTORY, since="2026-11-22", until="2026-11-22")) == [1, 2, 3, 4, 5]


NO_TIMES: tuple[tuple[dict[str, str], str], ...] = (
    ({"since": "last friday"}, "since"),
    ({"until": "7 moons"}, "until"),
    ({"since": "1h", "until": "2h"}, "until"),
    ({"since": "2026-03-02", "until": "2026-03-01"}, "until"),
    ({"since": "2099-01-01"}, "since"),
)


async def test_a_time_that_is_none_is_refused_with_the_valid_forms(tmp_path: Path) -> None:
    async with past(tmp_path) as it:
        for arguments, argument in NO_TIMES:
            error = await it.refused(HISTORY, **arguments)
            assert (error["code"], error["argument"]) == ("invalid", argument)
            assert "7d" in error["allowed"]


# Cursors


QUESTIONS: tuple[dict[str, str], ...] = (
    {}, {"user": "Ada"}, {"title": "harbour"}, {"library": "Shows", "user": "2"}, {"since": "50h"}, {"until": "20h"},
)  # fmt: skip


async def test_a_walk_meets_every_play_once_whatever_the_size_of_a_page(tmp_path: Path) -> None:
    same_time = [imported(20 + n, NOW - 30 * HOUR, **episode("Harbour", 2, n)) for n in range(5)]
    async with past(tmp_path, plays=[*household(), *same_time]) as it:
        for question in QUESTIONS:
            whole = await fetch_all_pages(it, **question, limit=500)
            assert whole
            for size in (1, 3, len(whole)):
                assert await fetch_all_pages(it, **question, limit=size) == whole


async def test_a_walk_over_a_growing_list_meets_every_play_once(tmp_path: Path) -> None:
    async with past(tmp_path, plays=household()) as it:
        page = await it.well(HISTORY, limit=4)
        found = ids(page)
        grown = 100
        while page["next_cursor"]:
            grown += 2
            # Somebody begins to watch, and the import goes on with something old.
            it.write(plays=[running(grown, NOW - 1), imported(grown + 1, NOW - 60 * DAY + grown)])
            page = await it.well(HISTORY, limit=4, cursor=page["next_cursor"])
            found += ids(page)
        assert [number for number in found if number < 100] == list(range(12, 0, -1))
        assert len(found) == len(set(found))
        assert not [number for number in found if number >= 100 and number % 2 == 0], "what is new comes before"


async def test_a_cursor_keeps_the_window_of_its_first_page(tmp_path: Path) -> None:
    async with past(tmp_path, plays=household()) as it:
        first = await it.well(HISTORY, since="40h", limit=2)
        second = await it.well(HISTORY, since="40h", limit=2, cursor=first["next_cursor"])
        assert (second["since"], second["until"]) == (first["since"], first["until"])


async def test_a_cursor_of_another_question_is_refused(tmp_path: Path) -> None:
    async with past(tmp_path, plays=household()) as it:
        cursor = (await it.well(HISTORY, user="Ada", limit=2))["next_cursor"]
        assert ids(await it.well(HISTORY, user="1", limit=2, cursor=cursor)), "the same user by another name"
        for other in ({}, {"user": "Ben"}, {"user": "Ada", "since": "7d"}, {"user": "Ada", "title": "lamp"}):
            error = await it.refused(HISTORY, **other, cursor=cursor)
            assert (error["code"], error["argument"]) == ("invalid", "cursor")
            assert "another question" in error["message"]


async def test_a_cursor_of_another_database_is_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with past(tmp_path / "one", plays=household()) as it:
        cursor = (await it.well(HISTORY, limit=2))["next_cursor"]
    async with past(tmp_path / "other", plays=household()) as it:
        error = await it.refused(HISTORY, cursor=cursor)
        assert (error["code"], error["argument"]) == ("invalid", "cursor")
        assert "another database" in error["message"]


async def test_a_cursor_from_the_future_is_refused(tmp_path: Path) -> None:
    """As after an older backup of the same database was put back."""
    async with past(tmp_path, plays=household()) as it:
        cursor = (await it.well(HISTORY, limit=2))["next_cursor"]
        said = json.loads(base64.urlsafe_b64decode(cursor + "=="))
        later = base64.urlsafe_b64encode(json.dumps([*said[:3], 13]).encode()).decode()
        error = await it.refused(HISTORY, cursor=later)
        assert (error["code"], error["argument"]) == ("invalid", "cursor")
        assert "future" in error["message"]


def coded(said: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode()


NO_CURSORS = (
    "12", "1795366800123.4", "ä", "=", "x" * 5_000, "[]", coded([]), coded({}), coded(None), coded(["a", "b", 1]),
    coded(["a", "b", 1, "2"]), coded(["a", "b", 1, 2, 3]), coded(["a", "b", True, 2]), coded(["a", "b", 1, 2**70]),
    coded(["a", "b", 1e99, 2]), base64.b64encode(b"\xff\xfe").decode(), base64.b64encode(b"[" * 3_000).decode(),
)  # fmt: skip


async def test_what_is_no_cursor_is_refused(tmp_path: Path) -> None:
    async with past(tmp_path, plays=household()) as it:
        for cursor in NO_CURSORS:
            error = await it.refused(HISTORY, cursor=cursor)
            assert (error["code"], error["argument"]) == ("invalid", "cursor")
            assert "next_cursor" in error["message"]
            assert len(error["message"]) < 300


# Plex's own history


async def test_until_the_import_is_complete_an_empty_answer_does_not_pass_for_nothing_played(tmp_path: Path) -> None:
    async with past(tmp_path) as it:
        assert (await it.well(HISTORY))["history"] == {"imported": 0, "total": None, "complete": False}
        imported_so_far(it.path, 40, 120, complete=False)
        for tool in (HISTORY, "history_stats"):
            assert (await it.well(tool))["history"] == {"imported": 40, "total": 120, "complete": False}


# Resources


async def test_history_is_a_resource_and_history_query_goes_on_from_it(tmp_path: Path) -> None:
    rows = [seen(n, NOW - n * HOUR, user_id=str(n % 2 + 1), user_name=("Ada", "Ben")[n % 2]) for n in range(1, 121)]
    async with past(tmp_path, plays=rows) as it:
        for uri, asked in (("plex://history", {}), ("plex://history/Ben", {"user": "Ben"})):
            read = await it.read(uri)
            assert len(read["plays"]) == 50
            rest = await fetch_all_pages(it, **asked, cursor=read["next_cursor"])
            assert ids(read) + rest == await fetch_all_pages(it, **asked, limit=500)


async def test_a_play_can_be_read_by_its_id_whatever_it_is(tmp_path: Path) -> None:
    rows = [imported(1, NOW - DAY), seen(2, NOW - HOUR), running(3, NOW - HOUR)]
    async with past(tmp_path, plays=rows) as it:
        for number in ("1", "2", "3"):
            body = await it.read(f"plex://plays/{number}")
            assert body["play"]["id"] == number
            answer = await it.well("play_get", id=int(number))
            assert answer["play"] == body["play"]
        listed = {str(one.uri) for one in (await it.client.list_resources()).resources}
        assert {uri for uri in listed if uri.startswith("plex://plays/")} == {"plex://plays/3"}


async def test_a_play_is_told_with_its_course_and_plexs_row(tmp_path: Path) -> None:
    ended = seen(1, NOW - 3 * HOUR, history_key="/status/sessions/history/77", viewed_at=NOW - 2 * HOUR)
    kinds = ("started", "paused", "resumed", "ended")
    marks = [
        {"id": n, "server": "den-0001", "play_id": 1, "at": NOW - 3 * HOUR + n, "kind": kind, "view_offset_ms": n * 1000,
         "detail": '{"state": "playing"}'}
        for n, kind in enumerate(kinds, 1)
    ]  # fmt: skip
    other = {**marks[0], "id": 9, "play_id": 2}
    async with past(tmp_path, plays=[ended, running(2, NOW)], play_marks=[*marks, other]) as it:
        answer = await it.well("play_get", id="1")
        assert [mark["kind"] for mark in answer["marks"]] == list(kinds)
        first = {
            "at": "2026-11-22T14:00:00.124Z",
            "kind": "started",
            "view_offset_ms": 1000,
            "detail": {"state": "playing"},
        }
        assert answer["marks"][0] == first
        assert answer["plex_history"] == {
            "history_key": "/status/sessions/history/77",
            "viewed_at": "2026-11-22T15:00:00.123Z",
        }
        assert (answer["state"], (await it.well("play_get", id="2"))["state"]) == (None, "playing")


async def test_a_play_that_is_not_there_is_told(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[seen(1, NOW)]) as it:
        for id_ in ("99", "x", "-1", "1.5", "9" * 40):
            error = await it.refused("play_get", id=id_)
            assert error["code"] == ("not_found" if id_ == "99" else "invalid")
            assert "history_query" in error["message"]
            with pytest.raises(MCPError, match="history_query"):
                await it.read(f"plex://plays/{id_}")


# Plans


WORD, MANY = build_title_match("lamp"), build_title_match("the")
DAYS = Window(NOW - 60 * DAY, NOW)
WISHES = {
    "all": (PlayFilter(), "plays_by_time"),
    "user": (PlayFilter("1"), "plays_by_user"),
    "library": (PlayFilter(library_id="2"), "plays_by_library"),
    "user and library": (PlayFilter("1", "2"), "plays_by_"),
    "time": (PlayFilter(window=DAYS), "plays_by_time"),
    "user and time": (PlayFilter("1", window=DAYS), "plays_by_user"),
    "title": (PlayFilter(words=WORD), "VIRTUAL TABLE INDEX"),
    "title, user and time": (PlayFilter("1", words=WORD, window=DAYS), "VIRTUAL TABLE INDEX"),
    "a word of very many": (PlayFilter(words=MANY), "plays_by_time"),
    "the same of a user": (PlayFilter("1", words=MANY), "plays_by_user"),
    "servers": (PlayFilter(servers=[SERVER, "cabin-0002"]), "plays_by_time"),
    "user on servers": (PlayFilter("1", servers=[SERVER]), "plays_by_user"),
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More plays with a word than are sorted."""
    path: Path = tmp_path_factory.mktemp("many") / "cache.sqlite3"
    rows = (
        imported(n, NOW - n * HOUR, user_id=str(n % 3 + 1), title="The Lamp" if n % 100 == 0 else "The Door")
        for n in range(1, FEW + 500)
    )
    return write(path, plays=rows)


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("place", [None, KeysetPosition(NOW - 2 * HOUR, 2)], ids=["first", "next"])
@pytest.mark.parametrize("name", WISHES)
async def test_every_question_goes_down_an_index_and_sorts_nothing_but_titles(
    many: Path, name: str, place: KeysetPosition | None, analyzed: bool
) -> None:
    query, index = WISHES[name]
    async with open_cache(many) as cache:
        await cache.writer.execute("ANALYZE" if analyzed else "DROP TABLE IF EXISTS sqlite_stat1")
        answer: list[str] = []
        await cache.archive.set_trace_callback(answer.append)
        found = await run_in_thread(cache.archive, partial(read_plays_page, filters=query, limit=50, after=place))
        await cache.archive.set_trace_callback(None)  # type: ignore[arg-type]  # what sqlite3 wants
        plan = [
            str(row[3])
            for sql in answer
            if "FROM plays" in sql
            for row in await cache.archive.execute_fetchall(f"EXPLAIN QUERY PLAN {sql}")
        ]
    assert found or "library" in name
    scanned = [step for step in plan if step.startswith("SCAN plays") and "USING" not in step]
    assert scanned == [], plan
    assert any(index in step for step in plan), plan
    sorts = any("TEMP B-TREE" in step for step in plan)
    assert sorts == (query.words is not None), plan


@pytest.mark.parametrize("upwards", [False, True], ids=["newest", "oldest"])
@pytest.mark.parametrize("limit", [200, 10_000])
@pytest.mark.parametrize("user", [None, "2", "nobody"])
@pytest.mark.parametrize(
    ("title", "like"), [("lamp", "%lamp%"), ("the", "%the%"), ("th", "%the%"), ("the do", "%the do%")]
)
async def test_a_rare_and_a_common_word_find_the_same_as_a_look_at_every_play(
    many: Path, title: str, like: str, user: str | None, limit: int, *, upwards: bool
) -> None:
    def read(connection: sqlite3.Connection) -> list[Any]:
        filters = PlayFilter(user, words=expand_beginnings(connection, build_title_match(title)))
        return read_plays_page(connection, filters, limit, upwards=upwards)

    order = "started_at, id" if upwards else "started_at DESC, id DESC"
    async with open_cache(many) as cache:
        found = await run_in_thread(cache.archive, read)
        rows = await cache.reader.execute_fetchall(
            f"SELECT id FROM plays WHERE title LIKE ? AND (? IS NULL OR user_id = ?) ORDER BY {order} LIMIT ?",  # noqa: S608 - our own
            (like, user, user, limit),
        )
    assert [row["id"] for row in found] == [row["id"] for row in rows]


async def test_a_beginning_is_searched_as_the_words_that_have_it_where_they_are_few(tmp_path: Path) -> None:
    titles = ["Lamp", "Lamps & Lampions", "Other", "L\u00e4mpchen", *(f"Star{n}" for n in range(30))]
    path = write(tmp_path / "cache.sqlite3", plays=[seen(n, NOW, title=title) for n, title in enumerate(titles, 1)])
    async with open_cache(path) as cache:

        async def find(title: str) -> str:
            return await run_in_thread(cache.archive, partial(expand_beginnings, match=build_title_match(title)))

        assert await find("lamp") == '("lamp" OR "lampchen" OR "lampions" OR "lamps")'
        assert await find("lampi") == '"lampions"'
        assert await find("lamp other") == '("lamp" OR "lampchen" OR "lampions" OR "lamps") AND "other"'
        assert await find("none") == '"none"*'
        assert await find("star") == '"star"*'
        assert await find("\u6d77") == '"\u6d77"'


async def test_who_and_which_libraries_is_found_from_one_to_the_next(many: Path) -> None:
    async with open_cache(many) as cache:
        assert await list_play_users(cache) == {"1": "Ada", "2": "Ada", "3": "Ada"}
        assert await list_play_libraries(cache) == [("1", "Films")]
