"""The lock beside a database: one has it, and whoever goes gives it back."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest
from support.deadlines import HANG_SECONDS

from plex_companion.cache.lock import LeaderLock, open_lock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import pathlib, sys, time
from plex_companion.cache.lock import LeaderLock
lock = LeaderLock(pathlib.Path(sys.argv[1]))
print(lock.try_acquire(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.sqlite3"


def test_one_has_it_and_the_others_do_not_also_within_one_process(path: Path) -> None:
    first, second = LeaderLock(path), LeaderLock(path)
    assert (first.try_acquire(), second.try_acquire(), second.try_acquire()) == (True, False, False)
    assert (first.is_held, second.is_held) == (True, False)
    assert first.try_acquire(), "it has it still"
    first.release()
    assert (first.is_held, second.try_acquire(), first.try_acquire()) == (False, True, False)
    second.release()


def test_it_is_given_back_at_the_end_of_the_block_whatever_happened(path: Path) -> None:
    def fail() -> None:
        with open_lock(path) as lock:
            assert lock.try_acquire()
            raise ValueError("within")

    with pytest.raises(ValueError, match="within"):
        fail()
    with open_lock(path) as lock:
        assert lock.try_acquire()


def test_who_never_had_it_gives_nothing_back(path: Path) -> None:
    first, second = LeaderLock(path), LeaderLock(path)
    first.try_acquire()
    second.release()
    assert not second.try_acquire()
    first.release()


def test_the_file_is_the_owners_alone_and_stays(path: Path) -> None:
    lock = LeaderLock(path)
    lock.try_acquire()
    assert lock.path.name == "cache.sqlite3.lock"
    assert lock.path.stat().st_mode & 0o777 == 0o600
    lock.release()
    assert lock.path.exists()


def test_it_is_one_by_whatever_name_the_database_is_called(path: Path, tmp_path: Path) -> None:
    path.touch()
    (tmp_path / "link.sqlite3").symlink_to(path)
    (tmp_path / "folder").symlink_to(tmp_path)
    first = LeaderLock(path)
    assert first.try_acquire()
    assert not LeaderLock(tmp_path / "link.sqlite3").try_acquire()
    assert not LeaderLock(tmp_path / "folder" / path.name).try_acquire()
    first.release()


async def test_the_kernel_gives_it_back_for_a_process_that_was_killed(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as process:  # noqa: S603, ASYNC220 - our own code
        assert process.stdout
        assert process.stdout.readline() == b"True\n"
        lock = LeaderLock(path)
        assert not lock.try_acquire()
        os.kill(process.pid, signal.SIGKILL)
        with anyio.fail_after(HANG_SECONDS):
            while not lock.try_acquire():  # noqa: ASYNC110 - the kernel has no event for it
                await anyio.sleep(0.01)
        lock.release()


def test_where_nothing_can_be_locked_it_is_said_once_and_the_process_goes_on_as_if_alone(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    path.with_name("cache.sqlite3.lock").mkdir()
    lock = LeaderLock(path)
    assert (lock.try_acquire(), lock.try_acquire(), lock.is_held) == (True, True, True)
    (record,) = caplog.records
    assert "cache.sqlite3.lock cannot be locked" in record.message
    assert "\n" not in record.message
    lock.release()
    assert (lock.is_held, lock.try_acquire()) == (False, False), "who was deposed does not come back"
