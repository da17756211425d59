"""Which of the processes on a database listens and writes: the one that holds the operating system's lock beside it."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)


def create_lock(database: Path) -> FileLock:
    """The lock beside a database, not taken. It is one, by whatever name the database is called."""
    real = database.resolve()
    return FileLock(f"{real}.lock", mode=0o600, fallback_to_soft=False, preserve_lock_file=True)


class LeaderLock:
    """The lock on `<database>.lock`. The kernel gives it back however its process ends. The file stays: who deletes it
    splits the house, and the term on the board (`cache/leadership.py`) must settle it.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._lock = create_lock(database)
        self.path = Path(self._lock.lock_file)
        self._file: tuple[int, int] | None = None
        self._taken_unlocked: bool | None = None
        """`None` until the file system has said that it cannot lock; then whether we behave as if we held the lock."""

    @property
    def is_held(self) -> bool:
        """Whether it is ours."""
        return self._lock.is_locked or bool(self._taken_unlocked)

    def try_acquire(self) -> bool:
        """Whether it is ours now. Returns at once.

        Where nothing can be locked, it is ours the first time, and never again once it was given back: two that take
        turns for ever would be worse than one that stays behind.
        """
        if self._taken_unlocked is not None or self._lock.is_locked:
            return self.is_held
        if not self.path.parent.is_dir():  # it would be made, and so would the lock of a database that is gone
            return False
        try:
            self._lock.acquire(blocking=False)
            self._file = self._there()
        except Timeout:
            return False
        except OSError as error:
            self._taken_unlocked = True
            logger.warning(
                "%s cannot be locked (%s): going on as if no other process used this database. Keep it on a local disk "
                "if several should.",
                self.path.name,
                error.strerror or type(error).__name__,
            )
        return True

    def is_in_place(self) -> bool:
        """Return whether the lock that is held still has its name: who removes or replaces it lets another one in."""
        return bool(self._taken_unlocked) or (self._lock.is_locked and self._there() == self._file)

    def beat(self) -> None:
        """Show the others that the holder does not hang, by the time of the file. Nothing is waited for."""
        with suppress(OSError):
            os.utime(self.path)

    def last_beat(self) -> int | None:
        """Return the time of the file, to be compared with an earlier one of it; `None` where there is none."""
        with suppress(OSError):
            return self.path.stat().st_mtime_ns
        return None

    def seize(self) -> bool:
        """Put a lock of our own in place of one whose holder hangs; return whether that could be done.

        The other one keeps its lock on a file without a name. That it was replaced it learns by the term.
        """
        own = FileLock(f"{self.path}.{os.getpid()}", mode=0o600, fallback_to_soft=False, preserve_lock_file=True)
        try:
            own.acquire(blocking=False)
            Path(own.lock_file).replace(self.path)
        except (OSError, Timeout):
            own.release(force=True)
            return False
        self.release()
        self._lock, self._file = own, self._there()
        return True

    def _there(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = self.path.stat()
            return found.st_dev, found.st_ino
        return None

    def release(self) -> None:
        """Let another process have it."""
        if self._taken_unlocked:
            self._taken_unlocked = False
        elif self._lock.is_locked:
            self._lock.release()
            self._lock = create_lock(self._database)


@contextmanager
def open_lock(database: Path) -> Iterator[LeaderLock]:
    """The lease on a database, free or taken; at the end of the block it is given back, if it is ours then."""
    lease = LeaderLock(database)
    try:
        yield lease
    finally:
        lease.release()
