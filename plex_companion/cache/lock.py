"""The lock that decides which process on a database leads: a lock of the operating system on a file beside it."""

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
    """Return the lock beside a database, not acquired. A database has one lock, by whatever path it is named."""
    real = database.resolve()
    return FileLock(f"{real}.lock", mode=0o600, fallback_to_soft=False, preserve_lock_file=True)


class LeaderLock:
    """The lock on `<database>.lock`.

    The kernel releases it however its process ends. The file stays: if it were deleted, two processes could hold locks
    on two files of one name. Then the term in the database decides (`cache/leadership.py`).
    """

    def __init__(self, database: Path) -> None:
        self._database, self._lock = database, create_lock(database)
        self.path = Path(self._lock.lock_file)
        self._file: tuple[int, int] | None = None
        self._held_without_lock: bool | None = None
        """`None` until the file system has refused to lock; then whether this process acts as if it held the lock."""

    @property
    def is_held(self) -> bool:
        """Whether this process holds the lock."""
        return self._lock.is_locked or bool(self._held_without_lock)

    def try_acquire(self) -> bool:
        """Acquire the lock if it is free, without waiting; return whether this process holds it now.

        Where the file system cannot lock, the first call succeeds, and none after `release`: two processes that take
        turns forever would be worse than one that stays a follower.
        """
        if self._held_without_lock is not None or self._lock.is_locked:
            return self.is_held
        if not self.path.parent.is_dir():  # acquiring would create the folder, and a lock for a database that is gone
            return False
        try:
            self._lock.acquire(blocking=False)
            self._file = self._read_identity()
        except Timeout:
            return False
        except OSError as error:
            self._held_without_lock = True
            logger.warning(
                "%s cannot be locked (%s): going on as if no other process used this database. If several processes "
                "use it, keep it on a local disk.",
                self.path.name,
                error.strerror or type(error).__name__,
            )
        return True

    def is_in_place(self) -> bool:
        """Return whether the held lock still has its name; without it, another process can lead too."""
        return bool(self._held_without_lock) or (self._lock.is_locked and self._read_identity() == self._file)

    def beat(self) -> None:
        """Touch the file, to show the other processes that this one does not hang. Errors are ignored."""
        with suppress(OSError):
            os.utime(self.path)

    def last_beat(self) -> int | None:
        """Return the modification time of the file, to compare with an earlier one; `None` if there is no file."""
        with suppress(OSError):
            return self.path.stat().st_mtime_ns
        return None

    def seize(self) -> bool:
        """Replace the lock of a process that hangs by one of our own; return whether that worked.

        The other process keeps its lock on a file without a name. It learns by the term that it was replaced.
        """
        own = FileLock(f"{self.path}.{os.getpid()}", mode=0o600, fallback_to_soft=False, preserve_lock_file=True)
        try:
            own.acquire(blocking=False)
            Path(own.lock_file).replace(self.path)
        except (OSError, Timeout):
            own.release(force=True)
            return False
        self.release()
        self._lock, self._file = own, self._read_identity()
        return True

    def _read_identity(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = self.path.stat()
            return found.st_dev, found.st_ino
        return None

    def release(self) -> None:
        """Release the lock, so that another process can acquire it."""
        if self._held_without_lock:
            self._held_without_lock = False
        elif self._lock.is_locked:
            self._lock.release()
            self._lock = create_lock(self._database)


@contextmanager
def open_lock(database: Path) -> Iterator[LeaderLock]:
    """Yield the lock of a database, not acquired; release it at the end if this process holds it then."""
    lock = LeaderLock(database)
    try:
        yield lock
    finally:
        lock.release()
