"""The commands that look after the database, and what a person learns of one that was damaged."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import anyio
import pytest
from filelock import FileLock
from pydantic import SecretStr
from support.application import settings_for
from support.deadlines import HANG_SECONDS

from plex_companion.app import open_companion
from plex_companion.cache.migrate import Migration, list_migrations, migrate
from plex_companion.cache.queries.read import read_newest_alerts, read_newest_events
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """A command on the database `cache.sqlite3` of a folder: exit code, answer, complaint."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "plex_companion", *arguments, "--database", "cache.sqlite3"],
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def one_line(said: tuple[int, str, str]) -> str:
    code, answer, complaint = said
    assert (code, answer) == (1, "")
    assert complaint.count("\n") == 1
    return complaint


def database(folder: Path, rows: Sequence[int] = range(1, 200)) -> Path:
    path = folder / "cache.sqlite3"
    migrate(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO servers VALUES ('den', NULL, NULL, NULL, NULL, 0, 0)")
        connection.executemany(
            "INSERT INTO events VALUES (?, 'den', 0, 'x', NULL, 'x', ?)", [(n, "x" * 900) for n in rows]
        )
        connection.commit()
    return path


def rows_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute("SELECT count(*) FROM events").fetchone()[0]
        return count


def delete(path: Path, condition: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"DELETE FROM events WHERE {condition}")  # noqa: S608 - our own words
        connection.commit()


def test_a_backup_made_by_hand_is_listed_and_restored_and_what_was_there_is_kept(tmp_path: Path) -> None:
    path = database(tmp_path)
    code, answer, _ = run(tmp_path, "backup")
    assert (code, "1 backup is kept" in answer) == (0, True)
    delete(path, "id > 10")
    code, answer, _ = run(tmp_path, "restore", "--list")
    (backup,) = (tmp_path / "cache.sqlite3.backups").iterdir()
    assert (code, answer.count("\n")) == (0, 1)
    assert backup.name in answer
    code, answer, _ = run(tmp_path, "restore")
    assert code == 0
    assert backup.name in answer
    assert rows_of(path) == 199
    (aside,) = tmp_path.glob("cache.sqlite3.before-restore-*Z")
    assert aside.name in answer
    assert rows_of(aside) == 10


def test_backups_are_listed_with_the_time_of_the_companions_zone(tmp_path: Path) -> None:
    database(tmp_path)
    run(tmp_path, "backup")
    (backup,) = (tmp_path / "cache.sqlite3.backups").iterdir()
    at = datetime.strptime(backup.stem, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    (tmp_path / ".env").write_text("PLEX_COMPANION_TIMEZONE=Asia/Kathmandu\n", encoding="utf-8")
    _, answer, _ = run(tmp_path, "restore", "--list")
    assert f"{at + timedelta(hours=5, minutes=45):%Y-%m-%d %H:%M:%S} Asia/Kathmandu" in answer


def test_a_backup_that_is_not_there_is_said_to_be_missing_and_nothing_is_left_behind(tmp_path: Path) -> None:
    assert "There is no file nope.sqlite3" in one_line(run(tmp_path, "restore", "nope.sqlite3"))
    assert list(tmp_path.iterdir()) == []


def test_a_backup_goes_to_a_file_that_is_named_and_never_over_one_that_is_there(tmp_path: Path) -> None:
    path = database(tmp_path)
    assert run(tmp_path, "backup", "--to", "copy.sqlite3")[0] == 0
    delete(path, "1")
    assert "already exists" in one_line(run(tmp_path, "backup", "--to", "copy.sqlite3"))
    assert run(tmp_path, "restore", "copy.sqlite3")[0] == 0
    assert rows_of(path) == 199


def test_what_cannot_be_restored_is_refused_in_one_line_and_changes_nothing(tmp_path: Path) -> None:
    path = database(tmp_path)
    before = path.read_bytes()
    (tmp_path / "words.txt").write_text("words " * 999)
    with closing(sqlite3.connect(tmp_path / "recipes.sqlite3")) as other:
        other.execute("CREATE TABLE recipes (title TEXT)")
    newer = tmp_path / "newer.sqlite3"
    migrate(newer, [*list_migrations(), Migration(999, "tomorrow", "CREATE TABLE tomorrow (a INTEGER) STRICT;")])
    refusals = {
        "nowhere.sqlite3": "nowhere.sqlite3",
        "words.txt": "not a database",
        "recipes.sqlite3": "not a database of plex-companion",
        "newer.sqlite3": "newer plex-companion",
    }
    for name, words in refusals.items():
        assert words in one_line(run(tmp_path, "restore", name))
    assert "no good backup" in one_line(run(tmp_path, "restore"))
    assert path.read_bytes() == before


def test_while_another_process_uses_the_database_it_is_backed_up_but_not_replaced(tmp_path: Path) -> None:
    path = database(tmp_path)
    with FileLock(f"{path}.lock"):
        assert run(tmp_path, "backup")[0] == 0
        for command in ("restore", "vacuum"):
            assert "is using the database" in one_line(run(tmp_path, command))


def test_a_vacuum_says_what_it_won(tmp_path: Path) -> None:
    path = database(tmp_path, range(1, 2_000))
    delete(path, "id > 10")
    before = path.stat().st_size
    code, answer, _ = run(tmp_path, "vacuum")
    assert code == 0
    assert path.stat().st_size < before / 2
    assert "MB before" in answer
    assert rows_of(path) == 10


@pytest.mark.parametrize("command", ["backup", "vacuum"])
def test_without_a_database_there_is_one_line(command: str, tmp_path: Path) -> None:
    assert "There is no database" in one_line(run(tmp_path, command))
    assert list(tmp_path.glob("cache*")) == []


def test_without_backups_the_list_says_how_to_make_one(tmp_path: Path) -> None:
    assert "plex-companion backup" in run(tmp_path, "restore", "--list")[1]


async def test_that_a_database_was_mended_is_an_alert_and_a_row_of_the_journal(tmp_path: Path) -> None:
    path = database(tmp_path)
    with path.open("r+b") as file:
        file.truncate(20_000)
    settings = Settings.load({"plex_url": "http://127.0.0.1:1", "database": path}).model_copy(
        update={"plex_token": SecretStr("a-token-of-the-owner")}
    )
    async with open_companion(settings, lambda _: None) as companion:
        with anyio.fail_after(HANG_SECONDS):
            while not [alert for alert in await read_newest_alerts(companion.cache, 10) if alert.kind == "storage"]:
                await companion.live.wait_for_commit()
        (alert,) = [alert for alert in await read_newest_alerts(companion.cache, 10) if alert.kind == "storage"]
        (row,) = await read_newest_events(companion.cache, 10, ["storage"])
    assert alert.title == row["summary"]
    assert "started empty" in alert.title
    assert alert.resolved_at is not None, "it is over: nothing remains to be done"
    assert str(tmp_path) not in alert.title


async def test_a_server_that_runs_is_backed_up_by_the_command(demo: Demo, tmp_path: Path) -> None:
    settings = settings_for(demo, tmp_path)
    async with open_companion(settings, lambda _: None) as companion:
        with anyio.fail_after(HANG_SECONDS):
            while not companion.is_live:
                await companion.live.wait_for_commit()
        done = await anyio.run_process(
            [sys.executable, "-m", "plex_companion", "backup", "--database", str(settings.database)],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        )
        assert b"Backup made and verified" in done.stdout
