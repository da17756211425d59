"""The commands that ask the database alone: the program itself, with nobody listening."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from support.deadlines import HANG_SECONDS
from support.recorded_plays import (
    DAY,
    HOUR,
    alert,
    change,
    episode,
    imported,
    imported_so_far,
    reconnected,
    running,
    said,
    seen,
    write,
)

from plex_companion.cache.migrate import Migration, list_migrations, migrate

if TYPE_CHECKING:
    from pathlib import Path

    from support.recorded_plays import Row

pytestmark = pytest.mark.slow

COMMANDS = ("history", "stats", "events", "alerts", "digest")


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "plex_companion", *arguments],
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def write_sample(path: Path, **more: list[Row]) -> Path:
    """Write a database with a little of everything, up to now."""
    now = int(time.time() * 1000)
    plays = [
        seen(
            1,
            now - 3 * HOUR,
            title="\x1b[31mNine Copper Kettles and the Very Long Winter of Somebody Else\u202e 名探偵",
        ),
        imported(2, now - 2 * DAY, user_id="2", user_name="Ben", **episode("Harbour Élan", 1, 2)),
        running(3, now - 600_000, user_id="3", user_name="Zoë", updated_at=now),
    ]
    tables: dict[str, list[Row]] = {
        "plays": plays,
        "alerts": [alert(1, now - HOUR, "buffering"), alert(2, now - HOUR, "new_device", resolved_at=None)],
        "library_changes": [change(1, now - HOUR, "9", title="Salt Orchard")],
        "events": [
            said(1, now - DAY),
            reconnected(2, now - 7 * HOUR, now - 5 * HOUR),
            said(3, now - 1_000, "timeline"),
        ],
    }
    return write(path, **{**tables, **more})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("home")
    path = folder / ".local" / "share" / "plex-companion" / "demo.sqlite3"
    write_sample(path)
    imported_so_far(path, 1, 1, complete=True)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_into_a_pipe_it_is_plain_and_nothing_is_cut(home: Path, command: str) -> None:
    done = run(home, command, "--demo")
    assert (done.returncode, done.stderr) == (0, "")
    for said_by_strangers in ("\x1b", "\u202e"):
        assert said_by_strangers not in done.stdout
    words = {
        "history": (
            "Somebody Else 名探偵 (1999)",
            "Harbour Élan - S01E02",
            "imported",
            "unknown",
            "It last heard from Plex",
            "1:00:00",
        ),
        "stats": ("3 plays", "2 h 00 watched (known of 2)", "Days (UTC)", "Hours of day (UTC)", "█", "Harbour Élan"),
        "events": ("connection", "timeline"),
        "alerts": ("buffering", "lasted 1:00", "open"),
        "digest": ("2 plays", "New: 1", "Salt Orchard", "Alerts: 2, 1 open", "Disconnected from Plex for 2:0"),
    }[command]
    for word in words:
        assert word in done.stdout, done.stdout


KEYS = {
    "history": {"plays", "count", "limit", "next_cursor", "timezone", "since", "until", "history"},
    "stats": {"period", "by", "timezone", "since", "until", "plays", "timed", "watched_ms", "estimated_ms", "entries",
              "count", "total_entries", "history"},
    "events": {"events", "count", "limit", "next_cursor", "gap"},
    "alerts": {"alerts", "count", "next_cursor", "muted"},
    "digest": {"timezone", "since", "until", "counts", "plays", "additions", "upgrades", "deletions", "alerts", "outages", "history", "notes"},
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_as_json_it_is_the_answer_of_the_tool(home: Path, command: str) -> None:
    done = run(home, command, "--demo", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    body: dict[str, Any] = json.loads(done.stdout)
    assert body.keys() == {"as_of", "connection", "server"} | KEYS[command]
    assert (body["connection"]["state"], body["server"]["name"]) == ("offline", "Den")


def test_flags_narrow(home: Path) -> None:
    def ids(*flags: str) -> list[str]:
        return [play["id"] for play in json.loads(run(home, "history", "--demo", "--json", *flags).stdout)["plays"]]

    assert ids("--user", "ben") == ["2"]
    assert ids("--title", "harbour elan", "--library", "Shows") == ["2"]
    assert ids("--since", "7d", "--until", "1d", "--limit", "1") == ["2"]
    events = json.loads(run(home, "events", "--demo", "--json", "--type", "timeline", "--type", "activity").stdout)
    assert [event["id"] for event in events["events"]] == ["3"]
    alerts = json.loads(run(home, "alerts", "--demo", "--json", "--kind", "new_device", "--since", "2h").stdout)
    assert [one["id"] for one in alerts["alerts"]] == ["2"]
    stats = json.loads(run(home, "stats", "--demo", "--json", "--by", "library", "--since", "all").stdout)
    assert {(entry["name"], entry["plays"]) for entry in stats["entries"]} == {("Films", 2), ("Shows", 1)}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("history", "--since", "last friday"), ("since", "7d", "2026-11-22")),
        (("digest", "--until", "never"), ("until", "7d")),
        (("stats", "--since", "1h", "--until", "2h"), ("until", "before")),
        (("history", "--title", "!!!"), ("title",)),
        (("history", "--limit", "0"), ("--limit", "10000")),
        (("stats", "--by", "mood"), ("--by", "platform")),
    ],
)
def test_a_flag_that_cannot_be_used_is_said_and_exit_2(
    home: Path, flags: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = run(home, *flags, "--demo")
    assert (done.returncode, done.stdout) == (2, "")
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_user_nobody_knows_is_said_with_those_there_are_and_exit_1(home: Path) -> None:
    done = run(home, "history", "--demo", "--user", "Nobody")
    assert done.returncode == 1
    assert done.stderr == "plex-companion: Unknown user 'Nobody'. Known: Ada, Ben, Zoë.\n"


def test_a_database_that_is_not_there_is_named_with_what_to_try_and_exit_1(tmp_path: Path) -> None:
    for flags, words in (
        (("--database", str(tmp_path / "nowhere.sqlite3")), ("nowhere.sqlite3", "serve")),
        (("--demo",), ("demo.sqlite3", "watch --demo")),
        ((), ("PLEX_URL", "--database")),
        (("--plex-url", "http://127.0.0.1:1"), ("serve",)),
    ):
        done = run(tmp_path, "stats", *flags)
        assert (done.returncode, done.stdout) == (1, "")
        assert len(done.stderr.splitlines()) == 1
        for word in ("There is no database", *words):
            assert word in done.stderr
    assert list(tmp_path.rglob("*.sqlite3*")) == [], "asking makes nothing"


def test_a_file_that_is_no_database_or_of_another_version_is_named_and_exit_1(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear Ada, " * 500)
    migrate(tmp_path / "old", list_migrations()[:-1])
    migrate(
        tmp_path / "new", [*list_migrations(), Migration(999, "tomorrow", "CREATE TABLE tomorrow (a INTEGER) STRICT;")]
    )
    for name, words in (("letter", "not a database"), ("old", "plex-companion serve"), ("new", "newer")):
        before = (tmp_path / name).read_bytes()
        done = run(tmp_path, "history", "--database", name)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert name in done.stderr
        assert words in done.stderr
        assert (tmp_path / name).read_bytes() == before


def test_an_empty_past_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "cache.sqlite3")
    for command in ("history", "stats"):
        done = run(
            tmp_path, command, "--database", "cache.sqlite3", *(("--since", "all") if command == "stats" else ())
        )
        assert done.returncode == 0
        assert "Start plex-companion" in done.stdout
        assert "is not finished" in done.stdout
    assert "Nothing matches" in run(tmp_path, "history", "--database", "cache.sqlite3", "--user", "Ada").stdout
    assert (
        run(tmp_path, "alerts", "--database", "cache.sqlite3").stdout
        == "No alerts.\nNo plex-companion has connected to Plex yet.\n"
    )
    assert "No events" in run(tmp_path, "events", "--database", "cache.sqlite3").stdout
    digest = run(tmp_path, "digest", "--database", "cache.sqlite3").stdout
    assert "Nothing was played" in digest
    assert "Plex has sent nothing so far" in digest


def test_nothing_is_written_and_no_lock_is_waited_for(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "cache.sqlite3")
    with closing(sqlite3.connect(path, isolation_level=None)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        busy.execute("DELETE FROM plays")
        before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir() if not file.name.endswith("-shm")}
        done = run(tmp_path, "history", "--database", "cache.sqlite3", "--json")
        assert len(json.loads(done.stdout)["plays"]) == 3, "what is not committed is not seen"
        after = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir() if not file.name.endswith("-shm")}
        assert after == before
        busy.execute("ROLLBACK")


def test_while_a_companion_listens_the_answer_says_so(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "cache.sqlite3")
    now = int(time.time() * 1000)
    set_listener(path, "live", now - HOUR, now - 30_000)
    body = json.loads(run(tmp_path, "digest", "--database", "cache.sqlite3", "--json").stdout)
    assert body["connection"]["state"] == "live"
    assert body["outages"]["total"] == 1
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE links SET refreshed_at = ?", (now - HOUR,))
    body = json.loads(run(tmp_path, "digest", "--database", "cache.sqlite3", "--json").stdout)
    assert body["connection"]["state"] == "offline", "one that was killed cannot take its word back"
    assert body["outages"]["entries"][0]["until"] is None


def set_listener(path: Path, state: str, since: int, refreshed: int, *, pid: int = 1) -> None:
    """Make the database look as if a companion listened to the den's server."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT OR REPLACE INTO listener VALUES (1, 1, ?, '{}')", (pid,))
        database.execute(
            "INSERT OR REPLACE INTO links VALUES ('', 'den-0001', ?, ?, 1, NULL, ?, ?, 1, 1)",
            (state, since, refreshed, refreshed),
        )


def set_last_heard(path: Path, at: int) -> None:
    """Make the database look as if a companion listened until then."""
    set_listener(path, "offline", at, at, pid=0)


@pytest.fixture
def unheard(tmp_path: Path) -> Path:
    """A play, and an alert, that were not over when Plex was last heard from, at 12:34 in Kathmandu."""
    now = int(time.time() * 1000)
    until = (now - 2 * DAY) // DAY * DAY + 6 * HOUR + 49 * 60_000
    plays = [running(1, until - HOUR, updated_at=until)]
    alerts = [alert(1, until - HOUR, resolved_at=None)]
    path = write(tmp_path / "cache.sqlite3", plays=plays, alerts=alerts, events=[said(1, until)])
    set_last_heard(path, until)
    return tmp_path


ASKED = {"history": (), "stats": ("--since", "all"), "alerts": (), "events": (), "digest": ("--since", "3d")}


@pytest.mark.parametrize("command", COMMANDS)
def test_while_nobody_listens_it_is_said_until_when_plex_was_heard(unheard: Path, command: str) -> None:
    arguments = (command, "--database", "cache.sqlite3", *ASKED[command])
    done = run(unheard, *arguments, PLEX_COMPANION_TIMEZONE="Asia/Kathmandu")
    assert (done.returncode, done.stderr) == (0, "")
    words = " ".join(done.stdout.split())
    assert re.search(r"last heard from (Plex )?at", words)
    assert "12:34" in words
    answer = done.stdout.replace("was open", "")
    for claimed in (" open\n", "and still playing", "1 open,", *([] if command == "events" else ["playing"])):
        assert claimed not in answer, done.stdout
    body: dict[str, Any] = json.loads(run(unheard, *arguments, "--json").stdout)
    connection = body["connection"]
    assert connection["state"] == "offline"
    assert connection["since"] == connection["last_event_at"]
    assert connection["since"].endswith("06:49:00.000Z")
    assert connection["stale_seconds"] > DAY / 1000
    assert connection["since"] in connection["detail"]


def test_while_another_process_listens_a_play_goes_on(unheard: Path) -> None:
    now = int(time.time() * 1000)
    set_listener(unheard / "cache.sqlite3", "live", now, now)
    done = run(unheard, "history", "--database", "cache.sqlite3")
    assert "playing" in done.stdout
    assert "last heard" not in done.stdout


def test_the_commands_take_times_as_people_write_them_and_users_by_first_name(home: Path) -> None:
    for since in ("yesterday", "1month", "1y", "2 weeks", "all"):
        done = run(home, "history", "--demo", "--since", since, "--user", "ADA")
        assert (done.returncode, done.stderr) == (0, "")
    done = run(home, "stats", "--demo", "--since", "30")
    assert (done.returncode, "Did you mean 30d?" in done.stderr) == (2, True)


def test_stats_count_days_in_the_zone_of_the_host_or_the_one_that_is_set_and_name_it(tmp_path: Path) -> None:
    midday = int(time.time() * 1000) // DAY * DAY - 2 * DAY
    write(tmp_path / "cache.sqlite3", plays=[seen(1, midday + 18 * HOUR + 20 * 60_000)])
    for environment in ({"TZ": "Asia/Kathmandu"}, {"TZ": "UTC", "PLEX_COMPANION_TIMEZONE": "Asia/Kathmandu"}):
        done = run(tmp_path, "stats", "--database", "cache.sqlite3", "--json", "--by", "hour", **environment)
        body = json.loads(done.stdout)
        assert body["timezone"] == "Asia/Kathmandu"
        assert [hour["key"] for hour in body["entries"] if hour["plays"]] == ["0"]
        assert (
            "Hours of day (Asia/Kathmandu)"
            in run(tmp_path, "stats", "--database", "cache.sqlite3", **environment).stdout
        )


def test_two_of_one_title_are_told_apart_at_the_shell(tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    plays = [
        seen(
            n,
            now - n * HOUR,
            title="Twin Rivers",
            rating_key=str(n),
            year=1990 + n,
            library="Movies",
            library_id=str(n + 4),
        )
        for n in (2, 3)
    ]
    write(tmp_path / "cache.sqlite3", plays=plays)
    titles = run(tmp_path, "stats", "--database", "cache.sqlite3", "--by", "title").stdout
    assert "Twin Rivers (1992)" in titles
    assert "Twin Rivers (1993)" in titles
    libraries = run(tmp_path, "stats", "--database", "cache.sqlite3", "--by", "library").stdout
    assert "Movies (id 6)" in libraries
    assert "Movies (id 7)" in libraries
    digest = run(tmp_path, "digest", "--database", "cache.sqlite3").stdout
    assert "Twin Rivers (1992)" in digest


@pytest.mark.parametrize(("form", "first"), [("text", "Den: 0 new titles, "), ("html", "<!doctype html>")])
def test_the_weekly_message_is_shown_as_it_would_be_sent(tmp_path: Path, form: str, first: str) -> None:
    path = write_sample(tmp_path / "cache.sqlite3")
    done = run(tmp_path, "digest", "--message", form, "--database", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(first)
    assert "Nothing new was added." in done.stdout


def test_a_time_that_cannot_be_understood_is_refused_in_the_weekly_message_too(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "cache.sqlite3")
    done = run(tmp_path, "digest", "--message", "text", "--since", "the other day", "--database", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "the other day" in done.stderr
