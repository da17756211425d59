"""Several Plex servers in one companion: none is mistaken for another, and none suffers when another fails."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pydantic import SecretStr
from support.application import FAST, settings_for
from support.deadlines import HANG_SECONDS
from support.several_processes import Member, rows
from support.several_servers import ATTIC, CABIN, DEN, all_live, household, join_urls, link_of, looking_after, state_of

from plex_companion.app import open_companion
from plex_companion.cache.migrate import list_migrations, migrate
from plex_companion.catalogue.status import describe_catalogue
from plex_companion.events import Audit, ReceivedEvent
from plex_companion.tools.acknowledge import acknowledge_alert

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.demo import Demo

BY_SERVER = {DEN: 1, CABIN: 1}
WATCHED = "ended_by IS NOT 'imported'"


@asynccontextmanager
async def both(folder: Path, den: Demo, cabin: Demo, **more: Any) -> AsyncIterator[Member]:
    async with looking_after(folder, den, cabin, **more) as one:
        await all_live(one)
        yield one


def count(folder: Path, table: str, more: str = "1") -> dict[str, int]:
    """Rows by server."""
    return dict(rows(folder, f"SELECT server, count(*) FROM {table} WHERE {more} GROUP BY server"))  # noqa: S608 - our own names


async def test_the_same_keys_on_two_servers_are_two_sessions(den: Demo, cabin: Demo, tmp_path: Path) -> None:
    async with both(tmp_path, den, cabin) as one:
        den.start(item=den.get_movie(0))
        cabin.start(item=cabin.get_movie(1))
        for name, demo, number in (("Den", den, 0), ("Cabin", cabin, 1)):
            await one.until(lambda name=name: state_of(one, name).sessions)  # type: ignore[misc]  # bound by default
            ((key, session),) = state_of(one, name).sessions.items()
            assert key == next(iter(demo.sessions))
            await one.until(
                lambda name=name, key=key: state_of(one, name).sessions[key].user  # type: ignore[misc]  # the same
            )
            session = state_of(one, name).sessions[key]
            assert (session.item.rating_key, session.item.title) == (
                demo.get_movie(number).key,
                demo.get_movie(number).title,
            )
        assert list(den.sessions) == list(cabin.sessions), "the same key"
        await one.until(lambda: count(tmp_path, "plays", "ended_at IS NULL") == BY_SERVER)
    assert len(rows(tmp_path, "SELECT DISTINCT id FROM plays WHERE ended_at IS NULL")) == 2
    assert count(tmp_path, "sections")[DEN] == count(tmp_path, "sections")[CABIN]


async def test_a_client_an_item_and_an_activity_of_the_same_name_are_rows_of_their_own(
    den: Demo, cabin: Demo, tmp_path: Path
) -> None:
    async with both(tmp_path, den, cabin, catalogue=True) as one:
        for demo in (den, cabin):
            demo.start()
            demo.run_activity("library.update.section", "Scanning")
        await one.until(lambda: all(state_of(one, name).clients for name in ("Den", "Cabin")))
        await one.until(lambda: min(len(count(tmp_path, table)) for table in ("clients", "activities", "items")) == 2)
        for name in ("Den", "Cabin"):
            while not (await describe_catalogue(one.companion.choose_server(name)))["complete"]:
                await one.companion.live.wait_for_commit()
    pairs = rows(tmp_path, "SELECT client_identifier FROM clients GROUP BY 1 HAVING count(*) = 2")
    assert pairs, "one row on each server"
    items = count(tmp_path, "items")
    assert items[DEN] == items[CABIN]


async def test_what_happens_on_one_server_leaves_the_state_of_the_other_as_it_is(
    den: Demo, cabin: Demo, tmp_path: Path
) -> None:
    async with both(tmp_path, den, cabin) as one:
        session = den.start()
        await one.until(lambda: state_of(one, "Den").sessions)
        cabin_session = cabin.start()
        await one.until(lambda: state_of(one, "Cabin").sessions)
        den.stop(session)
        await one.until(lambda: not state_of(one, "Den").sessions)
        assert list(state_of(one, "Cabin").sessions) == [cabin_session.key]


@pytest.mark.parametrize("failure", ["hangs", "answers late", "is killed", "refuses the token", "floods"])
async def test_a_server_that_fails_leaves_the_other_live(failure: str, den: Demo, cabin: Demo, tmp_path: Path) -> None:
    async with both(tmp_path, den, cabin) as one, anyio.create_task_group() as tasks:
        playing = cabin.start()
        await one.until(lambda: state_of(one, "Cabin").sessions and state_of(one, "Cabin").history.complete)
        match failure:
            case "hangs":
                cabin.go_silent(everything=True)
            case "answers late":
                cabin.slow_down(20)
            case "is killed":
                await cabin.shut_down()
                await one.until(lambda: link_of(one, "Cabin").connection.state == "down")
            case "refuses the token":
                cabin.revoke_token()
                cabin.reset_connections()
                await one.until(lambda: link_of(one, "Cabin").connection.state == "unauthorized")
            case _:
                tasks.start_soon(cabin.burst, 20_000, playing)
        for _ in range(3):
            session = den.start()
            await one.until(lambda: state_of(one, "Den").sessions)
            den.stop(session)
            await one.until(lambda: not state_of(one, "Den").sessions)
        assert link_of(one, "Den").connection.state == "live"
        assert state_of(one, "Cabin").sessions, "what is not known to have ended is still shown"
        assert not state_of(one, "Den").alerts
        if failure in {"is killed", "refuses the token"}:
            assert all(session.stale for session in state_of(one, "Cabin").sessions.values())
            assert [kind for kind, _ in state_of(one, "Cabin").alerts] == [
                "connection_lost" if failure == "is killed" else "unauthorized"
            ]
        tasks.cancel_scope.cancel()


async def test_a_server_that_becomes_another_ends_its_own_sessions_only(cabin: Demo, tmp_path: Path) -> None:
    async with household(DEN) as den, both(tmp_path, den, cabin) as one:
        den.start()
        cabin.start()
        await one.until(lambda: state_of(one, "Den").sessions and state_of(one, "Cabin").sessions)
        port = den.port
        await den.shut_down()
        await one.until(lambda: link_of(one, "Den").connection.state == "down")
        async with household(ATTIC, port) as _:
            await one.until(lambda: any(link.machine_identifier == ATTIC for link in one.companion.links))
            assert not one.companion.choose_server(ATTIC).state.sessions
            assert state_of(one, "Cabin").sessions
            await one.until(lambda: rows(tmp_path, "SELECT 1 FROM plays WHERE ended_by = 'inferred'"))
    assert rows(tmp_path, "SELECT server, ended_by FROM plays WHERE ended_by <> 'imported'") == [(DEN, "inferred")]


async def test_the_sessions_of_an_address_that_was_removed_end_at_the_next_start(
    den: Demo, cabin: Demo, tmp_path: Path
) -> None:
    async with both(tmp_path, den, cabin) as one:
        den.start()
        cabin.start()
        await one.until(lambda: count(tmp_path, "plays", WATCHED) == BY_SERVER)
    async with looking_after(tmp_path, den) as one:
        await all_live(one)
        assert [link.name for link in one.companion.links] == ["Den"]
        assert len(one.sessions) == 1
        assert rows(
            tmp_path, "SELECT server, ended_by FROM plays WHERE ended_by IS NOT 'imported' ORDER BY server"
        ) == [
            (CABIN, "inferred"),
            (DEN, None),
        ]
        assert rows(tmp_path, "SELECT server FROM links") == [(DEN,)]


async def test_in_another_order_everything_goes_on(den: Demo, cabin: Demo, tmp_path: Path) -> None:
    async with both(tmp_path, den, cabin) as one:
        den.start()
        cabin.start()
        await one.until(lambda: count(tmp_path, "plays", WATCHED) == BY_SERVER)
    watched = "SELECT id, server, ended_at FROM plays WHERE ended_by IS NOT 'imported' ORDER BY id"
    plays = rows(tmp_path, watched)
    async with looking_after(tmp_path, cabin, den) as one:
        await all_live(one)
        assert [link.name for link in one.companion.links] == ["Cabin", "Den"]
        assert all(len(state_of(one, name).sessions) == 1 for name in ("Den", "Cabin"))
    assert rows(tmp_path, watched) == plays


async def test_a_server_that_is_added_leaves_the_first_one_as_it_was(den: Demo, cabin: Demo, tmp_path: Path) -> None:
    async with looking_after(tmp_path, den) as one:
        await all_live(one)
        den.start()
        await one.until(lambda: count(tmp_path, "plays", WATCHED) == {DEN: 1})
    async with both(tmp_path, den, cabin) as one:
        assert len(state_of(one, "Den").sessions) == 1
    assert rows(tmp_path, "SELECT server, ended_at FROM plays WHERE ended_by IS NOT 'imported'") == [(DEN, None)]


async def test_a_second_address_of_the_same_server_is_down_and_writes_nothing(den: Demo, tmp_path: Path) -> None:
    urls = f"{den.url},{den.url.replace('127.0.0.1', 'localhost')}"
    async with looking_after(tmp_path, den, plex_url=urls) as one:
        states = ["down", "live"]
        await one.until(lambda: sorted(link.connection.state for link in one.companion.links) == states)
        (second,) = (link for link in one.companion.links if link.connection.state == "down")
        assert (second.machine_identifier, second.connection.detail) == (None, "the same server as Den")
        den.start()
        await one.until(lambda: state_of(one, "Den").sessions)
        assert not one.companion.live.states[second.link_id].sessions
    assert rows(tmp_path, "SELECT DISTINCT server FROM events") == [(DEN,)]
    assert rows(tmp_path, "SELECT 1 FROM alerts WHERE kind = 'connection_lost'") == []
    assert len(rows(tmp_path, "SELECT 1 FROM plays WHERE ended_at IS NULL")) == 1


async def test_the_log_says_which_server_is_meant_and_repeats_nothing(
    den: Demo, cabin: Demo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "plex_companion.plex.listener")
    again = den.url.replace("127.0.0.1", "localhost")
    await cabin.shut_down()
    async with looking_after(tmp_path, den, plex_url=f"{den.url},{cabin.url},{again}") as one:
        await one.until(lambda: any("(Den)" in line for line in caplog.messages))
        await one.until(lambda: any(line.startswith("Can't reach server 2 of 3: ") for line in caplog.messages))
        await cabin.reopen()
        await one.until(lambda: "Connected to server 2 of 3 (Cabin)" in caplog.messages)
        await one.until(lambda: any("the same server as Den" in line for line in caplog.messages))
        den.requests.log.clear()
        await one.until(lambda: den.requests.count("/activities") > 3)  # first snapshots: it is tried again and again
    first, *_ = (line for line in caplog.messages if line.startswith("Connected to server") and "Den" in line)
    assert first.removeprefix("Connected to server ") in {"1 of 3 (Den)", "3 of 3 (Den)"}
    assert sum("the same server as Den" in line for line in caplog.messages) == 1


async def test_the_token_of_one_server_is_never_stored_though_another_repeats_it(
    den: Demo, cabin: Demo, tmp_path: Path
) -> None:
    tokens = ("the-token-of-den", "the-token-of-cabin")
    settings = settings_for(den, tmp_path, plex_url=join_urls(den, cabin), catalogue=False)
    settings = settings.model_copy(update={"plex_token": SecretStr(",".join(tokens))})
    async with open_companion(settings, lambda _: None, timeouts=FAST, tick_seconds=0.5) as companion:
        one = Member(companion, [])
        await all_live(one)
        item = await cabin.add_movie(f"Film {tokens[0]}")
        cabin.start(item=item)
        told = {"type": "progress", "size": 1, "ProgressNotification": [{"message": f"Scanning {' '.join(tokens)}"}]}
        cabin.send_raw(json.dumps({"NotificationContainer": told}))
        await one.until(lambda: rows(tmp_path, "SELECT 1 FROM events WHERE type = 'progress'"))
        await one.until(lambda: any(each.item.title for each in state_of(one, "Cabin").sessions.values()))
    with closing(sqlite3.connect(tmp_path / "cache.sqlite3")) as database:
        stored = "\n".join(database.iterdump())
    assert rows(tmp_path, "SELECT title FROM plays WHERE ended_at IS NULL") == [("Film hidden",)]
    for token in tokens:
        assert token not in stored


async def test_what_is_said_before_a_server_is_known_belongs_to_its_address(den: Demo, tmp_path: Path) -> None:
    async with household(CABIN) as cabin:
        await cabin.shut_down()
        async with looking_after(tmp_path, den, cabin) as one:
            await one.until(lambda: rows(tmp_path, "SELECT 1 FROM events WHERE server LIKE 'unknown:%'"))
            await cabin.reopen()
            await all_live(one)
            await one.until(lambda: not rows(tmp_path, "SELECT 1 FROM events WHERE server LIKE 'unknown:%'"))
    assert set(count(tmp_path, "events")) <= {DEN, CABIN}


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
async def test_what_was_said_before_a_server_was_known_is_its_own_though_others_came_or_went(
    before: int, after: int, den: Demo, cabin: Demo, tmp_path: Path
) -> None:
    await den.shut_down()
    async with looking_after(tmp_path, *(den, cabin)[:before]) as one:
        await one.until(lambda: rows(tmp_path, "SELECT 1 FROM events WHERE server LIKE 'unknown%'"))
    await den.reopen()
    async with looking_after(tmp_path, *(den, cabin)[:after]) as one:
        await all_live(one)
    assert DEN in count(tmp_path, "events")
    assert rows(tmp_path, "SELECT 1 FROM events WHERE server LIKE 'unknown%'") == []


async def test_a_tool_of_one_server_is_journaled_as_of_that_server_in_every_process(
    den: Demo, cabin: Demo, tmp_path: Path
) -> None:
    async with both(tmp_path, den, cabin) as first, looking_after(tmp_path, den, cabin) as second:
        assert not second.listens
        for one in (first, second):
            its = one.companion.choose_server("Cabin")
            await its.event_queue.put([ReceivedEvent(Audit("playlist_delete", "done", {}), its.clock())])
        await first.until(lambda: count(tmp_path, "events", "type = 'audit'") == {CABIN: 2})


async def test_an_alert_of_any_server_is_acknowledged_in_every_process(den: Demo, cabin: Demo, tmp_path: Path) -> None:
    async with both(tmp_path, den, cabin) as first, looking_after(tmp_path, den, cabin) as second:
        await cabin.shut_down()
        await second.until(lambda: state_of(second, "Cabin").alerts)
        (alert,) = state_of(second, "Cabin").alerts.values()
        with anyio.fail_after(HANG_SECONDS):
            await acknowledge_alert(second.companion, str(alert.id))
        (known,) = state_of(first, "Cabin").alerts.values()
        assert known.acknowledged_at


async def test_when_the_process_that_listens_ends_the_other_listens_to_every_server(
    den: Demo, cabin: Demo, tmp_path: Path
) -> None:
    async with anyio.create_task_group() as tasks:
        first_ends, first_is_live = anyio.Event(), anyio.Event()

        async def listen_first() -> None:
            async with both(tmp_path, den, cabin):
                first_is_live.set()
                await first_ends.wait()

        tasks.start_soon(listen_first)
        await first_is_live.wait()
        async with looking_after(tmp_path, cabin, den) as second:
            den.start()
            await second.until(lambda: state_of(second, "Den").sessions)
            first_ends.set()
            await second.until(lambda: second.listens)
            await all_live(second)
            cabin.start()
            await second.until(lambda: state_of(second, "Cabin").sessions)
            assert len(state_of(second, "Den").sessions) == 1
    assert count(tmp_path, "plays", WATCHED) == BY_SERVER


async def test_a_database_of_one_server_from_before_is_the_first_servers(
    den: Demo, cabin: Demo, tmp_path: Path
) -> None:
    path = tmp_path / "cache.sqlite3"
    migrate(path, [migration for migration in list_migrations() if migration.version < 8])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO servers VALUES (?, 'Den', '1', 'Linux', '6', 0, 1)", (DEN,))
        database.execute("INSERT INTO listener VALUES (1, 4, 0, ?, 'live', 5, 6, NULL, 7, 8, 1, '{}')", (DEN,))
    async with both(tmp_path, den, cabin) as one:
        assert link_of(one, "Den").connection.epoch == 7
        assert rows(tmp_path, "SELECT term FROM listener") == [(5,)]
        assert {server for (server,) in rows(tmp_path, "SELECT server FROM links")} == {DEN, CABIN}


async def test_the_history_of_every_server_is_imported(den: Demo, cabin: Demo, tmp_path: Path) -> None:
    async with both(tmp_path, den, cabin) as one:
        for name in ("Den", "Cabin"):
            await one.until(lambda name=name: state_of(one, name).history.complete)  # type: ignore[misc]  # bound by default
    plays = count(tmp_path, "plays", "ended_by = 'imported'")
    assert plays[DEN] == plays[CABIN] > 0
    assert join_urls(den, cabin).count(",") == 1
