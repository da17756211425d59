"""Questions about the past of several servers: whose play it is, which library, which film; and about one of them alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, get_args

import pytest
from support.recorded_plays import (
    DAY,
    HOUR,
    NOW,
    SERVER,
    alert,
    change,
    imported,
    imported_so_far,
    reconnected,
    running,
    said,
    seen,
)
from support.recorded_servers import CABIN, ONE_TOKEN, TWO_TOKENS, at_cabin, open_two, write_two

from plex_companion.cache.queries.counts import By, WatchTotals
from plex_companion.commands.reports.queries import ReportQuery, fetch_answer
from plex_companion.errors import Ambiguous, Invalid, NotFound
from plex_companion.history.digest import build_digest
from plex_companion.history.play_counts import count_plays
from plex_companion.history.play_pages import PlayQuery, get_play, list_plays
from plex_companion.times import Window

if TYPE_CHECKING:
    from pathlib import Path

    from support.recorded_plays import Row

    from plex_companion.commands.reports.archive import Archive

EVER = Window(0, NOW)
OWN = {"user_id": "1", "user_name": "Ada"}
BEN = {"user_id": "2", "user_name": "Ben"}


def ids(body: dict[str, Any]) -> list[int]:
    return [int(play["id"]) for play in body["plays"]]


async def count(archive: Archive, by: By) -> dict[tuple[str | None, str | None], int]:
    """Return the number of plays by id and label."""
    body = await count_plays(archive, by, EVER, 50)
    return {
        (entry.get("id") or entry["key"], entry.get("label") or entry["name"]): entry["plays"]
        for entry in body["entries"]
    }


# People


async def test_a_guest_is_one_person_on_both_servers(tmp_path: Path) -> None:
    plays = [seen(1, NOW - HOUR, **BEN), at_cabin(seen(2, NOW - 2 * HOUR, **BEN))]
    async with open_two(write_two(tmp_path / "a", plays=plays), TWO_TOKENS) as archive:
        assert await count(archive, "user") == {("2", "Ben"): 2}
        assert ids(await list_plays(archive, 9, PlayQuery(user="ben"))) == [1, 2]


async def test_the_owner_of_both_is_one_where_one_token_is_used(tmp_path: Path) -> None:
    plays = [seen(1, NOW - HOUR, **OWN), at_cabin(seen(2, NOW - 2 * HOUR, **OWN))]
    async with open_two(write_two(tmp_path / "a", plays=plays), ONE_TOKEN) as archive:
        assert await count(archive, "user") == {("1", "Ada"): 2}
        assert ids(await list_plays(archive, 9, PlayQuery(user="1"))) == [1, 2]


async def test_owners_with_different_tokens_are_two_and_their_name_and_number_are_ambiguous(tmp_path: Path) -> None:
    plays = [seen(1, NOW - HOUR, **OWN), at_cabin(seen(2, NOW - 2 * HOUR, **OWN))]
    async with open_two(write_two(tmp_path / "a", plays=plays), TWO_TOKENS) as archive:
        found = await count(archive, "user")
        assert found == {(f"1@{SERVER}", "Ada (Den)"): 1, (f"1@{CABIN}", "Ada (Cabin)"): 1}
        for text in ("Ada", "1"):
            with pytest.raises(Ambiguous) as error:
                await list_plays(archive, 9, PlayQuery(user=text))
            matches: Any = error.value.facts["matches"]
            assert {one["id"] for one in matches} == {f"1@{SERVER}", f"1@{CABIN}"}
        assert ids(await list_plays(archive, 9, PlayQuery(user=f"1@{CABIN}"))) == [2]


@pytest.mark.parametrize("user", ["1", "Ada", "ada ", f"1@{CABIN}"])
async def test_on_one_server_its_owner_is_no_other(tmp_path: Path, user: str) -> None:
    plays = [seen(1, NOW - HOUR, **OWN), at_cabin(seen(2, NOW - 2 * HOUR, **OWN)), at_cabin(seen(3, NOW - DAY, **BEN))]
    async with open_two(write_two(tmp_path / "a", plays=plays), TWO_TOKENS) as archive:
        cabin = await archive.limit_to("cabin")
        assert ids(await list_plays(cabin, 9, PlayQuery(user=user))) == [2]
        assert ids(await list_plays(cabin, 9, PlayQuery(user="2"))) == [3], "a guest"


async def test_an_owner_who_is_a_guest_elsewhere_is_one_person_where_plex_tv_says_so(tmp_path: Path) -> None:
    """Cleo owns the cabin and is a guest in the den; Ada owns the den and is a guest in the cabin."""
    people = {"1": "Cleo", "901": "Ada"}
    at_plex_tv = [(SERVER, "1", "901"), (CABIN, "1", "904")]
    cleo = {"user_id": "904", "user_name": "Cleo"}
    plays = [
        seen(1, NOW - HOUR, **OWN),
        at_cabin(seen(2, NOW - 2 * HOUR, user_id="901", user_name="Ada")),
        at_cabin(seen(3, NOW - 3 * HOUR, user_id="1", user_name="Cleo")),
        seen(4, NOW - 4 * HOUR, **cleo),
    ]
    path = write_two(tmp_path / "a", people=people, plex_tv=at_plex_tv, plays=plays)
    async with open_two(path, TWO_TOKENS) as archive:
        assert await count(archive, "user") == {("901", "Ada"): 2, ("904", "Cleo"): 2}
        assert ids(await list_plays(archive, 9, PlayQuery(user="Ada"))) == [1, 2]
        assert (
            ids(await list_plays(archive, 9, PlayQuery(user="cleo")))
            == ids(await list_plays(archive, 9, PlayQuery(user="904")))
            == [3, 4]
        )


async def test_plex_tv_tells_apart_owners_whose_tokens_do_not(tmp_path: Path) -> None:
    at_plex_tv = [(SERVER, "1", "901"), (CABIN, "1", "904")]
    plays = [seen(1, NOW - HOUR, **OWN), at_cabin(seen(2, NOW - 2 * HOUR, **OWN))]
    async with open_two(write_two(tmp_path / "a", plex_tv=at_plex_tv, plays=plays), ONE_TOKEN) as archive:
        assert {key for key, _ in await count(archive, "user")} == {"901", "904"}


async def test_a_play_without_an_id_belongs_to_the_only_person_of_its_name_on_that_server(tmp_path: Path) -> None:
    plays = [
        seen(1, NOW - HOUR, **OWN),
        at_cabin(seen(2, NOW - 2 * HOUR, user_id=None, user_name="Ada")),
        at_cabin(seen(3, NOW - 3 * HOUR, user_id=None, user_name="Stranger")),
    ]
    async with open_two(write_two(tmp_path / "a", plays=plays), TWO_TOKENS) as archive:
        found = {key: plays for (key, _), plays in (await count(archive, "user")).items()}
        assert found == {f"1@{SERVER}": 1, f"1@{CABIN}": 1, None: 1}


async def test_pages_of_a_person_with_two_numbers_miss_and_repeat_nothing(tmp_path: Path) -> None:
    at_plex_tv = [(SERVER, "1", "901")]
    cabin = {"user_id": "901", "user_name": "Ada"}
    plays = [
        seen(n, NOW - n * HOUR, **OWN) if n % 3 else at_cabin(seen(n, NOW - n * HOUR, **cabin)) for n in range(1, 20)
    ]
    async with open_two(write_two(tmp_path / "a", plex_tv=at_plex_tv, plays=plays), TWO_TOKENS) as archive:
        found: list[int] = []
        cursor = None
        while True:
            page = await list_plays(archive, 4, PlayQuery(user="901"), after=cursor)
            found += ids(page)
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert found == list(range(1, 20))


# Libraries and titles


async def test_libraries_of_one_number_are_two_and_named_by_their_own_server(tmp_path: Path) -> None:
    plays = [
        seen(1, NOW - HOUR, library="Shows", library_id="2"),
        at_cabin(seen(2, NOW - 2 * HOUR, library="Kids", library_id="2")),
    ]
    async with open_two(write_two(tmp_path / "a", plays=plays)) as archive:
        assert await count(archive, "library") == {("2", "Shows"): 1, ("2", "Kids"): 1}
        assert [play["library"] for play in (await list_plays(archive, 9))["plays"]] == ["Shows", "Kids"]
        assert ids(await list_plays(archive, 9, PlayQuery(library="kids"))) == [2]
        with pytest.raises(Ambiguous, match="on 2 servers"):
            await list_plays(archive, 9, PlayQuery(library="2"))
        with pytest.raises(NotFound):
            await list_plays(archive, 9, PlayQuery(library="Cellar"))


async def test_libraries_of_one_name_are_labelled_by_their_server_and_found_together(tmp_path: Path) -> None:
    plays = [seen(1, NOW - HOUR), at_cabin(seen(2, NOW - 2 * HOUR))]
    async with open_two(write_two(tmp_path / "a", plays=plays)) as archive:
        assert set(await count(archive, "library")) == {("1", "Films (Den)"), ("1", "Films (Cabin)")}
        assert ids(await list_plays(archive, 9, PlayQuery(library="Films"))) == [1, 2]


async def test_a_film_of_one_guid_is_one_title_on_both_servers(tmp_path: Path) -> None:
    film = {"guid": "plex://movie/a", "title": "The Lamp"}
    plays = [
        seen(1, NOW - HOUR, rating_key="11", **film),
        at_cabin(seen(2, NOW - 2 * HOUR, rating_key="77", **film)),
        at_cabin(imported(3, NOW - 3 * HOUR, rating_key="77", guid=None)),
    ]
    async with open_two(write_two(tmp_path / "a", plays=plays)) as archive:
        body = await count_plays(archive, "title", EVER, 9)
        (entry,) = body["entries"]
        assert (entry["plays"], entry["id"], entry["server"], entry["library"]) == (3, "11", SERVER, "Films")


@pytest.mark.parametrize("guid", [None, "local://11"])
async def test_a_rating_key_without_a_global_guid_is_two_films_on_two_servers(tmp_path: Path, guid: str | None) -> None:
    plays = [
        seen(1, NOW - HOUR, rating_key="11", guid=guid),
        at_cabin(seen(2, NOW - 2 * HOUR, rating_key="11", guid=guid)),
    ]
    async with open_two(write_two(tmp_path / "a", plays=plays)) as archive:
        assert {label for _, label in await count(archive, "title")} == {"The Lamp (Den)", "The Lamp (Cabin)"}
        digest = await build_digest(archive, EVER)
        assert {one["label"] for one in digest["plays"]["entries"]} == {"The Lamp (Den)", "The Lamp (Cabin)"}


# All servers, or one


async def test_every_row_says_which_server_it_is_of(tmp_path: Path) -> None:
    path = write_two(
        tmp_path / "a",
        plays=[seen(1, NOW - HOUR), at_cabin(seen(2, NOW - 2 * HOUR))],
        alerts=[alert(1, NOW - HOUR), at_cabin(alert(2, NOW - 2 * HOUR))],
        events=[said(1, NOW - HOUR), at_cabin(said(2, NOW - 2 * HOUR))],
    )
    async with open_two(path) as archive:
        for command, rows in (("history", "plays"), ("alerts", "alerts"), ("events", "events")):
            body = await fetch_answer(archive, ReportQuery(command))
            where = {(int(row["id"]), row["server"], row["server_name"]) for row in body[rows]}
            assert where == {(1, SERVER, "Den"), (2, CABIN, "Cabin")}
        assert (await get_play(archive, "2"))["play"]["server_name"] == "Cabin"


@pytest.mark.parametrize("name", ["Cabin", "cabin", CABIN.upper()])
async def test_a_question_about_one_server_finds_nothing_of_the_other(tmp_path: Path, name: str) -> None:
    path = write_two(
        tmp_path / "a",
        plays=[seen(1, NOW - HOUR), at_cabin(seen(2, NOW - 2 * HOUR, **BEN)), running(3, NOW - DAY)],
        alerts=[alert(1, NOW - HOUR), at_cabin(alert(2, NOW - 2 * HOUR, resolved_at=None))],
        events=[
            said(1, NOW - HOUR),
            at_cabin(said(2, NOW - 2 * HOUR)),
            reconnected(3, NOW - 4 * HOUR, NOW - 3 * HOUR),
            at_cabin(reconnected(4, NOW - 6 * HOUR, NOW - 5 * HOUR)),
        ],
        library_changes=[change(1, NOW - HOUR, "7"), at_cabin(change(2, NOW - HOUR, "7", title="Other"))],
    )
    async with open_two(path) as both:
        archive = await both.limit_to(name)
        assert ids(await list_plays(archive, 9)) == [2]
        for by in ("user", "title", "library", "platform", "day", "hour"):
            assert (await count_plays(archive, by, Window(NOW - DAY, NOW), 9))["plays"] == 1
        assert [one["id"] for one in (await fetch_answer(archive, ReportQuery("alerts")))["alerts"]] == ["2"]
        assert [one["id"] for one in (await fetch_answer(archive, ReportQuery("events")))["events"]] == ["2", "4"]
        digest = await build_digest(archive, Window(NOW - 8 * HOUR, NOW))
        assert (digest["plays"]["total"], digest["alerts"]["total"], digest["additions"]["items"]) == (1, 1, 1)
        assert [one["blind_ms"] for one in digest["outages"]["entries"] if one["until"]] == [HOUR]
        assert digest["plays"]["from_before"] == []


async def test_outages_are_found_for_each_server_and_say_whose_they_are(tmp_path: Path) -> None:
    events = [
        reconnected(1, NOW - 6 * HOUR, NOW - 3 * HOUR),
        at_cabin(reconnected(2, NOW - 5 * HOUR, NOW - 4 * HOUR)),
    ]
    async with open_two(write_two(tmp_path / "a", events=events)) as archive:
        outages = (await build_digest(archive, Window(NOW - 8 * HOUR, NOW - 2 * HOUR)))["outages"]
        assert [(one["server_name"], one["blind_ms"]) for one in outages["entries"]] == [
            ("Cabin", HOUR),
            ("Den", 3 * HOUR),
        ]
        assert outages["blind_ms"] == 4 * HOUR


async def test_a_cursor_of_one_server_is_refused_for_all(tmp_path: Path) -> None:
    plays = [at_cabin(seen(n, NOW - n * HOUR)) for n in range(1, 5)]
    async with open_two(write_two(tmp_path / "a", plays=plays)) as both:
        one = await both.limit_to("Cabin")
        cursor = (await list_plays(one, 2))["next_cursor"]
        assert ids(await list_plays(one, 2, after=cursor)) == [3, 4]
        with pytest.raises(Invalid, match="another question"):
            await list_plays(both, 2, after=cursor)


async def test_the_import_is_complete_only_where_that_of_every_server_is(tmp_path: Path) -> None:
    path = write_two(tmp_path / "a")
    imported_so_far(path, 3, 3, complete=True)
    async with open_two(path) as both:
        assert (await list_plays(both, 9))["history"] == {"imported": 3, "total": None, "complete": False}
        assert (await list_plays(await both.limit_to("Den"), 9))["history"]["complete"]


# A server that is not there any more


async def test_a_removed_server_can_still_be_asked_about_under_its_name(tmp_path: Path) -> None:
    plays = [seen(1, NOW - HOUR), at_cabin(seen(2, NOW - 2 * HOUR, library="Kids", library_id="2"))]
    path = write_two(tmp_path / "a", plays=plays)
    async with open_two(path, links=["den"]) as den:
        assert len(den.states) == 1
        body = await fetch_answer(await den.limit_to("cabin"), ReportQuery("history"))
        assert [(play["server_name"], play["library"]) for play in body["plays"]] == [("Cabin", "Kids")]
        assert "not configured any more" in body["connection"]["detail"]
        assert [play["library"] for play in (await list_plays(den, 9))["plays"]] == ["Films", "Kids"]


async def test_an_unknown_server_is_answered_with_those_there_are(tmp_path: Path) -> None:
    async with open_two(write_two(tmp_path / "a")) as archive:
        with pytest.raises(NotFound, match=r"There is no server 'Attic'\. Servers: Den, Cabin"):
            await archive.limit_to("Attic")


async def test_a_name_that_two_servers_share_is_answered_with_their_identifiers(tmp_path: Path) -> None:
    async with open_two(write_two(tmp_path / "a", name="Den")) as archive:
        with pytest.raises(Ambiguous, match=f"name one by its identifier, {SERVER}, {CABIN}"):
            await archive.limit_to("den")
        assert (await archive.limit_to(CABIN)).only_server == CABIN


async def test_a_former_server_of_the_same_name_does_not_hide_the_present_one(tmp_path: Path) -> None:
    async with open_two(write_two(tmp_path / "a", name="Den"), links=["den"]) as archive:
        assert (await archive.limit_to("Den")).only_server == SERVER


async def test_the_owner_of_a_former_server_is_the_owner_of_the_only_present_one(tmp_path: Path) -> None:
    """Plex was reinstalled, say, and has another identifier since."""
    path = write_two(tmp_path / "a", plays=[seen(1, NOW - HOUR), at_cabin(seen(2, NOW - 2 * HOUR))])
    async with open_two(path, links=["den"]) as archive:
        assert await count(archive, "user") == {("1", "Ada"): 2}


# The envelope


async def test_the_worst_connection_stands_for_all_and_each_is_named(tmp_path: Path) -> None:
    async with open_two(write_two(tmp_path / "a")) as archive:
        body = await fetch_answer(archive, ReportQuery("history"))
        assert body["server"] is None
        assert [(one["name"], one["connection"]["state"]) for one in body["servers"]] == [
            ("Den", "offline"),
            ("Cabin", "offline"),
        ]
        assert "servers" not in await fetch_answer(await archive.limit_to("Den"), ReportQuery("history"))


# Together they are the sum of each


SERVERS = (SERVER, CABIN)
PEOPLE_OF_PLAYS = ((None, "Stranger"), ("1", "Ada"), ("2", "Ben"), ("904", "Cleo"))


def scatter(count: int, rng: random.Random) -> list[Row]:
    """Generate plays of both servers with the same numbers for different things."""
    plays = []
    for number in range(1, count + 1):
        user_id, name = rng.choice(PEOPLE_OF_PLAYS)
        key = str(rng.randrange(4))
        guid = rng.choice((f"plex://movie/{key}", f"local://{key}", None))
        play = seen(
            number,
            NOW - rng.randrange(40 * DAY),
            user_id=user_id,
            user_name=name,
            rating_key=key,
            guid=guid,
            title=f"Film {key}",
            library_id=rng.choice(("1", "2", None)),
            platform=rng.choice(("Web", "TV", None)),
            watched_ms=rng.choice((None, HOUR, 2 * HOUR)),
        )
        plays.append(at_cabin(play) if rng.random() < 0.4 else play)
    return plays


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_counts_of_all_servers_are_the_sums_of_the_counts_of_each(tmp_path: Path, seed: int) -> None:
    plays = scatter(120, random.Random(seed))  # noqa: S311 - plays, not secrets
    async with open_two(write_two(tmp_path / "a", plays=plays), TWO_TOKENS) as both:
        each = [await both.limit_to(server) for server in SERVERS]
        for by in get_args(By):
            whole = await count_plays(both, by, EVER, 500)
            parts = [await count_plays(one, by, EVER, 500) for one in each]
            for sums in WatchTotals._fields:
                assert whole[sums] == sum(part[sums] for part in parts)
                if by != "title":  # a film without a guid joins the only one of its name, if there is just one
                    assert sum(one[sums] for one in whole["entries"]) == sum(
                        entry[sums] for part in parts for entry in part["entries"]
                    )
            if by == "library":
                assert len(whole["entries"]) == sum(len(part["entries"]) for part in parts)
        found = {one: ids(await list_plays(source, 500)) for one, source in zip(SERVERS, each, strict=True)}
        expected = sorted(plays, key=lambda play: (-play["started_at"], -play["id"]))
        assert ids(await list_plays(both, 500)) == [play["id"] for play in expected]
        assert found == {server: [play["id"] for play in expected if play["server"] == server] for server in SERVERS}, (
            "nothing leaks"
        )
