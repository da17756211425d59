"""The server itself: information, logs, statistics, butler, alerts, trash."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp_types import ElicitResult
from support.deadlines import HANG_SECONDS
from support.tools import Tools, tools_home

from plex_companion.cache.prune import prune
from plex_companion.errors import TooLarge
from plex_companion.plex.query import download
from plex_companion.tools.server import logs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FILMS = "1"
ASKING: dict[str, dict[str, Any]] = {
    "server_get_info": {},
    "server_get_plex_logs": {},
    "server_get_bandwidth": {},
    "server_get_current_resources": {},
    "server_get_butler_tasks": {},
    "server_run_butler_task": {"task_name": "BackupDatabase"},
    "server_empty_trash": {"library_name": "Films", "confirm": True},
    "server_optimize_database": {},
    "server_clean_bundles": {},
}

WRONG: tuple[tuple[str, dict[str, Any]], ...] = (
    ("server_get_plex_logs", {"num_lines": 0}),
    ("server_get_plex_logs", {"num_lines": -5}),
    ("server_get_plex_logs", {"start_line": -1}),
    ("server_get_bandwidth", {"timespan": "years"}),
    ("server_get_bandwidth", {"lan": "maybe"}),
    ("server_get_bandwidth", {"limit": 0}),
    ("server_get_bandwidth", {"offset": -1}),
    ("server_get_current_resources", {"limit": -3}),
    ("server_get_current_resources", {"offset": -1}),
    ("server_get_alerts", {"limit": 0}),
    ("server_get_alerts", {"timeout": 61}),
    ("server_get_alerts", {"timeout": -1}),
    ("server_get_alerts", {"since": 10**9, "timeout": 0}),
)
"""Arguments that cannot be; the first is the one refused."""


@asynccontextmanager
async def home(folder: Path, **more: Any) -> AsyncIterator[Tools]:
    async with tools_home(folder, **more) as tools:
        await tools.application.companion.gateway.call(lambda plex: plex)  # connecting costs a request of its own
        yield tools


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tools]:
    async with home(tmp_path_factory.mktemp("shared")) as tools:
        yield tools


def zipped(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def asked_to_change(tools: Tools) -> list[str]:
    """What was sent that is no GET."""
    return [path for method, path in tools.demo.requests.log if method != "GET"]


def about_trash(tools: Tools) -> list[str]:
    """What was asked about the trash; the listener looks at the library too, when things go."""
    return [path for _, path in tools.demo.requests.log if "trash" in path.lower()]


# -- what holds for all


async def test_every_tool_says_that_plex_is_starting_or_gone_and_changes_nothing(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.answer_with(503)
        for name, given in ASKING.items():
            assert (await tools.refused(name, **given))["code"] == "plex_starting"
        assert (await tools.well("server_get_alerts", timeout=0))["connection"]["state"]
        tools.demo.answer_with(None)
        await tools.demo.shut_down()
        for name, given in ASKING.items():
            assert (await tools.refused(name, **given))["code"] == "plex_unreachable"


async def test_a_wrong_argument_is_refused_before_plex_is_asked(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for name, given in WRONG:
            error = await tools.refused(name, **given)
            assert (error["code"], error["argument"]) == ("invalid", next(iter(given)))
            assert tools.requests == 0


# -- server_get_info


async def test_info_names_the_server_afresh_and_hides_the_owners_address(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        data = (await tools.well("server_get_info"))["data"]
        assert tools.requests == 1
        tools.demo.state.prefs["FriendlyName"].value = "Windmill"
        again = (await tools.well("server_get_info"))["data"]
    assert set(data) == {
        "version", "platform", "platform_version", "updated_at", "server_name", "machine_identifier", "my_plex_username",
        "my_plex_mapping_state", "certificate", "sync", "transcoder_active_video_sessions", "transcoder_audio",
        "transcoder_video_bitrates", "transcoder_video_qualities", "transcoder_video_resolutions", "owner_features",
        "streaming_brain_version", "allow_media_deletion", "updated_at_utc",
    }  # fmt: skip
    assert (data["server_name"], again["server_name"]) == ("Lighthouse", "Windmill")
    assert data["my_plex_username"] == "hidden"
    assert data["transcoder_active_video_sessions"] == 0
    assert data["updated_at_utc"].endswith("Z")


async def test_info_shows_the_owners_address_when_privacy_is_off(tmp_path: Path) -> None:
    async with home(tmp_path, privacy="off") as tools:
        assert (await tools.well("server_get_info"))["data"]["my_plex_username"] == "ottilie@example.net"


# -- server_get_plex_logs


async def test_a_log_ends_in_its_last_lines_and_is_read_once_a_minute(tools: Tools) -> None:
    tail = await tools.well("server_get_plex_logs", num_lines=3)
    assert tools.requests == 1
    part = await tools.well("server_get_plex_logs", num_lines=2, start_line=5)
    assert tools.requests == 0
    assert (tail["status"], tail["file"], tail["mode"]) == ("success", "Plex Media Server.log", "tail")
    assert (tail["total_lines"], tail["first_line"], tail["last_line"]) == (200, 197, 199)
    assert [line["n"] for line in tail["lines"]] == [197, 198, 199]
    assert tail["message"] == "Last 3 of 200 lines of Plex Media Server.log."
    assert (part["mode"], part["first_line"], part["last_line"]) == ("range", 5, 6)
    assert "#5" in part["lines"][0]["text"]


async def test_a_search_in_a_log_counts_matches_and_pages_through_them(tools: Tools) -> None:
    found = await tools.well("server_get_plex_logs", search_term="warn", num_lines=2, start_line=64)
    nothing = await tools.well("server_get_plex_logs", search_term="no such words")
    beyond = await tools.well("server_get_plex_logs", start_line=500)
    assert (found["mode"], found["total_matches"]) == ("search", 66)
    assert (found["first_line"], found["last_line"], [line["n"] for line in found["lines"]]) == (64, 65, [194, 197])
    assert (nothing["total_matches"], nothing["lines"], nothing["first_line"]) == (0, [], None)
    assert (beyond["lines"], beyond["total_lines"]) == ([], 200)


async def test_log_files_are_listed_and_found_by_type_name_and_part(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        listed = await tools.well("server_get_plex_logs", list_files=True)
        asked = ("scanner", "plex media scanner.LOG", "Transcoder Stat", "transcoder")
        files = [(await tools.well("server_get_plex_logs", log_type=name))["file"] for name in asked]
        unclear = await tools.refused("server_get_plex_logs", log_type="Plex Media")
        missing = await tools.refused("server_get_plex_logs", log_type="tuner")
    assert listed["mode"] == "list"
    assert listed["files"] == ["Plex Media Scanner.log", "Plex Media Server.log", "Plex Transcoder Statistics.log"]
    assert files == ["Plex Media Scanner.log"] * 2 + ["Plex Transcoder Statistics.log"] * 2
    assert (unclear["code"], unclear["argument"], len(unclear["matches"])) == ("ambiguous", "log_type", 2)
    assert (missing["code"], missing["what"], missing["available"]) == ("not_found", "log", listed["files"])


async def test_no_secret_leaves_a_log_and_none_can_be_guessed_by_searching(tmp_path: Path) -> None:
    text = "GET /a?X-Plex-Token=wonderful1234 from 203.0.113.9\nby ada@example.org, token=transient-5678abcd\nowner-token\n"
    async with home(tmp_path) as tools:
        tools.demo.answer_with(200, zipped(**{"Plex Media Server.log": text}))
        said = await tools.ask("server_get_plex_logs")
        guessed = [
            (await tools.well("server_get_plex_logs", search_term=term))["total_matches"]
            for term in ("wonder", "203.0", "ada@", "transient-5", "GET /a")
        ]
    for secret in ("wonderful", "203.0.113.9", "ada@", "5678abcd", "owner-token"):
        assert secret not in json.dumps([said.body, said.text])
    assert len(said.body["lines"]) == 3
    assert guessed == [0, 0, 0, 0, 1]


async def test_a_log_answer_stays_within_its_limits(tmp_path: Path) -> None:
    long = "".join(f"{n} {'x' * 900}\n" for n in range(2000)) + "y" * 10_000
    async with home(tmp_path) as tools:
        tools.demo.answer_with(200, zipped(**{"Plex Media Server.log": long}))
        tail = await tools.well("server_get_plex_logs", num_lines=9999)
        first = await tools.well("server_get_plex_logs", num_lines=9999, start_line=0)
    assert (tail["limit"], tail["truncated"], tail["last_line"]) == (1000, True, 2000)
    assert [line["n"] for line in tail["lines"]] == list(range(tail["first_line"], 2001))
    assert len(tail["lines"][-1]["text"]) == logs.LONGEST_LINE
    assert sum(len(line["text"]) for line in tail["lines"]) <= logs.MOST_TEXT
    assert (first["first_line"], first["lines"][0]["n"], first["truncated"]) == (0, 0, True)


async def test_an_archive_that_is_none_is_plexs_error_and_is_not_kept(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.answer_with(200, b"no archive")
        assert (await tools.refused("server_get_plex_logs"))["code"] == "plex_error"
        broken = bytearray(zipped(**{"Plex Media Server.log": "line\n" * 100}))
        broken[50:60] = b"0123456789"
        tools.demo.answer_with(200, bytes(broken))
        assert (await tools.refused("server_get_plex_logs"))["code"] == "plex_error"


async def test_an_archive_beyond_the_cap_is_not_read_to_its_end(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        gateway = tools.application.companion.gateway
        with pytest.raises(TooLarge) as refused:
            await gateway.call(lambda plex: download(plex, logs.ARCHIVE, 1_000))
    assert refused.value.facts == {"limit_bytes": 1_000}


def test_a_log_is_not_unpacked_beyond_the_cap_whatever_it_says_of_its_size() -> None:
    bomb = zipped(**{"Plex Media Server.log": "a" * 5_000})
    assert len(bomb) < 1_000
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive, pytest.raises(TooLarge):
        logs.read_text(archive, "Plex Media Server.log", 1_000)


# -- server_get_bandwidth, server_get_current_resources


async def test_bandwidth_is_told_with_names_newest_first(tools: Tools) -> None:
    found = await tools.well("server_get_bandwidth", limit=5)
    assert tools.requests == 3
    rest = await tools.well("server_get_bandwidth", offset=20)
    assert tools.requests == 1
    assert set(found["data"][0]) == {
        "account", "device_id", "device_name", "platform", "client_identifier", "at", "bytes", "is_local",
        "timespan (seconds)", "account_id", "at_utc",
    }  # fmt: skip
    times = [row["at_utc"] for row in found["data"]]
    assert times == sorted(times, reverse=True)
    first = found["data"][0]
    assert (first["account"], first["device_name"], first["timespan (seconds)"]) == ("Ottilie Brandt", "Living Room", 1)
    assert (found["total"], found["limit"], found["size"], found["truncated"]) == (24, 5, 5, True)
    assert (rest["size"], rest["truncated"]) == (4, False)
    assert found["total_bytes"] == rest["total_bytes"] > 0
    sent = [user["bytes"] for user in found["users"]]
    assert sent == sorted(sent, reverse=True)
    assert sum(sent) == found["total_bytes"]
    assert found["users"] == rest["users"], "of all rows, not of the page"


async def test_bandwidth_is_chosen_by_span_and_network(tools: Tools) -> None:
    months = await tools.well("server_get_bandwidth", timespan="Months")
    local = [(await tools.well("server_get_bandwidth", lan=lan))["data"] for lan in (True, "true", False, "false")]
    assert {row["timespan (seconds)"] for row in months["data"]} == {2_592_000}
    assert [{row["is_local"] for row in rows} for rows in local] == [{True}, {True}, {False}, {False}]


async def test_bandwidth_of_a_forgotten_device_keeps_its_number(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        identifier = tools.demo.get_player(0).client_identifier
        rows = '<StatisticsBandwidth accountID="77" deviceID="88" timespan="6" at="1700000000" lan="1" bytes="5" />'
        del tools.demo.state.players[identifier]
        await tools.well("server_get_bandwidth")
        tools.demo.answer_with(200, f'<MediaContainer size="1">{rows}</MediaContainer>'.encode())
        found = (await tools.well("server_get_bandwidth"))["data"][0]
    assert (found["device_id"], found["account_id"]) == (88, 77)
    assert found.keys().isdisjoint({"device_name", "account"})
    assert found["at_utc"] == "2023-11-14T22:13:20.000Z"


async def test_statistics_that_are_empty_are_no_error(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.answer_with(200, b'<MediaContainer size="0" />')
        sent = await tools.well("server_get_bandwidth")
        load = await tools.well("server_get_current_resources")
    assert (sent["data"], sent["total_bytes"], sent["total"]) == ([], 0, 0)
    assert (load["data"], load["current"], load["total"]) == ([], {}, 0)


async def test_resources_begin_with_the_newest_measurement(tools: Tools) -> None:
    found = await tools.well("server_get_current_resources", limit=400)
    assert tools.requests == 1
    page = await tools.well("server_get_current_resources", offset=2, limit=2)
    assert set(found["current"]) == {
        "timestamp", "host_cpu_utilization", "host_memory_utilization", "process_cpu_utilization",
        "process_memory_utilization", "timespan", "timestamp_utc",
    }  # fmt: skip
    assert (found["limit"], found["size"]) == (300, 30)
    assert found["current"] == found["data"][0]
    assert found["current"]["timestamp_utc"] == max(row["timestamp_utc"] for row in found["data"])
    assert (page["offset"], len(page["data"])) == (2, 2)  # a measurement may have come in between


# -- butler


async def test_butler_tasks_are_listed(tools: Tools) -> None:
    found = await tools.well("server_get_butler_tasks")
    assert tools.requests == 1
    assert len(found["data"]) == 22
    assert set(found["data"][0]) == {"name", "title", "description", "enabled", "interval", "scheduleRandomized"}
    assert (found["data"][0]["enabled"], found["data"][1]["enabled"]) == (False, True)


async def test_a_butler_task_is_started_by_a_name_of_any_case(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        done = await tools.well("server_run_butler_task", task_name="backupdatabase")
        assert asked_to_change(tools) == ["/butler/BackupDatabase"]
        assert len(tools.demo.state.activities) == 1
    assert done["task"] == "BackupDatabase"
    assert "started" in done["message"]


async def test_a_butler_task_that_runs_already_is_no_failure(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.state.start_activity("butler.backupDatabase", "Running BackupDatabase")
        done = await tools.well("server_run_butler_task", task_name="BackupDatabase")
    assert (done["status"], "already running" in done["message"]) == ("success", True)


async def test_an_unknown_butler_task_is_not_sent(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused("server_run_butler_task", task_name="../library/optimize")
        assert asked_to_change(tools) == []
    assert (error["code"], error["what"], len(error["available"])) == ("not_found", "task", 22)


# -- server_get_alerts


async def test_alerts_without_a_cursor_are_what_arrives_meanwhile(tmp_path: Path) -> None:
    async with home(tmp_path) as tools, anyio.create_task_group() as tasks:
        companion, session = tools.application.companion, tools.demo.start()

        async def play_on() -> None:
            while True:
                tools.demo.move(session)
                await companion.live.wait_for_commit()

        await tools.until(lambda: companion.state.sessions)
        before = companion.state.next_event
        tasks.start_soon(play_on)
        with anyio.fail_after(HANG_SECONDS):
            found = await tools.well("server_get_alerts", timeout=60, types=["playing"], limit=1)
        tasks.cancel_scope.cancel()
    assert found["data"][0]["event_id"] >= before
    assert [row["type"] for row in found["data"]] == ["playing"]
    alert = found["data"][0]
    assert set(alert) == {"type", "title", "description", "text", "raw_data", "event_id", "received_at"}
    assert alert["text"] == f"ALERT: playing - {alert['title']} - {alert['description']}"
    assert alert["raw_data"]["state"] == "playing"
    assert found["connection"]["state"] == "live"
    assert (found["source"], found["dropped"]) == ("cache", False)
    assert found["next_cursor"] >= alert["event_id"]


async def test_alerts_are_none_when_nothing_arrives_in_time(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        with anyio.fail_after(HANG_SECONDS):
            found = await tools.well("server_get_alerts", timeout=1)
        assert tools.requests == 0
    assert (found["data"], found["status"], found["connection"]["state"]) == ([], "success", "live")


async def test_alerts_since_a_cursor_come_at_once_and_in_pages(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        cursor = (await tools.well("server_get_alerts", timeout=0))["next_cursor"]
        session = tools.demo.start()
        tools.demo.pause(session)
        with anyio.fail_after(HANG_SECONDS):
            first = await tools.well("server_get_alerts", timeout=60, since=cursor, types=["playing"], limit=1)
            second = await tools.well("server_get_alerts", timeout=60, since=first["next_cursor"], types=["playing"])
        third = await tools.well("server_get_alerts", timeout=0, since=second["next_cursor"], types=["playing"])
    assert [row["raw_data"]["state"] for row in first["data"] + second["data"]] == ["playing", "paused"]
    assert (third["data"], third["status"]) == ([], "success")
    assert third["message"]


async def test_alerts_are_plexs_and_not_what_this_program_did(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        cursor = (await tools.well("server_get_alerts", timeout=0))["next_cursor"]
        await tools.well("server_optimize_database")
        with anyio.fail_after(HANG_SECONDS):
            own = await tools.well("server_get_alerts", since=cursor, timeout=60, types=["audit"])
            tools.demo.start()
            seen = await tools.well("server_get_alerts", since=cursor, timeout=60)
    assert [row["type"] for row in own["data"]] == ["audit"]
    assert seen["data"]
    assert "audit" not in [row["type"] for row in seen["data"]]


async def test_alerts_that_are_kept_no_more_are_said_to_be_dropped(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        for number in range(5):
            tools.demo.run_activity("demo", f"Job {number}")
        await tools.until(lambda: tools.application.companion.state.next_event > 5)
        await prune(
            tools.application.companion.cache,
            events_before=tools.application.companion.now_ms + 10_000,
            events_kept=0,
            alerts_before=0,
        )
        found = await tools.well("server_get_alerts", timeout=60, since=0)
    assert found["dropped"] is True


# -- server_empty_trash


async def test_the_trash_of_one_library_is_emptied_after_confirmation(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        film, other = tools.demo.get_movie(3), tools.demo.state.list_section("5", "movie")[0]
        tools.demo.trash_item(film.key)
        tools.demo.trash_item(other.key)
        asked = await tools.refused("server_empty_trash", library_name="films")
        assert asked_to_change(tools) == []
        done = await tools.well("server_empty_trash", library_name="films", confirm=True)
        assert asked_to_change(tools) == ["/library/sections/1/emptyTrash"]
        assert len(about_trash(tools)) == 1 + 4
        assert film.key not in tools.demo.state.items
        assert other.key in tools.demo.state.items
    assert asked["code"] == "confirmation_required"
    assert asked["victim"]["libraries"] == [{"title": "Films", "library_id": 1, "items": 1}]
    assert "confirm=true" in asked["message"]
    assert done["libraries"] == [{"title": "Films", "library_id": 1, "items": 1, "items_left": 0}]
    assert (done["status"], "started" in done["message"]) == ("success", True)


async def test_without_a_name_the_trash_of_every_library_is_emptied(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.trash_item(tools.demo.get_episode(2).key)
        done = await tools.well("server_empty_trash", confirm=True)
        assert len(asked_to_change(tools)) == 5
        assert len(about_trash(tools)) == 4 * 5
    assert [library["items"] for library in done["libraries"]] == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_a_person_who_says_no_keeps_the_trash(tmp_path: Path, era: str) -> None:
    questions: list[str] = []

    async def answer(_: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action="decline")

    async with home(tmp_path, answer=answer, era=era) as tools:
        tools.demo.trash_item(tools.demo.get_movie(3).key)
        error = await tools.refused("server_empty_trash", library_name="1", confirm=True)
        assert asked_to_change(tools) == []
    assert error["code"] == "declined"
    assert "Films: 1" in questions[0]
    assert "cannot be undone" in questions[0]


async def test_a_trash_that_filled_while_a_person_was_asked_stays(tmp_path: Path) -> None:
    trashing: list[Any] = []

    async def answer(_: Any, __: Any) -> ElicitResult:
        trashing[0]()
        return ElicitResult(action="accept", content={"confirm": True})

    async with home(tmp_path, answer=answer, era="legacy") as tools:
        trashing.append(lambda: tools.demo.trash_item(tools.demo.get_movie(5).key))
        error = await tools.refused("server_empty_trash", library_name="Films")
        assert asked_to_change(tools) == []
    assert error["code"] == "conflict"


async def test_the_trash_of_an_unknown_library_is_no_trash(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused("server_empty_trash", library_name="Vinyl", confirm=True)
        assert asked_to_change(tools) == []
    assert (error["code"], error["what"]) == ("not_found", "library")
    assert "Films" in error["available"]


# -- maintenance


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("server_optimize_database", "/library/optimize?async=1"),
        ("server_clean_bundles", "/library/clean/bundles?async=1"),
    ],
)
async def test_maintenance_is_started_with_one_request(tools: Tools, name: str, path: str) -> None:
    done = await tools.well(name)
    assert (tools.requests, asked_to_change(tools)) == (1, [path])
    assert done["status"] == "success"
    assert "started" in done["message"]
